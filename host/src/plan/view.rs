//! A plan as it is shown: the one value that both the text and the JSON are made from.
//!
//! Holds no secret: a place that takes one shows `(secret)`. Its shape is documented in
//! `docs/plan-format.md`.

use std::collections::BTreeSet;

use serde::Serialize;
use serde_json::{Map, Value};

use super::observed::Observed;
use super::step::{Change, EXISTS, Effect, Plan, PlanKind, Step, Totals, VmPlan};
use super::totals::asked_of;
use super::words::summary;
use crate::plugin::Volume;
use crate::resolve::DesiredDevice;

/// The version of the shape of [`PlanView`] as JSON. Members may be added without another number;
/// it goes up when one is renamed, removed or changes its meaning.
pub const PLAN_FORMAT: u32 = 1;

/// A plan for showing.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PlanView {
    /// [`PLAN_FORMAT`].
    pub format: u32,
    /// The group.
    pub group: String,
    /// `create`, `apply` or `destroy`.
    pub kind: PlanKind,
    /// Whether there is anything to do.
    pub changes: bool,
    /// All VMs, in the order of the plan.
    pub vms: Vec<VmView>,
    /// Sums over the VMs with something to do.
    pub totals: Totals,
    /// What the server has left; none for a plan without a server.
    pub available: Option<Available>,
}

/// What the server has left.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Available {
    /// MiB that starting VMs may take, where it was asked for.
    pub memory_mib: Option<u64>,
    /// The datasets that zvols are made or grow in.
    pub datasets: Vec<DatasetSpace>,
}

/// How much of a dataset a plan asks for, and how much is free.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DatasetSpace {
    /// The dataset.
    pub dataset: String,
    /// Bytes free in it, where the server tells.
    pub free_bytes: Option<u64>,
    /// Bytes of thin zvols asked for.
    pub thin_bytes: u64,
    /// Bytes of thick zvols asked for.
    pub thick_bytes: u64,
}

/// One VM for showing.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct VmView {
    /// Name.
    pub name: String,
    /// VM type.
    #[serde(rename = "type")]
    pub vm_type: String,
    /// What happens to it.
    pub action: VmAction,
    /// The server's id, if it exists.
    pub id: Option<u64>,
    /// vCPUs.
    pub vcpus: u64,
    /// MiB.
    pub memory_mib: u64,
    /// Whether it is started.
    pub start: bool,
    /// What differs of the VM itself.
    pub changes: Vec<ChangeView>,
    /// Its devices.
    pub devices: Vec<DeviceView>,
    /// Zvols that are removed.
    pub removed_volumes: Vec<String>,
    /// Snapshots that go with them.
    pub removed_snapshots: Vec<String>,
    /// VMs that are done first, because they give up a port, MAC address or zvol that this one gets
    /// or deletes.
    pub after: BTreeSet<String>,
}

/// What happens to a VM.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum VmAction {
    /// Nothing.
    None,
    /// Made from nothing.
    Create,
    /// Exists; what is missing is added.
    Complete,
    /// Exists; changed in place.
    Update,
    /// Exists; changed, and stopped and started for it.
    Restart,
    /// Exists whole; only started.
    Start,
    /// Removed.
    Destroy,
}

/// One device for showing.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DeviceView {
    /// `disk.system`; `disk#17`, with the server's id, for one that no config names.
    pub name: String,
    /// The plugin that made it; empty for a device that is only removed.
    pub plugin: String,
    /// What happens to it.
    pub action: DeviceAction,
    /// Its place in the VM's order.
    pub order: u32,
    /// One line on what it is.
    pub summary: String,
    /// What the server stores, `(secret)` where a secret goes.
    pub attributes: Map<String, Value>,
    /// The zvol that is made for it.
    pub volume: Option<Volume>,
    /// What differs.
    pub changes: Vec<ChangeView>,
    /// When a device that is made in, or removed from, a VM that stays takes effect.
    pub effect: Option<Effect>,
}

/// What happens to a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DeviceAction {
    /// Stays as it is.
    Keep,
    /// Made.
    Create,
    /// Changed in place.
    Update,
    /// Made in the place of one that is removed.
    Replace,
    /// Removed, with or without its VM.
    Destroy,
}

/// One attribute that differs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ChangeView {
    /// The field of `vm.update`, the attribute of the device, `order`, or `size` of its zvol.
    pub attribute: String,
    /// What the server has; `(secret)` in place of a secret.
    pub from: Value,
    /// What it should be; `(secret)` in place of a secret.
    pub to: Value,
    /// When it takes effect.
    pub effect: Effect,
}

impl From<&Plan> for PlanView {
    fn from(plan: &Plan) -> Self {
        Self::of(plan, None)
    }
}

impl PlanView {
    /// A plan, and what the server has left, where it was looked at.
    #[must_use]
    pub fn of(plan: &Plan, observed: Option<&Observed>) -> Self {
        Self {
            format: PLAN_FORMAT,
            group: plan.group.clone(),
            kind: plan.kind,
            changes: !plan.is_empty(),
            vms: plan.vms.iter().map(vm_view).collect(),
            totals: plan.totals,
            available: observed.map(|observed| available(plan, observed)),
        }
    }
}

