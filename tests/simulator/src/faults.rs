//! Scripted faults: which call goes wrong, and how. A script is a list; every call goes through it
//! in order and the first entry that strikes decides.
//!
//! The file is YAML or JSON:
//!
//! ```yaml
//! - method: vm.device.create        # or `vm.*`
//!   params_contain: DISK            # optional: part of the parameters as JSON text
//!   occurrence: 2                   # optional, default 1: the n-th match; `every` for all
//!   effect: {fail: {code: -32001, errno: 14, text: "no luck"}}
//! - {method: vm.create, effect: {delay: {ms: 200}}}
//! - {method: vm.start, effect: drop_before_commit}
//! - {method: vm.start, effect: drop_after_commit}
//! - {method: vm.delete, effect: {pretend: {result: true}}}
//! - {method: "*", occurrence: 17, effect: hold_before_commit}
//! - {method: pool.dataset.create, effect: {commit_late: {ms: 50}}}
//! ```
//!
//! `"*"` matches every call that is let in, reads and the login itself included; calls that are
//! refused for want of a login or a role, or because their method is unknown, are not counted.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};

use crate::errors::{Failure, errname};

/// One scripted fault.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// The method, or the beginning of its name followed by `*`.
    pub method: String,
    /// Text that the parameters must contain, written as JSON.
    #[serde(default)]
    pub params_contain: Option<String>,
    /// Which of the matching calls it strikes.
    #[serde(default)]
    pub occurrence: Occurrence,
    /// What happens.
    pub effect: Effect,
}

/// Which of the matching calls are struck.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Value")]
pub enum Occurrence {
    /// The n-th, counted from 1; only that one.
    Nth(u32),
    /// All of them.
    Every,
}

/// What a fault does to a call.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Effect {
    /// The call does nothing and is refused.
    Fail {
        /// JSON-RPC code: -32001 (default) for a refusal, -32602 for a validation error.
        #[serde(default = "call_error")]
        code: i64,
        /// The errno; of a validation error, that of its one line.
        #[serde(default = "efault")]
        errno: i32,
        /// The text.
        text: String,
        /// The attribute of a validation error.
        #[serde(default)]
        attribute: Option<String>,
    },
    /// The call takes longer.
    Delay {
        /// By this many milliseconds.
        ms: u64,
    },
    /// The connection is dropped and the call never runs.
    DropBeforeCommit,
    /// The call runs to its end, then the connection is dropped instead of the answer.
    DropAfterCommit,
    /// The connection is dropped at once; the call runs all the same, this much later. A server goes
    /// on with a call whose caller is gone (code reading: JSON-RPC handler, 25.10.7; in 26.0 only
    /// what runs in a thread already, which is how datasets and devices are changed).
    CommitLate {
        /// In milliseconds.
        ms: u64,
    },
    /// The call is taken and neither runs nor answers until `Running::release_held`; the journal
    /// shows it as held. What stands on the server is what stood before the call.
    HoldBeforeCommit,
    /// The call runs to its end and does not answer until `Running::release_held`; the journal shows
    /// it as held. What stands on the server is what the call made of it.
    HoldAfterCommit,
    /// The call does nothing and answers this.
    Pretend {
        /// The result.
        result: Value,
    },
}

/// Why a fault script cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FaultsError {
    /// The file cannot be read.
    #[error("cannot read the fault script {path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file is not what it should be.
    #[error(
        "the fault script {path} is wrong: {source}; its format is described in `tnvm-simulator --help`"
    )]
    Parse {
        /// The file.
        path: PathBuf,
        /// Where and why.
        source: serde_yaml::Error,
    },
}

/// The script and how far it got.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    script: Vec<(Fault, u32)>,
}

impl Fault {
    /// Reads a script.
    ///
    /// # Errors
    /// When the file cannot be read or has an unknown key.
    pub fn read_all(path: &Path) -> Result<Vec<Self>, FaultsError> {
        let text = std::fs::read_to_string(path).map_err(|source| FaultsError::Read {
            path: path.to_owned(),
            source,
        })?;
        // Singleton maps: an effect is `{fail: {…}}` or a bare word, in YAML as in JSON.
        serde_yaml::from_str::<Value>(&text)
            .and_then(serde_yaml::to_value)
            .and_then(|value| Self::from_value(&value))
            .map_err(|source| FaultsError::Parse {
                path: path.to_owned(),
                source,
            })
    }

    /// The first matching call of a method is refused with an errno.
    pub fn fail(method: &str, errno: i32, text: &str) -> Self {
        let effect = Effect::Fail {
            code: call_error(),
            errno,
            text: text.to_owned(),
            attribute: None,
        };
        Self::on(method, effect)
    }

    /// An effect on the first call of a method.
    pub fn on(method: &str, effect: Effect) -> Self {
        Self {
            method: method.to_owned(),
            params_contain: None,
            occurrence: Occurrence::default(),
            effect,
        }
    }

