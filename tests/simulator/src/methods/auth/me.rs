//! Who one is: `auth.me`, which a successful login answers as well. Recorded on 25.10.7 and
//! 26.0.0-BETA.3, with the roles that the simulated methods ask for.

use serde_json::{Value, json};

use crate::session::Login;
use crate::world::World;
use crate::world::roles::ROLES;
use crate::world::two_factor::{DIGITS, INTERVAL};

/// The row of an account as its owner sees it.
pub(super) fn user_info(world: &World, login: &Login) -> Value {
    let full = login.role.is_full();
    let roles: Vec<&str> = ROLES
        .into_iter()
        .filter(|role| login.may(&[role]))
        .collect();
    let uid = if full { 950 } else { 3000 };
    let two_factor = world
        .users
        .iter()
        .any(|user| user.name == login.user && user.two_factor.is_some());
    let mut attributes = vec!["LOCAL"];
    if login.api_key.is_some() {
        attributes.push("API_KEY");
    }
    if two_factor && login.api_key.is_none() {
        attributes.push("2FA");
    }
    if full {
        attributes.push("SYS_ADMIN");
    }
    if login.scram {
        // Recorded on 26.0.0-BETA.3: the key is named twice.
        attributes.extend(["API_KEY", "SCRAM"]);
    }
    json!({
        "pw_name": login.user, "pw_gecos": if full { "Local Administrator" } else { "" },
        "pw_dir": format!("/home/{}", login.user), "pw_shell": "/bin/sh", "pw_uid": uid, "pw_gid": uid,
        "grouplist": null, "sid": null, "source": "LOCAL", "local": true, "attributes": {},
        // The real one repeats the secret here; nobody but the user's app needs it.
        "two_factor_config": {
            "provisioning_uri": null, "secret_configured": two_factor, "interval": INTERVAL, "otp_digits": DIGITS,
        },
        "privilege": {
            "roles": {"$set": roles},
            "allowlist": if full { json!([{"method": "*", "resource": "*"}]) } else { json!([]) },
            "web_shell": full, "webui_access": true,
        },
        "account_attributes": attributes,
    })
}
