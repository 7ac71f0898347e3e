//! The plan: for each VM the steps that lead from what is to what should be.
//!
//! A plan is executed literally; every choice has been made here.

use serde_json::{Map, Value};

use crate::mark::Mark;
use crate::plugin::Volume;
use crate::resolve::DesiredDevice;

/// Everything that will be done.
#[derive(Clone, Debug, PartialEq)]
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum PlanKind {
    /// Makes what is missing; changes and removes nothing.
    Create,
    /// Removes what is owned and in scope.
    Destroy,
}

/// One VM's part. The steps of a VM are done in this order; VMs run side by side.
#[derive(Clone, Debug, PartialEq)]
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
}

/// One change. Creating steps come in phases: VM, then volumes, then devices, then start. The
/// steps of one phase do not depend on each other.
#[derive(Clone, Debug, PartialEq)]
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
    /// `vm.start`, then the state is verified.
    StartVm,
    /// `vm.poweroff` of a VM that is not stopped, then the state is verified.
    PowerOffVm,
    /// `vm.delete` without its zvols; then verified gone.
    DeleteVm,
    /// `pool.dataset.delete`, not recursive; then verified gone.
    DeleteVolume {
        /// Full dataset name.
        dataset: String,
    },
}

/// Sums of what a plan adds (create) or frees (destroy).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Totals {
    /// VMs with steps.
    pub vms: u64,
    /// Devices made or removed.
    pub devices: u64,
    /// vCPUs of VMs with steps.
    pub vcpus: u64,
    /// MiB that starting VMs will take.
    pub memory_mib: u64,
    /// Bytes of thin zvols.
    pub thin_bytes: u64,
    /// Bytes of thick zvols.
    pub thick_bytes: u64,
}

impl Plan {
    /// Whether there is nothing to do.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.vms.iter().all(|vm| vm.steps.is_empty())
    }
}
