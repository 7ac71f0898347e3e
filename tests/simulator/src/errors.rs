//! The ways in which a TrueNAS method refuses, and how each looks on the wire; it does not know
//! which rule refused.

use serde_json::{Value, json};

/// One line of a validation error: the attribute (or none), what is wrong, the errno.
pub(crate) type Complaint = (Option<String>, String, i32);

/// "No such file or directory"; also what a missing VM or dataset carries.
pub(crate) const ENOENT: i32 = 2;
/// Not enough memory for a guest.
pub(crate) const ENOMEM: i32 = 12;
/// The caller's roles do not cover the method.
pub(crate) const EACCES: i32 = 13;
/// The legacy protocol's errno of a bundle of validation errors.
pub(crate) const EAGAIN: i32 = 11;
/// The errno of a refusal that names none.
pub(crate) const EFAULT: i32 = 14;
/// Something is in use.
pub(crate) const EBUSY: i32 = 16;
/// A name is taken.
pub(crate) const EEXIST: i32 = 17;
/// A directory was needed.
pub(crate) const ENOTDIR: i32 = 20;
/// The errno of every validation error as a whole.
pub(crate) const EINVAL: i32 = 22;
/// The disk is full.
pub(crate) const ENOSPC: i32 = 28;
/// Something has children or snapshots.
pub(crate) const ENOTEMPTY: i32 = 39;
/// A method's name that is none.
pub(crate) const EBADMSG: i32 = 74;
/// The host is set to a level of security that forbids it.
pub(crate) const EOPNOTSUPP: i32 = 95;
/// The legacy protocol's way to refuse one call too many.
pub(crate) const ETOOMANYREFS: i32 = 109;
/// The method exists but not in this API version; in the legacy protocol, it does not exist.
pub(crate) const ENOMETHOD: i32 = 201;
/// Nobody is logged in on the connection.
pub(crate) const ENOTAUTHENTICATED: i32 = 207;

/// A refused call.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Failure {
    /// Arguments or state failed validation (code -32602, errno always 22).
    Validation {
        /// `ValidationErrors`, or `InstanceNotFound` for a missing object.
        class: &'static str,
        /// One line per problem.
        complaints: Vec<Complaint>,
    },
    /// The caller was turned away before the method was looked at (code -32001).
    Denied {
        /// Says why.
        errno: i32,
        /// What the server says, without the errno's name.
        text: String,
    },
    /// The method refused on purpose (code -32001).
    Call {
        /// Tells kinds of refusal apart, as far as the server does.
        errno: i32,
        /// What the server says, without the errno's name.
        text: String,
    },
    /// Something the server did not foresee (code -32001, errno 22, the bare text as reason).
    Exception {
        /// The exception's class.
        class: String,
        /// The exception's text.
        text: String,
    },
    /// A failure given literally, by a fault script.
    Scripted {
        /// JSON-RPC code.
        code: i64,
        /// JSON-RPC message.
        message: String,
        /// The `data` member, if any.
        data: Value,
    },
}

impl Failure {
    /// A refusal with errno 14, as nearly all refusals of the server are.
    pub(crate) fn fault(text: impl Into<String>) -> Self {
        Self::call(EFAULT, text)
    }

    /// A refusal with an errno.
    pub(crate) fn call(errno: i32, text: impl Into<String>) -> Self {
        Self::Call {
            errno,
            text: text.into(),
        }
    }

    /// One problem with one attribute (errno 22).
    pub(crate) fn invalid(attribute: impl Into<String>, text: impl Into<String>) -> Self {
        Self::validation(vec![(Some(attribute.into()), text.into(), EINVAL)])
    }

    /// Several problems.
    pub(crate) fn validation(complaints: Vec<Complaint>) -> Self {
        Self::Validation {
            class: "ValidationErrors",
            complaints,
        }
    }

    /// `get_instance`, `update` and `delete` on something that is not there.
    ///
    /// Recorded on 25.10.7: `vm.get_instance`, code -32602 with a null attribute.
    pub(crate) fn not_found(kind: &str, id: &str) -> Self {
        Self::Validation {
            class: "InstanceNotFound",
            complaints: vec![(None, format!("{kind} {id} does not exist"), ENOENT)],
        }
    }

    /// An exception of the given class.
    pub(crate) fn exception(class: impl Into<String>, text: impl Into<String>) -> Self {
        Self::Exception {
            class: class.into(),
            text: text.into(),
        }
    }

    /// Turned away before the method was looked at.
    pub(crate) fn denied(errno: i32, text: impl Into<String>) -> Self {
        Self::Denied {
            errno,
            text: text.into(),
        }
    }

