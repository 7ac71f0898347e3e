//! Making one VM: the order of its steps, and how a lost answer is looked for.

use super::device;
use super::events::{Action, StepLabel};
use super::failure::StepError;
use super::ledger::{Certainty, Object};
use super::run::{Halt, VmRun};
use super::{vm, volume};
use crate::plan::Step;
use crate::truenas::CallError;

/// Makes what the plan says, in this order: the VM, its zvols, its devices; then starts it. A
/// phase begins when the one before is done and verified; within a phase all goes side by side,
/// since orders of devices are given and nothing in a phase needs another part of it.
///
/// # Errors
/// [`Halt`] says why it ended early; no call of the VM is in flight then.
pub(super) async fn create(this: &VmRun<'_>) -> Result<(), Halt> {
    let steps = &this.plan.steps;

    // First, because a missing secret should not cost a VM that has to be removed again.
    let secrets = device::secrets(this)?;

    let mut id = this.plan.id;
    for step in steps {
        if let Step::CreateVm { fields } = step {
            let made = vm::create(this, fields);
            id = Some(this.step(step.into(), None, made).await?);
        }
    }
    let Some(id) = id else {
        let label = StepLabel::from(Action::CreateVm);
        return Err(this.fail(&label, None, &StepError::NoVm));
    };

    let volumes = steps.iter().filter_map(|step| match step {
        Step::CreateVolume { volume, device } => {
            let made = volume::create(this, volume, device);
            Some(this.step(step.into(), Some(device), made))
        }
        _ => None,
    });
    this.side_by_side(volumes).await?;

    let devices = secrets.iter().map(|(device, secrets)| {
        let label = StepLabel {
            action: Action::CreateDevice,
            subject: Some(device.name.clone()),
        };
        let made = device::create(this, id, device, secrets);
        this.step(label, Some(&device.name), made)
    });
    this.side_by_side(devices).await?;

    if steps.contains(&Step::StartVm) {
        let started = vm::start(this, id);
        this.step(Action::StartVm.into(), None, started).await?;
    }
    Ok(())
}

/// What a look for a thing of ours found.
pub(super) enum Found<T> {
    /// It is there and ours, with its id.
    Ours(T, Option<u64>),
    /// Nothing is there, or it is not ours.
    Nothing,
}

/// Makes a thing, with its entry in the ledger before the call. When the answer is lost, looks for
/// the thing instead of asking again: a second call could make a second one.
///
/// A thing that is not found after a lost answer stays in the ledger as asked for, because the
/// server may make it yet.
pub(super) async fn make<T, L>(
    this: &VmRun<'_>,
    object: Object,
    call: impl Future<Output = Result<(T, Option<u64>), CallError>>,
    look: L,
) -> Result<T, StepError>
where
    L: Future<Output = Result<Found<T>, CallError>>,
{
    let entry = this.ledger.asked(object);
    let error = match call.await {
        Ok((value, id)) => {
            this.ledger.settle(entry, Certainty::There(id));
            return Ok(value);
        }
        Err(error) => error,
    };
    if !error.may_have_run() {
        this.run.note_loss(&error);
        this.ledger.settle(entry, Certainty::Absent);
        return Err(error.into());
    }
    tracing::warn!(%error, "the answer is lost, looking for what was made");
    match look.await {
        Ok(Found::Ours(value, id)) => {
            this.ledger.settle(entry, Certainty::There(id));
            Ok(value)
        }
        Ok(Found::Nothing) => Err(error.into()),
        Err(look_error) => {
            this.run.note_loss(&look_error);
            Err(error.into())
        }
    }
}
