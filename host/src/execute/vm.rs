//! The VM itself: made, started, stopped, powered off, deleted; each time the state is verified.

use std::time::Duration;

use serde_json::{Map, Value};

use super::failure::StepError;
use super::ledger::{Certainty, Object};
use super::observe::power_state;
use super::run::VmRun;
use super::verify::{ASKED_AT_MOST, is_lost, make, seen, until_gone};
use crate::plan::{Mark, PowerState, Step};
use crate::truenas::{CallError, VmEntry, VmState};

/// The VM, as the ledger has it.
pub(super) fn itself(this: &VmRun<'_>) -> Object {
    Object::Vm { name: this.name() }
}

/// That this run stopped it, as the ledger has it.
pub(super) fn stopped(this: &VmRun<'_>) -> Object {
    Object::Stopped { name: this.name() }
}

/// Reads the VM that is to be changed, as it is before, and makes sure that it is the one.
pub(super) async fn look(this: &VmRun<'_>) -> Result<(), StepError> {
    let id = this.id()?;
    let found = seen(this, || this.client().vm_opt(id)).await?;
    let found = found.ok_or(StepError::Stale("the VM is gone"))?;
    if found.name != this.plan.name {
        return Err(StepError::Stale("its id belongs to another VM now"));
    }
    if !is_ours(&found, &this.plan.mark) && !gets_its_mark(this, &found) {
        return Err(StepError::Stale("it carries no ownership mark of this VM"));
    }
    this.set_baseline(found);
    Ok(())
}

/// Whether the plan replaces the very description that the VM has: so it gets its mark.
fn gets_its_mark(this: &VmRun<'_>, found: &VmEntry) -> bool {
    this.plan.steps.iter().any(|step| match step {
        Step::UpdateVm { before, .. } => {
            let before = before.get("description").and_then(Value::as_str);
            before == Some(&found.description)
        }
        _ => false,
    })
}

/// `vm.create`.
pub(super) async fn create(this: &VmRun<'_>, fields: &Map<String, Value>) -> Result<(), StepError> {
    let client = this.client();
    let call = || async {
        let made = client.create_vm(fields.clone()).await?;
        Ok(((), Some(made.id)))
    };
    make(this, itself(this), call, || async {
        let found = client.vm_by_name(&this.plan.name).await?;
        let ours = found.filter(|vm| is_ours(vm, &this.plan.mark));
        Ok(ours.map(|vm| ((), Some(vm.id))))
    })
    .await
}

/// `vm.start`, then the state is verified: the call returns when the domain has been created, and
/// not whether it still lives.
///
/// A start that names devices as not available is tried once more after a wait: the device node
/// of a zvol appears shortly after the zvol (`pool.dataset.create`, all versions; seen in the middleware's code, not tried).
pub(super) async fn start(this: &VmRun<'_>) -> Result<(), StepError> {
    let id = this.id()?;
    let client = this.client();
    let entry = this.ledger.asked(Object::Running { name: this.name() });
    let (mut was_lost, mut may_wait, mut left) = (false, true, ASKED_AT_MOST);
    let error = loop {
        let Err(error) = client.start_vm(id).await else {
            this.ledger.settle(entry, Certainty::There(None));
            return match wait_for(this, id, PowerState::Running).await? {
                PowerState::Running => Ok(()),
                state => Err(StepError::NotRunning(state)),
            };
        };
        if device_not_available(&error) && std::mem::take(&mut may_wait) {
            tracing::info!("a device is not available yet, starting once more");
            let wait = this.run.options.patience.first_wait.saturating_mul(4);
            if this.pause(wait).await {
                continue;
            }
        }
        this.run.note_loss(&error);
        if !is_lost(&error) || error.is_final_loss() {
            break error;
        }
        was_lost = true;
        left -= 1;
        match wait_for(this, id, PowerState::Running).await {
            Ok(PowerState::Running) => {
                this.ledger.settle(entry, Certainty::There(None));
                return Ok(());
            }
            Ok(_) if left > 0 && (!this.run.stop.is_stopping() || this.must_finish()) => {}
            _ => break error,
        }
    };
    if is_lost(&error) {
        return Err(StepError::Lost(error));
    }
    let runs = state(this, id).await.ok() == Some(PowerState::Running);
    if runs && was_lost {
        this.ledger.settle(entry, Certainty::There(None));
    } else {
        // If it runs, somebody else started it, so it is as planned and not ours to stop.
        this.ledger.settle(entry, Certainty::Absent);
    }
    if runs { Ok(()) } else { Err(error.into()) }
}

/// What `vm.stop` is granted beyond the guest's own time, for the power-off that follows.
const BEYOND_SHUTDOWN: Duration = Duration::from_secs(30);

/// `shutdown_timeout` of a VM that does not say (`vm.create`, all versions).
const SHUTDOWN_TIMEOUT: u64 = 90;

