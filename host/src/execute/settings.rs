//! What changes about a VM and its devices while they stay: set, and set back.

use serde_json::{Map, Value};

use super::failure::StepError;
use super::ledger::{Certainty, Object};
use super::run::VmRun;
use super::secrets::Secrets;
use super::verify::{ask, change, seen};
use crate::plan::Step;
use crate::resolve::DesiredDevice;
use crate::truenas::{CallError, DeviceChange, DeviceEntry};

/// `order` in the list of what changes about a device; no attribute has this name.
const ORDER: &str = "order";

/// `vm.update` with these fields alone.
pub(super) async fn update_vm(
    this: &VmRun<'_>,
    fields: &Map<String, Value>,
) -> Result<(), StepError> {
    let object = Object::Fields {
        names: fields.keys().cloned().collect(),
    };
    change(this, object, set_fields(this, fields)).await
}

/// Sets the changed fields of the VM back.
pub(super) async fn restore_vm(this: &VmRun<'_>) -> Result<(), StepError> {
    for step in &this.plan.steps {
        if let Step::UpdateVm { before, .. } = step {
            set_fields(this, before).await?;
        }
    }
    Ok(())
}

async fn set_fields(this: &VmRun<'_>, fields: &Map<String, Value>) -> Result<(), StepError> {
    let id = this.id()?;
    let client = this.client();
    let call = || client.update_vm(id, fields.clone());
    ask(this, call, || async {
        let vm = client.vm_opt(id).await?;
        Ok(vm.filter(|vm| has(&vm.fields, fields)).map(drop))
    })
    .await
}

/// `vm.device.update` with the changed attributes, where the server takes that.
pub(super) async fn update_device(
    this: &VmRun<'_>,
    id: u64,
    device: &DesiredDevice,
    changed: &[String],
    secrets: &Secrets,
) -> Result<(), StepError> {
    let filled = secrets.put_into(&device.attributes)?;
    let mut whole = shown(this, id).await?.attributes;
    whole.extend(filled.clone());
    let named = |name: &String| changed.contains(name);
    let is_order = |name: &String| name == ORDER;
    let update = DeviceChange {
        changed: filled.into_iter().filter(|(name, _)| named(name)).collect(),
        whole,
        order: changed.iter().any(is_order).then_some(device.order),
    };
    let object = Object::Attributes {
        device: device.name.clone(),
        id,
    };
    let done = change(this, object, set_attributes(this, id, update)).await;
    done.map_err(|error| secrets.hidden_in(error))?;
    let takes_secret = |name: &&String| {
        let mut secrets = device.secrets.iter();
        secrets.any(|secret| secret.attribute() == **name)
    };
    let names: Vec<String> = changed.iter().filter(takes_secret).cloned().collect();
    if !names.is_empty() {
        let device = device.name.clone();
        let object = Object::NewSecret { device, names };
        this.ledger.add(object, Certainty::There(None));
    }
    Ok(())
}

/// Sets the changed attributes of a device back, secrets excepted.
pub(super) async fn restore_device(this: &VmRun<'_>, device: u64) -> Result<(), StepError> {
    let update = this.plan.steps.iter().find_map(|step| match step {
        Step::UpdateDevice {
            id,
            before,
            order_before,
            ..
        } if *id == device => Some((before, *order_before)),
        _ => None,
    });
    let Some((before, order)) = update else {
        return Ok(());
    };
    if before.is_empty() && order.is_none() {
        return Ok(());
    }
    let mut whole = shown(this, device).await?.attributes;
    whole.extend(before.clone());
    let update = DeviceChange {
        changed: before.clone(),
        whole,
        order,
    };
    set_attributes(this, device, update).await
}

/// Makes the change; one whose answer was lost is looked for.
pub(super) async fn set_attributes(
    this: &VmRun<'_>,
    id: u64,
    update: DeviceChange,
) -> Result<(), StepError> {
    let client = this.client();
    let call = || client.update_device(id, update.clone());
    ask(this, call, || async {
        let found = find(this, id).await?;
        let done = found.filter(|found| {
            let order = update.order.is_none() || found.order == update.order;
            order && has(&found.attributes, &update.changed)
        });
        Ok(done.map(drop))
    })
    .await
}

/// The device as the server shows it; it must be one of the VM's.
async fn shown(this: &VmRun<'_>, id: u64) -> Result<DeviceEntry, StepError> {
    let found = seen(this, || find(this, id)).await?;
    found.ok_or(StepError::Stale("the VM has no such device any more"))
}

async fn find(this: &VmRun<'_>, id: u64) -> Result<Option<DeviceEntry>, CallError> {
    let Some(vm) = this.known_id() else {
        return Ok(None);
    };
    let vm = this.client().vm_opt(vm).await?;
    let mut devices = vm.map(|vm| vm.devices).unwrap_or_default().into_iter();
    Ok(devices.find(|device| device.id == id))
}

/// Whether all these are there, with these values. A secret that the server shows hidden is not.
fn has(found: &Map<String, Value>, wanted: &Map<String, Value>) -> bool {
    wanted
        .iter()
        .all(|(name, value)| super::device::same_value(name, found.get(name), value))
}
