//! Why the server did not let us in, or why we did not go in, each with what to do about it.

use serde_json::Value;

use super::scram::ScramError;

/// Why a login failed: the server's `response_type`, or what we found wrong with its answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LoginRefusal {
    /// `AUTH_ERR`: user, key, password or code are wrong; up to 25.10 also a right password of an
    /// account without API access, from 26 on also a revoked key.
    #[error("the user name, password or API key is wrong")]
    Wrong,
    /// `EXPIRED`: key or password are out of date, or the key was revoked.
    #[error("the password or API key has expired or was revoked")]
    Expired,
    /// `OTP_REQUIRED`, and there is no code.
    #[error("the account wants a one-time code")]
    OtpRequired,
    /// `OTP_REQUIRED` again: the code was wrong, too old, or used before.
    #[error("the one-time code is wrong, too old, or was used before")]
    OtpWrong,
    /// A second connection wants a second code; nobody can be asked in the middle of a run.
    #[error("the one-time code of the first login cannot be used again, and {0}")]
    OtpSpent(String),
    /// `DENIED`: known, but without access to the API (26 and newer).
    #[error("the account has no access to the API")]
    Denied,
    /// `REDIRECT`: this node is on standby.
    #[error("this is the standby node of a pair")]
    Redirect {
        /// Where to connect instead.
        urls: Vec<String>,
    },
    /// 24.10 said no to a password, which is all it says.
    #[error("the user name or password is wrong, or the account wants a one-time code")]
    Unexplained,
    /// The same, with a code.
    #[error("the user name, password or one-time code is wrong")]
    UnexplainedWithCode,
    /// The kind of credentials is not allowed at the server's security level (errno 95, or missing
    /// in `auth.mechanism_choices`).
    #[error("the server's security settings do not allow this kind of login")]
    Mechanism,
    /// SCRAM was asked for, and the server does not know it (25.10 and older).
    #[error("the server does not know SCRAM")]
    NoScram,
    /// SCRAM was asked for with a password.
    #[error("SCRAM needs an API key")]
    ScramNeedsKey,
    /// The exchange of SCRAM failed on our side: the key was not sent, and nothing else is tried.
    #[error(transparent)]
    Scram(#[from] ScramError),
    /// SCRAM cannot be bound to the server's certificate.
    #[error("the login cannot be bound to the certificate: {0}")]
    Binding(&'static str),
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
            Self::Unexplained => "check user name and password, and that the user is in a group with a privilege for the API; 24.10 does not say what is wrong. Where the account wants a code, give it with --otp CODE or TRUENAS_OTP; an API key needs no second factor".into(),
            Self::UnexplainedWithCode => "check user name and password, and run the command again with the next code; 24.10 does not say what is wrong. An API key needs no second factor".into(),
            Self::Expired => "make a new API key in the web UI (user menu > My API Keys) or renew the password; a key that was once sent without TLS is revoked by the server for good".into(),
            Self::OtpRequired => "give the code with --otp CODE or TRUENAS_OTP, or run this on a terminal, where tnvm asks for it; an API key needs no second factor".into(),
            Self::OtpWrong => "run the command again with the next code; check that the clocks of the server and of what makes the codes agree".into(),
            Self::OtpSpent(_) => "run the same command again with a new code: it goes on from there; an API key needs no second factor".into(),
            Self::Denied => "give the account a privilege in the web UI (Credentials > Groups > Privileges)".into(),
            Self::Redirect { urls } if urls.is_empty() => "connect to the active node".into(),
            Self::Redirect { urls } => format!("connect to {}", urls.join(" or ")),
            Self::Mechanism => "use the password of the account, with a one-time code where the server wants one (assurance level 2): API keys and tokens do not work there".into(),
            Self::NoScram => "leave `--auth` away: TrueNAS before 26 takes an API key as it is, over TLS".into(),
            Self::ScramNeedsKey => "set TRUENAS_API_KEY, or leave `--auth` away for a password".into(),
            Self::Scram(ScramError::Key) => "give the key as the server showed it when it was made: number, dash, 64 characters".into(),
            Self::Scram(ScramError::UserName) => "use `--auth plain` over TLS, or a user with another name".into(),
            Self::Scram(_) => "this may not be the server that it says to be: compare its certificate with the true one; nothing else was tried, and the key was not sent".into(),
            Self::Binding(_) => "use `--auth scram`".into(),
            Self::Unknown(_) => "update tnvm".into(),
        }
    }

    /// Reads the answer of a login: nothing when we are in.
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
            other => Self::Unknown(other.chars().take(40).collect()),
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

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