fn available(plan: &Plan, observed: &Observed) -> Available {
    let space = |(dataset, (thin_bytes, thick_bytes)): (&str, (u64, u64))| DatasetSpace {
        dataset: dataset.to_owned(),
        free_bytes: observed.datasets.get(dataset).and_then(|one| one.available),
        thin_bytes,
        thick_bytes,
    };
    Available {
        memory_mib: observed.memory_available.map(|bytes| bytes >> 20),
        datasets: asked_of(plan).into_iter().map(space).collect(),
    }
}

fn vm_view(vm: &VmPlan) -> VmView {
    let removals = vm.steps.iter().filter_map(|step| match step {
        Step::DeleteVolume { dataset, snapshots } => Some((dataset, snapshots)),
        _ => None,
    });
    VmView {
        name: vm.name.clone(),
        vm_type: vm.vm_type.clone(),
        action: vm_action(vm),
        id: vm.id,
        vcpus: vm.vcpus,
        memory_mib: vm.memory_mib,
        start: vm.steps.contains(&Step::StartVm),
        changes: changes_of(vm, None),
        devices: vm
            .devices
            .iter()
            // A device that another takes the place of is told with that one.
            .filter(|device| !(is_removed(vm, device) && is_replaced(vm, device)))
            .map(|device| device_view(vm, device))
            .collect(),
        removed_volumes: removals
            .clone()
            .map(|(dataset, _)| dataset.clone())
            .collect(),
        removed_snapshots: removals
            .flat_map(|(_, snapshots)| snapshots.clone())
            .collect(),
        after: vm.after.clone(),
    }
}

fn vm_action(vm: &VmPlan) -> VmAction {
    let changes = |step: &Step| {
        matches!(
            step,
            Step::UpdateVm { .. }
                | Step::UpdateDevice { .. }
                | Step::GrowVolume { .. }
                | Step::DeleteDevice { .. }
                | Step::DeleteVolume { .. }
        )
    };
    match vm.steps.as_slice() {
        // What is refused has no step, and is a difference all the same.
        [] if vm.changes.is_empty() => VmAction::None,
        [] => VmAction::Update,
        _ if vm.removes() => VmAction::Destroy,
        _ if vm.creates() => VmAction::Create,
        _ if vm.restarts() => VmAction::Restart,
        steps if steps.iter().any(changes) => VmAction::Update,
        [Step::StartVm] => VmAction::Start,
        _ => VmAction::Complete,
    }
}

fn changes_of(vm: &VmPlan, device: Option<&str>) -> Vec<ChangeView> {
    vm.changes
        .iter()
        .filter(|change| change.device.as_deref() == device && change.attribute != EXISTS)
        .map(|change| ChangeView {
            attribute: change.attribute.clone(),
            from: change.from.clone(),
            to: change.to.clone(),
            effect: change.effect,
        })
        .collect()
}

fn is_removed(vm: &VmPlan, device: &DesiredDevice) -> bool {
    vm.steps
        .iter()
        .any(|step| matches!(step, Step::DeleteDevice { name, .. } if *name == device.name))
}

fn is_replaced(vm: &VmPlan, device: &DesiredDevice) -> bool {
    let replaces = |change: &Change| {
        change.effect == Effect::Recreate
            && device.attributes.get(&change.attribute) == Some(&change.from)
    };
    vm.changes.iter().any(replaces)
}

fn device_view(vm: &VmPlan, device: &DesiredDevice) -> DeviceView {
    let volume = vm.steps.iter().find_map(|step| match step {
        Step::CreateVolume {
            volume,
            device: name,
        } if *name == device.name => Some(volume.clone()),
        _ => None,
    });
    let created = vm
        .steps
        .iter()
        .any(|step| matches!(step, Step::CreateDevice { device: one } if one.name == device.name));
    let changes = changes_of(vm, Some(&device.name));
    let replaces = changes.iter().any(|one| one.effect == Effect::Recreate);
    let mut attributes = device.attributes.clone();
    for secret in &device.secrets {
        attributes.insert(secret.attribute(), Value::from("(secret)"));
    }
    let as_a_whole = vm.changes.iter().find(|change| {
        change.device.as_deref() == Some(&device.name) && change.attribute == EXISTS
    });
    DeviceView {
        name: device.name.clone(),
        plugin: device.plugin.clone(),
        action: match created {
            _ if vm.removes() || is_removed(vm, device) => DeviceAction::Destroy,
            true if replaces => DeviceAction::Replace,
            true => DeviceAction::Create,
            false if changes.is_empty() => DeviceAction::Keep,
            false => DeviceAction::Update,
        },
        order: device.order,
        summary: summary(&attributes, device.volume.as_ref()),
        attributes,
        volume,
        changes,
        effect: as_a_whole.map(|change| change.effect),
    }
}