    /// Only calls whose parameters contain this text, written as JSON.
    #[must_use]
    pub fn containing(mut self, text: &str) -> Self {
        self.params_contain = Some(text.to_owned());
        self
    }

    /// Strikes the n-th matching call, counted from 1.
    #[must_use]
    pub fn nth(mut self, occurrence: u32) -> Self {
        self.occurrence = Occurrence::Nth(occurrence);
        self
    }

    /// Strikes every matching call.
    #[must_use]
    pub fn every(mut self) -> Self {
        self.occurrence = Occurrence::Every;
        self
    }

    fn from_value(value: &serde_yaml::Value) -> Result<Vec<Self>, serde_yaml::Error> {
        let json: Value = serde_yaml::from_value(value.clone())?;
        serde_json::from_value(json).map_err(serde::de::Error::custom)
    }

    fn matches(&self, method: &str, params: &str) -> bool {
        let by_name = match self.method.strip_suffix('*') {
            Some(beginning) => method.starts_with(beginning),
            None => method == self.method,
        };
        by_name
            && self
                .params_contain
                .as_ref()
                .is_none_or(|text| params.contains(text.as_str()))
    }
}

impl Faults {
    /// Adds a fault at the end of the script.
    pub(crate) fn add(&mut self, fault: Fault) {
        self.script.push((fault, 0));
    }

    /// What strikes this call, if anything. Every entry counts the calls that match it.
    pub(crate) fn strike(&mut self, method: &str, params: &[Value]) -> Option<Effect> {
        let params = json!(params).to_string();
        let mut struck = None;
        for (fault, seen) in &mut self.script {
            if !fault.matches(method, &params) {
                continue;
            }
            *seen += 1;
            let now = match fault.occurrence {
                Occurrence::Every => true,
                Occurrence::Nth(number) => *seen == number,
            };
            if now && struck.is_none() {
                struck = Some(fault.effect.clone());
            }
        }
        struck
    }
}

impl Default for Occurrence {
    fn default() -> Self {
        Self::Nth(1)
    }
}

impl TryFrom<Value> for Occurrence {
    type Error = String;

    fn try_from(value: Value) -> Result<Self, Self::Error> {
        match (
            &value,
            value.as_u64().and_then(|number| u32::try_from(number).ok()),
        ) {
            (Value::String(word), _) if word == "every" => Ok(Self::Every),
            (_, Some(number)) if number > 0 => Ok(Self::Nth(number)),
            _ => Err(format!(
                "occurrence must be a number from 1 on or `every`, not {value}"
            )),
        }
    }
}

/// The refusal that a `fail` effect stands for.
pub(crate) fn failure(code: i64, errno: i32, text: &str, attribute: Option<&str>) -> Failure {
    match (code, attribute) {
        (-32602, _) => {
            Failure::validation(vec![(attribute.map(str::to_owned), text.to_owned(), errno)])
        }
        (-32001, None) => Failure::call(errno, text),
        _ => Failure::Scripted {
            code,
            message: text.to_owned(),
            data: json!({"error": errno, "errname": errname(errno), "reason": text, "trace": null, "extra": null}),
        },
    }
}

fn call_error() -> i64 {
    -32001
}

fn efault() -> i32 {
    crate::errors::EFAULT
}

impl Effect {
    /// How much longer the call takes.
    pub(crate) fn delay(&self) -> Duration {
        match self {
            Self::Delay { ms } => Duration::from_millis(*ms),
            _ => Duration::ZERO,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_strikes_the_nth_matching_call_once() {
        let mut faults = Faults::default();
        faults.add(Fault::fail("vm.*", 14, "no").containing("DISK").nth(2));
        let disk = [json!({"dtype": "DISK"})];
        assert_eq!(faults.strike("vm.device.create", &disk), None);
        assert_eq!(faults.strike("vm.device.create", &[json!("NIC")]), None);
        assert!(faults.strike("vm.device.create", &disk).is_some());
        assert_eq!(faults.strike("vm.device.create", &disk), None);
    }

    #[test]
    fn a_script_is_read_in_every_form() {
        let file = std::env::temp_dir().join(format!("tnvm-faults-{}", crate::random::uuid()));
        let text = "- {method: a, effect: {fail: {text: no}}}\n- {method: b, occurrence: every, effect: drop_after_commit}\n\
                    - {method: c, occurrence: 3, effect: {delay: {ms: 5}}}\n- {method: d, effect: {pretend: {result: true}}}\n\
                    - {method: '*', occurrence: 2, effect: hold_before_commit}\n- {method: e, effect: {commit_late: {ms: 5}}}\n";
        std::fs::write(&file, text).unwrap();
        let script = Fault::read_all(&file).unwrap();
        std::fs::remove_file(&file).unwrap();
        assert_eq!(script.len(), 6);
        assert_eq!(script[4].effect, Effect::HoldBeforeCommit);
        assert_eq!(script[5].effect, Effect::CommitLate { ms: 5 });
        assert_eq!(script[1].occurrence, Occurrence::Every);
        assert_eq!(script[2].effect.delay(), Duration::from_millis(5));
    }
}
