//! The login: which way it goes, and one step after the other until we are in or out.
//!
//! A refused login is never repeated, since the server counts failures per address and shuts the
//! address out. Once SCRAM was offered, nothing else is tried, on any later connection either.

use std::fmt;
use std::sync::Arc;

use ring::rand::{SecureRandom, SystemRandom};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use tokio::sync::Mutex;
use tokio::task::spawn_blocking;

use super::auth::Credentials;
use super::connect_error::ConnectError;
use super::connection::Connection;
use super::endpoint::Endpoint;
use super::error::{CODE_INVALID_PARAMS, CallError};
use super::frame::Protocol;
use super::login_legacy;
use super::method::Method;
use super::otp::{self, OtpRequest, OtpSource};
use super::refusal::LoginRefusal;
use super::scram::{Binding, ClientFirst, NONCE, ScramError};
use super::timeouts;
use super::transport::Transport;

/// The mechanism is not allowed at this assurance level.
const EOPNOTSUPP: i64 = 95;

/// Which way an API key goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum KeyLogin {
    /// SCRAM where the server offers it (26 and newer), else as it is, over TLS or to this machine.
    #[default]
    Auto,
    /// SCRAM or not at all: the key is never sent.
    Scram,
    /// SCRAM bound to the server's certificate, or not at all: nobody in between can pass it on.
    /// Fails where something other than the server ends TLS.
    ScramBound,
    /// As it is.
    Plain,
}

/// How a login was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Login {
    /// The way that it went.
    pub mechanism: Mechanism,
    /// Whether a one-time code was part of it.
    pub second_factor: bool,
}

impl Login {
    /// How many calls of one method it took.
    pub(super) fn calls(self) -> usize {
        match self.mechanism {
            Mechanism::Scram | Mechanism::ScramBound => 2,
            Mechanism::ApiKey | Mechanism::Password | Mechanism::Token => 1,
        }
    }
}

/// The way that a login went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mechanism {
    /// An API key, by SCRAM-SHA-512.
    Scram,
    /// The same, bound to the server's certificate.
    ScramBound,
    /// An API key, as it is.
    ApiKey,
    /// A password.
    Password,
    /// A token of the session before.
    Token,
}

impl fmt::Display for Mechanism {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Scram => "API key by SCRAM-SHA-512",
            Self::ScramBound => "API key by SCRAM-SHA-512, bound to the certificate",
            Self::ApiKey => "API key",
            Self::Password => "password",
            Self::Token => "token",
        })
    }
}

/// Who logs in where, and over what.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry<'a> {
    pub(super) endpoint: &'a Endpoint,
    pub(super) credentials: &'a Credentials,
    pub(super) key_login: KeyLogin,
    pub(super) otp: Option<&'a Arc<dyn OtpSource>>,
    pub(super) transport: &'a Transport,
}

/// What the logins of one client know of each other.
#[derive(Debug, Default)]
pub(super) struct Memory {
    /// The first login; the later ones go the same way, so that nobody can talk them into a weaker one.
    first: Option<Login>,
    /// Stands for the code of the first login; works once.
    token: Option<SecretString>,
}

