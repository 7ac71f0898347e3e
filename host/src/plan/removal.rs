//! What goes, and what must not go along with it: for `destroy`, and for what `apply` removes.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::observed::{Observed, ObservedDevice, ObservedVm, PowerState};
use super::step::{Step, VmPlan};
use super::volume_rule::VolumeRule;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::mark::Mark;
use crate::resolve::DesiredDevice;

/// The VMs and left-over zvols of a group that are to go, by whose they are.
pub(super) struct Removal<'a> {
    pub(super) group: &'a str,
    pub(super) observed: &'a Observed,
    /// Whether a VM (by its mark) goes.
    pub(super) goes: &'a dyn Fn(&Mark) -> bool,
    /// Whether the config protects a VM, by its mark.
    pub(super) protects: &'a dyn Fn(&Mark) -> bool,
    pub(super) rule: &'a VolumeRule<'a>,
}

impl Removal<'_> {
    /// One plan for each VM that goes, in the order of their marks.
    pub(super) fn plan(&self, problems: &mut Diagnostics) -> Vec<VmPlan> {
        let mut vms: BTreeMap<Mark, VmPlan> = BTreeMap::new();
        // By name, as people read them, and not in the order in which they came to be.
        let mut found: Vec<&ObservedVm> = self.observed.vms.iter().collect();
        found.sort_by(|one, two| one.name.cmp(&two.name));
        for vm in found {
            match vm.owner() {
                Some(mark) if mark.group == self.group && (self.goes)(mark) => {
                    vms.insert(mark.clone(), vm_plan(mark, vm, self.observed));
                    if vm.protected || (self.protects)(mark) {
                        problems.push(protected(&vm.name, "it would be removed"));
                    }
                }
                None if vm
                    .mark
                    .as_ref()
                    .is_some_and(|mark| mark.group == self.group) =>
                {
                    problems.push(
                        Diagnostic::warning(
                            "carries the mark of another VM, as a copy does; it is left alone",
                        )
                        .vm(&vm.name),
                    )
                }
                _ => {}
            }
        }
        let owners = self.rule.volumes.keys().copied();
        for mark in owners.filter(|mark| mark.group == self.group && (self.goes)(mark)) {
            let mut after = BTreeSet::new();
            let steps = self.rule.delete_unwanted(mark, &mut after, problems);
            if steps.is_empty() {
                continue;
            }
            if !vms.contains_key(mark) && (self.protects)(mark) {
                problems.push(protected(&mark.vm, "its zvols would be removed"));
            }
            let plan = vms.entry(mark.clone()).or_insert_with(|| orphan_plan(mark));
            plan.steps.extend(steps);
            plan.after.extend(after);
        }
        vms.into_values().collect()
    }
}

/// The refusal that keeps a protected VM whole.
pub(super) fn protected(vm: &str, what: &str) -> Diagnostic {
    Diagnostic::refusal(format!("is protected by `protect: true`, and {what}"))
        .help("if that is meant, set `protect: false` and run `tnvm apply` first")
        .vm(vm)
}

fn vm_plan(mark: &Mark, vm: &ObservedVm, observed: &Observed) -> VmPlan {
    let mut steps = Vec::new();
    if vm.state != PowerState::Stopped {
        steps.push(Step::PowerOffVm);
    }
    steps.push(Step::DeleteVm);
    let shown = |device| shown_device(device, device_name(device, observed, &[]));
    let mut devices: Vec<DesiredDevice> = vm.devices.iter().map(shown).collect();
    devices.sort_by_key(|device| device.order);
    VmPlan {
        name: vm.name.clone(),
        vm_type: mark.vm_type.clone(),
        mark: mark.clone(),
        id: Some(vm.id),
        vcpus: ["vcpus", "cores", "threads"]
            .iter()
            .map(|field| vm.number(field).unwrap_or(1))
            .product(),
        memory_mib: vm.number("memory").unwrap_or(0),
        steps,
        devices,
        changes: Vec::new(),
        after: BTreeSet::new(),
    }
}

/// A zvol whose VM is gone: an earlier run was stopped between the two.
fn orphan_plan(mark: &Mark) -> VmPlan {
    VmPlan {
        name: mark.vm.clone(),
        vm_type: mark.vm_type.clone(),
        mark: mark.clone(),
        id: None,
        vcpus: 0,
        memory_mib: 0,
        steps: Vec::new(),
        devices: Vec::new(),
        changes: Vec::new(),
        after: BTreeSet::new(),
    }
}

/// How a device is named that goes: a disk as its zvol says, unless a device that stays or comes has
/// that name; any other by the server's id, `nic#17`.
pub(super) fn device_name(
    device: &ObservedDevice,
    observed: &Observed,
    others: &[DesiredDevice],
) -> String {
    let zvol = device.zvol().and_then(|zvol| observed.datasets.get(&zvol));
    let own = zvol.and_then(|zvol| zvol.device.as_ref());
    match own.filter(|own| !others.iter().any(|one| one.name == **own)) {
        Some(own) => own.clone(),
        None => {
            let kind = device.kind().unwrap_or("device").to_lowercase();
            format!("{kind}#{}", device.id)
        }
    }
}

/// A device as it is on the server, for showing only: without any password.
pub(super) fn shown_device(device: &ObservedDevice, name: String) -> DesiredDevice {
    let mut attributes = device.attributes.clone();
    attributes.shift_remove("password");
    DesiredDevice {
        name,
        plugin: String::new(),
        attributes,
        order: device.order.unwrap_or(0),
        volume: None,
        secrets: Vec::new(),
        claims: Vec::new(),
        origin: None,
    }
}

/// The VMs of a server by name.
pub(super) fn by_name(observed: &Observed) -> HashMap<&str, &ObservedVm> {
    let mut found: HashMap<&str, &ObservedVm> = HashMap::with_capacity(observed.vms.len());
    for vm in &observed.vms {
        // Should a server have two VMs of one name, the first counts.
        found.entry(&vm.name).or_insert(vm);
    }
    found
}
