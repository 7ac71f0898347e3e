//! Devices that a lost answer made a second time: `vm.device.create` takes the same NIC twice.
//!
//! Goes by ids, so that nothing that was there before the run, and nothing that the run counts as
//! its own, is ever removed.

use std::collections::BTreeMap;

use serde_json::Map;

use super::device;
use super::failure::StepError;
use super::run::VmRun;
use super::settings::set_attributes;
use super::verify::seen;
use crate::plan::Step;
use crate::truenas::{DeviceChange, VmEntry};

/// Removes devices that say what this run asked for and that nobody knows, newest first; then sets
/// the orders right that they pushed upwards.
pub(super) async fn remove(this: &VmRun<'_>) -> Result<(), StepError> {
    let Some(vm) = read(this).await? else {
        return Ok(());
    };
    let known = this.known_devices();
    let mut unknown: Vec<_> = vm
        .devices
        .iter()
        .filter(|found| !known.contains(&found.id) && device::is_asked_for(this, found))
        .map(|found| found.id)
        .collect();
    unknown.sort_unstable_by(|one, two| two.cmp(one));
    for id in &unknown {
        tracing::warn!(device.id = id, "a lost answer made it twice, removing it");
        device::delete(this, *id).await?;
    }
    if unknown.is_empty() {
        return Ok(());
    }
    let Some(vm) = read(this).await? else {
        return Ok(());
    };
    for (order, id) in pushed(this, &vm) {
        let update = DeviceChange {
            changed: Map::new(),
            whole: Map::new(),
            order: Some(order),
        };
        set_attributes(this, id, update).await?;
    }
    Ok(())
}

/// The devices whose order is not as it should be, lowest order first: each then frees the place
/// of the next.
fn pushed(this: &VmRun<'_>, vm: &VmEntry) -> BTreeMap<u32, u64> {
    let mut wanted: BTreeMap<u64, u32> = this
        .baseline()
        .map(|before| before.devices.iter())
        .into_iter()
        .flatten()
        .filter_map(|device| Some((device.id, device.order?)))
        .collect();
    for step in &this.plan.steps {
        match step {
            Step::UpdateDevice { id, device, .. } => {
                wanted.insert(*id, device.order);
            }
            Step::CreateDevice { device } => {
                let made = this.ledger.devices().into_iter();
                let ids = made.filter(|(name, _)| *name == device.name);
                wanted.extend(ids.map(|(_, id)| (id, device.order)));
            }
            _ => {}
        }
    }
    vm.devices
        .iter()
        .filter_map(|device| {
            let order = *wanted.get(&device.id)?;
            (device.order != Some(order)).then_some((order, device.id))
        })
        .collect()
}

async fn read(this: &VmRun<'_>) -> Result<Option<VmEntry>, StepError> {
    let id = this.id()?;
    seen(this, || this.client().vm_opt(id)).await
}
