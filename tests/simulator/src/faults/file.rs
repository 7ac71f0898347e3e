//! A fault script as a file, YAML or JSON:
//!
//! ```yaml
//! - method: vm.device.create        # or `vm.*`
//!   params_contain: DISK            # optional: part of the parameters as JSON text
//!   occurrence: 2                   # optional, default 1: the n-th match; also `every`, `{first: 3}`, `{from: 3}`
//!   effect: {fail: {code: -32001, errno: 14, text: "no luck"}}
//! - {method: vm.create, effect: {delay: {ms: 200}}}
//! - {method: vm.start, effect: drop_before_commit}
//! - {method: vm.delete, effect: {pretend: {result: true}}}
//! - {method: "*", occurrence: 17, effect: hold_before_commit}
//! - {method: http, params_contain: /api/current, effect: {http_status: {status: 502}}}
//! ```
//!
//! [`Effect`](super::Effect) tells every effect. `"*"` matches every call that is let in, reads and
//! the login itself included; calls that are refused for want of a login or a role, or because their
//! method is unknown, are not counted. `http` matches HTTP requests, the upgrade of a WebSocket among
//! them; their one parameter is `METHOD /path`.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::effect::spelled_out;
use super::script::{Fault, REQUEST};

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

impl Fault {
    /// Reads a script.
    ///
    /// # Errors
    /// When the file cannot be read, has an unknown key, or sets an effect on what it cannot strike.
    pub fn read_all(path: &Path) -> Result<Vec<Self>, FaultsError> {
        let text = std::fs::read_to_string(path).map_err(|source| FaultsError::Read {
            path: path.to_owned(),
            source,
        })?;
        Self::parse_all(&text).map_err(|source| FaultsError::Parse {
            path: path.to_owned(),
            source,
        })
    }

    fn parse_all(text: &str) -> Result<Vec<Self>, serde_yaml::Error> {
        use serde::de::Error;
        // By way of JSON, where an effect is an object with one member, in YAML as in JSON.
        let mut script: Value = serde_yaml::from_str(text)?;
        for entry in script.as_array_mut().into_iter().flatten() {
            if let Some(effect) = entry.get_mut("effect") {
                spelled_out(effect);
            }
        }
        let script: Vec<Self> =
            serde_json::from_value(script).map_err(serde_yaml::Error::custom)?;
        for fault in &script {
            if let Some(why) = fault.effect.misplaced(fault.method == REQUEST) {
                return Err(serde_yaml::Error::custom(format!(
                    "{}: {why}",
                    fault.method
                )));
            }
        }
        Ok(script)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Effect, Noise, Occurrence};
    use super::*;

    fn check(effect: &str, expected: Effect) {
        let method = match expected {
            Effect::Redirect { .. } | Effect::HttpStatus { .. } => "http",
            _ => "vm.start",
        };
        let text = format!("- {{method: {method}, effect: {effect}}}");
        let script = Fault::parse_all(&text).unwrap();
        assert_eq!(script[0].effect, expected, "{effect}");
    }

    #[test]
    fn every_effect_can_be_written() {
        check("enomem", Effect::Enomem);
        check("enospc", Effect::Enospc);
        check("ebusy", Effect::Ebusy);
        check("dataset_busy", Effect::DatasetBusy);
        let result = Value::Bool(true);
        check("{pretend: {result: true}}", Effect::Pretend { result });
        check("rate_limit", Effect::RateLimit { pause_ms: None });
        check("concurrency_cap", Effect::ConcurrencyCap);
        check("revoke_key", Effect::RevokeKey);
        check("{delay: {ms: 5}}", Effect::Delay { ms: 5 });
        check("hold_before_commit", Effect::HoldBeforeCommit);
        check("hold_after_commit", Effect::HoldAfterCommit);
        check("duplicate", Effect::Duplicate);
        check("{garbage: no_json}", Effect::Garbage(Noise::NoJson));
        check("{garbage: binary}", Effect::Garbage(Noise::Binary));
        check("wrong_id", Effect::WrongId { then_ms: None });
        let then_ms = Some(5);
        check("{wrong_id: {then_ms: 5}}", Effect::WrongId { then_ms });
        let (pieces, pause_ms) = (4, 100);
        check("slow", Effect::Slow { pieces, pause_ms });
        check("drop_before_commit", Effect::DropBeforeCommit);
        check("drop_after_commit", Effect::DropAfterCommit);
        check("{commit_late: {ms: 5}}", Effect::CommitLate { ms: 5 });
        let close = Effect::Close {
            code: 1011,
            reason: String::new(),
            after_commit: true,
        };
        check("{close: {code: 1011, after_commit: true}}", close);
        let after_commit = false;
        check("half_open", Effect::HalfOpen { after_commit });
        let restart = Effect::Restart {
            down_ms: 100,
            after_commit: false,
            bad_gateway: true,
            reboot: false,
        };
        check("{restart: {bad_gateway: true}}", restart);
        check("redirect", Effect::Redirect { to: None });
        check(
            "{http_status: {status: 502}}",
            Effect::HttpStatus { status: 502 },
        );
        let fail = Effect::Fail {
            code: -32602,
            errno: 22,
            text: "bad".into(),
            attribute: Some("vm_create.name".into()),
        };
        check(
            "{fail: {code: -32602, errno: 22, attribute: vm_create.name, text: bad}}",
            fail,
        );
    }

    #[test]
    fn an_occurrence_is_a_number_a_beginning_or_all() {
        for (text, expected) in [
            ("3", Occurrence::Nth(3)),
            ("every", Occurrence::Every),
            ("{first: 3}", Occurrence::First(3)),
            ("{from: 3}", Occurrence::From(3)),
        ] {
            let text = format!("- {{method: a, occurrence: {text}, effect: ebusy}}");
            assert_eq!(Fault::parse_all(&text).unwrap()[0].occurrence, expected);
        }
        for text in ["0", "often", "{last: 3}", "{first: 0}"] {
            let text = format!("- {{method: a, occurrence: {text}, effect: ebusy}}");
            let error = Fault::parse_all(&text).unwrap_err().to_string();
            assert!(error.contains("occurrence must be"), "{error}");
        }
    }

    #[test]
    fn an_effect_on_what_it_cannot_strike_is_an_error() {
        for (text, why) in [
            (
                "{method: vm.start, effect: redirect}",
                "write `method: http`",
            ),
            ("{method: http, effect: enomem}", "an HTTP request takes"),
        ] {
            let error = Fault::parse_all(&format!("- {text}")).unwrap_err();
            assert!(error.to_string().contains(why), "{error}");
        }
    }

    #[test]
    fn the_file_is_named_when_it_is_wrong() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("faults.yaml");
        assert!(matches!(
            Fault::read_all(&file),
            Err(FaultsError::Read { .. })
        ));
        std::fs::write(&file, "- {method: a, effect: explode}").unwrap();
        let error = Fault::read_all(&file).unwrap_err().to_string();
        assert!(
            error.contains("faults.yaml") && error.contains("explode"),
            "{error}"
        );
    }
}
