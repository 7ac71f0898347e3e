//! Undoing what this run made for one VM: newest first, each thing verified gone.
//!
//! Goes by the ledger alone, so it never touches what was there before the run.

use super::events::Event;
use super::failure::StepError;
use super::ledger::{Certainty, Entry, Object};
use super::run::VmRun;
use super::{device, vm, volume};
use crate::plan::Step;
use crate::resolve::DesiredDevice;

/// Removes what this run made, in this order: power, devices (only those of a VM that was there
/// before; others go with their VM), the VM, its zvols. Gives whether all of it is gone for sure.
///
/// When a kind of thing could not be removed whole, what it depends on is left too: a VM that still
/// has its zvols is easier to mend than one that lost them.
pub(super) async fn roll_back(this: &VmRun<'_>) -> bool {
    let mut standing = this.ledger.standing();
    let is_vm = |entry: &Entry| matches!(entry.object, Object::Vm { .. });
    if standing.iter().any(is_vm) {
        // The devices of a new VM vanish with it, so they are not things of their own here.
        let (with_vm, own) = standing
            .into_iter()
            .partition::<Vec<_>, _>(|entry| matches!(entry.object, Object::Device { .. }));
        for entry in with_vm {
            this.ledger.settle(entry.number, Certainty::Absent);
        }
        standing = own;
    }
    this.report(Event::RollbackBegan {
        vm: this.name(),
        objects: standing.len(),
    });
    for rank in 0..=LAST_RANK {
        let mut all_gone = true;
        for entry in standing.iter().filter(|entry| entry.object.rank() == rank) {
            if this.undo(entry.object.to_string(), undo(this, entry)).await {
                this.ledger.settle(entry.number, Certainty::Absent);
            } else {
                all_gone = false;
            }
        }
        if !all_gone {
            return false;
        }
    }
    true
}

/// The rank of what is undone last.
const LAST_RANK: u8 = 3;

impl Object {
    /// Place in the order of undoing.
    fn rank(&self) -> u8 {
        match self {
            Self::Running { .. } => 0,
            Self::Device { .. } => 1,
            Self::Vm { .. } => 2,
            Self::Volume { .. } => LAST_RANK,
        }
    }
}

async fn undo(this: &VmRun<'_>, entry: &Entry) -> Result<(), StepError> {
    match (&entry.object, entry.certainty) {
        (Object::Running { .. }, _) => match vm_id(this).await? {
            Some(id) => vm::power_off(this, id).await,
            None => Ok(()),
        },
        (Object::Device { name }, certainty) => {
            let Some(vm) = this.plan.id else {
                return Ok(());
            };
            let id = match (certainty, planned(this, name)) {
                (Certainty::There(id), _) => id,
                (_, Some(device)) => device::find(this, vm, device).await?,
                (_, None) => None,
            };
            match id {
                Some(id) => device::delete(this, vm, id).await,
                None => Ok(()),
            }
        }
        (Object::Vm { .. }, _) => match vm_id(this).await? {
            Some(id) => vm::delete(this, id).await,
            None => Ok(()),
        },
        (Object::Volume { dataset }, _) => volume::delete(this, dataset).await,
    }
}

/// The VM's id: from the plan, from the answer, or, where that was lost, by a look.
async fn vm_id(this: &VmRun<'_>) -> Result<Option<u64>, StepError> {
    let made = this.ledger.standing().into_iter().find_map(|entry| {
        let is_vm = matches!(entry.object, Object::Vm { .. });
        is_vm.then_some(entry.certainty)
    });
    match (this.plan.id, made) {
        (Some(id), _) | (None, Some(Certainty::There(Some(id)))) => Ok(Some(id)),
        (None, Some(_)) => vm::find(this).await,
        (None, None) => Ok(None),
    }
}

fn planned<'p>(this: &VmRun<'p>, name: &str) -> Option<&'p DesiredDevice> {
    this.plan.steps.iter().find_map(|step| match step {
        Step::CreateDevice { device } if device.name == name => Some(device),
        _ => None,
    })
}
