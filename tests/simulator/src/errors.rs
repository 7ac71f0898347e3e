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
/// The host is set to a level of security that forbids it.
pub(crate) const EOPNOTSUPP: i32 = 95;
/// The method exists but not in this API version.
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

    /// A call before login. Recorded on 25.10.7.
    pub(crate) fn not_authenticated() -> Self {
        Self::call(ENOTAUTHENTICATED, "Not authenticated")
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
        json!({"code": code, "message": message, "data": {
            "error": self.outer_errno(),
            "errname": errname(self.outer_errno()),
            "reason": self.reason(),
            "trace": trace,
            "extra": self.extra(),
        }})
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
            Self::Call { errno, text } => format!("[{}] {text}", errname(*errno)),
            Self::Exception { text, .. } => text.clone(),
            Self::Scripted { message, .. } => message.clone(),
        }
    }

    /// `exc_info` of a failed job. Recorded on 25.10.7: `core.get_jobs`.
    pub(crate) fn exc_info(&self) -> Value {
        let (kind, errno) = match self {
            Self::Validation { complaints, .. } => (
                "VALIDATION",
                complaints.first().map_or(EINVAL, |complaint| complaint.2),
            ),
            other => (other.class(), other.outer_errno()),
        };
        json!({"repr": self.repr(), "type": kind, "errno": errno, "extra": self.extra()})
    }

    fn class(&self) -> &str {
        match self {
            Self::Validation { class, .. } => class,
            Self::Call { .. } | Self::Scripted { .. } => "CallError",
            Self::Exception { class, .. } => class,
        }
    }

    fn outer_errno(&self) -> i32 {
        match self {
            Self::Call { errno, .. } => *errno,
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
            Self::Call { text, .. } if text.contains('\'') => format!("CallError(\"{text}\")"),
            Self::Call { text, .. } => format!("CallError('{text}')"),
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
        11 => "EAGAIN",
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
        74 => "EBADMSG",
        EOPNOTSUPP => "EOPNOTSUPP",
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
    fn an_exception_has_errno_22_and_a_bare_reason() {
        let error = Failure::exception("TypeError", "no").to_json(false);
        assert_eq!(
            (error["code"].as_i64(), error["data"]["reason"].as_str()),
            (Some(-32001), Some("no"))
        );
    }
}
