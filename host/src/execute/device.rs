//! Devices: made with their order and their secrets in place.

use serde_json::{Map, Value};

use super::create::{Found, make};
use super::destroy::until_gone;
use super::events::{Action, StepLabel};
use super::failure::StepError;
use super::ledger::Object;
use super::run::{Halt, VmRun};
use super::secrets::Secrets;
use crate::plan::Step;
use crate::resolve::DesiredDevice;
use crate::truenas::{CallError, DeviceEntry};

/// The devices to make, each with its secrets looked up.
pub(super) fn secrets<'p>(this: &VmRun<'p>) -> Result<Vec<(&'p DesiredDevice, Secrets)>, Halt> {
    let devices = this.plan.steps.iter().filter_map(|step| match step {
        Step::CreateDevice { device } => Some(device),
        _ => None,
    });
    let all = devices.map(|device| {
        let found = Secrets::of(device, this.run.options.secrets);
        found.map(|secrets| (device, secrets)).map_err(|error| {
            let label = StepLabel::from(Action::ReadSecrets);
            this.fail(&label, Some(&device.name), &error.into())
        })
    });
    all.collect()
}

/// `vm.device.create`.
pub(super) async fn create(
    this: &VmRun<'_>,
    vm: u64,
    device: &DesiredDevice,
    secrets: &Secrets,
) -> Result<(), StepError> {
    let client = this.client();
    let attributes = secrets.put_into(&device.attributes)?;
    let object = Object::Device {
        name: device.name.clone(),
    };
    let call = async {
        let made = client.create_device(vm, attributes, device.order).await?;
        Ok(((), Some(made.id)))
    };
    make(this, object, call, async {
        Ok(match find(this, vm, device).await? {
            Some(id) => Found::Ours((), Some(id)),
            None => Found::Nothing,
        })
    })
    .await
}

/// The id of a device with this order and these attributes.
pub(super) async fn find(
    this: &VmRun<'_>,
    vm: u64,
    device: &DesiredDevice,
) -> Result<Option<u64>, CallError> {
    let vm = this.client().vm_opt(vm).await?;
    let devices = vm.map(|vm| vm.devices).unwrap_or_default();
    Ok(devices
        .iter()
        .find(|found| is(found, device))
        .map(|found| found.id))
}

/// `vm.device.delete` without its zvol; then verified gone.
pub(super) async fn delete(this: &VmRun<'_>, vm: u64, id: u64) -> Result<(), StepError> {
    let client = this.client();
    until_gone(
        this,
        || async move {
            let vm = client.vm_opt(vm).await?;
            Ok(vm.is_some_and(|vm| vm.devices.iter().any(|device| device.id == id)))
        },
        || client.delete_device(id),
    )
    .await
}

/// Whether a device on the server is the planned one: its order, and every attribute that was
/// sent except secrets, which the server shows hidden.
fn is(found: &DeviceEntry, device: &DesiredDevice) -> bool {
    found.order == Some(device.order) && contains(&found.attributes, &device.attributes)
}

fn contains(found: &Map<String, Value>, sent: &Map<String, Value>) -> bool {
    sent.iter()
        .all(|(key, value)| value.is_null() || found.get(key) == Some(value))
}
