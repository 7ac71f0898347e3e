//! One VM's steps, phase by phase in the order of its plan.
//!
//! Knows which steps may go side by side; what each does is with the thing it is done to.

use std::collections::HashMap;

use super::device;
use super::duplicates;
use super::events::{Action, StepLabel};
use super::failure::StepError;
use super::ledger::{Certainty, Entry, Object};
use super::run::{Halt, VmRun};
use super::secrets::Secrets;
use super::settings;
use super::verify::change;
use super::{vm, volume};
use crate::plan::Step;

/// The secrets of the devices that are made or changed, by the names of the devices.
type SecretsByDevice<'p> = HashMap<&'p str, Secrets>;

/// Does what the plan says. Steps of the same kind that follow each other are a phase: it begins
/// when the one before is done and verified.
///
/// # Errors
/// [`Halt`] says why it ended early; no call of the VM is in flight then.
pub(super) async fn carry_out(this: &VmRun<'_>) -> Result<(), Halt> {
    if this.plan.removes() {
        note_removals(this);
    }
    // First, because a missing secret should not cost a VM that has to be undone again.
    let secrets = device::secrets(this)?;
    if looks_first(this) {
        let label = Action::LookAtVm.into();
        this.step(label, None, vm::look(this)).await?;
    }
    let kind = |step: &Step| std::mem::discriminant(step);
    for phase in this.plan.steps.chunk_by(|one, two| kind(one) == kind(two)) {
        if phase.iter().all(|step| goes_side_by_side(this, step)) {
            let steps = phase.iter().map(|step| one(this, &secrets, step));
            this.side_by_side(steps).await?;
        } else {
            for step in phase {
                one(this, &secrets, step).await?;
            }
        }
        let made_devices = matches!(phase.first(), Some(Step::CreateDevice { .. }));
        if made_devices && this.device_answer_lost() {
            let label = Action::RemoveDuplicates.into();
            this.step(label, None, duplicates::remove(this)).await?;
        }
    }
    Ok(())
}

/// Starts the VM again where this run stopped it and has not come to starting it. Only for a run
/// that may not go on.
pub(super) async fn start_again(this: &VmRun<'_>) {
    let stopped = vm::stopped(this);
    let is_down = |entry: &Entry| entry.object == stopped;
    if this.ledger.standing().iter().any(is_down) {
        let no_secrets = HashMap::new();
        let start = work(this, &no_secrets, &Step::StartVm);
        // How it ended is told and reported like every step.
        let _ = this.last_step(StepLabel::from(&Step::StartVm), start).await;
    }
}

/// Whether the VM is looked at before anything is done: what is changed must still be what the
/// plan was made for, and what is added must be told from what was there.
pub(super) fn looks_first(this: &VmRun<'_>) -> bool {
    let touches = |step: &Step| {
        matches!(
            step,
            Step::CreateDevice { .. }
                | Step::UpdateVm { .. }
                | Step::UpdateDevice { .. }
                | Step::StopVm
                | Step::StartVm
                | Step::DeleteDevice { .. }
        )
    };
    this.plan.id.is_some() && !this.plan.removes() && this.plan.steps.iter().any(touches)
}

/// Devices of a VM that is there are made, changed and deleted one after the other: an order given
/// to one pushes others with the same upwards (`vm.device.create`, `vm.device.update`, 25.10.7).
/// Those of a new VM have orders of their own.
fn goes_side_by_side(this: &VmRun<'_>, step: &Step) -> bool {
    match step {
        Step::CreateVolume { .. } | Step::GrowVolume { .. } | Step::DeleteVolume { .. } => true,
        Step::CreateDevice { .. } => this.plan.id.is_none(),
        _ => false,
    }
}

/// One step.
async fn one(this: &VmRun<'_>, secrets: &SecretsByDevice<'_>, step: &Step) -> Result<(), Halt> {
    let device = match step {
        Step::CreateVolume { device, .. } | Step::GrowVolume { device, .. } => Some(device),
        Step::CreateDevice { device } | Step::UpdateDevice { device, .. } => Some(&device.name),
        Step::DeleteDevice { name, .. } => Some(name),
        _ => None,
    };
    let device = device.map(String::as_str);
    let work = work(this, secrets, step);
    this.step(StepLabel::from(step), device, work).await
}

async fn work(
    this: &VmRun<'_>,
    secrets: &SecretsByDevice<'_>,
    step: &Step,
) -> Result<(), StepError> {
    let none = Secrets::default();
    let of = |name: &str| secrets.get(name).unwrap_or(&none);
    match step {
        Step::CreateVm { fields } => vm::create(this, fields).await,
        Step::CreateVolume { volume, device } => volume::create(this, volume, device).await,
        Step::CreateDevice { device } => device::create(this, device, of(&device.name)).await,
        Step::UpdateVm { fields, .. } => settings::update_vm(this, fields).await,
        Step::GrowVolume {
            dataset,
            size,
            before,
            ..
        } => {
            let growth = Object::Growth {
                dataset: dataset.clone(),
                from: *before,
                to: *size,
            };
            change(this, growth, volume::grow(this, dataset, *size)).await
        }
        Step::UpdateDevice {
            id,
            device,
            changed,
            ..
        } => settings::update_device(this, *id, device, changed, of(&device.name)).await,
        Step::StopVm => vm::stop(this).await,
        Step::DeleteDevice { id, name } => {
            let removal = Object::DeviceRemoval { name: name.clone() };
            change(this, removal, device::delete(this, *id)).await
        }
        Step::StartVm => {
            vm::start(this).await?;
            this.ledger
                .settle_all(&vm::stopped(this), Certainty::Absent);
            Ok(())
        }
        Step::PowerOffVm => vm::power_off(this, this.id()?).await,
        Step::DeleteVm => {
            vm::delete(this, this.id()?).await?;
            this.ledger.settle_all(&vm::itself(this), Certainty::Absent);
            Ok(())
        }
        Step::DeleteVolume { dataset, snapshots } if this.plan.removes() => {
            volume::delete(this, dataset, snapshots).await?;
            let gone = volume::object(dataset);
            this.ledger.settle_all(&gone, Certainty::Absent);
            Ok(())
        }
        Step::DeleteVolume { dataset, snapshots } => {
            let removal = Object::VolumeRemoval {
                dataset: dataset.clone(),
            };
            change(this, removal, volume::delete(this, dataset, snapshots)).await
        }
    }
}

/// Notes what is to be removed, so that what remains can be told at any moment.
fn note_removals(this: &VmRun<'_>) {
    for step in &this.plan.steps {
        let (object, id) = match step {
            Step::DeleteVm => (vm::itself(this), this.plan.id),
            Step::DeleteVolume { dataset, .. } => (volume::object(dataset), None),
            _ => continue,
        };
        this.ledger.add(object, Certainty::There(id));
    }
}
