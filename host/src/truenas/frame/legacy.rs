//! The protocol that 24.10 speaks at `/websocket`.
//!
//! Its errors are brought into the form of JSON-RPC, so that they mean the same to everybody. Source:
//! 24.10.2.5, `main.py`. Does not know who waits for what.

use serde_json::{Map, Value, json};

use super::{Frame, GREETING, collection_of, fields_of};
use crate::truenas::error::{
    CODE_CALL, CODE_INVALID_PARAMS, CODE_TOO_MANY_CALLS, EINVAL, ErrorObject,
};
use crate::truenas::method::Method;

/// The only version of it there is.
const VERSION: &str = "1";

/// More than 20 calls in flight; the call was not executed.
const ETOOMANYREFS: i64 = 109;

/// What is said before anything else.
pub(super) fn greeting() -> String {
    json!({"msg": "connect", "version": VERSION, "support": [VERSION]}).to_string()
}

/// The text of a call. A subscription is a message of its own here.
pub(super) fn request(id: u64, method: Method, params: &[Value]) -> String {
    let id = id.to_string();
    match (method, params) {
        (Method::Subscribe, [collection]) => json!({"msg": "sub", "id": id, "name": collection}),
        _ => json!({"msg": "method", "id": id, "method": method.name(), "params": params}),
    }
    .to_string()
}

/// Decides what a frame is.
pub(super) fn classify(mut members: Map<String, Value>) -> Frame {
    let kind = members.get("msg").and_then(Value::as_str);
    match kind.unwrap_or_default() {
        "result" => result(members),
        "added" | "changed" | "removed" => Frame::Event {
            collection: collection_of(&members),
            id: members.get("id").and_then(Value::as_u64),
            fields: fields_of(&mut members),
        },
        "ready" => match subscribed(&members) {
            Some(id) => Frame::Reply {
                id,
                outcome: Ok(Value::from(id.to_string())),
            },
            None => Frame::Garbage("a subscription without a usable id".to_owned()),
        },
        "nosub" => Frame::Unsubscribed {
            collection: collection_of(&members),
        },
        "connected" => Frame::Reply {
            id: GREETING,
            outcome: Ok(Value::Null),
        },
        "failed" => Frame::Reply {
            id: GREETING,
            outcome: Err(ErrorObject {
                code: CODE_CALL,
                message: "the server does not speak this version of its older API".to_owned(),
                data: Value::Null,
            }),
        },
        other => Frame::Garbage(format!("message `{other}` is not known")),
    }
}

fn result(mut members: Map<String, Value>) -> Frame {
    let Some(id) = members.get("id").and_then(number) else {
        let reason = members.get("error").and_then(|error| error.get("reason"));
        let said = reason.and_then(Value::as_str).unwrap_or("no reason");
        return Frame::Garbage(format!("an answer without a usable id: {said}"));
    };
    match (members.remove("error"), members.remove("result")) {
        (Some(Value::Object(error)), _) => Frame::Reply {
            id,
            outcome: Err(error_object(error)),
        },
        (Some(Value::Null) | None, Some(result)) => Frame::Reply {
            id,
            outcome: Ok(result),
        },
        (Some(_), _) => Frame::Garbage(format!("the error of answer {id} is no object")),
        (None, None) => Frame::Garbage(format!("answer {id} has neither result nor error")),
    }
}

/// The id of a call: tnvm sends it as a text and gets it back as that.
fn number(id: &Value) -> Option<u64> {
    match id {
        Value::String(text) => text.parse().ok(),
        other => other.as_u64(),
    }
}

fn subscribed(members: &Map<String, Value>) -> Option<u64> {
    number(members.get("subs")?.as_array()?.first()?)
}