impl Entry<'_> {
    /// Logs in. Side by side with others of the same client, unless a second factor is asked for:
    /// then each hands a token on to the next.
    pub(super) async fn login(
        &self,
        connection: &Connection,
        memory: &Mutex<Memory>,
    ) -> Result<Login, ConnectError> {
        let mut memory = memory.lock().await;
        if connection.protocol() == Protocol::Legacy {
            return self.by_older(connection, &mut memory).await;
        }
        let login = match memory.first {
            Some(first) if first.second_factor => {
                self.by_token(connection, &mut memory).await?;
                Login {
                    mechanism: Mechanism::Token,
                    second_factor: true,
                }
            }
            Some(Login { mechanism, .. }) => {
                drop(memory);
                return self.by(connection, mechanism, None).await;
            }
            None => {
                let mechanism = self.mechanism(connection).await?;
                let login = self.by(connection, mechanism, self.otp).await?;
                memory.first = Some(login);
                login
            }
        };
        if login.second_factor {
            memory.token = next_token(connection).await;
        }
        Ok(login)
    }

    /// The login of 24.10, which knows neither SCRAM nor a second step.
    async fn by_older(
        &self,
        connection: &Connection,
        memory: &mut Memory,
    ) -> Result<Login, ConnectError> {
        let mechanism = match (self.credentials, self.key_login) {
            (Credentials::ApiKey { .. }, KeyLogin::Auto | KeyLogin::Plain) => Mechanism::ApiKey,
            (Credentials::ApiKey { .. }, _) => return Err(self.refused(LoginRefusal::NoScram)),
            (Credentials::Password { .. }, KeyLogin::Auto | KeyLogin::Plain) => Mechanism::Password,
            (Credentials::Password { .. }, _) => {
                return Err(self.refused(LoginRefusal::ScramNeedsKey));
            }
        };
        self.check_private()?;
        let code = match memory.first {
            Some(first) if first.second_factor => {
                let why = "TrueNAS 24.10 has no other way".to_owned();
                return Err(self.refused(LoginRefusal::OtpSpent(why)));
            }
            Some(_) => None,
            None if mechanism == Mechanism::Password => self.otp.and_then(|one| one.at_hand()),
            None => None,
        };
        login_legacy::login(connection, self, code.as_ref()).await?;
        let login = Login {
            mechanism,
            second_factor: code.is_some(),
        };
        memory.first.get_or_insert(login);
        Ok(login)
    }

    /// The last look before a key is sent as it is.
    fn check_private(&self) -> Result<(), ConnectError> {
        if self.credentials.is_api_key() && !self.transport.is_private() {
            let endpoint = self.endpoint.clone();
            return Err(ConnectError::ApiKeyOverPlaintext { endpoint });
        }
        Ok(())
    }

    /// Which way to go. A server of 26 or newer says before the login what it takes. One of 25.04.2
    /// to 25.10.7 fails to say it, and does not know SCRAM. `GET /api/versions` would tell as well,
    /// for a connection of its own; and trying SCRAM first would cost older servers one of the few
    /// logins that they grant an address.
    async fn mechanism(&self, connection: &Connection) -> Result<Mechanism, ConnectError> {
        match (self.credentials, self.key_login) {
            (Credentials::Password { .. }, KeyLogin::Scram | KeyLogin::ScramBound) => {
                return Err(self.refused(LoginRefusal::ScramNeedsKey));
            }
            (Credentials::Password { .. }, _) => return Ok(Mechanism::Password),
            (Credentials::ApiKey { .. }, KeyLogin::Scram) => return Ok(Mechanism::Scram),
            (Credentials::ApiKey { .. }, KeyLogin::ScramBound) => return Ok(Mechanism::ScramBound),
            (Credentials::ApiKey { .. }, KeyLogin::Plain) => return Ok(Mechanism::ApiKey),
            (Credentials::ApiKey { .. }, KeyLogin::Auto) => {}
        }
        match connection.call(Method::MechanismChoices, &[]).await {
            Ok(offered) => {
                let offered = offered.as_array().map_or(&[][..], Vec::as_slice);
                if offered.contains(&json!("SCRAM")) {
                    Ok(Mechanism::Scram)
                } else if offered.contains(&json!("API_KEY_PLAIN")) {
                    Ok(Mechanism::ApiKey)
                } else {
                    Err(self.refused(LoginRefusal::Mechanism))
                }
            }
            Err(CallError::Unsupported { .. }) => Ok(Mechanism::ApiKey),
            // Its code asks the session that is not there yet (recorded on 25.04.2.6 and 25.10.7).
            Err(CallError::Refused(error)) if error.reason.contains("'NoneType'") => {
                Ok(Mechanism::ApiKey)
            }
            // Whatever else goes wrong is no reason to send the key.
            Err(source) => Err(self.failed(source)),
        }
    }

    async fn by(
        &self,
        connection: &Connection,
        mechanism: Mechanism,
        otp: Option<&Arc<dyn OtpSource>>,
    ) -> Result<Login, ConnectError> {
        let mut second_factor = false;
        match mechanism {
            Mechanism::Scram | Mechanism::ScramBound => {
                self.by_scram(connection, mechanism).await?
            }
            Mechanism::ApiKey | Mechanism::Password | Mechanism::Token => {
                self.check_private()?;
                let argument = self.credentials.login_argument();
                let answer = self.call(connection, Method::Login, argument).await?;
                if let Some(account) = wants_code(&answer) {
                    self.by_codes(connection, account, otp).await?;
                    second_factor = true;
                } else if let Some(refusal) = LoginRefusal::in_answer(&answer) {
                    return Err(self.refused(refusal));
                }
            }
        }
        connection.logged_in();
        Ok(Login {
            mechanism,
            second_factor,
        })
    }

    /// Proves that we have the key, and has the server prove that it knows it.
    async fn by_scram(
        &self,
        connection: &Connection,
        mechanism: Mechanism,
    ) -> Result<(), ConnectError> {
        let Credentials::ApiKey { username, key } = self.credentials else {
            return Err(self.refused(LoginRefusal::ScramNeedsKey));
        };
        let failed = |error: ScramError| self.refused(error.into());
        let binding = match mechanism {
            Mechanism::ScramBound => Binding::Certificate(self.end_point()?),
            _ => Binding::None,
        };
        let mut nonce = [0; NONCE];
        SystemRandom::new()
            .fill(&mut nonce)
            .map_err(|_| failed(ScramError::Random))?;
        let first = ClientFirst::new(username, key, nonce, binding).map_err(failed)?;
        let argument = scram_argument("CLIENT_FIRST_MESSAGE", &first.message());
        let answer = match connection.call(Method::Login, &[argument]).await {
            Err(CallError::Refused(error)) if error.code == CODE_INVALID_PARAMS => {
                return Err(self.refused(LoginRefusal::NoScram));
            }
            answer => self.answer(answer)?,
        };
        let text = self.scram_text(&answer, "SERVER_FIRST_RESPONSE")?;
        let challenge = first.answered(text).map_err(failed)?;
        // The time is the machine's, not the network's: others go on meanwhile.
        let last = spawn_blocking(move || challenge.prove())
            .await
            .map_err(|_| failed(ScramError::Unproven))?;
        let argument = scram_argument("CLIENT_FINAL_MESSAGE", last.message());
        let answer = self.call(connection, Method::Login, argument).await?;
        let text = self.scram_text(&answer, "SERVER_FINAL_RESPONSE")?;
        last.verify(text).map_err(failed)
    }

    /// What the login is bound to.
    fn end_point(&self) -> Result<Vec<u8>, ConnectError> {
        let refused = |why| self.refused(LoginRefusal::Binding(why));
        let certificate = self.transport.certificate.as_ref();
        let certificate = certificate.ok_or_else(|| refused("there is none without TLS"))?;
        let hash = certificate.end_point.clone();
        hash.ok_or_else(|| refused("its signature has no hash (RFC 5929)"))
    }

    /// The message in an answer. Anything but a message is a refusal; a success as well, since the
    /// server has proved nothing by it.
    fn scram_text<'a>(&self, answer: &'a Value, kind: &str) -> Result<&'a str, ConnectError> {
        let text = |name| answer.get(name).and_then(Value::as_str);
        if text("response_type") == Some("SCRAM_RESPONSE") && text("scram_type") == Some(kind) {
            let missing = ScramError::Message("there is none");
            return text("rfc_str").ok_or_else(|| self.refused(missing.into()));
        }
        let refusal = LoginRefusal::in_answer(answer).unwrap_or(ScramError::Unproven.into());
        Err(self.refused(refusal))
    }

    /// The second factor. A wrong code is asked for again, where there is somebody to ask.
    async fn by_codes(
        &self,
        connection: &Connection,
        account: &str,
        source: Option<&Arc<dyn OtpSource>>,
    ) -> Result<(), ConnectError> {
        for wrong in 0..otp::CODES {
            let request = OtpRequest {
                endpoint: self.endpoint.clone(),
                username: account.to_owned(),
                wrong,
            };
            let Some(code) = otp::ask(source, request).await else {
                return Err(self.refused(match wrong {
                    0 => LoginRefusal::OtpRequired,
                    _ => LoginRefusal::OtpWrong,
                }));
            };
            let argument = json!({
                "mechanism": "OTP_TOKEN",
                "otp_token": code.expose_secret(),
                "login_options": {"user_info": false},
            });
            let answer = self
                .call(connection, Method::LoginContinue, argument)
                .await?;
            if wants_code(&answer).is_some() {
                continue;
            }
            return match LoginRefusal::in_answer(&answer) {
                None => Ok(()),
                // Too many wrong codes, of this login or of others before it.
                Some(LoginRefusal::Wrong) => Err(self.refused(LoginRefusal::OtpWrong)),
                Some(refusal) => Err(self.refused(refusal)),
            };
        }
        Err(self.refused(LoginRefusal::OtpWrong))
    }

    /// Goes on for a login with a second factor, on another connection.
    async fn by_token(
        &self,
        connection: &Connection,
        memory: &mut Memory,
    ) -> Result<(), ConnectError> {
        let spent = |why: String| self.refused(LoginRefusal::OtpSpent(why));
        let Some(token) = &memory.token else {
            return Err(spent("the server gave no token in its place".to_owned()));
        };
        let argument = json!({
            "mechanism": "TOKEN_PLAIN",
            "token": token.expose_secret(),
            "login_options": {"user_info": false},
        });
        let refusal = match self.call(connection, Method::Login, argument).await {
            Ok(answer) => LoginRefusal::in_answer(&answer),
            Err(ConnectError::Login { refusal, .. }) => Some(refusal),
            // The line was lost again: the token may still be good.
            Err(other) => return Err(other),
        };
        let Some(refusal) = refusal else {
            connection.logged_in();
            return Ok(());
        };
        memory.token = None;
        tracing::debug!(%refusal, "the token for another connection was refused");
        Err(spent(
            "the server no longer takes the token in its place".to_owned(),
        ))
    }

    async fn call(
        &self,
        connection: &Connection,
        method: Method,
        argument: Value,
    ) -> Result<Value, ConnectError> {
        self.answer(connection.call(method, &[argument]).await)
    }

    fn answer(&self, answer: Result<Value, CallError>) -> Result<Value, ConnectError> {
        answer.map_err(|error| match error {
            CallError::Refused(error) if error.has_errno(EOPNOTSUPP) => {
                self.refused(LoginRefusal::Mechanism)
            }
            source => self.failed(source),
        })
    }

    pub(super) fn refused(&self, refusal: LoginRefusal) -> ConnectError {
        ConnectError::Login {
            endpoint: self.endpoint.clone(),
            username: self.credentials.username().to_owned(),
            refusal,
        }
    }

    pub(super) fn failed(&self, source: CallError) -> ConnectError {
        ConnectError::Call {
            endpoint: self.endpoint.clone(),
            source: Box::new(source),
        }
    }
}

fn scram_argument(kind: &str, text: &str) -> Value {
    json!({"mechanism": "SCRAM", "scram_type": kind, "rfc_str": text})
}

/// The account whose code the server wants, where it wants one.
fn wants_code(answer: &Value) -> Option<&str> {
    let text = |name| answer.get(name).and_then(Value::as_str);
    (text("response_type")? == "OTP_REQUIRED").then(|| text("username").unwrap_or_default())
}

/// What the next connection logs in with instead of a code: a token that works once, from this
/// address, and for a bounded time. None where the server gives none.
async fn next_token(connection: &Connection) -> Option<SecretString> {
    let seconds = timeouts::TOKEN.as_secs();
    let (match_origin, single_use) = (true, true);
    let params = [
        json!(seconds),
        json!({}),
        json!(match_origin),
        json!(single_use),
    ];
    match connection.call(Method::GenerateToken, &params).await {
        Ok(Value::String(token)) => Some(SecretString::from(token)),
        Ok(_) => None,
        Err(error) => {
            tracing::debug!(%error, "no token for a further connection");
            None
        }
    }
}
