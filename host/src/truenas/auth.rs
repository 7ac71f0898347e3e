//! The login: one `auth.login_ex`, once. A refused login is never repeated, since the server
//! counts failures per address and shuts the address out.

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

    /// How many calls a login takes that the server counts.
    pub(super) fn login_calls(&self) -> usize {
        match self {
            Self::ApiKey { .. } | Self::Password { .. } => 1,
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

/// Why the server did not let us in: its `response_type`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LoginRefusal {
    /// `AUTH_ERR`: user, key or password are wrong; up to 25.10 also a right password of an
    /// account without API access.
    #[error("the user name, password or API key is wrong")]
    Wrong,
    /// `EXPIRED`: key or password are out of date, or the key was revoked.
    #[error("the password or API key has expired or was revoked")]
    Expired,
    /// `OTP_REQUIRED`: the account wants a second factor.
    #[error("the account wants a one-time password")]
    OtpRequired,
    /// `DENIED`: known, but without access to the API (26 and newer).
    #[error("the account has no access to the API")]
    Denied,
    /// `REDIRECT`: this node is on standby.
    #[error("this is the standby node of a pair")]
    Redirect {
        /// Where to connect instead.
        urls: Vec<String>,
    },
    /// The kind of credentials is not allowed at the server's security level (errno 95).
    #[error("the server's security settings do not allow this kind of login")]
    Mechanism,
    /// An answer that this tnvm does not know.
    #[error("the server answered the login with `{0}`")]
    Unknown(String),
}

impl LoginRefusal {
    /// What to do next.
    #[must_use]
    pub fn help(&self) -> String {
        match self {
            Self::Wrong => "check user name and secret, and that the user is in a group with a privilege for the API; the server delays and counts failures, so do not try in a loop".into(),
            Self::Expired => "make a new API key in the web UI (user menu > My API Keys) or renew the password; a key that was once sent without TLS is revoked by the server for good".into(),
            Self::OtpRequired => "use an API key instead: it needs no second factor".into(),
            Self::Denied => "give the account a privilege in the web UI (Credentials > Groups > Privileges)".into(),
            Self::Redirect { urls } if urls.is_empty() => "connect to the active node".into(),
            Self::Redirect { urls } => format!("connect to {}", urls.join(" or ")),
            Self::Mechanism => "this server wants password and one-time password, which tnvm does not support".into(),
            Self::Unknown(_) => "update tnvm".into(),
        }
    }

    /// Reads the answer of `auth.login_ex`: nothing when we are in.
    pub(super) fn in_answer(answer: &Value) -> Option<Self> {
        let kind = answer
            .get("response_type")
            .and_then(Value::as_str)
            .unwrap_or("no response type");
        Some(match kind {
            "SUCCESS" => return None,
            "AUTH_ERR" => Self::Wrong,
            "EXPIRED" => Self::Expired,
            "OTP_REQUIRED" => Self::OtpRequired,
            "DENIED" => Self::Denied,
            "REDIRECT" => Self::Redirect {
                urls: answer
                    .get("urls")
                    .and_then(Value::as_array)
                    .into_iter()
                    .flatten()
                    .filter_map(|url| url.as_str().map(str::to_owned))
                    .collect(),
            },
            other => Self::Unknown(other.to_owned()),
        })
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

    #[test]
    fn every_answer_has_its_meaning() {
        let read = |kind: &str| LoginRefusal::in_answer(&json!({"response_type": kind}));
        assert_eq!(read("SUCCESS"), None);
        assert_eq!(read("AUTH_ERR"), Some(LoginRefusal::Wrong));
        assert_eq!(read("EXPIRED"), Some(LoginRefusal::Expired));
        assert_eq!(read("OTP_REQUIRED"), Some(LoginRefusal::OtpRequired));
        assert_eq!(read("DENIED"), Some(LoginRefusal::Denied));
        assert_eq!(read("X"), Some(LoginRefusal::Unknown("X".into())));
        assert!(LoginRefusal::in_answer(&Value::Bool(true)).is_some());
    }

    #[test]
    fn a_standby_node_says_where_to_go() {
        let answer = json!({"response_type": "REDIRECT", "urls": ["https://a", "https://b"]});
        let refusal = LoginRefusal::in_answer(&answer).expect("a refusal");
        assert_eq!(refusal.help(), "connect to https://a or https://b");
    }
}
