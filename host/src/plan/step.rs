//! The plan: for each VM the steps that lead from what is to what should be.
//!
//! A plan is executed literally; every choice has been made here.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::mark::Mark;
use crate::plugin::Volume;
use crate::resolve::DesiredDevice;

/// Everything that will be done.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// The group.
    pub group: String,
    /// What the plan is for.
    pub kind: PlanKind,
    /// One entry per VM, also for those with nothing to do.
    pub vms: Vec<VmPlan>,
    /// Sums over all VMs with steps.
    pub totals: Totals,
}

/// What a plan is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PlanKind {
    /// Makes what is missing; changes and removes nothing.
    Create,
    /// Makes what is missing, changes what differs, removes what is no longer wanted.
    Apply,
    /// Removes what is owned and in scope.
    Destroy,
}

/// One VM's part. The steps of a VM are done in this order; VMs run side by side.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct VmPlan {
    /// The VM's name.
    pub name: String,
    /// Its type.
    pub vm_type: String,
    /// Whose it is.
    pub mark: Mark,
    /// Its id, if it exists.
    pub id: Option<u64>,
    /// vCPUs: sockets × cores × threads.
    pub vcpus: u64,
    /// MiB.
    pub memory_mib: u64,
    /// What to do; empty: no change.
    pub steps: Vec<Step>,
    /// All devices it has or gets, for showing.
    pub devices: Vec<DesiredDevice>,
    /// What differs and how it is dealt with, for showing; the steps say what is done.
    pub changes: Vec<Change>,
    /// The VMs of this plan that must be done first, because they give up a port, a MAC address or a
    /// zvol that this one gets or deletes. Never in a circle.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub after: BTreeSet<String>,
}

/// The attribute of a [`Change`] that is a device as a whole: made in, or removed from, a VM that
/// stays; from `false` to `true`, or the other way.
pub(super) const EXISTS: &str = "exists";

/// One thing that differs between what is and what should be, as it is shown.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Change {
    /// The device, by its name within the VM; `None`: the VM itself.
    pub device: Option<String>,
    /// The field of `vm.update`, the attribute of the device, `order`, `size` of its zvol, or
    /// `exists` for the device as a whole.
    pub attribute: String,
    /// What the server has; `(secret)` in place of a secret.
    pub from: Value,
    /// What it should be; `(secret)` in place of a secret.
    pub to: Value,
    /// When it takes effect.
    pub effect: Effect,
}

/// When a change takes effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// At once, also while the VM runs.
    Live,
    /// The server stores it at once; the guest sees it when the VM is started the next time.
    NextStart,
    /// The VM is stopped and started for it, by this plan.
    Restart,
    /// The device is removed and made anew, by this plan.
    Recreate,
    /// It cannot be done to what exists: the plan is not executed.
    Refused,
}

/// One change. The steps of a VM come in phases, and those of one phase do not depend on each
/// other. A new VM: VM, volumes, devices, start. An existing one: stop, where it is restarted;
/// fields, volumes, changed devices; removed devices, their zvols, new devices; start. One that
/// goes: power off, VM, volumes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "step", rename_all = "snake_case")]
pub enum Step {
    /// `vm.create` with these arguments.
    CreateVm {
        /// The arguments, the description with the mark included.
        fields: Map<String, Value>,
    },
    /// `pool.dataset.create` with the mark as a user property.
    CreateVolume {
        /// The zvol.
        volume: Volume,
        /// The device it is for.
        device: String,
    },
    /// `vm.device.create`.
    CreateDevice {
        /// The device; its secrets are filled in at execution.
        device: DesiredDevice,
    },
    /// `vm.update` with these fields alone.
    UpdateVm {
        /// The fields that change, as they should be.
        fields: Map<String, Value>,
        /// The same fields, as they are: what an undo sets back.
        before: Map<String, Value>,
    },
    /// `pool.dataset.update`: the zvol grows. It never shrinks, so this is not undone.
    GrowVolume {
        /// Full dataset name.
        dataset: String,
        /// Bytes it shall have.
        size: u64,
        /// Bytes it has.
        before: u64,
        /// The device it is for.
        device: String,
    },
    /// `vm.device.update` with the changed attributes alone, where the server takes that.
    UpdateDevice {
        /// The server's id of the device.
        id: u64,
        /// The device as it should be; its secrets are filled in at execution.
        device: DesiredDevice,
        /// The attributes that change, and `order`. A name of an attribute that takes a secret
        /// means that the secret is sent.
        changed: Vec<String>,
        /// The attributes that change, as they are, secrets left out: what an undo sets back.
        before: Map<String, Value>,
        /// The order it has now, where that changes.
        order_before: Option<u32>,
    },
    /// `vm.stop`, powering off when the guest does not within its `shutdown_timeout`; then the
    /// state is verified. Of a VM that is to be started again.
    StopVm,
    /// `vm.device.delete` without its zvol; then verified gone. The VM is off.
    DeleteDevice {
        /// The server's id of the device.
        id: u64,
        /// How it is shown: `disk.data`, or `nic#17` where no desired device ever was it.
        name: String,
    },
    /// `vm.start`, then the state is verified.
    StartVm,
    /// `vm.poweroff` of a VM that is not stopped, then the state is verified.
    PowerOffVm,
    /// `vm.delete` without its zvols; then verified gone.
    DeleteVm,
    /// `pool.dataset.delete`; then verified gone.
    DeleteVolume {
        /// Full dataset name.
        dataset: String,
        /// The full names of its snapshots that go with it; others forbid it. Clones never go.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        snapshots: Vec<String>,
    },
}

/// Sums of what a plan adds (create) or frees (destroy).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// VMs with steps.
    pub vms: u64,
    /// Devices made.
    pub devices: u64,
    /// Devices changed in place.
    pub changed_devices: u64,
    /// Devices removed.
    pub removed_devices: u64,
    /// Zvols removed.
    pub removed_volumes: u64,
    /// vCPUs of VMs with steps that stay.
    pub vcpus: u64,
    /// MiB that starting VMs will take; of those that are restarted, what they take more.
    pub memory_mib: u64,
    /// Bytes of thin zvols, growth included.
    pub thin_bytes: u64,
    /// Bytes of thick zvols, growth included.
    pub thick_bytes: u64,
}

impl Plan {
    /// A plan of these VMs, with its totals.
    #[must_use]
    pub fn new(group: &str, kind: PlanKind, vms: Vec<VmPlan>) -> Self {
        Self {
            group: group.to_owned(),
            kind,
            totals: Totals::of(&vms),
            vms,
        }
    }

    /// Whether there is nothing to do.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.vms.iter().all(|vm| vm.steps.is_empty())
    }
}

impl VmPlan {
    /// Whether the VM (or what is left of it) goes.
    #[must_use]
    pub fn removes(&self) -> bool {
        let goes = |step: &Step| matches!(step, Step::DeleteVm);
        let only_left_overs = || {
            !self.steps.is_empty()
                && self.id.is_none()
                && self
                    .steps
                    .iter()
                    .all(|step| matches!(step, Step::DeleteVolume { .. }))
        };
        self.steps.iter().any(goes) || only_left_overs()
    }

    /// Whether the VM is made from nothing.
    #[must_use]
    pub fn creates(&self) -> bool {
        self.steps
            .iter()
            .any(|step| matches!(step, Step::CreateVm { .. }))
    }

    /// Whether a running VM is stopped and started again.
    #[must_use]
    pub fn restarts(&self) -> bool {
        self.steps.contains(&Step::StopVm) && self.steps.contains(&Step::StartVm)
    }
}
