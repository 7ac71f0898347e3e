//! Undoing what this run did to one VM: newest first, each thing verified gone or set back.
//!
//! Goes by the ledger alone, so it never touches what was there before the run and was not changed.

use super::events::Event;
use super::failure::StepError;
use super::ledger::{Certainty, Entry, Object};
use super::run::VmRun;
use super::verify::made_late;
use super::{device, settings, vm, volume};
use crate::plan::Step;
use crate::resolve::DesiredDevice;

/// Undoes what this run did, in this order: power, devices (only those of a VM that was there
/// before; others go with their VM), the VM, its zvols, changes of devices, changes of the VM; last
/// a VM that it stopped is started again. Gives whether all of it is undone for sure; growth,
/// removals and new secrets never are.
///
/// When a kind of thing could not be removed whole, what it depends on is left too: a VM that still
/// has its zvols is easier to mend than one that lost them. Changes depend on nothing and are set
/// back whatever happened before.
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
    let (undoable, for_good): (Vec<_>, Vec<_>) = standing
        .into_iter()
        .partition(|entry| entry.object.rank().is_some());
    this.report(Event::RollbackBegan {
        vm: this.name(),
        objects: undoable.len(),
    });
    let (mut all_undone, mut all_removed) = (for_good.is_empty(), true);
    for rank in 0..=LAST_RANK {
        if rank <= LAST_REMOVAL && !all_removed {
            continue;
        }
        for entry in &undoable {
            if entry.object.rank() != Some(rank) {
                continue;
            }
            if this.undo(entry.object.to_string(), undo(this, entry)).await {
                this.ledger.settle(entry.number, Certainty::Absent);
            } else {
                all_undone = false;
                all_removed &= rank > LAST_REMOVAL;
            }
        }
    }
    all_undone
}

/// The rank of what is removed last.
const LAST_REMOVAL: u8 = 3;

/// The rank of what is undone last.
const LAST_RANK: u8 = 6;

impl Object {
    /// Place in the order of undoing; none: it cannot be undone.
    fn rank(&self) -> Option<u8> {
        Some(match self {
            Self::Running { .. } => 0,
            Self::Device { .. } => 1,
            Self::Vm { .. } => 2,
            Self::Volume { .. } => LAST_REMOVAL,
            Self::Attributes { .. } => 4,
            Self::Fields { .. } => 5,
            Self::Stopped { .. } => LAST_RANK,
            Self::Growth { .. }
            | Self::DeviceRemoval { .. }
            | Self::VolumeRemoval { .. }
            | Self::NewSecret { .. } => return None,
        })
    }
}

async fn undo(this: &VmRun<'_>, entry: &Entry) -> Result<(), StepError> {
    match (&entry.object, entry.certainty) {
        (Object::Running { .. }, _) => match vm_id(this).await? {
            Some(id) => vm::power_off(this, id).await,
            None => Ok(()),
        },
        (Object::Device { name }, certainty) => {
            let id = match (certainty, planned(this, name)) {
                (Certainty::There(id), _) => id,
                (_, Some(device)) => made_late(this, || device::find(this, device)).await?,
                (_, None) => None,
            };
            match id {
                Some(id) => device::delete(this, id).await,
                None => Ok(()),
            }
        }
        (Object::Vm { .. }, _) => match vm_id(this).await? {
            Some(id) => vm::delete(this, id).await,
            None => Ok(()),
        },
        (Object::Volume { dataset }, certainty) => {
            if certainty == Certainty::Asked {
                made_late(this, || volume::find(this, dataset)).await?;
            }
            volume::delete(this, dataset, &[]).await
        }
        (Object::Attributes { id, .. }, _) => settings::restore_device(this, *id).await,
        (Object::Fields { .. }, _) => settings::restore_vm(this).await,
        (Object::Stopped { .. }, _) => vm::start(this).await,
        // Never asked for, since they have no rank.
        (
            Object::Growth { .. }
            | Object::DeviceRemoval { .. }
            | Object::VolumeRemoval { .. }
            | Object::NewSecret { .. },
            _,
        ) => Ok(()),
    }
}

/// The VM's id: from the plan, from the answer, or, where that was lost, by a look.
async fn vm_id(this: &VmRun<'_>) -> Result<Option<u64>, StepError> {
    let is_vm = |entry: &Entry| matches!(entry.object, Object::Vm { .. });
    match this.known_id() {
        Some(id) => Ok(Some(id)),
        None if this.ledger.standing().iter().any(is_vm) => {
            made_late(this, || vm::find(this)).await
        }
        None => Ok(None),
    }
}

fn planned<'p>(this: &VmRun<'p>, name: &str) -> Option<&'p DesiredDevice> {
    this.plan.steps.iter().find_map(|step| match step {
        Step::CreateDevice { device } if device.name == name => Some(device),
        _ => None,
    })
}
