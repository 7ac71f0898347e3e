//! Why a connection ended, and why there is no new one.
//!
//! Knows nothing of the calls that were lost with it.

use std::sync::Arc;
use std::time::Duration;

use super::connect_error::ConnectError;
use super::error::RUN_AGAIN;
use super::session::ServerInfo;

/// What ended the connection.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DisconnectReason {
    /// A close frame of the server. 1008: the address is not on the allow-list of the web UI.
    #[error("the server closed it with code {code}{}", colon(reason))]
    ClosedByServer {
        /// The WebSocket close code; 1005 when there was none.
        code: u16,
        /// The server's words; may be empty.
        reason: String,
    },
    /// The stream ended without a close frame: the server or a proxy went away.
    #[error("the server went away without a word")]
    Ended,
    /// The network failed.
    #[error("{0}")]
    Io(Arc<str>),
    /// No frame came after a ping.
    #[error("the server did not answer a ping within {} s", waited.as_secs())]
    NoPong {
        /// How long was waited.
        waited: Duration,
    },
    /// The server sent what is no WebSocket, or more than we accept.
    #[error("the server sent what cannot be read: {0}")]
    Garbage(Arc<str>),
    /// We closed it.
    #[error("it was closed by tnvm")]
    ClosedByUs,
}

/// Why there is no new connection after one was lost.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LossReason {
    /// No attempt succeeded.
    #[error("the connection was lost ({why}) and could not be made again within {:.0} s and {attempts} attempts{}", within.as_secs_f64(), last_error(last.as_deref()))]
    GivenUp {
        /// What ended the connection.
        why: DisconnectReason,
        /// How many attempts were made; those of earlier losses count while connections are short.
        attempts: usize,
        /// From the loss to the end of the last attempt.
        within: Duration,
        /// How the last attempt failed, where one was made.
        last: Option<Arc<ConnectError>>,
    },
    /// An attempt failed in a way that no other can mend; a refused login above all.
    #[error("the connection was lost and cannot be made again: {0}")]
    Refused(Arc<ConnectError>),
    /// Another machine, or another version, answers at the address.
    #[error(
        "the connection was lost, and now another server answers: {} with {}, not {} with {}",
        is.hostname, is.version_text, was.hostname, was.version_text
    )]
    OtherServer {
        /// Who answered at first.
        was: Box<ServerInfo>,
        /// Who answers now.
        is: Box<ServerInfo>,
    },
    /// tnvm has logged out.
    #[error("tnvm has closed the connection")]
    Closed,
}

impl LossReason {
    /// What to do next.
    #[must_use]
    pub fn help(&self) -> &'static str {
        match self {
            Self::OtherServer { .. } => {
                "check which machine has the address now, and that its version is the expected one"
            }
            Self::Refused(error) if error.wants_new_code() => {
                "run the same command again with a new code: it goes on from there"
            }
            Self::Refused(_) => {
                "check key or password and the certificate, then run the command again"
            }
            Self::GivenUp { .. } | Self::Closed => RUN_AGAIN,
        }
    }
}

fn last_error(last: Option<&ConnectError>) -> String {
    last.map(|error| format!(": {error}")).unwrap_or_default()
}

fn colon(text: &str) -> String {
    if text.is_empty() {
        String::new()
    } else {
        format!(": {text}")
    }
}
