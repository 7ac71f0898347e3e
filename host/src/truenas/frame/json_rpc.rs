//! JSON-RPC 2.0 as TrueNAS speaks it: 25.04 to 27.
//!
//! Does not know who waits for what.

use serde_json::{Map, Value, json};

use super::{Frame, collection_of, fields_of};
use crate::truenas::method::Method;

/// The text of a call.
pub(super) fn request(id: u64, method: Method, params: &[Value]) -> String {
    json!({"jsonrpc": "2.0", "id": id, "method": method.name(), "params": params}).to_string()
}

/// Decides what a frame is.
pub(super) fn classify(mut members: Map<String, Value>) -> Frame {
    if let Some(method) = members.get("method") {
        let method = method.as_str().unwrap_or_default().to_owned();
        return notification(&method, members.remove("params"));
    }
    let Some(id) = members.get("id").and_then(Value::as_u64) else {
        let said = members
            .get("error")
            .and_then(|error| error.get("message"))
            .and_then(Value::as_str)
            .unwrap_or("no message");
        return Frame::Garbage(format!("an answer without a usable id: {said}"));
    };
    if let Some(error) = members.remove("error") {
        return match serde_json::from_value(error) {
            Ok(error) => Frame::Reply {
                id,
                outcome: Err(error),
            },
            Err(error) => Frame::Garbage(format!("the error of answer {id}: {error}")),
        };
    }
    match members.remove("result") {
        Some(result) => Frame::Reply {
            id,
            outcome: Ok(result),
        },
        None => Frame::Garbage(format!("answer {id} has neither result nor error")),
    }
}

fn notification(method: &str, params: Option<Value>) -> Frame {
    let Some(Value::Object(mut params)) = params else {
        return Frame::Garbage(format!("notification {method} without parameters"));
    };
    let collection = collection_of(&params);
    match method {
        "collection_update" => Frame::Event {
            collection,
            id: params.get("id").and_then(Value::as_u64),
            fields: fields_of(&mut params),
        },
        "notify_unsubscribed" => Frame::Unsubscribed { collection },
        other => Frame::Garbage(format!("notification {other} is not known")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::truenas::frame::Protocol;

    fn classify(text: &str) -> Frame {
        Protocol::JsonRpc.classify(text)
    }

    #[test]
    fn a_null_result_is_a_result() {
        let frame = classify(r#"{"jsonrpc": "2.0", "result": null, "id": 7}"#);
        assert!(
            matches!(
                frame,
                Frame::Reply {
                    id: 7,
                    outcome: Ok(Value::Null)
                }
            ),
            "{frame:?}"
        );
    }

    #[test]
    fn an_error_is_a_reply() {
        let frame =
            classify(r#"{"jsonrpc": "2.0", "error": {"code": -32601, "message": "x"}, "id": 7}"#);
        let Frame::Reply {
            id: 7,
            outcome: Err(error),
        } = frame
        else {
            panic!("{frame:?}");
        };
        assert_eq!(error.code, -32601);
    }

    #[test]
    fn an_event_keeps_its_row() {
        let frame = classify(
            r#"{"jsonrpc": "2.0", "method": "collection_update", "params": {"msg": "changed",
                "collection": "core.get_jobs", "id": 4, "fields": {"state": "RUNNING"}}}"#,
        );
        let Frame::Event {
            collection,
            id,
            fields,
        } = frame
        else {
            panic!("{frame:?}");
        };
        assert_eq!((collection.as_str(), id), ("core.get_jobs", Some(4)));
        assert_eq!(fields.get("state"), Some(&json!("RUNNING")));
    }

    #[test]
    fn everything_else_is_garbage_and_no_panic() {
        for text in [
            "",
            "x",
            "5",
            "[]",
            "{}",
            r#"{"id": null, "error": {"code": -32700, "message": "m"}}"#,
            r#"{"id": 1}"#,
            r#"{"id": 1, "error": 5}"#,
            r#"{"method": 5}"#,
            r#"{"method": "unknown", "params": {}}"#,
            r#"{"id": "1", "result": 1}"#,
        ] {
            assert!(matches!(classify(text), Frame::Garbage(_)), "{text}");
        }
    }

    #[test]
    fn params_are_always_an_array() {
        let text = request(3, Method::SystemVersion, &[]);
        let value: Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(
            value,
            json!({"jsonrpc": "2.0", "id": 3, "method": "system.version", "params": []})
        );
    }
}
