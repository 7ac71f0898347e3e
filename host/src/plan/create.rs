//! What `create` does: makes what is missing and starts it; changes and removes nothing.

use std::collections::BTreeSet;

use serde_json::Value;

use super::observed::{Observed, ObservedVm, PowerState};
use super::pairing::{Standing, differences, pair};
use super::preflight;
use super::removal::by_name;
use super::selection::Selection;
use super::settle::settle;
use super::step::{Plan, PlanKind, Step, Totals, VmPlan};
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::mark::Mark;
use crate::resolve::{Desired, DesiredDevice, DesiredVm};

/// Plans a create. The plan is only fit for execution when the diagnostics hold no error.
#[must_use]
pub fn plan_create(desired: &Desired, observed: &Observed) -> (Plan, Diagnostics) {
    let mut problems = Diagnostics::default();
    let desired = &settle(desired, observed, &Selection::all(), &mut problems);
    let vms = plan_vms(desired, observed, &mut problems);
    let mut plan = Plan {
        group: desired.group.clone(),
        kind: PlanKind::Create,
        vms,
        totals: Totals::default(),
    };
    plan.totals = Totals::of(&plan.vms);
    preflight::check(&mut plan, desired, observed, &mut problems);
    (plan, problems)
}

/// Plans a create as if the server were empty: what `--offline` shows.
#[must_use]
pub fn plan_create_offline(desired: &Desired) -> Plan {
    let nothing = Observed::default();
    let vms = plan_vms(desired, &nothing, &mut Diagnostics::default());
    Plan {
        group: desired.group.clone(),
        kind: PlanKind::Create,
        totals: Totals::of(&vms),
        vms,
    }
}

fn plan_vms(desired: &Desired, observed: &Observed, problems: &mut Diagnostics) -> Vec<VmPlan> {
    let existing = by_name(observed);
    desired
        .vms
        .iter()
        .map(|vm| {
            let existing = existing.get(vm.name.as_str()).copied();
            plan_vm(&desired.group, vm, existing, observed, problems)
        })
        .collect()
}

fn plan_vm(
    group: &str,
    vm: &DesiredVm,
    existing: Option<&ObservedVm>,
    observed: &Observed,
    problems: &mut Diagnostics,
) -> VmPlan {
    let mark = Mark {
        group: group.to_owned(),
        vm_type: vm.vm_type.clone(),
        vm: vm.name.clone(),
    };
    match existing {
        None => new_vm(vm, &mark, observed, LeftOver::Stays, problems),
        Some(found) if found.owner() == Some(&mark) => {
            let steps = steps_for_existing(vm, found, &mark, observed, problems);
            vm_plan(vm, mark, Some(found.id), steps)
        }
        Some(found) => refuse_foreign(vm, &mark, found, problems),
    }
}

/// The plan of a VM that is not there.
pub(super) fn new_vm(
    vm: &DesiredVm,
    mark: &Mark,
    observed: &Observed,
    left_over: LeftOver,
    problems: &mut Diagnostics,
) -> VmPlan {
    let steps = steps_for_new(vm, mark, observed, left_over, problems);
    vm_plan(vm, mark.clone(), None, steps)
}

/// The plan of a VM whose name a VM has that is not ours: nothing, and why.
pub(super) fn refuse_foreign(
    vm: &DesiredVm,
    mark: &Mark,
    found: &ObservedVm,
    problems: &mut Diagnostics,
) -> VmPlan {
    problems.push(foreign_vm(vm, mark, found));
    vm_plan(vm, mark.clone(), Some(found.id), Vec::new())
}

fn vm_plan(vm: &DesiredVm, mark: Mark, id: Option<u64>, steps: Vec<Step>) -> VmPlan {
    VmPlan {
        name: vm.name.clone(),
        vm_type: vm.vm_type.clone(),
        mark,
        id,
        vcpus: vm.vcpus(),
        memory_mib: vm.memory_mib(),
        steps,
        devices: vm.devices.clone(),
        changes: Vec::new(),
        after: BTreeSet::new(),
    }
}

