//! JSON-RPC 2.0 as the server speaks it: one frame in, one frame out.

use serde_json::{Value, json};

use super::conversation::{Incoming, Request};
use super::{MAX_IN_FLIGHT, too_long};
use crate::errors::Failure;
use crate::world::Event;

/// Reads a text frame.
pub(super) fn read(text: &str, authenticated: bool) -> Incoming {
    if let Some((code, why)) = too_long(text, authenticated) {
        return Incoming::Close(code, why.into());
    }
    let message: Value = match serde_json::from_str(text) {
        Ok(message) => message,
        Err(error) => return Incoming::Refused(refusal(-32700, &error.to_string(), &Value::Null)),
    };
    let object = match message {
        Value::Object(object) => object,
        Value::Array(_) => {
            let why = "Batch messages are not supported at this time";
            return Incoming::Refused(refusal(-32700, why, &Value::Null));
        }
        _ => return Incoming::Refused(refusal(-32700, "Invalid Message Format", &Value::Null)),
    };
    let id = object.get("id").cloned();
    let invalid = |why: &str| match &id {
        Some(id) => Incoming::Refused(refusal(-32600, why, id)),
        None => Incoming::Ignored,
    };
    match object.get("jsonrpc") {
        None => return invalid("Missing 'jsonrpc' member"),
        Some(version) if version.as_str() != Some("2.0") => {
            return invalid("'jsonrpc' member must be of type string and must be exactly '2.0'");
        }
        Some(_) => {}
    }
    // A boolean passes: to the server it is a number.
    let id_is_good = match &id {
        None | Some(Value::Null | Value::String(_) | Value::Bool(_)) => true,
        Some(Value::Number(number)) => !number.is_f64(),
        Some(_) => false,
    };
    if !id_is_good {
        return invalid("'id' member must be of type null, string or number");
    }
    let method = match object.get("method") {
        None => return invalid("Missing 'method' member"),
        Some(method) => match method.as_str().filter(|name| !name.is_empty()) {
            Some(name) => name.to_owned(),
            None => return invalid("'method' member must be of type string"),
        },
    };
    let params = match object.get("params") {
        None => Vec::new(),
        Some(Value::Array(params)) => params.clone(),
        Some(_) => return invalid("'params' member must be of type array"),
    };
    Incoming::Call(Request { id, method, params })
}

/// The answer to a call that worked.
pub(super) fn result(id: &Value, result: &Value) -> Value {
    json!({"jsonrpc": "2.0", "result": result, "id": id})
}

/// The answer to a call that was refused.
pub(super) fn failed(id: &Value, failure: &Failure, frames: bool) -> Value {
    json!({"jsonrpc": "2.0", "error": failure.to_json(frames), "id": id})
}

/// The answer to a method nobody knows.
pub(super) fn method_unknown(id: &Value) -> Value {
    refusal(-32601, "Method does not exist", id)
}

/// The answer to one call too many.
pub(super) fn too_many(id: &Value) -> Value {
    refusal(
        -32000,
        &format!("Maximum number of concurrent calls ({MAX_IN_FLIGHT}) has exceeded"),
        id,
    )
}

/// The frame of an event. Recorded on 25.10.7: `collection_update` with an object as parameters.
pub(super) fn notification(event: &Event) -> Value {
    let mut params = json!({"msg": event.kind, "collection": event.collection, "id": event.id});
    if let Some(params) = params.as_object_mut() {
        for (key, value) in [("fields", &event.fields), ("extra", &event.extra)] {
            if let Some(value) = value {
                params.insert(key.into(), value.clone());
            }
        }
    }
    json!({"jsonrpc": "2.0", "method": "collection_update", "params": params})
}

fn refusal(code: i64, message: &str, id: &Value) -> Value {
    json!({"jsonrpc": "2.0", "error": {"code": code, "message": message}, "id": id})
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, code: Option<i64>) {
        let found = match read(text, true) {
            Incoming::Refused(answer) => answer["error"]["code"].as_i64(),
            _ => None,
        };
        assert_eq!(found, code, "{text}");
    }

    #[test]
    fn broken_frames_are_refused_by_kind() {
        check("{", Some(-32700));
        check("", Some(-32700));
        check("[]", Some(-32700));
        check("5", Some(-32700));
        check(r#"{"id": 1, "method": "core.ping"}"#, Some(-32600));
        check(r#"{"jsonrpc": "2.0", "id": 1}"#, Some(-32600));
        check(
            r#"{"jsonrpc": "2.0", "id": 1.5, "method": "a.b"}"#,
            Some(-32600),
        );
        check(r#"{"jsonrpc": "2.0", "id": 1, "method": ""}"#, Some(-32600));
        check(
            r#"{"jsonrpc": "2.0", "id": 1, "method": "a.b", "params": {}}"#,
            Some(-32600),
        );
    }

    #[test]
    fn without_an_id_nothing_is_answered() {
        assert_eq!(read("{}", true), Incoming::Ignored);
        let notification = read(r#"{"jsonrpc": "2.0", "method": "core.ping"}"#, true);
        assert!(matches!(
            notification,
            Incoming::Call(Request { id: None, .. })
        ));
    }

    #[test]
    fn odd_ids_pass_as_on_the_server() {
        for id in ["null", "true", "\"x\"", "7"] {
            let text =
                format!(r#"{{"jsonrpc": "2.0", "id": {id}, "method": "core.ping", "extra": 1}}"#);
            assert!(
                matches!(
                    read(&text, false),
                    Incoming::Call(Request { id: Some(_), .. })
                ),
                "{id}"
            );
        }
    }

    #[test]
    fn messages_have_a_longest_length_that_grows_with_the_login() {
        let long = "x".repeat(9000);
        assert!(matches!(read(&long, false), Incoming::Close(1007, _)));
        assert!(matches!(read(&long, true), Incoming::Refused(_)));
        assert!(matches!(
            read(&"x".repeat(70_000), true),
            Incoming::Close(1009, _)
        ));
        // Characters count, not bytes.
        assert!(matches!(
            read(&"é".repeat(8192), false),
            Incoming::Refused(_)
        ));
    }
}