    /// A call before login. Recorded on 25.10.7.
    pub(crate) fn not_authenticated() -> Self {
        Self::denied(ENOTAUTHENTICATED, "Not authenticated")
    }

    /// The `error` member of a JSON-RPC response. `frames` adds the stack frames that servers up
    /// to 25.10 send (always empty here: nobody can use ours).
    pub(crate) fn to_json(&self, frames: bool) -> Value {
        let (code, message) = match self {
            Self::Validation { .. } => (-32602, "Invalid params"),
            Self::Scripted {
                code,
                message,
                data,
            } => {
                let mut error = json!({"code": code, "message": message});
                if let (Some(object), false) = (error.as_object_mut(), data.is_null()) {
                    object.insert("data".into(), data.clone());
                }
                return error;
            }
            _ => (-32001, "Method call error"),
        };
        json!({"code": code, "message": message, "data": {
            "error": self.outer_errno(),
            "errname": errname(self.outer_errno()),
            "reason": self.reason(),
            "trace": self.trace(frames),
            "extra": self.extra(),
        }})
    }

    /// The `error` member of the legacy protocol. Recorded on 24.10.2.5: a bundle of validation errors
    /// has errno 11, a single one its own, and who is turned away gets the bare text.
    pub(crate) fn to_legacy(&self, frames: bool) -> Value {
        if let Self::Denied { errno, text } = self {
            return json!({
                "error": errno, "errname": errname(*errno), "type": null, "reason": text, "trace": null, "extra": null,
            });
        }
        let (errno, kind) = match self {
            Self::Validation {
                class: "ValidationErrors",
                ..
            } => (EAGAIN, json!("VALIDATION")),
            Self::Validation { complaints, .. } => (
                complaints.first().map_or(EINVAL, |complaint| complaint.2),
                json!("VALIDATION"),
            ),
            Self::Scripted { data, .. } => (
                data.get("error")
                    .and_then(Value::as_i64)
                    .and_then(|errno| i32::try_from(errno).ok())
                    .unwrap_or(EFAULT),
                Value::Null,
            ),
            other => (other.outer_errno(), Value::Null),
        };
        json!({
            "error": errno, "errname": errname(errno), "type": kind, "reason": self.reason(),
            "trace": self.trace(frames), "extra": self.extra(),
        })
    }

    /// The `reason` text: what a person would read.
    pub(crate) fn reason(&self) -> String {
        match self {
            Self::Validation {
                class: "InstanceNotFound",
                complaints,
            } => lines(complaints).join(""),
            Self::Validation { complaints, .. } => lines(complaints)
                .iter()
                .map(|line| format!("{line}\n"))
                .collect(),
            Self::Call { errno, text } | Self::Denied { errno, text } => {
                format!("[{}] {text}", errname(*errno))
            }
            Self::Exception { text, .. } => text.clone(),
            Self::Scripted { message, .. } => message.clone(),
        }
    }

    /// The text of the exception alone, as `core.bulk` tells it. Recorded on 24.10.2.5 and 25.10.7: none
    /// for a lookup without a match.
    pub(crate) fn bare(&self) -> String {
        match self {
            Self::Exception { class, .. } if class == "MatchNotFound" => String::new(),
            other => other.reason(),
        }
    }

    /// `exc_info` of a failed job. Recorded on 25.10.7: `core.get_jobs`.
    pub(crate) fn exc_info(&self) -> Value {
        let (kind, errno) = match self {
            Self::Validation { complaints, .. } => (
                "VALIDATION",
                complaints.first().map_or(EINVAL, |complaint| complaint.2),
            ),
            // Recorded on 26.0.0-BETA.3 and 27: an exception of another kind has none.
            Self::Exception { .. } => {
                return json!({"repr": self.repr(), "type": self.class(), "errno": null, "extra": null});
            }
            other => (other.class(), other.outer_errno()),
        };
        json!({"repr": self.repr(), "type": kind, "errno": errno, "extra": self.extra()})
    }

    fn trace(&self, frames: bool) -> Value {
        let mut trace = json!({"class": self.class()});
        if let Some(object) = trace.as_object_mut() {
            if frames {
                object.insert("frames".into(), json!([]));
            }
            object.insert(
                "formatted".into(),
                json!(format!("{}: {}", self.class(), self.reason())),
            );
            object.insert("repr".into(), json!(self.repr()));
        }
        trace
    }

    fn class(&self) -> &str {
        match self {
            Self::Validation { class, .. } => class,
            Self::Call { .. } | Self::Denied { .. } | Self::Scripted { .. } => "CallError",
            Self::Exception { class, .. } => class,
        }
    }

