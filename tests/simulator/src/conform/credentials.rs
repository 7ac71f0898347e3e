//! Puts the simulator's own credentials where a recording hides the real ones. It knows the forms
//! of logins, and nothing of how they are checked.

use serde_json::Value;

use super::compare::HIDDEN;
use crate::world::World;

/// Replaces what is hidden in the parameters of a login.
pub(super) fn fill_in(world: &World, method: &str, params: &mut Value) {
    let Some(params) = params
        .as_array_mut()
        .filter(|_| method.starts_with("auth."))
    else {
        return;
    };
    let name = match params.first() {
        Some(Value::Object(login)) => login.get("username").and_then(Value::as_str),
        Some(Value::String(name)) => Some(name.as_str()),
        _ => None,
    };
    let user = name
        .and_then(|name| world.users.iter().find(|user| user.name == name))
        .or_else(|| world.users.first());
    let Some(user) = user else { return };
    let password = user.password.clone();
    let key = world.key_of(&user.name);
    match (method, params.as_mut_slice()) {
        ("auth.login", [_, secret, ..]) => replace(secret, Some(password)),
        ("auth.login_with_api_key", [secret, ..]) => replace(secret, key),
        (_, [Value::Object(login), ..]) => {
            if let Some(secret) = login.get_mut("password") {
                replace(secret, Some(password));
            }
            if let Some(secret) = login.get_mut("api_key") {
                replace(secret, key);
            }
        }
        _ => {}
    }
}

fn replace(secret: &mut Value, own: Option<String>) {
    if let (true, Some(own)) = (secret.as_str() == Some(HIDDEN), own) {
        *secret = own.into();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::version::Version;
    use crate::world::WorldBuilder;
    use serde_json::json;

    #[test]
    fn a_hidden_secret_becomes_our_own_and_a_shown_one_stays() {
        let world = WorldBuilder::bare(Version::default()).build();
        let login = |password: &str| json!([{"mechanism": "PASSWORD_PLAIN", "username": "truenas_admin", "password": password}]);
        let mut params = login(HIDDEN);
        fill_in(&world, "auth.login_ex", &mut params);
        assert_eq!(params, login("secret"));
        let mut params = login("wrong");
        fill_in(&world, "auth.login_ex", &mut params);
        assert_eq!(params, login("wrong"));
        let mut params = json!([HIDDEN]);
        fill_in(&world, "auth.login_with_api_key", &mut params);
        assert_eq!(params, json!([world.key_of("truenas_admin").unwrap()]));
    }
}
