//! How a call can fail, kept apart by what the caller can do about it.
//!
//! Knows the server's error objects; does not know what any method means.

use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

use super::allowed::Forbidden;
use super::loss::{DisconnectReason, LossReason};
use super::method::Method;

/// Why a call has no result. Every variant names the method.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CallError {
    /// The server checked the call and said no. Nothing was done, unless the text says otherwise.
    #[error("{0}")]
    Refused(Box<ServerError>),
    /// What the call is about does not exist.
    #[error("{} found nothing: {}", .0.method, .0.said())]
    NotFound(Box<ServerError>),
    /// What the call is about is in use (errno 16).
    #[error("{0}")]
    Busy(Box<ServerError>),
    /// The account lacks a role for this, or the session has ended (errno 13, 207).
    #[error("{0}")]
    NotAuthorized(Box<ServerError>),
    /// The server's rate limit for this address is used up; it clears after at most ten minutes.
    #[error("{0}")]
    RateLimited(Box<ServerError>),
    /// The server refused to take the call up, again and again (−32000). It was not executed.
    #[error("{method} was not taken up: the server has too many calls in flight")]
    TooManyCalls {
        /// The method.
        method: Method,
    },
    /// This version of the server does not have the method.
    #[error("the server does not know {method}")]
    Unsupported {
        /// The method.
        method: Method,
    },
    /// The frame would be longer than the server accepts. It was not sent.
    #[error("{method} was not sent: its {size} characters exceed the server's limit of {limit}")]
    TooLarge {
        /// The method.
        method: Method,
        /// Characters of the frame.
        size: usize,
        /// Characters the server accepts.
        limit: usize,
    },
    /// An attribute still has the mask that the server shows instead of a secret. It was not sent:
    /// the server would store the mask as the secret.
    #[error("{method} was not sent: the server does not show `{attribute}`, so it cannot be kept")]
    MaskedSecret {
        /// The method.
        method: Method,
        /// The attribute.
        attribute: String,
    },
    /// An attribute that the server sets once and refuses to change. It was not sent.
    #[error("{method} was not sent: `{attribute}` cannot be changed after creation")]
    FixedAttribute {
        /// The method.
        method: Method,
        /// The attribute.
        attribute: String,
    },
    /// A login on a connection that is logged in. It was not sent.
    #[error("{} was not sent: the connection is logged in", Method::Login)]
    TwoLogins,
    /// The connection may not be used for this. It was not sent.
    #[error("{method} was not sent: {why}")]
    NotAllowed {
        /// The method.
        method: Method,
        /// Why not.
        why: Forbidden,
    },
    /// The connection ended before the answer. This answer is lost; the client connects again by
    /// itself, so that other calls can succeed.
    #[error("the connection ended during {method}: {why}{}", maybe(*may_have_run))]
    Disconnected {
        /// The method.
        method: Method,
        /// What ended it.
        why: DisconnectReason,
        /// Whether the server may have got the call, and so may have done it.
        may_have_run: bool,
    },
    /// The connection is lost for good, and with it every call from now on.
    #[error("{method} was not answered: {why}{}", maybe(*may_have_run))]
    ConnectionLost {
        /// The method.
        method: Method,
        /// Why there is no new connection.
        why: LossReason,
        /// Whether the server may have done it.
        may_have_run: bool,
    },
    /// No answer in time. The server may still be doing it.
    #[error("no answer to {method} within {} s{}", after.as_secs(), maybe(*may_have_run))]
    TimedOut {
        /// The method.
        method: Method,
        /// How long was waited.
        after: Duration,
        /// Whether the server may have done it, or may do it yet.
        may_have_run: bool,
    },
    /// One side did not keep to the protocol: our bug, or an answer that makes no sense.
    #[error("{method}: {message}")]
    Protocol {
        /// The method.
        method: Method,
        /// What is wrong.
        message: String,
    },
}

fn maybe(may_have_run: bool) -> &'static str {
    if may_have_run {
        " (the server may have done it)"
    } else {
        ""
    }
}

impl CallError {
    /// The method.
    #[must_use]
    pub fn method(&self) -> Method {
        match self {
            Self::Refused(error)
            | Self::NotFound(error)
            | Self::Busy(error)
            | Self::NotAuthorized(error)
            | Self::RateLimited(error) => error.method,
            Self::TooManyCalls { method }
            | Self::Unsupported { method }
            | Self::TooLarge { method, .. }
            | Self::MaskedSecret { method, .. }
            | Self::FixedAttribute { method, .. }
            | Self::NotAllowed { method, .. }
            | Self::Disconnected { method, .. }
            | Self::ConnectionLost { method, .. }
            | Self::TimedOut { method, .. }
            | Self::Protocol { method, .. } => *method,
            Self::TwoLogins => Method::Login,
        }
    }

