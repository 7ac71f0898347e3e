//! The VM itself: made, started, powered off, deleted; each time the state is verified.

use serde_json::{Map, Value};

use super::create::{Found, make};
use super::destroy::until_gone;
use super::failure::StepError;
use super::ledger::{Certainty, Object};
use super::observe::power_state;
use super::run::VmRun;
use crate::plan::{Mark, PowerState};
use crate::truenas::{CallError, VmEntry};

/// `vm.create`; gives the id.
pub(super) async fn create(
    this: &VmRun<'_>,
    fields: &Map<String, Value>,
) -> Result<u64, StepError> {
    let client = this.client();
    let object = Object::Vm { name: this.name() };
    let call = async {
        let made = client.create_vm(fields.clone()).await?;
        Ok((made.id, Some(made.id)))
    };
    make(this, object, call, async {
        let found = client.vm_by_name(&this.plan.name).await?;
        Ok(match found.filter(|vm| is_ours(vm, &this.plan.mark)) {
            Some(vm) => Found::Ours(vm.id, Some(vm.id)),
            None => Found::Nothing,
        })
    })
    .await
}

/// `vm.start`, then the state is verified: the call returns when the domain has been created, and
/// not whether it still lives.
///
/// A start that names devices as not available is tried once more after a wait: the device node
/// of a zvol appears shortly after the zvol (`pool.dataset.create`, all versions; seen in the middleware's code, not tried).
pub(super) async fn start(this: &VmRun<'_>, id: u64) -> Result<(), StepError> {
    let client = this.client();
    let entry = this.ledger.asked(Object::Running { name: this.name() });
    let mut answer = client.start_vm(id).await;
    if answer.as_ref().is_err_and(device_not_available) {
        tracing::info!("a device is not available yet, starting once more");
        let wait = this.run.options.patience.first_wait.saturating_mul(4);
        if this.run.pause(wait).await {
            answer = client.start_vm(id).await;
        }
    }
    let Err(error) = answer else {
        this.ledger.settle(entry, Certainty::There(None));
        return match wait_for(this, id, PowerState::Running).await? {
            PowerState::Running => Ok(()),
            state => Err(StepError::NotRunning(state)),
        };
    };
    let runs = if error.may_have_run() {
        wait_for(this, id, PowerState::Running).await.ok() == Some(PowerState::Running)
    } else {
        this.ledger.settle(entry, Certainty::Absent);
        state(this, id).await.ok() == Some(PowerState::Running)
    };
    match (runs, error.may_have_run()) {
        (true, true) => {
            this.ledger.settle(entry, Certainty::There(None));
            Ok(())
        }
        // Somebody else started it in the meantime, so it is as planned and not ours to stop.
        (true, false) => Ok(()),
        (false, _) => Err(error.into()),
    }
}

/// `vm.poweroff`, then the state is verified. A VM that is off already is no error: the state
/// counts, since the errors differ between versions by their text only (`vm.start`, `vm.stop`, `vm.poweroff`).
pub(super) async fn power_off(this: &VmRun<'_>, id: u64) -> Result<(), StepError> {
    let answer = this.client().power_off_vm(id).await;
    let state = match wait_for(this, id, PowerState::Stopped).await {
        // Without a VM nothing runs.
        Err(StepError::Call(CallError::NotFound(_))) => return Ok(()),
        state => state?,
    };
    match (state, answer) {
        (PowerState::Stopped, _) => Ok(()),
        (_, Err(error)) => Err(error.into()),
        (state, Ok(())) => Err(StepError::NotStopped(state)),
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
            Some(wait) if this.run.pause(wait).await => {}
            _ => return Ok(state),
        }
    }
}

/// `vm.status`.
async fn state(this: &VmRun<'_>, id: u64) -> Result<PowerState, StepError> {
    let status = this.client().vm_status(id).await;
    let status = status.inspect_err(|error| this.run.note_loss(error))?;
    Ok(power_state(&status.state))
}
