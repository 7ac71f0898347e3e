//! `auth.*`: logins, tokens, and who one is. Answers recorded on 25.10.7.

use serde_json::{Value, json};

use super::auth_legacy;
use super::method::{Access, Context, Method};
use crate::errors::{EINVAL, Failure};
use crate::json::{flag, object, text, word};
use crate::random;
use crate::schema::{Default, Field, Model, TEXT, Type};
use crate::session::Login;
use crate::state::State;
use crate::version::Line;
use crate::world::machine::now_seconds;
use crate::world::{Role, Token};

const OPTIONS: Field = Field::with(
    "login_options",
    Type::Object(&LOGIN_OPTIONS),
    Default::EmptyObject,
);

static LOGIN_OPTIONS: Model = Model::closed(
    "AuthCommonOptions",
    &[Field::with("user_info", Type::Bool, Default::Bool(true))],
);
static API_KEY: Model = Model::closed(
    "AuthApiKeyPlain",
    &[
        mechanism(&["API_KEY_PLAIN"]),
        Field::required("username", TEXT),
        Field::required("api_key", TEXT),
        OPTIONS,
    ],
);
static PASSWORD: Model = Model::closed(
    "AuthPasswordPlain",
    &[
        mechanism(&["PASSWORD_PLAIN"]),
        Field::required("username", TEXT),
        Field::required("password", TEXT),
        OPTIONS,
    ],
);
static TOKEN: Model = Model::closed(
    "AuthTokenPlain",
    &[
        mechanism(&["TOKEN_PLAIN"]),
        Field::required("token", TEXT),
        OPTIONS,
    ],
);
static OTP: Model = Model::closed(
    "AuthOTPToken",
    &[
        mechanism(&["OTP_TOKEN"]),
        Field::required("otp_token", TEXT),
        OPTIONS,
    ],
);

static LOGIN_EX: &[Field] = &[Field::required(
    "login_data",
    Type::Tagged {
        tag: "mechanism",
        models: &[
            ("API_KEY_PLAIN", &API_KEY),
            ("PASSWORD_PLAIN", &PASSWORD),
            ("TOKEN_PLAIN", &TOKEN),
            ("OTP_TOKEN", &OTP),
        ],
        enum_class: Some("AuthMech"),
    },
)];
static LOGIN: &[Field] = &[
    Field::required("username", TEXT),
    Field::required("password", TEXT),
    Field::with("otp_token", Type::Nullable(&TEXT), Default::Null),
];
static KEY: &[Field] = &[Field::required("api_key", TEXT)];
static TOKEN_TEXT: &[Field] = &[Field::required("token", TEXT)];
static GENERATE: &[Field] = &[
    Field::with(
        "ttl",
        Type::Nullable(&Type::Int {
            min: None,
            max: None,
        }),
        Default::Int(600),
    ),
    Field::with("attrs", Type::Dict, Default::EmptyObject),
    Field::with("match_origin", Type::Bool, Default::Bool(true)),
    Field::flag("single_use"),
];

pub(super) const METHODS: &[Method] = &[
    Method::read("auth.login", &[], LOGIN, |context, params| {
        let login = by_password(context.state, word(params, 0), word(params, 1));
        Ok(json!(accept(context, login)))
    })
    .open(Access::Anonymous),
    Method::read("auth.login_with_api_key", &[], KEY, |context, params| {
        let login = by_key(context, None, word(params, 0)).ok();
        Ok(json!(accept(context, login)))
    })
    .open(Access::Anonymous),
    Method::read(
        "auth.login_with_token",
        &[],
        TOKEN_TEXT,
        |context, params| {
            let login = by_token(context, word(params, 0));
            Ok(json!(accept(context, login)))
        },
    )
    .open(Access::Anonymous),
    Method::read("auth.login_ex", &[], LOGIN_EX, login_ex)
        .open(Access::Anonymous)
        .since(Line::V25_04_0),
    Method::read("auth.mechanism_choices", &[], &[], mechanism_choices)
        .open(Access::Anonymous)
        .since(Line::V25_04_0),
    Method::read("auth.logout", &[], &[], logout),
    Method::read("auth.me", &[], &[], |context, _| {
        Ok(user_info(context.login()))
    })
    .since(Line::V25_04_0),
    Method::read("auth.generate_token", &[], GENERATE, generate_token).old(auth_legacy::GENERATE),
];

