//! How a connection is to be made.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::allowed::Allowed;
use super::backoff::Jitter;
use super::fingerprint::Fingerprint;
use super::limits;
use super::login::KeyLogin;
use super::observer::CallObserver;
use super::otp::OtpSource;
use super::proxy::Proxies;
use super::wire::WireObserver;

/// How a connection is to be made. The default: verified TLS, waiting as the table of methods
/// says, and nothing that changes the server: who wants to change something says so.
#[derive(Clone, Debug)]
pub struct ConnectOptions {
    /// Whom to trust.
    pub tls: TlsOptions,
    /// Allows a password over `ws://` to another machine. An API key is never sent that way: the
    /// server would revoke it for good (25.04 and newer). Together with [`KeyLogin::Scram`] it
    /// allows an API key to be used, not sent, that way (26 and newer).
    pub allow_plaintext: bool,
    /// The proxies of this machine; none: every server is reached straight.
    pub proxies: Proxies,
    /// Which way an API key goes.
    pub key_login: KeyLogin,
    /// Where the code of a second factor comes from; none: such an account cannot log in.
    pub otp: Option<Arc<dyn OtpSource>>,
    /// Replaces the time that each method may take; none: as the method says.
    pub call_timeout: Option<Duration>,
    /// Calls in flight on each connection, 1 to 14; more are cut to 14, since the server runs 10 and
    /// refuses the 21st.
    pub concurrency: usize,
    /// Connections at most, 1 to 8, each with a login of its own. Those beyond the first are made
    /// when there is work for them; where they cannot be made it goes on without, and says so in the
    /// log.
    pub connections: usize,
    /// The random part of the pauses before attempts to connect again.
    pub jitter: Jitter,
    /// Which methods may be called; checked before a call is sent.
    pub allowed: Allowed,
    /// Is told of every mutating call.
    pub audit: Option<Arc<dyn CallObserver>>,
    /// Is told of every frame.
    pub wire: Option<Arc<dyn WireObserver>>,
}

impl Default for ConnectOptions {
    fn default() -> Self {
        Self {
            tls: TlsOptions::default(),
            allow_plaintext: false,
            proxies: Proxies::default(),
            key_login: KeyLogin::default(),
            otp: None,
            call_timeout: None,
            concurrency: limits::CALLS,
            connections: 1,
            jitter: Jitter::default(),
            allowed: Allowed::default(),
            audit: None,
            wire: None,
        }
    }
}

impl ConnectOptions {
    /// Calls in flight on each connection, within what the server takes.
    pub(super) fn calls_per_connection(&self) -> usize {
        self.concurrency.clamp(1, limits::CALLS)
    }
}

/// Whom to trust. The default: whom the operating system trusts.
#[derive(Clone, Debug, Default)]
pub struct TlsOptions {
    /// A PEM file with the only certificates to trust.
    pub ca: Option<PathBuf>,
    /// The only certificate to accept. Its name, dates and issuer are not looked at, and `ca` is
    /// not used; that the server has its key is verified.
    pub fingerprint: Option<Fingerprint>,
    /// Accepts whatever certificate there is, where none is pinned; later connections of the same
    /// client accept only the first one's.
    pub insecure: Option<Insecure>,
}

/// What may be sent to a server whose certificate nobody has looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Insecure {
    /// A password.
    Password,
    /// An API key as well: whoever is in between has it from then on, or, by SCRAM, the session.
    ApiKey,
}
