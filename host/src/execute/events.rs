//! What happens during an execution, as values, for whoever shows it.
//!
//! Knows nothing of terminals; holds no secret, since a label names things and shows no attributes.

use std::fmt;
use std::time::Duration;

use serde::Serialize;
use tokio::sync::mpsc::UnboundedSender;

use super::report::Outcome;
use crate::plan::Step;

/// One thing that happened. Events of one VM come in order; those of several VMs are mixed.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// Work on a VM began.
    VmBegan {
        /// The VM's name.
        vm: String,
        /// How many steps its plan has.
        steps: usize,
    },
    /// A step is about to make its first call.
    StepBegan {
        /// The VM's name.
        vm: String,
        /// The step.
        step: StepLabel,
    },
    /// A step is done and verified.
    StepDone {
        /// The VM's name.
        vm: String,
        /// The step.
        step: StepLabel,
        /// From its first call to its last answer.
        duration: Duration,
    },
    /// A step failed; the VM's other steps in flight are waited for, later ones are not begun.
    StepFailed {
        /// The VM's name.
        vm: String,
        /// The step.
        step: StepLabel,
        /// What went wrong, one sentence.
        error: String,
    },
    /// What this run made for the VM is about to be removed, and what it changed to be set back.
    RollbackBegan {
        /// The VM's name.
        vm: String,
        /// How many things are to be undone.
        objects: usize,
    },
    /// One of them is verified gone, or set back.
    RollbackStepDone {
        /// The VM's name.
        vm: String,
        /// What was undone: `zvol tank/vms/web01-disk0`, `change of device nic.lan`.
        object: String,
    },
    /// One of them could not be undone.
    RollbackStepFailed {
        /// The VM's name.
        vm: String,
        /// What is left.
        object: String,
        /// Why.
        error: String,
    },
    /// Work on a VM ended.
    VmFinished {
        /// The VM's name.
        vm: String,
        /// How.
        outcome: Outcome,
    },
    /// The first stop signal came: steps in flight are finished, none is begun.
    Interrupted,
}

/// A step, named for people: an action and, where the VM is not the subject, what it acts on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct StepLabel {
    /// What is done.
    pub action: Action,
    /// The device (`disk.system`) or the dataset; `None`: the VM itself.
    pub subject: Option<String>,
}

/// What a step does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Looks up the secrets the VM's devices need; makes no call.
    ReadSecrets,
    /// Looks whether the VM is what the plan was made for.
    LookAtVm,
    /// Removes devices that a lost answer made twice.
    RemoveDuplicates,
    /// Makes the VM.
    CreateVm,
    /// Makes a zvol.
    CreateVolume,
    /// Makes a device.
    CreateDevice,
    /// Changes fields of the VM.
    UpdateVm,
    /// Makes a zvol bigger.
    GrowVolume,
    /// Changes a device.
    UpdateDevice,
    /// Asks the guest to shut down, then powers it off.
    StopVm,
    /// Deletes a device.
    DeleteDevice,
    /// Starts the VM.
    StartVm,
    /// Powers the VM off.
    PowerOffVm,
    /// Deletes the VM.
    DeleteVm,
    /// Deletes a zvol.
    DeleteVolume,
}

impl fmt::Display for StepLabel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.action {
            Action::ReadSecrets => "read secrets",
            Action::LookAtVm => "look at VM",
            Action::RemoveDuplicates => "remove duplicates of devices",
            Action::CreateVm => "create VM",
            Action::CreateVolume => "create zvol",
            Action::CreateDevice => "create device",
            Action::UpdateVm => "change VM",
            Action::GrowVolume => "grow zvol",
            Action::UpdateDevice => "change device",
            Action::StopVm => "stop VM",
            Action::DeleteDevice => "delete device",
            Action::StartVm => "start VM",
            Action::PowerOffVm => "power off VM",
            Action::DeleteVm => "delete VM",
            Action::DeleteVolume => "delete zvol",
        })?;
        self.subject
            .as_ref()
            .map_or(Ok(()), |subject| write!(f, " {subject}"))
    }
}

impl From<Action> for StepLabel {
    fn from(action: Action) -> Self {
        Self {
            action,
            subject: None,
        }
    }
}

impl From<&Step> for StepLabel {
    fn from(step: &Step) -> Self {
        let (action, subject) = match step {
            Step::CreateVm { .. } => (Action::CreateVm, None),
            Step::CreateVolume { volume, .. } => (Action::CreateVolume, Some(&volume.dataset)),
            Step::CreateDevice { device } => (Action::CreateDevice, Some(&device.name)),
            Step::UpdateVm { .. } => (Action::UpdateVm, None),
            Step::GrowVolume { dataset, .. } => (Action::GrowVolume, Some(dataset)),
            Step::UpdateDevice { device, .. } => (Action::UpdateDevice, Some(&device.name)),
            Step::StopVm => (Action::StopVm, None),
            Step::DeleteDevice { name, .. } => (Action::DeleteDevice, Some(name)),
            Step::StartVm => (Action::StartVm, None),
            Step::PowerOffVm => (Action::PowerOffVm, None),
            Step::DeleteVm => (Action::DeleteVm, None),
            Step::DeleteVolume { dataset, .. } => (Action::DeleteVolume, Some(dataset)),
        };
        Self {
            action,
            subject: subject.cloned(),
        }
    }
}

/// Where events go. Must not block: the whole execution waits for it.
pub trait Reporter: Send + Sync {
    /// Takes one event.
    fn report(&self, event: Event);
}

/// Nobody watches.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Reporter for Silent {
    fn report(&self, _event: Event) {}
}

impl Reporter for UnboundedSender<Event> {
    fn report(&self, event: Event) {
        // A watcher that went away is no reason to stop the work.
        let _ = self.send(event);
    }
}
