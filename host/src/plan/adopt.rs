//! Taking over VMs that tnvm did not make: which, and what has to be marked for that.
//!
//! Only marks are written: a VM is as it was but for the end of its description, a zvol but for two
//! user properties.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::observed::{Observed, ObservedDevice, ObservedVm};
use crate::diagnostic::{Diagnostic, Diagnostics, nearest};
use crate::mark::{MARK_PROPERTY, Mark};
use crate::resolve::Desired;

/// Which VMs are to be taken over, and as what.
#[derive(Clone, Copy, Debug)]
pub struct AdoptRequest<'a> {
    /// The group that gets them.
    pub group: &'a str,
    /// Their VM type; none: as the config has it, else the name without its number.
    pub vm_type: Option<&'a str>,
    /// Exact names.
    pub names: &'a [String],
    /// What a name begins with.
    pub prefix: Option<&'a str>,
}

/// What has to be marked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AdoptPlan {
    /// The group.
    pub group: String,
    /// All chosen VMs, by name; those that are the group's already with nothing to do.
    pub vms: Vec<AdoptVm>,
}

/// One VM that is taken over. Zvols are marked first, since a VM that is marked counts as whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AdoptVm {
    /// Name.
    pub name: String,
    /// The server's id.
    pub id: u64,
    /// Whose it is afterwards.
    pub mark: Mark,
    /// Zvols to be marked.
    pub zvols: Vec<AdoptZvol>,
    /// The description to be set; none: it carries the mark.
    pub description: Option<String>,
}

/// One zvol that is taken over with its VM.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AdoptZvol {
    /// Full name.
    pub dataset: String,
    /// The device that it is of: `disk.system`.
    pub device: String,
}

impl AdoptPlan {
    /// Whether there is nothing to mark.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.vms.iter().all(AdoptVm::is_done)
    }
}

impl AdoptVm {
    /// Whether it carries all its marks.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.zvols.is_empty() && self.description.is_none()
    }
}

/// Plans to take over VMs. `desired` is what a config says, where there is one: it knows the types
/// and the names of disks.
#[must_use]
pub fn plan_adopt(
    request: &AdoptRequest<'_>,
    desired: Option<&Desired>,
    observed: &Observed,
) -> (AdoptPlan, Diagnostics) {
    let mut problems = Diagnostics::default();
    let mut vms = Vec::new();
    for vm in chosen(request, observed, &mut problems) {
        match request.mark_for(vm, desired) {
            Ok(mark) => vms.push(adopt(vm, mark, desired, observed, &mut problems)),
            Err(problem) => problems.push((*problem).vm(&vm.name)),
        }
    }
    let plan = AdoptPlan {
        group: request.group.to_owned(),
        vms,
    };
    (plan, problems)
}

/// The server as it will be when the plan is carried out.
#[must_use]
pub fn adopted(plan: &AdoptPlan, observed: &Observed) -> Observed {
    let mut observed = observed.clone();
    for vm in &plan.vms {
        for zvol in &vm.zvols {
            if let Some(found) = observed.datasets.get_mut(&zvol.dataset) {
                found.mark = Some(vm.mark.clone());
                found.device = Some(zvol.device.clone());
            }
        }
        let found = observed.vms.iter_mut().find(|found| found.id == vm.id);
        if let (Some(found), Some(description)) = (found, &vm.description) {
            found.mark = Some(vm.mark.clone());
            found
                .fields
                .insert("description".to_owned(), description.as_str().into());
        }
    }
    observed
}

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

fn chosen<'a>(
    request: &AdoptRequest<'_>,
    observed: &'a Observed,
    problems: &mut Diagnostics,
) -> Vec<&'a ObservedVm> {
    let mut chosen: BTreeMap<&str, &ObservedVm> = BTreeMap::new();
    let all = || observed.vms.iter().map(|vm| vm.name.as_str());
    for name in request.names {
        match observed.vms.iter().find(|vm| vm.name == *name) {
            Some(vm) => {
                chosen.insert(&vm.name, vm);
            }
            None => {
                let help = match nearest(name, all()).first() {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => "`tnvm list` shows the VMs that there are".to_owned(),
                };
                problems
                    .push(Diagnostic::error(format!("the server has no VM `{name}`")).help(help));
            }
        }
    }
    if let Some(prefix) = request.prefix {
        let before = chosen.len();
        let fitting = observed.vms.iter().filter(|vm| vm.name.starts_with(prefix));
        chosen.extend(fitting.map(|vm| (vm.name.as_str(), vm)));
        if chosen.len() == before {
            problems.push(
                Diagnostic::error(format!("no VM's name begins with `{prefix}`"))
                    .help("`tnvm list` shows the VMs that there are"),
            );
        }
    }
    chosen.into_values().collect()
}