/// Roles that appear in `privilege`: those of the methods there are.
const ROLES: [&str; 20] = [
    "DATASET_DELETE",
    "DATASET_READ",
    "DATASET_WRITE",
    "FILESYSTEM_ATTRS_READ",
    "FILESYSTEM_DATA_READ",
    "FILESYSTEM_DATA_WRITE",
    "FULL_ADMIN",
    "NETWORK_INTERFACE_READ",
    "POOL_READ",
    "READONLY_ADMIN",
    "REPORTING_READ",
    "SNAPSHOT_DELETE",
    "SNAPSHOT_READ",
    "SNAPSHOT_WRITE",
    "SYSTEM_GENERAL_READ",
    "SYSTEM_PRODUCT_READ",
    "VM_DEVICE_READ",
    "VM_DEVICE_WRITE",
    "VM_READ",
    "VM_WRITE",
];

fn login_ex(context: &mut Context<'_>, params: &[Value]) -> Result<Value, Failure> {
    let data = object(params, 0);
    let login = match text(&data, "mechanism") {
        "PASSWORD_PLAIN" => by_password(
            context.state,
            text(&data, "username"),
            text(&data, "password"),
        )
        .ok_or("AUTH_ERR"),
        "API_KEY_PLAIN" => by_key(
            context,
            Some(text(&data, "username")),
            text(&data, "api_key"),
        ),
        "TOKEN_PLAIN" => by_token(context, text(&data, "token")).ok_or("AUTH_ERR"),
        _ => {
            return Err(Failure::call(
                EINVAL,
                "OTP_TOKEN: no authentication in progress",
            ));
        }
    };
    let login = match login {
        Ok(login) => login,
        Err(response) => {
            accept(context, None);
            return Ok(json!({"response_type": response}));
        }
    };
    let wants_info = data
        .get("login_options")
        .and_then(Value::as_object)
        .is_some_and(|options| flag(options, "user_info"));
    let info = if wants_info {
        user_info(Some(&login))
    } else {
        Value::Null
    };
    accept(context, Some(login));
    let mut answer =
        json!({"response_type": "SUCCESS", "user_info": info, "authenticator": "LEVEL_1"});
    if let (true, Some(answer)) = (
        context.state.world.version.answers_reconnect_token(),
        answer.as_object_mut(),
    ) {
        answer.insert("reconnect_token".into(), Value::Null);
    }
    Ok(answer)
}

/// Broken before login in 25.04.2 to 25.10.7 (recorded), works again in 26.
fn mechanism_choices(context: &mut Context<'_>, _: &[Value]) -> Result<Value, Failure> {
    match (
        context.state.world.version.breaks_mechanism_choices(),
        context.login(),
    ) {
        (true, None) => Err(Failure::exception(
            "AttributeError",
            "'NoneType' object has no attribute 'may_create_auth_token'",
        )),
        _ => Ok(json!(["API_KEY_PLAIN", "TOKEN_PLAIN", "PASSWORD_PLAIN"])),
    }
}

fn logout(context: &mut Context<'_>, _: &[Value]) -> Result<Value, Failure> {
    if let Some(session) = context.session_mut() {
        session.login = None;
        session.subscriptions.clear();
    }
    Ok(json!(true))
}

fn generate_token(context: &mut Context<'_>, params: &[Value]) -> Result<Value, Failure> {
    let (Some(session), Some(login)) = (context.session(), context.login()) else {
        return Err(Failure::not_authenticated());
    };
    let attributes = object(params, 1);
    let flag_at = |position: usize| {
        params
            .get(position)
            .and_then(Value::as_bool)
            .unwrap_or(false)
    };
    let token = Token {
        user: login.user.clone(),
        origin: flag_at(2).then(|| session.peer.ip()),
        single_use: flag_at(3),
        expires: now_seconds() + params.first().and_then(Value::as_i64).unwrap_or(600),
        has_attributes: !attributes.is_empty(),
    };
    let name = random::alphanumeric(64);
    context.state.world.tokens.insert(name.clone(), token);
    Ok(json!(name))
}

