//! Which zvol is whose disk, once zvols exist.
//!
//! A plugin derives the name of a new zvol from the disk's place among the disks (`web01-disk1`),
//! so another disk written before it would move it on to its neighbour's data. A zvol therefore
//! says which device it was made for, and that outweighs the derived name.
//!
//! Knows no device type: it goes by the zvol that a device asks for.

use std::collections::{BTreeSet, HashMap};

use serde_json::Value;

use super::apply::mark_of;
use super::observed::{Observed, ObservedDevice};
use super::selection::Selection;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::mark::{DEVICE_PROPERTY, MARK_PROPERTY, Mark};
use crate::resolve::{Desired, DesiredDevice};

/// The desired VMs with every disk on the zvol that was made for it. A disk whose derived zvol was
/// made for another disk gets the next free number. Two zvols that say that they were made for one
/// disk are refused: which of them has the data, nobody can tell from here.
#[must_use]
pub(super) fn settle(
    desired: &Desired,
    observed: &Observed,
    selection: &Selection,
    problems: &mut Diagnostics,
) -> Desired {
    let mut settled = desired.clone();
    let own = made_for(observed);
    if own.is_empty() {
        return settled;
    }
    let mut taken: BTreeSet<String> = observed.datasets.keys().cloned().collect();
    let volumes = desired.vms.iter().flat_map(|vm| &vm.devices);
    taken.extend(volumes.filter_map(|device| Some(device.volume.as_ref()?.dataset.clone())));
    for vm in &mut settled.vms {
        let mark = mark_of(&desired.group, vm);
        for device in &mut vm.devices {
            let Some(derived) = device.volume.as_ref().map(|one| one.dataset.clone()) else {
                continue;
            };
            let target = match own.get(&(&mark, device.name.as_str())).map(Vec::as_slice) {
                Some([made]) => (*made).to_owned(),
                Some(several) => {
                    if selection.selects(&vm.name, &vm.vm_type) {
                        problems.push(ambiguous(&vm.name, device, several));
                    }
                    attached(observed, &mark, several).to_owned()
                }
                None if belongs_to_another(observed, &derived, &mark, &device.name) => {
                    free_name(&derived, &taken)
                }
                None => continue,
            };
            taken.insert(target.clone());
            move_to(device, &derived, &target);
        }
    }
    settled
}

/// The zvols that say which device they were made for, by whose they are and that name.
fn made_for(observed: &Observed) -> HashMap<(&Mark, &str), Vec<&str>> {
    let mut own: HashMap<(&Mark, &str), Vec<&str>> = HashMap::new();
    for (name, zvol) in &observed.datasets {
        if let (true, Some(mark), Some(device)) = (zvol.is_volume, &zvol.mark, &zvol.device) {
            own.entry((mark, device)).or_default().push(name);
        }
    }
    own
}

/// The zvol that the VM has as a disk, else the first.
fn attached<'a>(observed: &Observed, mark: &Mark, zvols: &[&'a str]) -> &'a str {
    let vm = observed.vms.iter().find(|vm| vm.owner() == Some(mark));
    let used: BTreeSet<String> = vm
        .into_iter()
        .flat_map(|vm| &vm.devices)
        .filter_map(ObservedDevice::zvol)
        .collect();
    let is_used = |zvol: &&&str| used.contains(**zvol);
    let found = zvols.iter().find(is_used).or_else(|| zvols.first());
    found.copied().unwrap_or_default()
}

fn ambiguous(vm: &str, device: &DesiredDevice, zvols: &[&str]) -> Diagnostic {
    Diagnostic::refusal(format!("{} say that they are this disk", zvols.join(" and ")))
        .help(format!(
            "look which of them has its data, and take `{MARK_PROPERTY}` and `{DEVICE_PROPERTY}` off the other on the server (`zfs inherit`); tnvm then leaves that alone"
        ))
        .at(device.origin.clone())
        .vm(vm)
        .device(&device.name)
}

fn belongs_to_another(observed: &Observed, dataset: &str, mark: &Mark, device: &str) -> bool {
    observed.datasets.get(dataset).is_some_and(|zvol| {
        zvol.mark.as_ref() == Some(mark) && zvol.device.as_deref().is_some_and(|one| one != device)
    })
}

/// `tank/web01-disk1` → `tank/web01-disk2`, or the first higher number that is free.
fn free_name(derived: &str, taken: &BTreeSet<String>) -> String {
    let stem = derived.trim_end_matches(|c: char| c.is_ascii_digit());
    (0_u32..)
        .map(|number| format!("{stem}{number}"))
        .find(|name| !taken.contains(name))
        .unwrap_or_else(|| derived.to_owned())
}

/// Everything in which a device names its zvol.
fn move_to(device: &mut DesiredDevice, from: &str, to: &str) {
    if let Some(volume) = &mut device.volume {
        to.clone_into(&mut volume.dataset);
    }
    if let Some(path) = device.attributes.get_mut("path")
        && path.as_str() == Some(zvol_path(from).as_str())
    {
        *path = Value::from(zvol_path(to));
    }
    for claim in &mut device.claims {
        if claim.kind == "dataset" && claim.value == from {
            to.clone_into(&mut claim.value);
        }
    }
}

/// The server writes a space of the name as `+`.
fn zvol_path(dataset: &str) -> String {
    format!("/dev/zvol/{}", dataset.replace(' ', "+"))
}
