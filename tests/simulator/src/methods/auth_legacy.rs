//! `auth.*` as 24.10 has it and nobody after: checks of passwords, and who one is. Recorded on
//! 24.10.2.5.

use serde_json::{Value, json};

use super::method::{Access, Context, Method};
use crate::errors::Failure;
use crate::json::word;
use crate::schema::{Default, Field, INT, TEXT, Type};
use crate::session::Login;
use crate::version::Line;
use crate::world::roles::ROLES;
use crate::world::{Role, User, World};

/// `auth.generate_token`, which knows no single use yet.
pub(super) static GENERATE: &[Field] = &[
    Field::with("ttl", Type::Nullable(&INT), Default::Int(600)),
    Field::with("attrs", Type::Dict, Default::EmptyObject),
    Field::with("match_origin", Type::Bool, Default::Bool(true)),
];
static PASSWORD: &[Field] = &[
    Field::required("username", TEXT),
    Field::required("password", TEXT),
];

pub(super) const METHODS: &[Method] = &[
    Method::read("auth.check_user", &[], PASSWORD, check)
        .open(Access::Anonymous)
        .only(Line::V24_10),
    Method::read("auth.check_password", &[], PASSWORD, check)
        .open(Access::Anonymous)
        .only(Line::V24_10),
    // Whether the login wants a code. Code reading: false where two-factor authentication is off, or
    // the password is wrong.
    Method::read("auth.two_factor_auth", &[], PASSWORD, |context, params| {
        let users = &context.state.world.users;
        let user = found(users, word(params, 0), word(params, 1));
        Ok(json!(user.is_some_and(|user| user.two_factor.is_some())))
    })
    .open(Access::Anonymous)
    .only(Line::V24_10),
    Method::read("auth.me", &[], &[], |context, _| {
        let login = context.login().ok_or_else(Failure::not_authenticated)?;
        Ok(me(&context.state.world, login))
    })
    .only(Line::V24_10),
];

fn check(context: &mut Context<'_>, params: &[Value]) -> Result<Value, Failure> {
    let user = found(&context.state.world.users, word(params, 0), word(params, 1));
    Ok(json!(user.is_some()))
}

fn found<'u>(users: &'u [User], name: &str, password: &str) -> Option<&'u User> {
    let mut users = users.iter();
    users.find(|user| user.name == name && user.password == password)
}

fn me(world: &World, login: &Login) -> Value {
    let roles: Vec<&str> = match &login.role {
        Role::FullAdmin => vec!["FULL_ADMIN"],
        Role::Readonly => vec!["READONLY_ADMIN"],
        Role::Nothing => Vec::new(),
        Role::Roles(_) => ROLES
            .into_iter()
            .filter(|role| login.may(&[role]))
            .collect(),
    };
    let mut users = world.users.iter();
    let two_factor = users.any(|user| user.name == login.user && user.two_factor.is_some());
    let full = login.role.is_full();
    let uid = if full { 950 } else { 3000 };
    json!({
        "pw_name": login.user, "pw_uid": uid, "pw_gid": uid,
        "pw_gecos": if full { "Local Administrator" } else { "" },
        "pw_dir": format!("/home/{}", login.user), "pw_shell": "/bin/sh", "source": "LOCAL", "local": true,
        "sid": null,
        "privilege": {
            "roles": {"$set": roles},
            "allowlist": if full { json!([{"method": "*", "resource": "*"}]) } else { json!([]) },
            "web_shell": full, "webui_access": true,
        },
        "account_attributes": if full { json!(["LOCAL", "SYS_ADMIN"]) } else { json!(["LOCAL"]) },
        "attributes": {},
        "two_factor_config": {"provisioning_uri": null, "secret_configured": two_factor, "interval": 30, "otp_digits": 6},
    })
}