impl AdoptRequest<'_> {
    /// Whose the VM is to be; a refusal where it is somebody else's.
    fn mark_for(
        &self,
        vm: &ObservedVm,
        desired: Option<&Desired>,
    ) -> Result<Mark, Box<Diagnostic>> {
        if let Some(mark) = vm.owner() {
            if mark.group != self.group {
                let problem = Diagnostic::refusal(format!("belongs to the group `{}`", mark.group));
                let help = "work on it with that group's config; to move it, take its mark out of its description on the server first";
                return Err(Box::new(problem.help(help)));
            }
            if self.vm_type.is_some_and(|wanted| wanted != mark.vm_type) {
                let problem =
                    Diagnostic::refusal(format!("is of the type `{}` already", mark.vm_type));
                return Err(Box::new(problem.help("leave `--type` away")));
            }
            return Ok(mark.clone());
        }
        let of_config = desired.and_then(|desired| {
            let wanted = desired.vms.iter().find(|one| one.name == vm.name)?;
            Some(wanted.vm_type.as_str())
        });
        let vm_type = self.vm_type.or(of_config).unwrap_or_else(|| stem(&vm.name));
        let mark = Mark {
            group: self.group.to_owned(),
            vm_type: vm_type.to_owned(),
            vm: vm.name.clone(),
        };
        if Mark::in_description(&mark.description("", false)).as_ref() == Some(&mark) {
            return Ok(mark);
        }
        let problem = Diagnostic::refusal(format!(
            "cannot be marked: `{}`, `{vm_type}` and its name may have letters, digits and `_` only",
            self.group
        ));
        let help = "give another `--type` or `--group`, or rename the VM on the server";
        Err(Box::new(problem.help(help)))
    }
}

/// `worker01` → `worker`; what is only digits stays.
fn stem(name: &str) -> &str {
    let stem = name.trim_end_matches(|c: char| c.is_ascii_digit());
    let stem = stem.trim_end_matches('_');
    if stem.is_empty() { name } else { stem }
}

fn adopt(
    vm: &ObservedVm,
    mark: Mark,
    desired: Option<&Desired>,
    observed: &Observed,
    problems: &mut Diagnostics,
) -> AdoptVm {
    let zvols = zvols(vm, &mark, desired, observed, problems);
    let description = vm.owner().is_none().then(|| {
        let text = vm.fields.get("description").and_then(|one| one.as_str());
        let text = text.unwrap_or_default();
        // A copy of a VM carries the mark of its source, which is not its own.
        let own = if vm.mark.is_some() {
            text.rsplit_once('[').map_or("", |(own, _)| own)
        } else {
            text
        };
        mark.description(own.trim_end(), false)
    });
    AdoptVm {
        name: vm.name.clone(),
        id: vm.id,
        mark,
        zvols,
        description,
    }
}

fn zvols(
    vm: &ObservedVm,
    mark: &Mark,
    desired: Option<&Desired>,
    observed: &Observed,
    problems: &mut Diagnostics,
) -> Vec<AdoptZvol> {
    let disks = disks_of(vm);
    let names = disk_names(vm, disks.len(), desired);
    let mut seen = BTreeSet::new();
    let mut zvols = Vec::new();
    for ((_, dataset), device) in disks.into_iter().zip(names) {
        let mut leave = |why: String| {
            problems.push(
                Diagnostic::warning(format!("{dataset} is not taken over: {why}"))
                    .help("tnvm will neither change nor delete it; a config names it with `path`")
                    .vm(&vm.name),
            );
        };
        let holder = observed.vms.iter().find(|other| {
            let mut disks = other.devices.iter().filter_map(ObservedDevice::zvol);
            other.id != vm.id && disks.any(|zvol| zvol == dataset)
        });
        match observed.datasets.get(&dataset).filter(|one| one.is_volume) {
            None => leave("the server shows no zvol of that name".to_owned()),
            Some(_) if holder.is_some() => {
                let name = holder.map_or("", |other| &other.name);
                leave(format!("it is also a disk of the VM `{name}`"));
            }
            Some(_) if !seen.insert(dataset.clone()) => {}
            Some(found) => match &found.mark {
                Some(other) if other != mark => {
                    leave(format!("its {MARK_PROPERTY} says that it is {other}"));
                }
                Some(_) if found.device.is_some() => {}
                _ => zvols.push(AdoptZvol { dataset, device }),
            },
        }
    }
    zvols
}

