//! Which zvols are taken over with their VM, and as which disks of it.
//!
//! A zvol that is marked can be deleted from then on, and a disk of the config gets whatever zvol
//! says that it is it. So none is marked that the config does not want, and none as two disks.

use std::collections::BTreeSet;

use serde_json::Value;

use super::adopt::AdoptZvol;
use super::observed::{Observed, ObservedDevice, ObservedVm, zvol_of};
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::mark::{MARK_PROPERTY, Mark};
use crate::resolve::{Desired, DesiredDevice, DesiredVm};

/// The disks of a VM on zvols, in the order it sees them.
#[must_use]
pub fn disks_of(vm: &ObservedVm) -> Vec<(&ObservedDevice, String)> {
    let mut disks: Vec<_> = vm
        .devices
        .iter()
        .filter(|device| device.kind() == Some("DISK"))
        .filter_map(|device| Some((device, device.zvol()?)))
        .collect();
    disks.sort_by_key(|(device, _)| (device.order, device.id));
    disks
}

/// The zvols of a VM that have to be marked. What a config names by its path stays as it is.
pub(super) fn zvols(
    vm: &ObservedVm,
    mark: &Mark,
    desired: Option<&Desired>,
    observed: &Observed,
    problems: &mut Diagnostics,
) -> Vec<AdoptZvol> {
    let wanted = desired.and_then(|all| all.vms.iter().find(|one| one.name == vm.name));
    let by_path = named_by_path(wanted);
    let disks = disks_of(vm);
    let before = vm.owner().filter(|owner| *owner != mark);
    let own: Vec<&Mark> = before.into_iter().chain([mark]).collect();
    let mut names = Names::new(wanted, taken(&disks, &own, observed));
    let mut seen = BTreeSet::new();
    let mut zvols = of_another_type(before, observed);
    for (nth, (_, dataset)) in disks.into_iter().enumerate() {
        if by_path.contains(&dataset) || !seen.insert(dataset.clone()) {
            continue;
        }
        let left = why_left(vm, &own, &dataset, observed);
        if left.is_none() && own_device(observed, &dataset, &own).is_some() {
            continue;
        }
        let device = match left {
            Some(why) => Err(why),
            None => names
                .next(nth)
                .ok_or_else(|| "the config has no disk for it".to_owned()),
        };
        match device {
            Ok(device) => zvols.push(AdoptZvol { dataset, device }),
            Err(why) => problems.push(
                Diagnostic::warning(format!("{dataset} is not taken over: {why}"))
                    .help("tnvm will neither change nor delete it; a config names it with `path`")
                    .vm(&vm.name),
            ),
        }
    }
    zvols
}

/// All zvols of a VM that gets another type: they stay the disks that they are.
fn of_another_type(before: Option<&Mark>, observed: &Observed) -> Vec<AdoptZvol> {
    let Some(before) = before else {
        return Vec::new();
    };
    let zvols = observed.datasets.iter().filter(|(_, one)| one.is_volume);
    let own = zvols.filter(|(_, one)| one.mark.as_ref() == Some(before));
    own.filter_map(|(name, one)| {
        Some(AdoptZvol {
            dataset: name.clone(),
            device: one.device.clone()?,
        })
    })
    .collect()
}

/// The zvols that the config names by their paths, as they are.
fn named_by_path(wanted: Option<&DesiredVm>) -> BTreeSet<String> {
    let devices = wanted.into_iter().flat_map(|vm| &vm.devices);
    devices
        .filter(|device| device.volume.is_none())
        .filter_map(|device| zvol_of(device.attributes.get("path").and_then(Value::as_str)?))
        .collect()
}

/// Why a zvol stays whose it is.
fn why_left(vm: &ObservedVm, own: &[&Mark], dataset: &str, observed: &Observed) -> Option<String> {
    let Some(found) = observed.datasets.get(dataset).filter(|one| one.is_volume) else {
        return Some("the server shows no zvol of that name".to_owned());
    };
    let holder = observed.vms.iter().find(|other| {
        let mut disks = other.devices.iter().filter_map(ObservedDevice::zvol);
        other.id != vm.id && disks.any(|zvol| zvol == dataset)
    });
    if let Some(other) = holder {
        return Some(format!("it is also a disk of the VM `{}`", other.name));
    }
    let other = found.mark.as_ref().filter(|other| !own.contains(other))?;
    Some(format!("its {MARK_PROPERTY} says that it is {other}"))
}

/// The disk that a zvol with one of these marks says that it is.
fn own_device<'a>(observed: &'a Observed, dataset: &str, own: &[&Mark]) -> Option<&'a str> {
    let found = observed.datasets.get(dataset)?;
    let is_own = found.mark.as_ref().is_some_and(|mark| own.contains(&mark));
    found.device.as_deref().filter(|_| is_own)
}

/// The disks that zvols of this VM are already.
fn taken(
    disks: &[(&ObservedDevice, String)],
    own: &[&Mark],
    observed: &Observed,
) -> BTreeSet<String> {
    disks
        .iter()
        .filter_map(|(_, dataset)| own_device(observed, dataset, own))
        .map(str::to_owned)
        .collect()
}

/// The names that are left for disks.
struct Names<'a> {
    /// Those of the config, in their order; none: there is no config for the VM.
    of_config: Option<std::vec::IntoIter<&'a DesiredDevice>>,
    taken: BTreeSet<String>,
}

impl<'a> Names<'a> {
    fn new(wanted: Option<&'a DesiredVm>, taken: BTreeSet<String>) -> Self {
        let of_config = wanted.map(|vm| {
            let devices = vm.devices.iter().filter(|device| device.volume.is_some());
            let mut devices: Vec<&DesiredDevice> = devices.collect();
            devices.sort_by_key(|device| device.order);
            devices.into_iter()
        });
        Self { of_config, taken }
    }

    /// The name of the disk that the VM sees as its `nth`, from 0. Without a config `disk.disk0`
    /// and so on, whatever is between them.
    fn next(&mut self, nth: usize) -> Option<String> {
        let taken = &self.taken;
        let name = match &mut self.of_config {
            Some(devices) => devices
                .map(|device| device.name.clone())
                .find(|name| !taken.contains(name)),
            None => (nth..)
                .map(|number| format!("disk.disk{number}"))
                .find(|name| !taken.contains(name)),
        };
        self.taken.extend(name.clone());
        name
    }
}