/// An error in the form of JSON-RPC. Members are the same; what tells its kind there is a code. Here
/// a bundle of validation errors carries 11 (EAGAIN) and a single one its own errno, there each
/// carries 22: what counts stands with the fields in both.
fn error_object(mut data: Map<String, Value>) -> ErrorObject {
    let errno = data.get("error").and_then(Value::as_i64);
    let is_invalid = data.get("type").and_then(Value::as_str) == Some("VALIDATION");
    let code = match errno {
        Some(ETOOMANYREFS) => CODE_TOO_MANY_CALLS,
        _ if is_invalid => CODE_INVALID_PARAMS,
        _ => CODE_CALL,
    };
    if is_invalid {
        data.insert("error".into(), json!(EINVAL));
        data.insert("errname".into(), json!("EINVAL"));
    }
    let reason = data.get("reason").and_then(Value::as_str);
    ErrorObject {
        code,
        message: reason.unwrap_or("no reason").to_owned(),
        data: Value::Object(data),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::truenas::error::{self, CallError};
    use crate::truenas::frame::Protocol;

    fn classify(frame: &Value) -> Frame {
        Protocol::Legacy.classify(&frame.to_string())
    }

    fn error_of(error: &Value) -> CallError {
        let frame = classify(&json!({"msg": "result", "id": "7", "error": error}));
        let Frame::Reply {
            id: 7,
            outcome: Err(error),
        } = frame
        else {
            panic!("{frame:?}");
        };
        error::classify(Method::VmCreate, &error)
    }

    #[test]
    fn an_answer_finds_its_call_by_text_or_number() {
        for id in [json!("7"), json!(7)] {
            let frame = classify(&json!({"msg": "result", "id": id, "result": null}));
            let is_it = matches!(
                frame,
                Frame::Reply {
                    id: 7,
                    outcome: Ok(Value::Null)
                }
            );
            assert!(is_it, "{frame:?}");
        }
    }

    #[test]
    fn validation_errors_mean_what_they_mean_in_json_rpc() {
        let error = error_of(
            &json!({"error": 11, "errname": "EAGAIN", "type": "VALIDATION",
            "reason": "[EEXIST] vm_create.name: This name already exists.\n",
            "trace": {"class": "ValidationErrors"},
            "extra": [["vm_create.name", "This name already exists.", 17]]}),
        );
        let CallError::Refused(refused) = &error else {
            panic!("{error:?}");
        };
        assert_eq!(
            (refused.errno, refused.errname.as_deref()),
            (Some(22), Some("EINVAL"))
        );
        assert!(refused.has_errno(17));
        assert_eq!(
            error.to_string(),
            "vm.create was refused: vm_create.name: This name already exists."
        );
    }

    #[test]
    fn an_object_that_does_not_exist_is_not_found_and_what_a_field_names_is_a_refusal() {
        let with = |extra: Value| {
            error_of(
                &json!({"error": 2, "errname": "ENOENT", "type": "VALIDATION",
                "reason": "[ENOENT] None: VM 9 does not exist", "extra": extra}),
            )
        };
        let missing = with(json!([[null, "VM 9 does not exist", 2]]));
        assert!(matches!(missing, CallError::NotFound(_)), "{missing:?}");
        let refused = with(json!([["attributes.path", "no such zvol", 2]]));
        assert!(matches!(refused, CallError::Refused(_)), "{refused:?}");
    }

    #[test]
    fn each_errno_has_its_kind() {
        let with = |errno: i64, reason: &str| {
            error_of(&json!({"error": errno, "type": null, "reason": reason,
                "trace": null, "extra": null}))
        };
        assert!(matches!(with(109, "x"), CallError::TooManyCalls { .. }));
        assert!(matches!(with(201, "x"), CallError::Unsupported { .. }));
        assert!(matches!(with(207, "x"), CallError::NotAuthorized(_)));
        assert!(matches!(with(13, "x"), CallError::NotAuthorized(_)));
        assert!(matches!(with(2, "x"), CallError::NotFound(_)));
        let limited = with(16, "[EBUSY] Rate Limit Exceeded");
        assert!(matches!(limited, CallError::RateLimited(_)));
        let refused = with(14, "[EFAULT] VM is running");
        assert_eq!(refused.to_string(), "vm.create was refused: VM is running");
    }

    #[test]
    fn a_query_for_one_row_without_a_row_is_not_found() {
        let error = error_of(&json!({"error": 22, "errname": "EINVAL", "type": null,
            "reason": "MatchNotFound()", "trace": {"class": "MatchNotFound"}, "extra": null}));
        assert!(matches!(error, CallError::NotFound(_)), "{error:?}");
    }

    #[test]
    fn an_event_keeps_its_row() {
        let frame = classify(
            &json!({"msg": "changed", "collection": "core.get_jobs", "id": 4,
            "fields": {"state": "RUNNING"}}),
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
    fn greeting_and_subscription_are_answered_like_calls() {
        let answered = |frame: Value| match classify(&frame) {
            Frame::Reply { id, outcome } => Some((id, outcome.is_ok())),
            _ => None,
        };
        let connected = json!({"msg": "connected", "session": "x"});
        assert_eq!(answered(connected), Some((GREETING, true)));
        let failed = json!({"msg": "failed", "version": "1"});
        assert_eq!(answered(failed), Some((GREETING, false)));
        let ready = json!({"msg": "ready", "subs": ["5"]});
        assert_eq!(answered(ready), Some((5, true)));
    }

    #[test]
    fn everything_else_is_garbage_and_no_panic() {
        for frame in [
            json!({"msg": "result"}),
            json!({"msg": "result", "id": "x", "result": 1}),
            json!({"msg": "result", "id": "1"}),
            json!({"msg": "result", "id": "1", "error": 5}),
            json!({"msg": "ready"}),
            json!({"msg": "ready", "subs": []}),
            json!({"msg": "ready", "subs": 5}),
            json!({"msg": "pong"}),
            json!({"jsonrpc": "2.0", "id": 1, "result": 1}),
        ] {
            let found = classify(&frame);
            assert!(matches!(found, Frame::Garbage(_)), "{frame}: {found:?}");
        }
    }

    #[test]
    fn requests_are_as_the_server_wants_them() {
        let sent = |method: Method, params: &[Value]| -> Value {
            serde_json::from_str(&request(3, method, params)).expect("JSON")
        };
        assert_eq!(
            sent(Method::SystemVersion, &[]),
            json!({"msg": "method", "id": "3", "method": "system.version", "params": []})
        );
        assert_eq!(
            sent(Method::Subscribe, &[json!("core.get_jobs")]),
            json!({"msg": "sub", "id": "3", "name": "core.get_jobs"})
        );
        let greeting: Value = serde_json::from_str(&greeting()).expect("JSON");
        assert_eq!(
            greeting,
            json!({"msg": "connect", "version": "1", "support": ["1"]})
        );
    }
}