    /// What the server said, if it said anything.
    #[must_use]
    pub fn server(&self) -> Option<&ServerError> {
        match self {
            Self::Refused(error)
            | Self::NotFound(error)
            | Self::Busy(error)
            | Self::NotAuthorized(error)
            | Self::RateLimited(error) => Some(error),
            _ => None,
        }
    }

    /// Whether a change may have been made although there is no result. The caller looks before
    /// it goes on.
    #[must_use]
    pub fn may_have_run(&self) -> bool {
        match self {
            Self::Disconnected { may_have_run, .. }
            | Self::ConnectionLost { may_have_run, .. }
            | Self::TimedOut { may_have_run, .. } => *may_have_run,
            // The server did answer, but not as it should.
            Self::Protocol { method, .. } => method.mutates(),
            _ => false,
        }
    }

    /// Whether the connection is lost for good, so that no other call can succeed either.
    #[must_use]
    pub fn is_final_loss(&self) -> bool {
        matches!(self, Self::ConnectionLost { .. })
    }

    /// What to do next, where that is known.
    #[must_use]
    pub fn help(&self) -> Option<&'static str> {
        Some(match self {
            Self::NotAuthorized(error) if error.errno == Some(ENOTAUTHENTICATED) => {
                "the session has ended: run the command again"
            }
            Self::NotAuthorized(_) => {
                "give the account the roles VM_DEVICE_WRITE, DATASET_WRITE, DATASET_DELETE and READONLY_ADMIN; `tnvm login` shows which are missing"
            }
            Self::RateLimited(_) => {
                "wait ten minutes: the server counts calls before login per address"
            }
            Self::TooManyCalls { .. } => "run the command again with fewer VMs at once",
            Self::ConnectionLost { why, .. } => why.help(),
            Self::Disconnected { .. } | Self::TimedOut { .. } => RUN_AGAIN,
            Self::NotAllowed {
                why: Forbidden::ReadOnly,
                ..
            } => "leave `--read-only` away and unset TNVM_READ_ONLY to change something",
            Self::NotAllowed { .. } => {
                "this is a fault of tnvm, and nothing was done: please report it"
            }
            Self::Unsupported { .. } => "update the server to TrueNAS 25.10 or newer",
            Self::Protocol { .. } | Self::TwoLogins => {
                "this is a fault of tnvm or of the server: please report it"
            }
            Self::MaskedSecret { .. } => {
                "give the account the role VM_DEVICE_WRITE, which shows the secret, or set it anew in the config"
            }
            Self::FixedAttribute { .. } => {
                "remove the device from the config, apply, and add it again"
            }
            Self::Refused(_) | Self::NotFound(_) | Self::Busy(_) | Self::TooLarge { .. } => {
                return None;
            }
        })
    }

    /// The same error with these texts hidden: the server may repeat what it was given. Texts of
    /// fewer than four characters stay, as they occur by chance.
    #[must_use]
    pub fn hiding(mut self, secrets: &[&str]) -> Self {
        if let Self::Refused(error)
        | Self::NotFound(error)
        | Self::Busy(error)
        | Self::NotAuthorized(error)
        | Self::RateLimited(error) = &mut self
        {
            let messages = error.fields.iter_mut().map(|field| &mut field.message);
            for text in messages.chain([&mut error.reason]) {
                for secret in secrets.iter().filter(|secret| secret.len() >= 4) {
                    *text = text.replace(secret, "(secret)");
                }
            }
        }
        self
    }

    pub(super) fn protocol(method: Method, message: impl Into<String>) -> Self {
        Self::Protocol {
            method,
            message: message.into(),
        }
    }
}

/// What to do when nobody knows what became of a call.
pub(super) const RUN_AGAIN: &str =
    "run the command again: it looks at what is there and goes on from that";

/// What the server said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerError {
    /// The method.
    pub method: Method,
    /// The JSON-RPC code, for example −32602. A failed job has the code of a failed call, −32001.
    pub code: i64,
    /// The errno. Validation errors always carry 22; the true ones are with the fields.
    pub errno: Option<i64>,
    /// The errno's name, for example `EINVAL`.
    pub errname: Option<String>,
    /// The server's words without the errno in front.
    pub reason: String,
    /// What is wrong with which field, for validation errors.
    pub fields: Vec<FieldError>,
    /// The class of the exception, for example `MatchNotFound`.
    pub class: Option<String>,
}

/// What is wrong with one field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldError {
    /// Where, for example `vm_create.name`; none for the object as a whole.
    pub attribute: Option<String>,
    /// The server's words.
    pub message: String,
    /// The errno, for example 2 or 17.
    pub errno: Option<i64>,
}

