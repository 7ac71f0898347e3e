//! The legacy protocol at `/websocket`: a greeting, then messages told apart by `msg`. Recorded on
//! 24.10.2.5; later servers speak it too and leave out the pong (code reading:
//! `apps/websocket_app.py`).

use serde_json::{Map, Value, json};

use super::conversation::{Incoming, Request};
use super::{MAX_IN_FLIGHT, too_long};
use crate::errors::{EBADMSG, EINVAL, ENOMETHOD, ETOOMANYREFS, Failure, errname};
use crate::world::Event;

/// The only version there is.
const VERSION: &str = "1";

/// Reads a text frame.
pub(super) fn read(
    text: &str,
    authenticated: bool,
    session: &str,
    greeted: &mut bool,
    pongs: bool,
) -> Incoming {
    if let Some((code, why)) = too_long(text, authenticated) {
        return Incoming::Close(code, why.into());
    }
    let message: Map<String, Value> = match serde_json::from_str(text) {
        Ok(Value::Object(message)) => message,
        Ok(_) => return Incoming::Drop,
        Err(_) => return Incoming::Close(1007, not_json(text).into()),
    };
    let Some(kind) = message.get("msg") else {
        return Incoming::Close(1011, "'msg'".into());
    };
    let kind = kind.as_str().unwrap_or_default();
    if kind == "connect" && message.get("version").and_then(Value::as_str) == Some(VERSION) {
        *greeted = true;
        return Incoming::Refused(json!({"msg": "connected", "session": session}));
    }
    if kind == "connect" || !*greeted {
        return Incoming::Refused(json!({"msg": "failed", "version": VERSION}));
    }
    match kind {
        "method" => call(&message),
        "ping" if pongs => Incoming::Refused(match message.get("id") {
            Some(id) => json!({"msg": "pong", "id": id}),
            None => json!({"msg": "pong"}),
        }),
        "sub" | "unsub" => subscription(&message, kind == "sub"),
        _ => Incoming::Ignored,
    }
}

/// The answer to a call that worked.
pub(super) fn result(id: &Value, result: &Value) -> Value {
    json!({"id": id, "msg": "result", "result": result})
}

/// The answer to a call that was refused.
pub(super) fn failed(id: &Value, failure: &Failure, frames: bool) -> Value {
    json!({"msg": "result", "id": id, "error": failure.to_legacy(frames)})
}

/// The answer to a method nobody knows.
pub(super) fn method_unknown(id: &Value, method: &str, has_service: bool) -> Value {
    let (errno, class, text) = match method.rsplit_once('.') {
        None => (EBADMSG, "CallError", "Invalid method name".to_owned()),
        Some((service, name)) if has_service => (
            ENOMETHOD,
            "MethodNotFoundError",
            format!("Method '{name}' not found in '{service}'"),
        ),
        Some((service, _)) => (
            ENOMETHOD,
            "CallError",
            format!("Service '{service}' not found"),
        ),
    };
    let reason = format!("[{}] {text}", errname(errno));
    let trace = json!({
        "class": class, "frames": [], "formatted": format!("{class}: {reason}"),
        "repr": format!("{class}({text:?})"),
    });
    error(id, errno, &reason, trace)
}

/// The answer to one call too many.
pub(super) fn too_many(id: &Value) -> Value {
    let why = format!("Maximum number of concurrent calls ({MAX_IN_FLIGHT}) has exceeded.");
    error(id, ETOOMANYREFS, &why, Value::Null)
}

/// The frame of an event: the same members as in JSON-RPC, without an envelope.
pub(super) fn event(event: &Event) -> Value {
    let mut frame = json!({"msg": event.kind, "collection": event.collection, "id": event.id});
    if let Some(frame) = frame.as_object_mut() {
        for (key, value) in [("fields", &event.fields), ("extra", &event.extra)] {
            if let Some(value) = value {
                frame.insert(key.into(), value.clone());
            }
        }
    }
    frame
}

/// The answer to a subscription that was accepted.
pub(crate) fn ready(id: &Value) -> Value {
    json!({"msg": "ready", "subs": [id]})
}

fn call(message: &Map<String, Value>) -> Incoming {
    let id = message.get("id").cloned();
    let malformed = |why: &str| match &id {
        Some(id) => Incoming::Refused(error(id, EINVAL, why, Value::Null)),
        // Code reading: refusing looks the id up without asking whether it is there.
        None => Incoming::Close(1011, "'id'".into()),
    };
    let method = match message.get("method") {
        None => return malformed("Message is malformed: 'method' is absent."),
        Some(method) => method.as_str().unwrap_or_default().to_owned(),
    };
    let params = match message.get("params") {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::Array(params)) => params.clone(),
        Some(_) => return malformed("`params` must be a list."),
    };
    Incoming::Call(Request { id, method, params })
}

