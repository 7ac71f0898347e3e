//! What an execution came to, per VM and in all: the value the command prints and exits by.
//!
//! Its serialised form is part of `-o json` and stays stable.

use std::time::Duration;

use serde::{Serialize, Serializer};

use super::failure::Failure;

/// The whole execution.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// One entry per VM of the plan, in the plan's order.
    pub vms: Vec<VmReport>,
    /// Whether a stop signal ended it early. Running the same command again goes on from here.
    pub interrupted: bool,
    /// Time from the first call to the last answer; serialised as seconds.
    #[serde(rename = "wall_seconds", serialize_with = "as_seconds")]
    pub wall: Duration,
    /// Calls made to the server during the execution.
    pub calls: u64,
    /// Whether the server may still be at work on calls that had no answer.
    #[serde(skip)]
    pub unsettled: bool,
}

/// One VM.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct VmReport {
    /// The VM's name.
    pub name: String,
    /// What became of it.
    pub outcome: Outcome,
    /// The first thing that went wrong, if anything did.
    pub error: Option<Failure>,
    /// What this run made and removed again, or changed and set back, in the order of undoing.
    pub rolled_back: Vec<String>,
    /// What this run made or changed (or began to remove) and what still is so, or may be, on the
    /// server. Growth of a zvol, a removed device or zvol, and a new secret cannot be undone.
    pub left_behind: Vec<String>,
    /// What to do about `left_behind`.
    pub advice: Option<String>,
    /// Time from its first step to its last; serialised as seconds.
    #[serde(rename = "wall_seconds", serialize_with = "as_seconds")]
    pub wall: Duration,
}

/// What became of a VM.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The plan had nothing to do.
    Unchanged,
    /// It was not there and now is, as planned.
    Created,
    /// It was partly there and now is, as planned.
    Completed,
    /// It was there, only not running; now it runs.
    Started,
    /// It was there and differed, and now is as planned, without a restart.
    Updated,
    /// It was there, differed, was stopped and started for it, and now runs as planned.
    Restarted,
    /// It and its zvols are gone, verified.
    Destroyed,
    /// A step failed; everything this run had made for it is gone, verified, and what it had changed
    /// is set back.
    RolledBack,
    /// A step failed; what this run made and changed was kept, as asked.
    Kept,
    /// A step failed and some of what this run did could not be undone: see `left_behind`.
    RollbackIncomplete,
    /// Not all that was to be removed is gone: see `left_behind`.
    DestroyIncomplete,
    /// Begun, then stopped by a signal; nothing was undone, the same command goes on from here.
    Interrupted,
    /// Not begun: a signal, the loss of the connection or the failed restart of another VM came first.
    Skipped,
}

impl Outcome {
    /// Whether the VM is now as planned.
    #[must_use]
    pub fn is_success(self) -> bool {
        matches!(
            self,
            Self::Unchanged
                | Self::Created
                | Self::Completed
                | Self::Started
                | Self::Updated
                | Self::Restarted
                | Self::Destroyed
        )
    }
}

impl Report {
    /// Whether every VM is now as planned.
    #[must_use]
    pub fn is_success(&self) -> bool {
        self.vms.iter().all(|vm| vm.outcome.is_success())
    }

    /// How many VMs came to this outcome.
    #[must_use]
    pub fn count(&self, outcome: Outcome) -> usize {
        self.vms.iter().filter(|vm| vm.outcome == outcome).count()
    }
}

fn as_seconds<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    // Milliseconds are as fine as a person or a script compares.
    serializer.serialize_f64((duration.as_secs_f64() * 1000.0).round() / 1000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_serialised_form_is_stable() {
        let report = Report {
            vms: vec![VmReport {
                name: "web01".into(),
                outcome: Outcome::RollbackIncomplete,
                error: None,
                rolled_back: vec![],
                left_behind: vec!["zvol tank/web01-disk0".into()],
                advice: None,
                wall: Duration::from_micros(1_500_400),
            }],
            interrupted: false,
            wall: Duration::from_millis(2250),
            calls: 7,
            unsettled: false,
        };
        assert_eq!(
            serde_json::to_value(report).unwrap(),
            serde_json::json!({
                "vms": [{
                    "name": "web01",
                    "outcome": "rollback_incomplete",
                    "error": null,
                    "rolled_back": [],
                    "left_behind": ["zvol tank/web01-disk0"],
                    "advice": null,
                    "wall_seconds": 1.5,
                }],
                "interrupted": false,
                "wall_seconds": 2.25,
                "calls": 7,
            })
        );
    }
}