impl std::fmt::Display for ServerError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} was refused: {}", self.method, self.said())
    }
}

impl std::fmt::Display for FieldError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.attribute.as_deref() {
            None | Some("") => f.write_str(&self.message),
            Some(attribute) => write!(f, "{attribute}: {}", self.message),
        }
    }
}

impl ServerError {
    /// The server's words without the method: what is wrong with which field, else its reason.
    #[must_use]
    pub fn said(&self) -> String {
        if self.fields.is_empty() {
            // The text of this exception is its own name.
            return match self.class.as_deref() {
                Some(MATCH_NOT_FOUND) => "no row matches".to_owned(),
                _ => self.reason.trim().to_owned(),
            };
        }
        let fields: Vec<String> = self.fields.iter().map(ToString::to_string).collect();
        fields.join("; ")
    }

    /// Whether any field carries this errno, or the error itself does.
    #[must_use]
    pub fn has_errno(&self, errno: i64) -> bool {
        self.errno == Some(errno) || self.fields.iter().any(|field| field.errno == Some(errno))
    }
}

/// The exception of a query for one row that has none.
const MATCH_NOT_FOUND: &str = "MatchNotFound";

/// No such file, dataset, object.
pub(super) const ENOENT: i64 = 2;
/// Invalid; of every validation error as a whole.
pub(super) const EINVAL: i64 = 22;
/// Not allowed.
const EACCES: i64 = 13;
/// In use; also the rate limit.
const EBUSY: i64 = 16;
/// The method does not exist in this version of the API.
const ENOMETHOD: i64 = 201;
/// Not logged in, or no longer.
const ENOTAUTHENTICATED: i64 = 207;

/// Too many calls in flight; the call was not executed.
pub(super) const CODE_TOO_MANY_CALLS: i64 = -32000;
/// A call failed.
pub(super) const CODE_CALL: i64 = -32001;
const CODE_INVALID_REQUEST: i64 = -32600;
const CODE_NO_METHOD: i64 = -32601;
/// The arguments were found wrong.
pub(super) const CODE_INVALID_PARAMS: i64 = -32602;

/// The error object of an answer.
#[derive(Debug, Deserialize)]
pub(super) struct ErrorObject {
    pub(super) code: i64,
    #[serde(default)]
    pub(super) message: String,
    #[serde(default)]
    pub(super) data: Value,
}

/// Sorts an error object into what the caller can do about it (API of 25.04.2 to 27).
pub(super) fn classify(method: Method, object: &ErrorObject) -> CallError {
    match object.code {
        CODE_TOO_MANY_CALLS => return CallError::TooManyCalls { method },
        CODE_NO_METHOD => return CallError::Unsupported { method },
        CODE_CALL | CODE_INVALID_PARAMS => {}
        code => {
            let detail = object.data.as_str().unwrap_or_default();
            let side = if code == CODE_INVALID_REQUEST || code == -32700 {
                "the server did not understand the request"
            } else {
                "the server failed to answer"
            };
            return CallError::protocol(
                method,
                format!("{side}: {} {detail} ({code})", object.message).replace("  ", " "),
            );
        }
    }
    let data = &object.data;
    let reason = data
        .get("reason")
        .and_then(Value::as_str)
        .unwrap_or(&object.message);
    sort(ServerError {
        method,
        code: object.code,
        errno: data.get("error").and_then(Value::as_i64),
        errname: data
            .get("errname")
            .and_then(Value::as_str)
            .map(str::to_owned),
        reason: without_errno(reason),
        fields: field_errors(data.get("extra").unwrap_or(&Value::Null)),
        class: data
            .pointer("/trace/class")
            .and_then(Value::as_str)
            .map(str::to_owned),
    })
}

/// Sorts what the server said.
pub(super) fn sort(error: ServerError) -> CallError {
    // Only an error about the object as a whole says that the object is missing; a missing parent
    // or file comes with the attribute that names it, and is a refusal.
    let whole = error
        .fields
        .iter()
        .any(|field| field.attribute.is_none() && field.errno == Some(ENOENT));
    let missing = whole
        || (error.fields.is_empty() && error.errno == Some(ENOENT))
        || error.class.as_deref() == Some(MATCH_NOT_FOUND);
    let error = Box::new(error);
    match error.errno {
        _ if missing => CallError::NotFound(error),
        Some(EACCES | ENOTAUTHENTICATED) => CallError::NotAuthorized(error),
        Some(EBUSY) if error.reason.contains("Rate Limit") => CallError::RateLimited(error),
        Some(EBUSY) => CallError::Busy(error),
        Some(ENOMETHOD) => CallError::Unsupported {
            method: error.method,
        },
        _ => CallError::Refused(error),
    }
}