fn steps_for_new(
    vm: &DesiredVm,
    mark: &Mark,
    observed: &Observed,
    left_over: LeftOver,
    problems: &mut Diagnostics,
) -> Vec<Step> {
    let mut steps = vec![Step::CreateVm {
        fields: vm.fields.clone(),
    }];
    steps.extend(volume_steps(
        vm,
        vm.devices.iter(),
        mark,
        observed,
        left_over,
        problems,
    ));
    steps.extend(
        vm.devices
            .iter()
            .cloned()
            .map(|device| Step::CreateDevice { device }),
    );
    if vm.start {
        steps.push(Step::StartVm);
    }
    steps
}

/// An owned VM: an earlier run may have been stopped halfway, so its missing devices are added.
fn steps_for_existing(
    vm: &DesiredVm,
    found: &ObservedVm,
    mark: &Mark,
    observed: &Observed,
    problems: &mut Diagnostics,
) -> Vec<Step> {
    warn_of_changed_fields(vm, found, problems);
    let mut missing = Vec::new();
    for (device, standing) in vm.devices.iter().zip(pair(&vm.devices, &found.devices)) {
        match standing {
            Standing::Missing => missing.push(device),
            Standing::Same(_) => refuse_lost_zvol(vm, device, observed, problems),
            Standing::Different(is) => {
                for (attribute, is, wanted) in differences(device, is) {
                    problems.push(
                        Diagnostic::warning(format!(
                            "`{attribute}` is {is} on the server and {wanted} in the config"
                        ))
                        .help("`create` changes nothing that exists; destroy the VM and create it again to change it")
                        .at(device.origin.clone())
                        .vm(&vm.name)
                        .device(&device.name),
                    );
                }
            }
        }
    }
    let missing_here = missing.iter().copied();
    let mut steps = volume_steps(vm, missing_here, mark, observed, LeftOver::Stays, problems);
    steps.extend(
        missing
            .into_iter()
            .cloned()
            .map(|device| Step::CreateDevice { device }),
    );
    if vm.start && found.state == PowerState::Stopped {
        steps.push(Step::StartVm);
    }
    steps
}

/// What becomes of a zvol of ours that waits for its disk and is smaller than that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LeftOver {
    /// It is not changed.
    Stays,
    /// It grows.
    Grows,
}

/// Volumes to make for devices that do not exist yet. A zvol with the VM's own mark was left by a
/// run that was stopped; it is used again, so that running again converges.
pub(super) fn volume_steps<'a>(
    vm: &DesiredVm,
    devices: impl Iterator<Item = &'a DesiredDevice>,
    mark: &Mark,
    observed: &Observed,
    left_over: LeftOver,
    problems: &mut Diagnostics,
) -> Vec<Step> {
    let mut steps = Vec::new();
    for device in devices {
        let Some(volume) = &device.volume else {
            continue;
        };
        let Some(existing) = observed.datasets.get(&volume.dataset) else {
            steps.push(Step::CreateVolume {
                volume: volume.clone(),
                device: device.name.clone(),
            });
            continue;
        };
        let problem = if existing.mark.as_ref() != Some(mark) {
            foreign_zvol(&volume.dataset, existing.mark.as_ref())
        } else {
            match existing.volsize {
                Some(is) if is == volume.size => continue,
                Some(is) if is < volume.size && left_over == LeftOver::Grows => {
                    steps.push(Step::GrowVolume {
                        dataset: volume.dataset.clone(),
                        size: volume.size,
                        before: is,
                        device: device.name.clone(),
                    });
                    continue;
                }
                is => other_size(&volume.dataset, is.unwrap_or_default(), volume.size),
            }
        };
        problems.push(
            problem
                .at(device.origin.clone())
                .vm(&vm.name)
                .device(&device.name),
        );
    }
    steps
}

fn foreign_zvol(dataset: &str, mark: Option<&Mark>) -> Diagnostic {
    let (whose, help) = match mark {
        None => (
            "is not tnvm's".to_owned(),
            "tnvm does not overwrite data it did not make: choose another `storage.pool_path`, or rename or remove the dataset yourself",
        ),
        Some(mark) => (
            format!("its mark says that it is {mark}"),
            "tnvm does not take a disk from another VM: name it with `path` if it is meant, or choose another `storage.pool_path`",
        ),
    };
    Diagnostic::refusal(format!("{dataset} exists and {whose}")).help(help)
}

