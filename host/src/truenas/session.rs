//! From an address to a connection that is logged in: checks, opens, logs in once, asks who answers.
//!
//! Knows nothing of what happens when the connection is lost.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::Value;
use tokio::sync::Mutex;

use super::auth::Credentials;
use super::choose::{self, Spoken};
use super::connect::{Socket, Way};
use super::connect_error::ConnectError;
use super::connection::Connection;
use super::endpoint::Endpoint;
use super::error::CallError;
use super::fingerprint::Fingerprint;
use super::frame::Protocol;
use super::login::{Entry, KeyLogin, Login, Memory};
use super::login_budget::LoginBudget;
use super::method::Method;
use super::options::{ConnectOptions, Insecure};
use super::stats::Counters;
use super::transport::Transport;
use crate::release::{Line, Release, Version};

/// Who answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerInfo {
    /// The version.
    pub version: Version,
    /// What the server calls its version, for example `TrueNAS-25.10.7`.
    pub version_text: String,
    /// The name that the server gives itself; the host of the address where it may not be asked.
    pub hostname: String,
    /// The stable id of the machine (`system.host_id`); none where the account may not ask.
    pub host_id: Option<String>,
}

impl ServerInfo {
    /// Whether this is the same machine with the same version, so that what is known of the one
    /// holds for the other.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        let machine = match (&self.host_id, &other.host_id) {
            (Some(one), Some(two)) => one == two,
            _ => self.hostname == other.hostname,
        };
        machine && self.version_text == other.version_text
    }
}

/// How the server's clock differs from the one here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Clock {
    ahead: Duration,
    behind: Duration,
}

impl Clock {
    /// From `system.info`, where `datetime` is `{"$date": MS}`, milliseconds since 1970 (25.04.2
    /// to 27), and the local times before and after the call.
    fn read(info: &Value, before: SystemTime, after: SystemTime) -> Option<Self> {
        let ms = info.pointer("/datetime/$date")?.as_u64()?;
        let theirs = UNIX_EPOCH.checked_add(Duration::from_millis(ms))?;
        // Half-way between is when it was read, as far as can be known.
        let half = after.duration_since(before).unwrap_or_default() / 2;
        let ours = before.checked_add(half)?;
        Some(Self {
            ahead: theirs.duration_since(ours).unwrap_or_default(),
            behind: ours.duration_since(theirs).unwrap_or_default(),
        })
    }

    /// What the server's clock shows when the one here shows this.
    pub(super) fn at(self, here: SystemTime) -> SystemTime {
        here.checked_add(self.ahead)
            .and_then(|time| time.checked_sub(self.behind))
            .unwrap_or(here)
    }
}

/// A connection that is logged in.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) connection: Connection,
    pub(super) server: ServerInfo,
    pub(super) clock: Clock,
    pub(super) login: Login,
    pub(super) transport: Transport,
}

/// What the connections of one client know of each other.
#[derive(Debug, Default)]
pub(super) struct Past {
    spoken: Spoken,
    budget: Arc<LoginBudget>,
    logins: Mutex<Memory>,
    /// The certificate of the first connection, where none was verified.
    certificate: OnceLock<Fingerprint>,
}

/// Connects and logs in: exactly one login, whatever the answer, when the budget has room for it.
pub(super) async fn open(
    endpoint: &Endpoint,
    credentials: &Credentials,
    options: &ConnectOptions,
    counters: Arc<Counters>,
    past: &Past,
) -> Result<Opened, ConnectError> {
    let proxy = options.proxies.to(endpoint)?;
    check(endpoint, credentials, options, proxy.is_some())?;
    // Before there is a socket: the server does not wait long for a login.
    let logins = past.budget.reserve(credentials.login_calls()).await;
    let mut tls = options.tls.clone();
    if tls.insecure.is_some() {
        // Nobody can step in between later than at the first connection.
        tls.fingerprint = tls.fingerprint.or(past.certificate.get().copied());
    }
    let way = Way {
        endpoint,
        tls: &tls,
        proxy: proxy.as_ref(),
    };
    let (socket, transport, protocol) = choose::open(&way, &past.spoken).await?;
    if let Some(certificate) = &transport.certificate {
        let _ = past.certificate.set(certificate.fingerprint);
    } else if !transport.is_loopback() {
        // A name such as `localhost` is what the resolver makes of it: the address counts.
        check_plaintext(endpoint, credentials, options)?;
    }
    let connection = match socket {
        Socket::Plain(socket) => Connection::start(*socket, protocol, options, counters),
        Socket::Tls(socket) => Connection::start(*socket, protocol, options, counters),
    };
    let entry = Entry {
        endpoint,
        credentials,
        key_login: options.key_login,
        otp: options.otp.as_ref(),
        transport: &transport,
    };
    let entered = enter(connection, &entry, past).await;
    logins.spend(entered.as_ref().ok().map(|opened| opened.login.calls()));
    entered
}

/// What is refused before anything is sent.
fn check(
    endpoint: &Endpoint,
    credentials: &Credentials,
    options: &ConnectOptions,
    is_proxied: bool,
) -> Result<(), ConnectError> {
    let tls = &options.tls;
    let unverified = tls.fingerprint.is_none() && tls.insecure == Some(Insecure::Password);
    if endpoint.is_plaintext() {
        // Behind a proxy this machine is another.
        if is_proxied || !endpoint.is_loopback() {
            check_plaintext(endpoint, credentials, options)?;
        }
    } else if unverified && credentials.is_api_key() {
        let endpoint = endpoint.clone();
        return Err(ConnectError::ApiKeyUnverified { endpoint });
    }
    Ok(())
}