/// The triples `[attribute, message, errno]` of a validation error.
pub(super) fn field_errors(extra: &Value) -> Vec<FieldError> {
    let one = |triple: &Value| {
        let triple = triple.as_array()?;
        Some(FieldError {
            attribute: triple.first()?.as_str().map(str::to_owned),
            message: triple.get(1)?.as_str()?.to_owned(),
            errno: triple.get(2).and_then(Value::as_i64),
        })
    };
    extra
        .as_array()
        .map(|triples| triples.iter().filter_map(one).collect())
        .unwrap_or_default()
}

/// `[EFAULT] text` says its errno twice; the name is kept apart.
pub(super) fn without_errno(reason: &str) -> String {
    let reason = reason.trim();
    let text = reason
        .strip_prefix('[')
        .and_then(|rest| rest.split_once("] "))
        .filter(|(name, _)| name.starts_with('E') && !name.contains(' '))
        .map_or(reason, |(_, text)| text);
    text.to_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn classified(object: Value) -> CallError {
        classify(
            Method::VmCreate,
            &serde_json::from_value(object).expect("an error object"),
        )
    }

    #[test]
    fn a_validation_error_names_its_fields() {
        let error = classified(
            json!({"code": -32602, "message": "Invalid params", "data": {
            "error": 22, "errname": "EINVAL", "reason": "[EINVAL] vm_create.name: bad\n",
            "trace": {"class": "ValidationErrors"},
            "extra": [["vm_create.name", "bad", 22], [null, "odd", 17]]}}),
        );
        assert!(matches!(error, CallError::Refused(_)));
        assert_eq!(
            error.to_string(),
            "vm.create was refused: vm_create.name: bad; odd"
        );
        assert!(error.server().is_some_and(|error| error.has_errno(17)));
    }

    #[test]
    fn an_object_that_does_not_exist_is_not_found() {
        let error = classified(
            json!({"code": -32602, "message": "Invalid params", "data": {
            "error": 22, "reason": "[ENOENT] None: VM 9 does not exist",
            "extra": [[null, "VM 9 does not exist", 2]]}}),
        );
        assert!(matches!(error, CallError::NotFound(_)), "{error:?}");
    }

    #[test]
    fn a_missing_thing_named_by_a_field_is_a_refusal() {
        let error = classified(
            json!({"code": -32602, "message": "Invalid params", "data": {
            "error": 22, "reason": "x", "extra": [["attributes.path", "no such zvol", 2]]}}),
        );
        assert!(matches!(error, CallError::Refused(_)), "{error:?}");
    }

    #[test]
    fn a_query_for_one_row_without_a_row_is_not_found() {
        let error = classified(
            json!({"code": -32001, "message": "Method call error", "data": {
            "error": 22, "reason": "", "trace": {"class": "MatchNotFound"}, "extra": null}}),
        );
        assert!(matches!(error, CallError::NotFound(_)), "{error:?}");
    }

    #[test]
    fn each_errno_has_its_kind() {
        let with = |errno: i64, reason: &str| {
            classified(json!({"code": -32001, "message": "Method call error",
                "data": {"error": errno, "reason": reason, "extra": null}}))
        };
        assert!(matches!(with(2, "gone"), CallError::NotFound(_)));
        assert!(matches!(with(13, "no"), CallError::NotAuthorized(_)));
        assert!(matches!(with(207, "no"), CallError::NotAuthorized(_)));
        assert!(matches!(with(16, "busy"), CallError::Busy(_)));
        let limited = with(16, "[EBUSY] Rate Limit Exceeded");
        assert!(matches!(limited, CallError::RateLimited(_)));
        assert!(matches!(with(201, "no"), CallError::Unsupported { .. }));
        assert!(matches!(with(12, "full"), CallError::Refused(_)));
    }

    #[test]
    fn the_errno_in_front_of_the_text_is_dropped() {
        assert_eq!(without_errno("[EFAULT] VM is running"), "VM is running");
        assert_eq!(without_errno("[not an errno] text"), "[not an errno] text");
    }

    #[test]
    fn a_secret_that_the_server_repeats_is_hidden() {
        let error = classified(
            json!({"code": -32602, "message": "Invalid params", "data": {
            "error": 22, "reason": "x: Hunter22", "extra": [["password", "not Hunter22 again", 22]]}}),
        );
        let shown = format!("{:?}", error.hiding(&["Hunter22", "x"]));
        assert!(
            !shown.contains("Hunter22") && shown.contains("x: (secret)"),
            "{shown}"
        );
        assert!(shown.contains("not (secret) again"), "{shown}");
    }

    #[test]
    fn other_codes_are_protocol_faults() {
        let error = classified(json!({"code": -32603, "message": "Internal error"}));
        assert!(matches!(error, CallError::Protocol { .. }));
        assert!(error.may_have_run());
    }
}