fn by_password(state: &State, name: &str, password: &str) -> Option<Login> {
    let user = state
        .world
        .users
        .iter()
        .find(|user| user.name == name && user.password == password)?;
    login_as(state, &user.name, "LOGIN_PASSWORD")
}

/// A valid key over a transport that others can read is revoked for good. Recorded on 25.10.7:
/// `EXPIRED` then, `AUTH_ERR` afterwards.
fn by_key(
    context: &mut Context<'_>,
    user: Option<&str>,
    given_key: &str,
) -> Result<Login, &'static str> {
    let private = context
        .session()
        .is_none_or(crate::session::Session::is_private);
    let state = &mut *context.state;
    let revoked_answer = state.world.version.revoked_key_answer();
    let revokes = state.world.version.revokes_exposed_keys();
    let found = state
        .world
        .api_keys
        .iter_mut()
        .find(|key| key.full() == given_key);
    let Some(key) = found.filter(|key| user.is_none_or(|user| user == key.user)) else {
        return Err("AUTH_ERR");
    };
    if key.revoked.is_some() {
        return Err(revoked_answer);
    }
    if !private && revokes {
        key.revoked = Some("Attempt to use over an insecure transport".into());
        return Err("EXPIRED");
    }
    let (owner, label) = (key.user.clone(), (key.id, key.name.clone()));
    let mut login = login_as(state, &owner, "API_KEY").ok_or("AUTH_ERR")?;
    login.api_key = Some(label);
    Ok(login)
}

fn by_token(context: &mut Context<'_>, name: &str) -> Option<Login> {
    let peer = context.session()?.peer.ip();
    let token = context.state.world.tokens.get(name)?.clone();
    if token.has_attributes
        || token.expires < now_seconds()
        || token.origin.is_some_and(|origin| origin != peer)
    {
        return None;
    }
    if token.single_use {
        context.state.world.tokens.remove(name);
    }
    login_as(context.state, &token.user, "TOKEN")
}

/// Accounts without API privilege are refused like a wrong password (recorded on 25.10.7).
fn login_as(state: &State, name: &str, credential: &'static str) -> Option<Login> {
    let user = state
        .world
        .users
        .iter()
        .find(|user| user.name == name && user.role != Role::Nothing)?;
    Some(Login {
        user: user.name.clone(),
        role: user.role,
        credential,
        api_key: None,
        id: random::uuid(),
        at: now_seconds(),
    })
}

/// Stores a successful login; a failed one changes nothing.
fn accept(context: &mut Context<'_>, login: Option<Login>) -> bool {
    let Some(login) = login else { return false };
    context.state.journal.logged_in(context.connection);
    if let Some(session) = context.session_mut() {
        session.login = Some(login);
    }
    true
}

fn user_info(login: Option<&Login>) -> Value {
    let Some(login) = login else {
        return Value::Null;
    };
    let full = login.role == Role::FullAdmin;
    let roles: Vec<&str> = ROLES
        .into_iter()
        .filter(|role| login.role.covers(&[role]))
        .collect();
    let uid = if full { 950 } else { 3000 };
    json!({
        "pw_name": login.user, "pw_gecos": if full { "Local Administrator" } else { "" },
        "pw_dir": format!("/home/{}", login.user), "pw_shell": "/bin/sh", "pw_uid": uid, "pw_gid": uid,
        "grouplist": null, "sid": null, "source": "LOCAL", "local": true, "attributes": {},
        "two_factor_config": {"provisioning_uri": null, "secret_configured": false, "interval": 30, "otp_digits": 6},
        "privilege": {
            "allowlist": if full { json!([{"method": "*", "resource": "*"}]) } else { json!([]) },
            "roles": {"$set": roles}, "web_shell": full, "webui_access": true,
        },
        "account_attributes": if full { json!(["LOCAL", "SYS_ADMIN"]) } else { json!(["LOCAL"]) },
    })
}

const fn mechanism(word: &'static [&'static str]) -> Field {
    Field::required("mechanism", Type::OneOf(word))
}
