//! What goes over the socket as text, in both protocols of TrueNAS: the only place that tells them
//! apart by their frames.
//!
//! Knows nothing of who waits for what, nor of what methods mean.

mod json_rpc;
mod legacy;

use serde_json::{Map, Value};

use super::error::ErrorObject;
use super::method::Method;

/// The id of the greeting; calls are numbered from 1.
pub(super) const GREETING: u64 = 0;

/// Characters of the reason why something is garbage; it quotes the server, and ends in a log.
pub(super) const LONGEST_REASON: usize = 300;

/// A protocol of the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    /// JSON-RPC 2.0: 25.04 and newer.
    JsonRpc,
    /// What 24.10 and older speak. Newer servers still have it; tnvm does not use it there.
    Legacy,
}

impl Protocol {
    /// Where on the server it is spoken.
    pub(super) const fn path(self) -> &'static str {
        match self {
            Self::JsonRpc => "/api/current",
            Self::Legacy => "/websocket",
        }
    }

    /// What is said before anything else, if anything; the answer is a reply to [`GREETING`].
    pub(super) fn greeting(self) -> Option<String> {
        match self {
            Self::JsonRpc => None,
            Self::Legacy => Some(legacy::greeting()),
        }
    }

    /// The text of a call.
    pub(super) fn request(self, id: u64, method: Method, params: &[Value]) -> String {
        match self {
            Self::JsonRpc => json_rpc::request(id, method, params),
            Self::Legacy => legacy::request(id, method, params),
        }
    }

    /// Decides what a text of the server is.
    pub(super) fn classify(self, text: &str) -> Frame {
        let members = match serde_json::from_str(text) {
            Ok(members) => members,
            Err(error) => return Frame::Garbage(format!("not a JSON object: {error}")),
        };
        let frame = match self {
            Self::JsonRpc => json_rpc::classify(members),
            Self::Legacy => legacy::classify(members),
        };
        match frame {
            Frame::Garbage(reason) => Frame::Garbage(reason.chars().take(LONGEST_REASON).collect()),
            other => other,
        }
    }
}

/// A frame of the server.
#[derive(Debug)]
pub(super) enum Frame {
    /// The answer to a call.
    Reply {
        id: u64,
        outcome: Result<Value, ErrorObject>,
    },
    /// A row of a collection changed.
    Event {
        collection: String,
        id: Option<u64>,
        fields: Map<String, Value>,
    },
    /// The server ended a subscription.
    Unsubscribed { collection: String },
    /// Neither, with the reason. An error without an id is among these: nobody can be told.
    Garbage(String),
}

/// The fields of a row, from an event.
fn fields_of(event: &mut Map<String, Value>) -> Map<String, Value> {
    match event.remove("fields") {
        Some(Value::Object(fields)) => fields,
        _ => Map::new(),
    }
}

/// The name of a collection, from an event.
fn collection_of(event: &Map<String, Value>) -> String {
    let name = event.get("collection").and_then(Value::as_str);
    name.unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_object_is_garbage_in_both_protocols() {
        for protocol in [Protocol::JsonRpc, Protocol::Legacy] {
            for text in ["", "x", "5", "[]", "{}", "null", "\"msg\"", "{\"msg\": 5}"] {
                let frame = protocol.classify(text);
                assert!(matches!(frame, Frame::Garbage(_)), "{text}");
            }
        }
    }
}
