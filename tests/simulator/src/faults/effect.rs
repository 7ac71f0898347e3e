//! What a fault does to a call, or to an HTTP request.

use serde::Deserialize;
use serde_json::{Map, Value};

/// What a fault does.
///
/// In a script an effect is `{name: {…}}`, or the bare name where nothing needs saying.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Effect {
    // What the method answers.
    /// The call does nothing and is refused.
    Fail {
        /// JSON-RPC code: -32001 (default) for a refusal, -32602 for a validation error.
        #[serde(default = "call_error")]
        code: i64,
        /// The errno; of a validation error, that of its one line.
        #[serde(default = "efault")]
        errno: i32,
        /// The text.
        text: String,
        /// The attribute of a validation error.
        #[serde(default)]
        attribute: Option<String>,
    },
    /// The call does nothing and is refused for want of memory (errno 12).
    Enomem,
    /// The call does nothing and is refused for want of space (errno 28).
    Enospc,
    /// The call does nothing and is refused because something is in use (errno 16).
    Ebusy,
    /// The call does nothing; the answer is the one of a delete that ZFS refuses because the dataset
    /// is busy: up to 25.10 a refusal with errno 14, from 26 on success.
    DatasetBusy,
    /// The call does nothing and answers this.
    Pretend {
        /// The result.
        result: Value,
    },
    /// The call is throttled as unauthenticated calls are: a pause, then errno 16.
    RateLimit {
        /// In milliseconds; 1 to 10 s when left out.
        #[serde(default)]
        pause_ms: Option<u64>,
    },
    /// The call is refused as one too many in flight (-32000), however few there are.
    ConcurrencyCap,
    /// The API key is revoked: the one that the call presents, which is answered `EXPIRED`, or else
    /// the one that the session logged in with, which goes on.
    RevokeKey,

    // When it answers.
    /// The call takes longer.
    Delay {
        /// By this many milliseconds.
        ms: u64,
    },
    /// The call is taken and neither runs nor answers until `Running::release_held`; the journal
    /// shows it as held. What stands on the server is what stood before the call.
    HoldBeforeCommit,
    /// The call runs to its end and does not answer until `Running::release_held`; the journal shows
    /// it as held. What stands on the server is what the call made of it.
    HoldAfterCommit,

    // How the answer looks on the wire.
    /// The answer is sent twice.
    Duplicate,
    /// A frame that means nothing comes before the answer.
    Garbage(Noise),
    /// The answer comes under an id that nobody asked with.
    WrongId {
        /// The true one follows after this many milliseconds; never when left out.
        #[serde(default)]
        then_ms: Option<u64>,
    },
    /// The answer comes as fragments of one message, with pauses between; nothing else is heard or
    /// sent meanwhile.
    Slow {
        /// How many fragments.
        #[serde(default = "four")]
        pieces: usize,
        /// The pause between two, in milliseconds.
        #[serde(default = "hundred")]
        pause_ms: u64,
    },

    // What becomes of the connection.
    /// The connection is dropped and the call never runs.
    DropBeforeCommit,
    /// The call runs to its end, then the connection is dropped instead of the answer.
    DropAfterCommit,
    /// The connection is dropped at once; the call runs all the same, this much later. A server goes
    /// on with a call whose caller is gone (code reading: JSON-RPC handler, 25.10.7; in 26.0 only
    /// what runs in a thread already, which is how datasets and devices are changed).
    CommitLate {
        /// In milliseconds.
        ms: u64,
    },
    /// The server closes the connection with a close frame instead of an answer.
    Close {
        /// The code of the frame, e.g. 1001 (going away), 1008 (policy) or 1011 (internal error).
        code: u16,
        /// Its reason, at most 123 bytes.
        #[serde(default)]
        reason: String,
        /// Whether the call runs to its end first.
        #[serde(default)]
        after_commit: bool,
    },
    /// The connection falls silent: it stays open, and neither answers nor pings are answered.
    HalfOpen {
        /// Whether the call runs to its end first.
        #[serde(default)]
        after_commit: bool,
    },
    /// The middleware restarts, as [`crate::Running::restart`] tells.
    Restart {
        /// How long nobody is let in, in milliseconds.
        #[serde(default = "hundred")]
        down_ms: u64,
        /// Whether the call runs to its end first.
        #[serde(default)]
        after_commit: bool,
        /// Whether HTTP is answered with 502 meanwhile, as nginx in front of a middleware that is
        /// gone does it; otherwise connections are cut as soon as they are made.
        #[serde(default)]
        bad_gateway: bool,
        /// Whether the whole host restarts.
        #[serde(default)]
        reboot: bool,
    },

    // HTTP requests only.
    /// The request is sent elsewhere with status 307, as port 80 does when HTTP is redirected.
    Redirect {
        /// Where to; the same host and path by https when left out.
        #[serde(default)]
        to: Option<String>,
    },
    /// The request is answered with this status and nothing else.
    HttpStatus {
        /// E.g. 502, 503 or 404.
        status: u16,
    },
}

/// A frame that means nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Noise {
    /// Text that is no JSON.
    NoJson,
    /// JSON that is no object.
    NoObject,
    /// An object that is no message of the protocol.
    NoMessage,
    /// A binary frame.
    Binary,
}

/// Effects that may be written as a bare name although they have settings.
const ALL_DEFAULTS: [&str; 6] = [
    "half_open",
    "rate_limit",
    "redirect",
    "restart",
    "slow",
    "wrong_id",
];

impl Effect {
    /// Why it cannot strike what it is set on, if so.
    pub(super) fn misplaced(&self, on_request: bool) -> Option<&'static str> {
        let of_requests = matches!(self, Self::Redirect { .. } | Self::HttpStatus { .. });
        let of_both = matches!(
            self,
            Self::Delay { .. }
                | Self::DropBeforeCommit
                | Self::Close { .. }
                | Self::HalfOpen { .. }
        );
        match on_request {
            true if !of_requests && !of_both => Some(
                "an HTTP request takes `redirect`, `http_status`, `delay`, `drop_before_commit`, `close` and \
                 `half_open`",
            ),
            false if of_requests => {
                Some("`redirect` and `http_status` strike HTTP requests: write `method: http`")
            }
            _ => None,
        }
    }
}

/// Lets a bare name stand for an effect whose settings all have defaults.
pub(super) fn spelled_out(effect: &mut Value) {
    let bare = effect
        .as_str()
        .filter(|name| ALL_DEFAULTS.contains(name))
        .map(str::to_owned);
    if let Some(name) = bare {
        let empty = Value::Object(Map::new());
        *effect = Value::Object(Map::from_iter([(name, empty)]));
    }
}

pub(super) fn call_error() -> i64 {
    -32001
}

fn efault() -> i32 {
    crate::errors::EFAULT
}

fn four() -> usize {
    4
}

fn hundred() -> u64 {
    100
}