/// `vm.stop`, powering off when the guest does not shut down in its time; then the state is
/// verified. It alone counts: the job may succeed while the VM runs, and fails when it is off
/// already (`vm.stop`, all versions).
pub(super) async fn stop(this: &VmRun<'_>) -> Result<(), StepError> {
    let id = this.id()?;
    this.note_down();
    let before = this.baseline();
    let was_off = before.is_some_and(|vm| vm.state == VmState::Stopped);
    let entry = (!was_off).then(|| this.ledger.asked(stopped(this)));
    let settle = |certainty| {
        if let Some(entry) = entry {
            this.ledger.settle(entry, certainty);
        }
    };
    let granted = before.and_then(|vm| vm.fields.get("shutdown_timeout")?.as_u64());
    let after = Duration::from_secs(granted.unwrap_or(SHUTDOWN_TIMEOUT)) + BEYOND_SHUTDOWN;
    let mut left = ASKED_AT_MOST;
    loop {
        let job = this.client().stop_vm(id, true);
        let answer = tokio::time::timeout(after, job).await;
        left -= 1;
        let state = wait_for(this, id, PowerState::Stopped).await?;
        if state == PowerState::Stopped {
            settle(Certainty::There(None));
            return Ok(());
        }
        match answer {
            Ok(Err(error)) if is_lost(&error) => {
                if error.is_final_loss() || left == 0 {
                    this.run.note_loss(&error);
                    return Err(StepError::Lost(error));
                }
            }
            Ok(Err(error)) => {
                settle(Certainty::Absent);
                return Err(error.into());
            }
            Ok(Ok(())) => {
                settle(Certainty::Absent);
                return Err(StepError::NotStopped(state));
            }
            // It may stop yet.
            Err(_) => return Err(StepError::StopTimedOut { after, state }),
        }
    }
}

/// `vm.poweroff` of a VM with this mark, then the state is verified. A VM that is off already is no
/// error: the state counts, since the errors differ between versions by their text only (`vm.start`,
/// `vm.stop`, `vm.poweroff`).
pub(super) async fn power_off(this: &VmRun<'_>, id: u64) -> Result<(), StepError> {
    match seen(this, || this.client().vm_opt(id)).await? {
        // Without a VM nothing runs.
        None => return Ok(()),
        Some(vm) if is_ours(&vm, &this.plan.mark) => {}
        // Its mark was taken away meanwhile, or the id is another VM's now.
        Some(_) => return Err(StepError::Foreign),
    }
    let mut left = ASKED_AT_MOST;
    loop {
        let answer = this.client().power_off_vm(id).await;
        left -= 1;
        let state = match wait_for(this, id, PowerState::Stopped).await {
            Err(StepError::Call(CallError::NotFound(_))) => return Ok(()),
            state => state?,
        };
        match (state, answer) {
            (PowerState::Stopped, _) => return Ok(()),
            (_, Err(error)) if is_lost(&error) && !error.is_final_loss() && left > 0 => {}
            (_, Err(error)) => return Err(error.into()),
            (state, Ok(())) => return Err(StepError::NotStopped(state)),
        }
    }
}

/// `vm.delete` of a VM with this mark, without its zvols; then verified gone.
pub(super) async fn delete(this: &VmRun<'_>, id: u64) -> Result<(), StepError> {
    let client = this.client();
    until_gone(
        this,
        || async move {
            match client.vm_opt(id).await? {
                None => Ok(false),
                Some(vm) if is_ours(&vm, &this.plan.mark) => Ok(true),
                Some(_) => Err(StepError::Foreign),
            }
        },
        || client.delete_vm(id),
    )
    .await
}

/// The id of the VM that a lost answer of `vm.create` may have left.
pub(super) async fn find(this: &VmRun<'_>) -> Result<Option<u64>, StepError> {
    let found = this.client().vm_by_name(&this.plan.name).await?;
    Ok(found
        .filter(|vm| is_ours(vm, &this.plan.mark))
        .map(|vm| vm.id))
}

fn is_ours(vm: &VmEntry, mark: &Mark) -> bool {
    Mark::in_description(&vm.description).as_ref() == Some(mark)
}

/// Whether `vm.start` failed because of a device that is not there (errno 14, told only by the
/// text in all versions).
fn device_not_available(error: &CallError) -> bool {
    error
        .server()
        .is_some_and(|server| server.reason.to_lowercase().contains("not available"))
}

/// Looks at the state, and again with patience while it is not the wanted one.
async fn wait_for(this: &VmRun<'_>, id: u64, wanted: PowerState) -> Result<PowerState, StepError> {
    let mut waits = this.run.options.patience.waits();
    loop {
        let state = state(this, id).await?;
        if state == wanted {
            return Ok(state);
        }
        match waits.next() {
            Some(wait) if this.pause(wait).await => {}
            _ => return Ok(state),
        }
    }
}

/// `vm.status`.
async fn state(this: &VmRun<'_>, id: u64) -> Result<PowerState, StepError> {
    let status = seen(this, || this.client().vm_status(id)).await?;
    Ok(power_state(&status.state))
}
