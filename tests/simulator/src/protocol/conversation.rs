//! What both protocols come down to: frames that are calls or not, answers and events to write.

use std::borrow::Cow;

use serde_json::Value;

use super::{frame, legacy};
use crate::errors::Failure;
use crate::random;
use crate::world::Event;

/// What a text frame turns out to be.
#[derive(Debug, PartialEq)]
pub(crate) enum Incoming {
    /// A call. Without an id nobody hears of its end.
    Call(Request),
    /// Not a call; answer this.
    Refused(Value),
    /// The legacy protocol's way to subscribe.
    Subscribe {
        /// Names the subscription.
        id: Value,
        /// The event.
        name: String,
    },
    /// The legacy protocol's way to end a subscription.
    Unsubscribe {
        /// The subscription.
        id: Value,
    },
    /// Not a call, and nothing to answer.
    Ignored,
    /// Close the connection.
    Close(u16, Cow<'static, str>),
    /// The server's task dies of it: the connection ends without a word.
    Drop,
}

/// A call.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Request {
    pub(crate) id: Option<Value>,
    pub(crate) method: String,
    pub(crate) params: Vec<Value>,
}

/// A connection's protocol, and how far its greeting has got.
#[derive(Debug)]
pub(crate) enum Conversation {
    /// JSON-RPC 2.0 at `/api/…`: no greeting.
    JsonRpc,
    /// The legacy protocol at `/websocket`.
    Legacy {
        /// The session's name, told in the greeting.
        session: String,
        /// Whether the client has greeted.
        greeted: bool,
        /// Whether the protocol's own `ping` is answered.
        pongs: bool,
    },
}

/// How answers and events are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Protocol {
    JsonRpc,
    Legacy,
}

impl Conversation {
    /// The legacy protocol on a new connection.
    pub(crate) fn legacy(pongs: bool) -> Self {
        Self::Legacy {
            session: random::uuid(),
            greeted: false,
            pongs,
        }
    }

    /// How this conversation's answers are written.
    pub(crate) fn protocol(&self) -> Protocol {
        match self {
            Self::JsonRpc => Protocol::JsonRpc,
            Self::Legacy { .. } => Protocol::Legacy,
        }
    }

    /// Reads a text frame.
    pub(crate) fn read(&mut self, text: &str, authenticated: bool) -> Incoming {
        match self {
            Self::JsonRpc => frame::read(text, authenticated),
            Self::Legacy {
                session,
                greeted,
                pongs,
            } => legacy::read(text, authenticated, session, greeted, *pongs),
        }
    }
}

impl Protocol {
    /// The answer to a call that worked.
    pub(crate) fn result(self, id: &Value, result: &Value) -> Value {
        match self {
            Self::JsonRpc => frame::result(id, result),
            Self::Legacy => legacy::result(id, result),
        }
    }

    /// The answer to a call that was refused. `frames` adds stack frames to its trace.
    pub(crate) fn failed(self, id: &Value, failure: &Failure, frames: bool) -> Value {
        match self {
            Self::JsonRpc => frame::failed(id, failure, frames),
            Self::Legacy => legacy::failed(id, failure, frames),
        }
    }

    /// The answer to a method nobody knows; the legacy protocol tells apart whether there is a
    /// `service` of that name.
    pub(crate) fn method_unknown(self, id: &Value, method: &str, has_service: bool) -> Value {
        match self {
            Self::JsonRpc => frame::method_unknown(id),
            Self::Legacy => legacy::method_unknown(id, method, has_service),
        }
    }

    /// The answer to one call too many.
    pub(crate) fn too_many(self, id: &Value) -> Value {
        match self {
            Self::JsonRpc => frame::too_many(id),
            Self::Legacy => legacy::too_many(id),
        }
    }

    /// The frame of an event.
    pub(crate) fn event(self, event: &Event) -> Value {
        match self {
            Self::JsonRpc => frame::notification(event),
            Self::Legacy => legacy::event(event),
        }
    }
}