    fn outer_errno(&self) -> i32 {
        match self {
            Self::Call { errno, .. } | Self::Denied { errno, .. } => *errno,
            _ => EINVAL,
        }
    }

    fn extra(&self) -> Value {
        match self {
            Self::Validation { complaints, .. } => complaints
                .iter()
                .map(|(attribute, text, errno)| json!([attribute, text, errno]))
                .collect(),
            _ => Value::Null,
        }
    }

    fn repr(&self) -> String {
        match self {
            Self::Validation { complaints, class } => {
                let text = complaints
                    .first()
                    .map_or("", |complaint| complaint.1.as_str());
                format!("{class}('{text}')")
            }
            Self::Call { text, .. } | Self::Denied { text, .. } if text.contains('\'') => {
                format!("CallError(\"{text}\")")
            }
            Self::Call { text, .. } | Self::Denied { text, .. } => format!("CallError('{text}')"),
            Self::Exception { class, text } => format!("{class}({text:?})"),
            Self::Scripted { message, .. } => message.clone(),
        }
    }
}

/// The name of an errno as TrueNAS writes it; POSIX ones and those of the middleware's own range.
pub(crate) fn errname(errno: i32) -> &'static str {
    match errno {
        1 => "EPERM",
        ENOENT => "ENOENT",
        5 => "EIO",
        EAGAIN => "EAGAIN",
        ENOMEM => "ENOMEM",
        EACCES => "EACCES",
        EFAULT => "EFAULT",
        EBUSY => "EBUSY",
        EEXIST => "EEXIST",
        ENOTDIR => "ENOTDIR",
        21 => "EISDIR",
        EINVAL => "EINVAL",
        ENOSPC => "ENOSPC",
        ENOTEMPTY => "ENOTEMPTY",
        EBADMSG => "EBADMSG",
        EOPNOTSUPP => "EOPNOTSUPP",
        ETOOMANYREFS => "ETOOMANYREFS",
        110 => "ETIMEDOUT",
        ENOMETHOD => "ENOMETHOD",
        ENOTAUTHENTICATED => "ENOTAUTHENTICATED",
        _ => "EUNKNOWN",
    }
}

fn lines(complaints: &[Complaint]) -> Vec<String> {
    complaints
        .iter()
        .map(|(attribute, text, errno)| {
            format!(
                "[{}] {}: {text}",
                errname(*errno),
                attribute.as_deref().unwrap_or("None")
            )
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_validation_error_is_always_errno_22_and_keeps_the_real_one_in_its_lines() {
        let error = Failure::validation(vec![(
            Some("vm_create.name".into()),
            "Taken".into(),
            EEXIST,
        )])
        .to_json(true);
        assert_eq!(error["code"], -32602);
        assert_eq!(error["data"]["error"], 22);
        assert_eq!(
            error["data"]["extra"],
            json!([["vm_create.name", "Taken", 17]])
        );
        assert_eq!(error["data"]["reason"], "[EEXIST] vm_create.name: Taken\n");
    }

    #[test]
    fn a_missing_object_has_no_attribute() {
        let error = Failure::not_found("VM", "7").to_json(false);
        assert_eq!(
            error["data"]["extra"],
            json!([[null, "VM 7 does not exist", 2]])
        );
        assert_eq!(
            error["data"]["reason"],
            "[ENOENT] None: VM 7 does not exist"
        );
        assert!(error["data"]["trace"].get("frames").is_none());
    }

    #[test]
    fn the_legacy_protocol_tells_a_bundle_from_a_single_error_and_a_refusal_at_the_door() {
        let bundle = Failure::invalid("vm_create.name", "Taken").to_legacy(true);
        assert_eq!(
            (&bundle["error"], &bundle["type"]),
            (&json!(11), &json!("VALIDATION"))
        );
        let single = Failure::not_found("VM", "7").to_legacy(true);
        assert_eq!(
            (&single["error"], &single["errname"]),
            (&json!(2), &json!("ENOENT"))
        );
        let denied = Failure::not_authenticated().to_legacy(true);
        assert_eq!(
            (&denied["reason"], &denied["trace"]),
            (&json!("Not authenticated"), &Value::Null)
        );
        let call = Failure::fault("no luck").to_legacy(true);
        assert_eq!(
            (&call["error"], &call["reason"]),
            (&json!(14), &json!("[EFAULT] no luck"))
        );
    }

    #[test]
    fn an_exception_has_errno_22_and_a_bare_reason() {
        let error = Failure::exception("TypeError", "no").to_json(false);
        assert_eq!(
            (error["code"].as_i64(), error["data"]["reason"].as_str()),
            (Some(-32001), Some("no"))
        );
    }
}