/// The names of the disks: as the config has them in their order, else `disk.disk0` and so on.
fn disk_names(vm: &ObservedVm, count: usize, desired: Option<&Desired>) -> Vec<String> {
    let wanted = desired.and_then(|all| all.vms.iter().find(|one| one.name == vm.name));
    let mut named: Vec<_> = wanted
        .into_iter()
        .flat_map(|one| &one.devices)
        .filter(|device| device.volume.is_some())
        .collect();
    named.sort_by_key(|device| device.order);
    (0..count)
        .map(|nth| match named.get(nth) {
            Some(device) => device.name.clone(),
            None => format!("disk.disk{nth}"),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, Value, json};

    use super::*;
    use crate::plan::{ObservedDataset, PowerState};

    fn vm(id: u64, name: &str, description: &str, zvols: &[&str]) -> ObservedVm {
        let devices = (1..).zip(zvols).map(|(order, zvol)| ObservedDevice {
            id: id * 10 + u64::from(order),
            attributes: object(json!({"dtype": "DISK", "path": format!("/dev/zvol/{zvol}")})),
            order: Some(1000 + order),
        });
        ObservedVm {
            id,
            name: name.into(),
            mark: Mark::in_description(description),
            protected: false,
            state: PowerState::Running,
            fields: object(json!({"description": description})),
            devices: devices.collect(),
        }
    }

    fn object(value: Value) -> Map<String, Value> {
        value.as_object().cloned().unwrap_or_default()
    }

    fn world(vms: Vec<ObservedVm>) -> Observed {
        let zvols = vms
            .iter()
            .flat_map(|vm| disks_of(vm).into_iter().map(|(_, zvol)| zvol));
        let zvol = || ObservedDataset {
            is_volume: true,
            ..ObservedDataset::default()
        };
        Observed {
            datasets: zvols.map(|name| (name, zvol())).collect(),
            vms: vms.clone(),
            ..Observed::default()
        }
    }

    fn plan(observed: &Observed, names: &[&str], prefix: Option<&str>) -> (AdoptPlan, Diagnostics) {
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        let request = AdoptRequest {
            group: "lab",
            vm_type: None,
            names: &names,
            prefix,
        };
        plan_adopt(&request, None, observed)
    }

    fn told(problems: &Diagnostics) -> Vec<&str> {
        problems.iter().map(|one| one.message.as_str()).collect()
    }

    #[test]
    fn zvols_and_description_are_marked_and_then_nothing_is_left() {
        let observed = world(vec![vm(1, "web01", "shop", &["tank/a", "tank/b c"])]);
        let (found, problems) = plan(&observed, &["web01"], None);
        assert!(problems.iter().next().is_none());
        let one = &found.vms[0];
        assert_eq!(
            one.description.as_deref(),
            Some("shop [tnvm:v1:lab:web:web01]")
        );
        let zvols: Vec<_> = one
            .zvols
            .iter()
            .map(|zvol| (zvol.dataset.as_str(), zvol.device.as_str()))
            .collect();
        assert_eq!(
            zvols,
            [("tank/a", "disk.disk0"), ("tank/b c", "disk.disk1")]
        );
        let (again, _) = plan(&adopted(&found, &observed), &["web01"], None);
        assert!(again.is_empty(), "{again:?}");
    }

    #[test]
    fn what_an_interruption_left_is_made_up_for() {
        let observed = world(vec![vm(1, "web01", "", &["tank/a", "tank/b"])]);
        let (found, _) = plan(&observed, &["web01"], None);
        let mut half = found.clone();
        half.vms[0].zvols.pop();
        half.vms[0].description = None;
        let (rest, _) = plan(&adopted(&half, &observed), &[], Some("web"));
        assert_eq!(rest.vms[0].zvols, found.vms[0].zvols[1..]);
        assert_eq!(rest.vms[0].description, found.vms[0].description);
    }

    #[test]
    fn what_is_somebody_elses_is_refused_or_left() {
        let theirs = vm(1, "db01", "[tnvm:v1:other:db:db01]", &[]);
        let mut observed = world(vec![
            theirs,
            vm(2, "web01", "", &["tank/shared", "tank/marked"]),
            vm(3, "web02", "", &["tank/shared"]),
        ]);
        let marked = observed.datasets.get_mut("tank/marked").unwrap();
        marked.mark = Some("tnvm:v1:other:db:db01".parse().unwrap());
        let (found, problems) = plan(&observed, &["db01", "web01", "wbe02"], Some("none"));
        assert_eq!(
            told(&problems),
            [
                "the server has no VM `wbe02`",
                "no VM's name begins with `none`",
                "belongs to the group `other`",
                "tank/shared is not taken over: it is also a disk of the VM `web02`",
                "tank/marked is not taken over: its tnvm:owner says that it is tnvm:v1:other:db:db01",
            ]
        );
        assert!(found.vms[0].zvols.is_empty());
    }

    #[test]
    fn a_copy_of_a_vm_gets_a_mark_of_its_own() {
        let observed = world(vec![vm(1, "copy", "shop [tnvm:v1:lab:web:web01]", &[])]);
        let (found, _) = plan(&observed, &["copy"], None);
        assert_eq!(
            found.vms[0].description.as_deref(),
            Some("shop [tnvm:v1:lab:copy:copy]")
        );
    }

    #[test]
    fn a_type_is_the_name_without_its_number() {
        for (name, expected) in [
            ("web01", "web"),
            ("web_2", "web"),
            ("7", "7"),
            ("nas", "nas"),
        ] {
            assert_eq!(stem(name), expected);
        }
    }
}
