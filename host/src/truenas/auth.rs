//! Who logs in: a user with a secret, and how that is written for the server.

use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

/// Who logs in. `Debug` does not show the secret.
#[derive(Clone, Debug)]
pub enum Credentials {
    /// An API key, `<id>-<64 characters>`. It belongs to a user (25.04 and newer).
    ApiKey {
        /// The user it belongs to.
        username: String,
        /// The key.
        key: SecretString,
    },
    /// A password.
    Password {
        /// The user.
        username: String,
        /// The password.
        password: SecretString,
    },
}

impl Credentials {
    /// The user.
    #[must_use]
    pub fn username(&self) -> &str {
        match self {
            Self::ApiKey { username, .. } | Self::Password { username, .. } => username,
        }
    }

    /// Whether it is an API key.
    #[must_use]
    pub fn is_api_key(&self) -> bool {
        matches!(self, Self::ApiKey { .. })
    }

    /// How many calls of one method a login takes at most; the server counts them per method.
    pub(super) fn login_calls(&self) -> usize {
        match self {
            // The two messages of SCRAM.
            Self::ApiKey { .. } => 2,
            Self::Password { .. } => 1,
        }
    }

    /// The argument of `auth.login_ex`. `user_info` would be 8 KiB that nobody reads;
    /// `reconnect_token` is an unknown member up to 25.10 and so not sent.
    pub(super) fn login_argument(&self) -> Value {
        let options = json!({"user_info": false});
        match self {
            Self::ApiKey { username, key } => json!({
                "mechanism": "API_KEY_PLAIN",
                "username": username,
                "api_key": key.expose_secret(),
                "login_options": options,
            }),
            Self::Password { username, password } => json!({
                "mechanism": "PASSWORD_PLAIN",
                "username": username,
                "password": password.expose_secret(),
                "login_options": options,
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> Credentials {
        Credentials::ApiKey {
            username: "admin".into(),
            key: SecretString::from("1-hunter2"),
        }
    }

    #[test]
    fn debug_does_not_show_the_secret() {
        assert!(!format!("{:?}", key()).contains("hunter2"));
    }

    #[test]
    fn no_member_is_sent_that_25_04_does_not_know() {
        let argument = key().login_argument();
        let names: Vec<_> = argument.as_object().expect("an object").keys().collect();
        assert_eq!(names, ["mechanism", "username", "api_key", "login_options"]);
        assert_eq!(argument["login_options"], json!({"user_info": false}));
    }
}
