//! The protocols that the server speaks: reading frames and writing answers, nothing else. It knows
//! no methods and no sockets.
//!
//! Rules recorded on 25.10.7 at `/api/current` and on 24.10.2.5 at `/websocket`; limits by code
//! reading of `utils/limits.py` and the WebSocket handlers, with the closing texts recorded.

mod conversation;
mod frame;
mod legacy;

pub(crate) use conversation::{Conversation, Incoming, Protocol, Request};
pub(crate) use legacy::ready;

/// Longest message before login, in characters.
const MAX_ANONYMOUS: usize = 8192;
/// Longest message after login, in characters.
const MAX_AUTHENTICATED: usize = 65_536;
/// Calls that run at once on a connection; others wait.
pub(crate) const MAX_RUNNING: usize = 10;
/// Calls in flight on a connection, waiting ones included; the next is refused.
pub(crate) const MAX_IN_FLIGHT: usize = 20;
/// How a binary frame closes the connection.
pub(crate) const BINARY_REFUSED: (u16, &str) = (
    1003,
    "Invalid websocket message type: <WSMsgType.BINARY: 2>",
);

/// How a message that is too long closes the connection, if it is.
fn too_long(text: &str, authenticated: bool) -> Option<(u16, &'static str)> {
    let length = text.chars().count();
    if authenticated {
        (length > MAX_AUTHENTICATED).then_some((1009, "Max message length is 64 kB"))
    } else {
        (length > MAX_ANONYMOUS)
            .then_some((1007, "Anonymous connection max message length is 8 kB"))
    }
}