/// Nothing but this very zvol is in the way, and it may hold data.
fn other_size(dataset: &str, is: u64, wanted: u64) -> Diagnostic {
    let help = if is < wanted {
        format!("`tnvm apply` makes it larger; or set the size to {is} bytes to use it as it is")
    } else {
        format!(
            "set the size to {is} bytes to use it; if nobody needs its data, remove exactly this zvol on the server (`zfs destroy {dataset}`), and it is made anew"
        )
    };
    Diagnostic::refusal(format!(
        "{dataset} was made for this disk before and has another size ({is} instead of {wanted} bytes)"
    ))
    .help(help)
}

/// The device is there and its zvol is not: making an empty one in its place would hide a loss.
pub(super) fn refuse_lost_zvol(
    vm: &DesiredVm,
    device: &DesiredDevice,
    observed: &Observed,
    problems: &mut Diagnostics,
) {
    let Some(volume) = &device.volume else { return };
    if !observed.datasets.contains_key(&volume.dataset) {
        problems.push(
            Diagnostic::refusal(format!("the zvol {} of an existing disk is gone", volume.dataset))
                .help("restore the zvol, or destroy the VM and create it again; tnvm does not put an empty disk in its place")
                .at(device.origin.clone())
                .vm(&vm.name)
                .device(&device.name),
        );
    }
}

fn warn_of_changed_fields(vm: &DesiredVm, found: &ObservedVm, problems: &mut Diagnostics) {
    for (field, wanted) in &vm.fields {
        // The description carries the mark, which has been compared already.
        if field == "description" || wanted.is_null() {
            continue;
        }
        match found.fields.get(field) {
            Some(is) if is != wanted => problems.push(
                Diagnostic::warning(format!("`{field}` is {is} on the server and {wanted} in the config"))
                    .help("`create` changes nothing that exists; destroy the VM and create it again to change it")
                    .at(vm.origin.clone())
                    .vm(&vm.name),
            ),
            _ => {}
        }
    }
}

fn foreign_vm(vm: &DesiredVm, wanted: &Mark, found: &ObservedVm) -> Diagnostic {
    let (whose, help) = match &found.mark {
        None => (
            "is not tnvm's".to_owned(),
            format!("`tnvm adopt {}` makes it the group's, if it is meant; else rename the VM type, or rename or remove that VM yourself: tnvm does not touch what it did not make", vm.name),
        ),
        Some(mark) if mark.vm != found.name => (
            format!("is a copy of `{}`, made outside tnvm", mark.vm),
            "rename the VM type, or rename or remove that VM yourself; tnvm does not touch what it did not make".to_owned(),
        ),
        Some(mark) if mark.group == wanted.group => (
            format!("its mark says that it is of the type `{}`", mark.vm_type),
            format!(
                "if it is to be of the type `{0}` now, `tnvm adopt {1} --type {0}` says so; else give it another name",
                wanted.vm_type, vm.name
            ),
        ),
        Some(mark) => (
            format!("its mark says that it is of the group `{}`", mark.group),
            format!(
                "if this group was called `{0}` before, go on with `--group {0}`, or `group: {0}` in the config; to move the VM here, `tnvm adopt --release {1} --group {0}`, then `tnvm adopt {1}`",
                mark.group, vm.name
            ),
        ),
    };
    Diagnostic::refusal(format!(
        "a VM named `{}` exists (id {}) and {whose}",
        vm.name, found.id
    ))
    .help(help)
    .at(vm.origin.clone())
    .vm(&vm.name)
}

impl DesiredVm {
    /// vCPUs: sockets (`vcpus` in the server's words) × cores × threads.
    #[must_use]
    pub fn vcpus(&self) -> u64 {
        ["vcpus", "cores", "threads"]
            .iter()
            .map(|field| self.fields.get(*field).and_then(Value::as_u64).unwrap_or(1))
            .product()
    }

    /// Memory in MiB.
    #[must_use]
    pub fn memory_mib(&self) -> u64 {
        self.fields
            .get("memory")
            .and_then(Value::as_u64)
            .unwrap_or(0)
    }
}
