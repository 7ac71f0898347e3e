//! Which zvols a plan deletes, and what else hangs on one and must not go with it.
//!
//! A zvol that anybody has or gets stays, whatever its mark says: its data may be lost only where
//! nobody can miss it.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde_json::Value;

use super::observed::{Observed, ObservedDevice, ObservedVm, zvol_of};
use super::step::Step;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::mark::Mark;
use crate::resolve::{Desired, DesiredDevice};

/// What forbids deleting a zvol, on one server and for one plan.
pub(super) struct VolumeRule<'a> {
    observed: &'a Observed,
    /// Whether its snapshots may go with it. Clones never do.
    with_snapshots: bool,
    /// Whether a VM (by its mark) goes by the same plan.
    goes: &'a dyn Fn(&Mark) -> bool,
    /// The zvols of each VM, by their marks.
    pub(super) volumes: BTreeMap<&'a Mark, Vec<&'a str>>,
    /// The VM that is to have a zvol, by the zvol's name: of all that the config has, chosen or not.
    wanted: HashMap<String, &'a str>,
    /// The VMs that have a zvol as a disk, by its name.
    holders: HashMap<String, Vec<&'a ObservedVm>>,
    /// The datasets that were cloned from a snapshot of one, by its name.
    clones: HashMap<&'a str, Vec<&'a str>>,
}

impl<'a> VolumeRule<'a> {
    /// `desired`: what the config says; none where only marks count.
    pub(super) fn new(
        desired: Option<&'a Desired>,
        observed: &'a Observed,
        goes: &'a dyn Fn(&Mark) -> bool,
        with_snapshots: bool,
    ) -> Self {
        let mut holders: HashMap<String, Vec<&ObservedVm>> = HashMap::new();
        for vm in &observed.vms {
            for zvol in vm.devices.iter().filter_map(ObservedDevice::zvol) {
                holders.entry(zvol).or_default().push(vm);
            }
        }
        let mut clones: HashMap<&str, Vec<&str>> = HashMap::new();
        let mut volumes: BTreeMap<&Mark, Vec<&str>> = BTreeMap::new();
        for (name, dataset) in &observed.datasets {
            if let Some((of, _)) = dataset
                .origin
                .as_deref()
                .and_then(|one| one.rsplit_once('@'))
            {
                clones.entry(of).or_default().push(name);
            }
            if let (true, Some(mark)) = (dataset.is_volume, &dataset.mark) {
                volumes.entry(mark).or_default().push(name);
            }
        }
        let vms = desired.into_iter().flat_map(|all| &all.vms);
        let wanted = vms.flat_map(|vm| {
            let zvols = vm.devices.iter().flat_map(zvols_of);
            zvols.map(|zvol| (zvol, vm.name.as_str()))
        });
        Self {
            observed,
            with_snapshots,
            goes,
            volumes,
            wanted: wanted.collect(),
            holders,
            clones,
        }
    }

    /// The steps that delete the zvols with this mark that nobody has or gets, and why they must not
    /// be done, if so. `after`: the VMs that must be gone first, because they have one as a disk.
    pub(super) fn delete_unwanted(
        &self,
        mark: &Mark,
        after: &mut BTreeSet<String>,
        problems: &mut Diagnostics,
    ) -> Vec<Step> {
        let own = self.volumes.get(mark).into_iter().flatten();
        own.filter_map(|dataset| self.delete(dataset, mark, after, problems))
            .collect()
    }

    fn delete(
        &self,
        dataset: &str,
        mark: &Mark,
        after: &mut BTreeSet<String>,
        problems: &mut Diagnostics,
    ) -> Option<Step> {
        if let Some(other) = self.wanted.get(dataset) {
            self.tell_of_kept(dataset, mark, other, problems);
            return None;
        }
        let holders = self.holders.get(dataset).into_iter().flatten();
        for other in holders.filter(|other| other.owner() != Some(mark)) {
            match other.owner().filter(|owner| owner.group == mark.group) {
                None => {
                    problems.push(left_alone(dataset, mark, other));
                    return None;
                }
                Some(owner) if (self.goes)(owner) => {
                    after.insert(other.name.clone());
                }
                Some(_) => problems.push(
                    Diagnostic::refusal(format!(
                        "{dataset} is also a disk of the VM `{}`",
                        other.name
                    ))
                    .help("its data would be lost to that VM: take the disk out of its config first, or let both go")
                    .vm(&mark.vm),
                ),
            }
        }
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
        Some(Step::DeleteVolume {
            dataset: dataset.to_owned(),
            snapshots: if self.with_snapshots {
                snapshots.to_vec()
            } else {
                Vec::new()
            },
        })
    }

    /// A word on a zvol that would go if the config did not give it to another VM, until that has it.
    fn tell_of_kept(&self, dataset: &str, mark: &Mark, other: &str, problems: &mut Diagnostics) {
        let mut holders = self.holders.get(dataset).into_iter().flatten();
        if other == mark.vm || holders.any(|holder| holder.name == other) {
            return;
        }
        problems.push(
            Diagnostic::warning(format!(
                "{dataset} stays with all data on it: the config gives it to `{other}`"
            ))
            .vm(&mark.vm),
        );
    }
}

/// The zvols that a device is on.
fn zvols_of(device: &DesiredDevice) -> BTreeSet<String> {
    let path = device.attributes.get("path").and_then(Value::as_str);
    let made = device.volume.iter().map(|volume| volume.dataset.clone());
    let claims = device.claims.iter().filter(|one| one.kind == "dataset");
    made.chain(path.and_then(zvol_of))
        .chain(claims.map(|claim| claim.value.clone()))
        .collect()
}

/// Whoever has a VM that is not the group's still needs its disks.
fn left_alone(dataset: &str, mark: &Mark, other: &ObservedVm) -> Diagnostic {
    let help = if other.name == mark.vm {
        format!(
            "`tnvm adopt --release {0}` takes the mark off it; `tnvm adopt {0}` makes the VM the group's again",
            mark.vm
        )
    } else {
        format!(
            "detach it from `{0}` if that does not need it; else `tnvm adopt --release {1}` takes the mark off it",
            other.name, mark.vm
        )
    };
    Diagnostic::warning(format!(
        "{dataset} is left alone: the VM `{}`, which is not the group's, has it as a disk",
        other.name
    ))
    .help(help)
    .vm(&mark.vm)
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
