//! What goes, and what must not go along with it: for `destroy`, and for what `apply` removes.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::observed::{Observed, ObservedDevice, ObservedVm, PowerState};
use super::step::{Step, VmPlan};
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
    pub(super) with_snapshots: bool,
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
        let rule = VolumeRule::new(self.observed, self.with_snapshots);
        for (name, dataset) in &self.observed.datasets {
            let mark = dataset.mark.as_ref();
            let Some(mark) = mark.filter(|mark| mark.group == self.group && (self.goes)(mark))
            else {
                continue;
            };
            if !dataset.is_volume {
                continue;
            }
            let is_orphan = !vms.contains_key(mark);
            let plan = vms.entry(mark.clone()).or_insert_with(|| orphan_plan(mark));
            plan.steps.push(rule.delete(name, mark, problems));
            if is_orphan && (self.protects)(mark) {
                problems.push(protected(&mark.vm, "its zvols would be removed"));
            }
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

/// What else hangs on a zvol must not go with it.
pub(super) struct VolumeRule<'a> {
    observed: &'a Observed,
    /// Whether its snapshots may go with it. Clones never do.
    with_snapshots: bool,
    /// The VMs that have a zvol as a disk, by its name.
    holders: HashMap<String, Vec<&'a ObservedVm>>,
    /// The datasets that were cloned from a snapshot of one, by its name.
    clones: HashMap<&'a str, Vec<&'a str>>,
}

impl<'a> VolumeRule<'a> {
    pub(super) fn new(observed: &'a Observed, with_snapshots: bool) -> Self {
        let mut holders: HashMap<String, Vec<&ObservedVm>> = HashMap::new();
        for vm in &observed.vms {
            for zvol in vm.devices.iter().filter_map(ObservedDevice::zvol) {
                holders.entry(zvol).or_default().push(vm);
            }
        }
        let mut clones: HashMap<&str, Vec<&str>> = HashMap::new();
        for (name, dataset) in &observed.datasets {
            if let Some((of, _)) = dataset
                .origin
                .as_deref()
                .and_then(|one| one.rsplit_once('@'))
            {
                clones.entry(of).or_default().push(name);
            }
        }
        Self {
            observed,
            with_snapshots,
            holders,
            clones,
        }
    }

    /// The step that deletes a zvol, and why it must not be done, if so.
    pub(super) fn delete(&self, dataset: &str, mark: &Mark, problems: &mut Diagnostics) -> Step {
        let found = self.observed.datasets.get(dataset);
        let snapshots = found.map_or(&[][..], |one| one.snapshots.as_slice());
        let clones = self.clones.get(dataset).map_or(&[][..], Vec::as_slice);
        if !clones.is_empty() {
            problems.push(
                Diagnostic::refusal(format!(
                    "{dataset} has clones that would be lost or keep it from going: {}",
                    clones.join(", ")
                ))
                .help("promote the clones on the server (`zfs promote`), or delete them yourself if they are not needed")
                .vm(&mark.vm),
            );
        }
        if !snapshots.is_empty() {
            let told = if self.with_snapshots {
                Diagnostic::warning(format!("{dataset} goes with its {}", named(snapshots)))
                    .help("without `--with-snapshots` they forbid it")
            } else {
                Diagnostic::refusal(format!("{dataset} has {}", named(snapshots)))
                    .help("delete those that nobody needs, or let them go with `--with-snapshots`")
            };
            problems.push(told.vm(&mark.vm));
        }
        for other in self.holders.get(dataset).into_iter().flatten() {
            if other.owner() != Some(mark) {
                problems.push(
                    Diagnostic::refusal(format!(
                        "{dataset} is also a disk of the VM `{}`",
                        other.name
                    ))
                    .help("detach it there first; its data would be lost to that VM")
                    .vm(&mark.vm),
                );
            }
        }
        Step::DeleteVolume {
            dataset: dataset.to_owned(),
            snapshots: if self.with_snapshots {
                snapshots.to_vec()
            } else {
                Vec::new()
            },
        }
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

/// `snapshot @daily`, `3 snapshots @a, @b, @c`: names without their dataset, at most ten.
fn named(snapshots: &[String]) -> String {
    const SHOWN: usize = 10;
    let names = snapshots.iter().map(|one| {
        let name = one.rsplit_once('@').map_or(one.as_str(), |(_, name)| name);
        format!("@{name}")
    });
    let shown: Vec<String> = names.take(SHOWN).collect();
    let shown = shown.join(", ");
    match snapshots.len() {
        1 => format!("snapshot {shown}"),
        count if count > SHOWN => format!("{count} snapshots, {shown} and more"),
        count => format!("{count} snapshots {shown}"),
    }
}
