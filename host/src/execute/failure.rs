//! Why a step failed: the typed reason inside, and the sentence with advice that leaves.
//!
//! A reason never holds attributes, so it cannot hold a secret.

use std::time::Duration;

use serde::Serialize;

use super::events::StepLabel;
use super::secrets::SecretError;
use crate::plan::{PowerState, size};
use crate::truenas::CallError;

/// What went wrong with a VM.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Failure {
    /// The step: `create zvol tank/vms/web01-disk0`; `None`: before the first step.
    pub step: Option<String>,
    /// The device concerned: `disk.system`.
    pub device: Option<String>,
    /// What failed and why, one sentence.
    pub message: String,
    /// What to do next.
    pub help: Option<String>,
}

/// Why a step failed.
#[derive(Clone, Debug, thiserror::Error)]
pub(super) enum StepError {
    #[error(transparent)]
    Call(#[from] CallError),
    /// No answer, and no look found it done; it may be done, or be done yet.
    #[error("{0}")]
    Lost(CallError),
    #[error(transparent)]
    Secret(#[from] SecretError),
    #[error("the connection to the server was lost ({0})")]
    ConnectionLost(String),
    #[error("the plan has this step before the one that makes the VM")]
    NoVm,
    #[error("the server started it without an error, yet its state is {0:?}")]
    NotRunning(PowerState),
    #[error("the server switched it off without an error, yet its state is {0:?}")]
    NotStopped(PowerState),
    #[error("it did not stop within {} s; its state is {state:?}", after.as_secs())]
    StopTimedOut { after: Duration, state: PowerState },
    #[error("{0}; the plan was made for another state")]
    Stale(&'static str),
    #[error("the VM is active, and the server deletes devices only of a VM that is off")]
    Active,
    #[error("it has {}, more than the planned {}; a zvol is never shrunk", size(*is), size(*wanted))]
    Larger { is: u64, wanted: u64 },
    #[error("{} from its snapshots would be destroyed with it: {}", count(.0.len(), "clone"), shortened(.0))]
    Clones(Vec<String>),
    #[error("it is a disk of {} ({}) now", count(.0.len(), "VM"), ids(.0))]
    InUse(Vec<u64>),
    #[error("the server reported success, yet it is still there")]
    StillThere,
    #[error("it carries no ownership mark of this VM, so it is not tnvm's to delete")]
    Foreign,
    #[error("it has {} that would be lost with it: {}", count(.0.len(), "snapshot"), shortened(.0))]
    Snapshots(Vec<String>),
}

impl StepError {
    /// What to do next, where more can be said than the reason.
    fn help(&self) -> Option<String> {
        let help = match self {
            Self::Call(error) | Self::Lost(error) => return call_help(error),
            Self::Secret(_) => "set the secret, then run the same command again",
            Self::ConnectionLost(_) => {
                "check the connection, then run the same command again; it goes on from what is there"
            }
            Self::NoVm => "this is a mistake in tnvm; please report it",
            Self::NotRunning(_) => "look at the VM's log on the server: vm.log_file_path",
            Self::Stale(_) | Self::Active => {
                "run the same command again: it plans anew from what is there"
            }
            Self::Larger { .. } => "set the size in the config to what the zvol has, or more",
            Self::Clones(_) => {
                "delete the clones on the server first if they are not needed, or promote them"
            }
            Self::NotStopped(_) | Self::StopTimedOut { .. } => {
                "power it off on the server, then run the same command again"
            }
            Self::InUse(_) => {
                "somebody gave it to a VM since the plan was made: take that disk away there, if it is to go"
            }
            Self::StillThere => {
                "something on the server still uses it; stop that, then run the same command again"
            }
            Self::Foreign => "delete it on the server if it is not needed",
            Self::Snapshots(_) => {
                "delete the snapshots on the server first, if they are not needed (clones of them too)"
            }
        };
        Some(help.to_owned())
    }

    /// Whether what failed may have been done all the same.
    pub(super) fn may_have_run(&self) -> bool {
        match self {
            Self::Lost(_) => true,
            Self::Call(error) => error.may_have_run(),
            _ => false,
        }
    }

    /// The failure of a step of a VM.
    pub(super) fn of_step(&self, vm: &str, step: &StepLabel, device: Option<&str>) -> Failure {
        let of = if device == step.subject.as_deref() {
            String::new()
        } else {
            device.map_or_else(String::new, |device| format!(" for {device}"))
        };
        Failure {
            step: Some(step.to_string()),
            device: device.map(str::to_owned),
            message: format!("{vm}: could not {step}{of}: {self}"),
            help: self.help(),
        }
    }
}

/// `1 snapshot`, `3 snapshots`.
fn count(number: usize, word: &str) -> String {
    format!("{number} {word}{}", if number == 1 { "" } else { "s" })
}

/// `id 3, id 4`.
fn ids(ids: &[u64]) -> String {
    let ids: Vec<String> = ids.iter().map(|id| format!("id {id}")).collect();
    shortened(&ids)
}

/// The first few names; a zvol may have thousands of snapshots.
fn shortened(names: &[String]) -> String {
    const SHOWN: usize = 5;
    let mut text = names
        .iter()
        .take(SHOWN)
        .map(String::as_str)
        .collect::<Vec<_>>()
        .join(", ");
    if names.len() > SHOWN {
        text.push_str(", …");
    }
    text
}

/// The client's own advice, and what only the executor can add to it.
fn call_help(error: &CallError) -> Option<String> {
    const ENOMEM: i64 = 12;
    if error
        .server()
        .is_some_and(|server| server.has_errno(ENOMEM))
    {
        return Some("stop other VMs, or give this one less memory".to_owned());
    }
    error.help().map(str::to_owned)
}
