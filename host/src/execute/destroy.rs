//! Removing one VM and its zvols: the order of steps, and how a removal is made sure of.

use futures_util::FutureExt;

use super::failure::StepError;
use super::ledger::{Certainty, Object};
use super::run::{Halt, VmRun};
use super::{vm, volume};
use crate::plan::Step;
use crate::truenas::CallError;

/// Removes what the plan says, in this order: power off, the VM, its zvols. Zvols go last and only
/// after the VM, because while it is there it holds them and a person may start it.
///
/// # Errors
/// [`Halt`] says why it ended early; no call of the VM is in flight then.
pub(super) async fn destroy(this: &VmRun<'_>) -> Result<(), Halt> {
    let noted: Vec<(&Step, Option<usize>)> = this
        .plan
        .steps
        .iter()
        .map(|step| (step, note(this, step)))
        .collect();

    for (step, entry) in &noted {
        let Some(id) = this.plan.id else { break };
        match step {
            Step::PowerOffVm => {
                let off = vm::power_off(this, id);
                this.step((*step).into(), None, off).await?;
            }
            Step::DeleteVm => {
                let gone = vm::delete(this, id);
                this.step((*step).into(), None, gone).await?;
                settle(this, *entry);
            }
            _ => {}
        }
    }

    let volumes = noted.iter().filter_map(|(step, entry)| match step {
        Step::DeleteVolume { dataset, .. } => Some(async move {
            let gone = volume::delete(this, dataset);
            this.step((*step).into(), None, gone).await?;
            settle(this, *entry);
            Ok(())
        }),
        _ => None,
    });
    this.side_by_side(volumes).await
}

/// Notes what a step is to remove, so that what remains can be told at any moment.
fn note(this: &VmRun<'_>, step: &Step) -> Option<usize> {
    let (object, id) = match step {
        Step::DeleteVm => (Object::Vm { name: this.name() }, this.plan.id),
        Step::DeleteVolume { dataset, .. } => (
            Object::Volume {
                dataset: dataset.clone(),
            },
            None,
        ),
        _ => return None,
    };
    Some(this.ledger.add(object, Certainty::There(id)))
}

fn settle(this: &VmRun<'_>, entry: Option<usize>) {
    if let Some(entry) = entry {
        this.ledger.settle(entry, Certainty::Absent);
    }
}

/// Deletes a thing and looks until it is gone: a success is not believed (26 and newer report one
/// where ZFS failed: `vm.delete`, `pool.dataset.delete`), and "busy" is given time, since a zvol is let go of only some
/// moments after its VM was powered off.
///
/// `look` gives whether the thing is there, or an error when it must not be deleted; it is asked
/// right before every delete.
pub(super) async fn until_gone<L, D>(
    this: &VmRun<'_>,
    look: impl Fn() -> L,
    delete: impl Fn() -> D,
) -> Result<(), StepError>
where
    L: Future<Output = Result<bool, StepError>>,
    D: Future<Output = Result<(), CallError>>,
{
    let mut waits = this.run.options.patience.waits();
    let looked = || look().map(|found| found.inspect_err(|error| note_loss(this, error)));
    if !looked().await? {
        return Ok(());
    }
    loop {
        let answer = delete().await;
        if !looked().await? {
            return Ok(());
        }
        let reason = match answer {
            Err(error) if !is_worth_a_wait(&error) => return Err(error.into()),
            Err(error) => error.into(),
            Ok(()) => StepError::StillThere,
        };
        tracing::debug!(%reason, "still there");
        match waits.next() {
            Some(wait) if this.run.pause(wait).await => {}
            _ => return Err(reason),
        }
        if !looked().await? {
            return Ok(());
        }
    }
}

fn note_loss(this: &VmRun<'_>, error: &StepError) {
    if let StepError::Call(error) = error {
        this.run.note_loss(error);
    }
}

/// Whether a delete that failed so may work, or turn out to have worked, a little later. ZFS says
/// "busy" with errno 16, or up to 25.10 in the text of errno 14.
fn is_worth_a_wait(error: &CallError) -> bool {
    error.may_have_run()
        || matches!(error, CallError::Busy(_))
        || error
            .server()
            .is_some_and(|server| server.reason.to_lowercase().contains("busy"))
}
