//! Devices: made with their order and their secrets in place, deleted without their zvols.

use std::collections::HashMap;

use serde_json::Value;

use super::events::{Action, StepLabel};
use super::failure::StepError;
use super::ledger::Object;
use super::run::{Halt, VmRun};
use super::secrets::Secrets;
use super::verify::{is_lost, make, until_gone};
use crate::plan::Step;
use crate::resolve::DesiredDevice;
use crate::truenas::{CallError, DeviceEntry, VmState};

/// The secrets of the devices to make and to change, by the names of the devices.
pub(super) fn secrets<'p>(this: &VmRun<'p>) -> Result<HashMap<&'p str, Secrets>, Halt> {
    let devices = this.plan.steps.iter().filter_map(|step| match step {
        Step::CreateDevice { device } | Step::UpdateDevice { device, .. } => Some(device),
        _ => None,
    });
    let all = devices.map(|device| {
        let found = Secrets::of(device, this.run.options.secrets);
        let found = found.map(|secrets| (device.name.as_str(), secrets));
        found.map_err(|error| {
            let label = StepLabel::from(Action::ReadSecrets);
            this.fail(&label, Some(&device.name), &error.into())
        })
    });
    all.collect()
}

/// `vm.device.create`.
pub(super) async fn create(
    this: &VmRun<'_>,
    device: &DesiredDevice,
    secrets: &Secrets,
) -> Result<(), StepError> {
    let vm = this.id()?;
    let client = this.client();
    let attributes = secrets.put_into(&device.attributes)?;
    let object = Object::Device {
        name: device.name.clone(),
    };
    let call = || async {
        let made = client
            .create_device(vm, attributes.clone(), device.order)
            .await
            .inspect_err(|error| {
                if is_lost(error) {
                    this.note_lost_device_answer();
                }
            })?;
        Ok(((), Some(made.id)))
    };
    let look = || async { Ok(find(this, device).await?.map(|id| ((), Some(id)))) };
    let made = make(this, object, call, look).await;
    made.map_err(|error| secrets.hidden_in(error))
}

/// The id of a device with this order and these attributes that this run has made: not one that
/// was there before, nor one that is known as another.
pub(super) async fn find(
    this: &VmRun<'_>,
    device: &DesiredDevice,
) -> Result<Option<u64>, CallError> {
    let Some(vm) = this.known_id() else {
        return Ok(None);
    };
    let vm = this.client().vm_opt(vm).await?;
    let devices = vm.map(|vm| vm.devices).unwrap_or_default();
    let known = this.known_devices();
    Ok(devices
        .iter()
        .filter(|found| !known.contains(&found.id))
        .find(|found| found.order == Some(device.order) && says(found, device))
        .map(|found| found.id))
}

/// `vm.device.delete` without its zvol; then verified gone.
///
/// The server refuses it while the VM is active, suspended included (`vm.device.delete`, all versions); that is found before it
/// is asked.
pub(super) async fn delete(this: &VmRun<'_>, id: u64) -> Result<(), StepError> {
    let vm = this.id()?;
    let client = this.client();
    until_gone(
        this,
        || async move {
            let Some(vm) = client.vm_opt(vm).await? else {
                return Ok(false);
            };
            let there = vm.devices.iter().any(|device| device.id == id);
            if there && matches!(vm.state, VmState::Running | VmState::Suspended) {
                return Err(StepError::Active);
            }
            Ok(there)
        },
        || client.delete_device(id),
    )
    .await
}

/// Whether the plan makes a device that says the same, whatever its order.
pub(super) fn is_asked_for(this: &VmRun<'_>, found: &DeviceEntry) -> bool {
    this.plan.steps.iter().any(|step| match step {
        Step::CreateDevice { device } => says(found, device),
        _ => false,
    })
}

/// Whether a device on the server has every attribute that was sent, except secrets, which the
/// server shows hidden.
fn says(found: &DeviceEntry, device: &DesiredDevice) -> bool {
    let is_secret = |name: &str| {
        let mut secrets = device.secrets.iter();
        secrets.any(|secret| secret.attribute() == name)
    };
    device.attributes.iter().all(|(name, value)| {
        value.is_null() || is_secret(name) || same_value(name, found.attributes.get(name), value)
    })
}

/// Whether the server shows what was sent under this name. A MAC address comes back in lower case
/// from 26 on.
pub(super) fn same_value(name: &str, found: Option<&Value>, sent: &Value) -> bool {
    match (found.and_then(Value::as_str), sent.as_str()) {
        (Some(found), Some(sent)) if name == "mac" => found.eq_ignore_ascii_case(sent),
        _ => found.unwrap_or(&Value::Null) == sent,
    }
}
