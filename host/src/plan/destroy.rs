//! What `destroy` does: removes the group's VMs and zvols, recognised by their marks alone.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::observed::{Observed, ObservedVm, PowerState};
use super::step::{Plan, PlanKind, Step, Totals, VmPlan};
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::mark::Mark;
use crate::resolve::DesiredDevice;

/// Plans the removal of everything that carries the group's mark. `protected` are the names of
/// VMs that the config protects.
#[must_use]
pub fn plan_destroy(group: &str, protected: &[String], observed: &Observed) -> (Plan, Diagnostics) {
    let mut problems = Diagnostics::default();
    let mut vms: BTreeMap<Mark, VmPlan> = BTreeMap::new();
    for vm in &observed.vms {
        match vm.owner() {
            Some(mark) if mark.group == group => {
                vms.insert(mark.clone(), vm_plan(mark, vm));
            }
            None if vm.mark.as_ref().is_some_and(|mark| mark.group == group) => problems.push(
                Diagnostic::warning(
                    "carries the mark of another VM, as a copy does; it is left alone",
                )
                .vm(&vm.name),
            ),
            _ => {}
        }
    }
    let holders = holders(observed);
    for (name, dataset) in &observed.datasets {
        let Some(mark) = dataset.mark.as_ref().filter(|mark| mark.group == group) else {
            continue;
        };
        if !dataset.is_volume {
            continue;
        }
        let plan = vms.entry(mark.clone()).or_insert_with(|| orphan_plan(mark));
        plan.steps.push(Step::DeleteVolume {
            dataset: name.clone(),
        });
        let holders = holders.get(name.as_str()).map_or(&[][..], Vec::as_slice);
        check_volume(name, dataset.snapshots, mark, holders, &mut problems);
    }
    let protected: HashSet<&str> = protected.iter().map(String::as_str).collect();
    for plan in vms
        .values()
        .filter(|plan| protected.contains(plan.name.as_str()))
    {
        problems.push(
            Diagnostic::refusal("is protected by `protect: true`")
                .help("remove `protect` from the config if it shall go")
                .vm(&plan.name),
        );
    }
    let vms: Vec<VmPlan> = vms.into_values().collect();
    let plan = Plan {
        group: group.to_owned(),
        kind: PlanKind::Destroy,
        totals: Totals::of(&vms),
        vms,
    };
    (plan, problems)
}

fn vm_plan(mark: &Mark, vm: &ObservedVm) -> VmPlan {
    let mut steps = Vec::new();
    if vm.state != PowerState::Stopped {
        steps.push(Step::PowerOffVm);
    }
    steps.push(Step::DeleteVm);
    let mut devices: Vec<DesiredDevice> = vm.devices.iter().map(shown_device).collect();
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
    }
}

/// A device as it is on the server, for showing only: without any password.
fn shown_device(device: &super::observed::ObservedDevice) -> DesiredDevice {
    let mut attributes = device.attributes.clone();
    attributes.shift_remove("password");
    let kind = device.kind().unwrap_or("device").to_lowercase();
    DesiredDevice {
        name: format!("{kind}#{}", device.id),
        plugin: String::new(),
        attributes,
        order: device.order.unwrap_or(0),
        volume: None,
        secrets: Vec::new(),
        claims: Vec::new(),
        origin: None,
    }
}

/// The VMs that have a zvol as a disk, by its name.
fn holders(observed: &Observed) -> HashMap<String, Vec<&ObservedVm>> {
    let mut holders: HashMap<String, Vec<&ObservedVm>> = HashMap::new();
    for vm in &observed.vms {
        for zvol in vm.devices.iter().filter_map(|device| device.zvol()) {
            holders.entry(zvol).or_default().push(vm);
        }
    }
    holders
}

/// What else hangs on a zvol must not go with it. `holders` are the VMs that have it as a disk.
fn check_volume(
    dataset: &str,
    snapshots: Option<u64>,
    mark: &Mark,
    holders: &[&ObservedVm],
    problems: &mut Diagnostics,
) {
    if let Some(count) = snapshots.filter(|count| *count > 0) {
        problems.push(
            Diagnostic::refusal(format!("{dataset} has {count} snapshots"))
                .help(format!(
                    "`zfs list -t snapshot {dataset}` names them; delete those you do not need, then run again"
                ))
                .vm(&mark.vm),
        );
    }
    for other in holders.iter().filter(|vm| vm.owner() != Some(mark)) {
        problems.push(
            Diagnostic::refusal(format!(
                "{dataset} is also a disk of the VM `{}`",
                other.name
            ))
            .help("detach it there first; destroy would take the disk from under that VM")
            .vm(&mark.vm),
        );
    }
}