fn subscription(message: &Map<String, Value>, begins: bool) -> Incoming {
    let Some(id) = message.get("id").cloned() else {
        return Incoming::Close(1011, "'id'".into());
    };
    if !begins {
        return Incoming::Unsubscribe { id };
    }
    match message.get("name").and_then(Value::as_str) {
        Some(name) => Incoming::Subscribe {
            id,
            name: name.to_owned(),
        },
        None => Incoming::Close(1011, "'name'".into()),
    }
}

fn error(id: &Value, errno: i32, reason: &str, trace: Value) -> Value {
    json!({"msg": "result", "id": id, "error": {
        "error": errno, "errname": errname(errno), "type": null, "reason": reason, "trace": trace,
        "extra": null,
    }})
}

/// What Python says of a text that is no JSON, as far as it was recorded.
fn not_json(text: &str) -> String {
    let begun = text.trim_start().starts_with(['{', '[', '"']);
    if begun {
        "Expecting property name enclosed in double quotes: line 1 column 2 (char 1)".to_owned()
    } else {
        "Expecting value: line 1 column 1 (char 0)".to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hear(text: &str) -> Incoming {
        read(text, true, "s", &mut true, true)
    }

    #[test]
    fn nothing_is_heard_before_the_greeting() {
        let mut greeted = false;
        let mut hear = |text: &str| read(text, false, "s", &mut greeted, true);
        let failed = Incoming::Refused(json!({"msg": "failed", "version": "1"}));
        assert_eq!(
            hear(r#"{"msg": "method", "id": "1", "method": "core.ping"}"#),
            failed
        );
        assert_eq!(
            hear(r#"{"msg": "connect", "version": "2", "support": ["2"]}"#),
            failed
        );
        assert_eq!(
            hear(r#"{"msg": "connect", "version": "1", "support": ["1"]}"#),
            Incoming::Refused(json!({"msg": "connected", "session": "s"}))
        );
        assert!(matches!(
            hear(r#"{"msg": "method", "id": 5, "method": "core.ping", "params": null}"#),
            Incoming::Call(Request { id: Some(_), .. })
        ));
    }

    #[test]
    fn broken_frames_end_the_connection_in_different_ways() {
        assert!(matches!(hear("not json"), Incoming::Close(1007, _)));
        assert!(matches!(hear(""), Incoming::Close(1007, _)));
        assert_eq!(hear("[]"), Incoming::Drop);
        assert_eq!(hear("{}"), Incoming::Close(1011, "'msg'".into()));
        assert_eq!(
            hear(r#"{"msg": "sub", "name": "vm.query"}"#),
            Incoming::Close(1011, "'id'".into())
        );
        assert_eq!(hear(r#"{"msg": "nope"}"#), Incoming::Ignored);
        assert!(matches!(
            read(&"x".repeat(9000), false, "s", &mut true, true),
            Incoming::Close(1007, _)
        ));
        assert!(matches!(
            hear(&"x".repeat(70_000)),
            Incoming::Close(1009, _)
        ));
    }

    #[test]
    fn malformed_calls_are_refused_with_errno_22() {
        for text in [
            r#"{"msg": "method", "id": "1", "params": []}"#,
            r#"{"msg": "method", "id": "1", "method": "core.ping", "params": {"a": 1}}"#,
        ] {
            let Incoming::Refused(answer) = hear(text) else {
                panic!("{text}")
            };
            assert_eq!(answer["error"]["error"], 22, "{text}");
        }
    }

    #[test]
    fn the_pong_repeats_the_id_and_is_left_out_by_later_servers() {
        let ping = r#"{"msg": "ping", "id": "p"}"#;
        assert_eq!(
            hear(ping),
            Incoming::Refused(json!({"msg": "pong", "id": "p"}))
        );
        assert_eq!(
            hear(r#"{"msg": "ping"}"#),
            Incoming::Refused(json!({"msg": "pong"}))
        );
        assert_eq!(read(ping, true, "s", &mut true, false), Incoming::Ignored);
    }

    #[test]
    fn an_unknown_method_says_whether_its_service_is_known() {
        let reason = |method: &str, known: bool| {
            method_unknown(&json!(1), method, known)["error"]["reason"].clone()
        };
        assert_eq!(
            reason("vm.nope", true),
            "[ENOMETHOD] Method 'nope' not found in 'vm'"
        );
        assert_eq!(
            reason("nope.query", false),
            "[ENOMETHOD] Service 'nope' not found"
        );
        assert_eq!(reason("nodots", false), "[EBADMSG] Invalid method name");
    }
}