/// Who may log in where everybody on the way can read along. A key used by SCRAM stays secret and
/// is not revoked, but the session can be taken over: that is allowed only in so many words.
fn check_plaintext(
    endpoint: &Endpoint,
    credentials: &Credentials,
    options: &ConnectOptions,
) -> Result<(), ConnectError> {
    let endpoint = endpoint.clone();
    let scram = options.key_login == KeyLogin::Scram;
    match credentials {
        Credentials::ApiKey { .. } if scram && options.allow_plaintext => Ok(()),
        Credentials::ApiKey { .. } => Err(ConnectError::ApiKeyOverPlaintext { endpoint }),
        Credentials::Password { .. } if options.allow_plaintext => Ok(()),
        Credentials::Password { .. } => Err(ConnectError::PasswordOverPlaintext { endpoint }),
    }
}

/// Logs in and asks who answers; closes the connection where that fails.
pub(super) async fn enter(
    connection: Connection,
    entry: &Entry<'_>,
    past: &Past,
) -> Result<Opened, ConnectError> {
    let entered = async {
        greet(&connection, entry.endpoint).await?;
        let login = entry.login(&connection, &past.logins).await?;
        let (server, clock) = ask(&connection, entry.endpoint).await?;
        Ok((login, server, clock))
    };
    match entered.await {
        Ok((login, server, clock)) => Ok(Opened {
            connection,
            server,
            clock,
            login,
            transport: entry.transport.clone(),
        }),
        Err(error) => {
            connection.close().await;
            Err(error)
        }
    }
}

async fn greet(connection: &Connection, endpoint: &Endpoint) -> Result<(), ConnectError> {
    let endpoint = endpoint.clone();
    connection.greet().await.map_err(|source| match source {
        CallError::Disconnected { .. } => ConnectError::Call {
            endpoint,
            source: Box::new(source),
        },
        _ => ConnectError::WebSocket {
            endpoint,
            message: "it does not greet back as TrueNAS 24.10 does".to_owned(),
        },
    })
}

async fn ask(
    connection: &Connection,
    endpoint: &Endpoint,
) -> Result<(ServerInfo, Clock), ConnectError> {
    let before = SystemTime::now();
    let info = async {
        let info = connection.call(Method::SystemInfo, &[]).await;
        (info, SystemTime::now())
    };
    let (version, (info, after), host_id) = tokio::join!(
        connection.call(Method::SystemVersion, &[]),
        info,
        connection.call(Method::SystemHostId, &[]),
    );
    let failed = |source| ConnectError::Call {
        endpoint: endpoint.clone(),
        source: Box::new(source),
    };
    let answer = version.map_err(failed)?;
    let text = answer.as_str().unwrap_or_default().to_owned();
    let Some(version) = Version::parse(&text) else {
        return Err(ConnectError::UnknownVersion {
            endpoint: endpoint.clone(),
            text,
        });
    };
    let line = match Release::of(&version) {
        Ok(release) => release.facts().line,
        Err(why) => {
            return Err(ConnectError::Version {
                endpoint: endpoint.clone(),
                version,
                why,
            });
        }
    };
    if connection.protocol() == Protocol::Legacy && line > Line::V24_10 {
        return Err(ConnectError::OlderProtocol {
            endpoint: endpoint.clone(),
            version,
        });
    }
    // Name, id and clock are not needed for most of the work; an account that may not ask still
    // makes VMs.
    let info = told(info, "name").map_err(failed)?;
    let host_id = told(host_id, "id").map_err(failed)?;
    let named = |name: &Value| name.as_str().map(str::to_owned);
    let server = ServerInfo {
        version,
        version_text: text,
        hostname: info
            .get("hostname")
            .and_then(named)
            .unwrap_or_else(|| endpoint.host()),
        host_id: named(&host_id).filter(|id| !id.is_empty()),
    };
    let clock = Clock::read(&info, before, after).unwrap_or_default();
    Ok((server, clock))
}

/// What the server tells of itself; null where it refuses. A lost connection is no refusal: whoever
/// answers next would be taken for another server.
fn told(answer: Result<Value, CallError>, what: &str) -> Result<Value, CallError> {
    match answer {
        Err(lost @ CallError::Disconnected { .. }) => Err(lost),
        Err(error) => {
            tracing::debug!(%error, what, "the server does not tell that of itself");
            Ok(Value::Null)
        }
        told => told,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(seconds)
    }

    #[test]
    fn the_clock_of_the_server_is_known_both_ways() {
        let info = json!({"datetime": {"$date": 5_000_000}});
        for (before, after) in [(4000, 4000), (6000, 6000), (4998, 5002)] {
            let clock = Clock::read(&info, at(before), at(after)).expect("a clock");
            let middle = u64::midpoint(before, after);
            assert_eq!(clock.at(at(middle + 7)), at(5007), "{before}");
        }
    }

    #[test]
    fn without_a_clock_ours_counts() {
        assert_eq!(Clock::read(&json!({}), at(1), at(1)), None);
        assert_eq!(Clock::default().at(at(9)), at(9));
    }

    #[test]
    fn the_id_tells_machines_apart_and_the_name_where_there_is_none() {
        let server = |id: Option<&str>, name: &str, version: &str| ServerInfo {
            version: Version::new(25, 10, 7),
            version_text: version.into(),
            hostname: name.into(),
            host_id: id.map(str::to_owned),
        };
        let one = server(Some("a"), "nas", "25.10.7");
        assert!(one.is_same(&server(Some("a"), "renamed", "25.10.7")));
        assert!(!one.is_same(&server(Some("b"), "nas", "25.10.7")));
        assert!(one.is_same(&server(None, "nas", "25.10.7")));
        assert!(!one.is_same(&server(None, "other", "25.10.7")));
        assert!(!one.is_same(&server(Some("a"), "nas", "26.0.0")));
    }
}
