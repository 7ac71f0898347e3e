//! Giving VMs back: which, and which marks have to be taken off for that.
//!
//! The opposite of taking over. The VM goes first: as long as it is the group's, a disk whose zvol
//! has no mark any more would be missed, and made anew.

use std::collections::BTreeMap;

use serde::Serialize;

use super::observed::{Observed, ObservedVm};
use crate::diagnostic::{Diagnostic, Diagnostics, nearest};
use crate::mark::Mark;

/// Which VMs are to be given back.
#[derive(Clone, Copy, Debug)]
pub struct ReleaseRequest<'a> {
    /// The group that has them.
    pub group: &'a str,
    /// Exact names.
    pub names: &'a [String],
    /// What a name begins with.
    pub prefix: Option<&'a str>,
}

/// Which marks have to go.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ReleasePlan {
    /// The group.
    pub group: String,
    /// All chosen VMs, by name; those that carry no mark any more with nothing to do.
    pub vms: Vec<ReleaseVm>,
}

/// One VM that is given back, or what is left of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ReleaseVm {
    /// Name.
    pub name: String,
    /// The server's id; none: only zvols are left.
    pub id: Option<u64>,
    /// The description to be set, without the mark; none: it carries none of the group.
    pub description: Option<String>,
    /// Zvols that carry its mark.
    pub zvols: Vec<String>,
}

impl ReleasePlan {
    /// Whether there is no mark to take off.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.vms.iter().all(ReleaseVm::is_done)
    }
}

impl ReleaseVm {
    /// Whether nothing of it carries a mark.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.description.is_none() && self.zvols.is_empty()
    }
}

/// Plans to give VMs back.
#[must_use]
pub fn plan_release(
    request: &ReleaseRequest<'_>,
    observed: &Observed,
) -> (ReleasePlan, Diagnostics) {
    let mut problems = Diagnostics::default();
    let all = known(request.group, observed);
    let mut chosen: BTreeMap<&str, ReleaseVm> = BTreeMap::new();
    for name in request.names {
        match all.get(name.as_str()) {
            Some(vm) => {
                chosen.insert(name, vm.clone());
            }
            None => problems.push(not_there(name, &all, observed, request.group)),
        }
    }
    if let Some(prefix) = request.prefix {
        let mut fitting = all
            .iter()
            .filter(|(name, vm)| name.starts_with(prefix) && !vm.is_done())
            .peekable();
        if fitting.peek().is_none() {
            problems.push(
                Diagnostic::error(format!(
                    "group `{}` has no VM whose name begins with `{prefix}`",
                    request.group
                ))
                .help("`tnvm list --owned` shows whose VMs there are"),
            );
        }
        chosen.extend(fitting.map(|(name, vm)| (*name, vm.clone())));
    }
    let plan = ReleasePlan {
        group: request.group.to_owned(),
        vms: chosen.into_values().collect(),
    };
    (plan, problems)
}

/// Everything that could be given back: VMs that are the group's or nobody's, and zvols whose VM is
/// gone.
fn known<'a>(group: &str, observed: &'a Observed) -> BTreeMap<&'a str, ReleaseVm> {
    let mut all: BTreeMap<&str, ReleaseVm> = BTreeMap::new();
    for vm in &observed.vms {
        let owner = vm.owner();
        if owner.is_some_and(|mark| mark.group != group) {
            continue;
        }
        let found = ReleaseVm {
            name: vm.name.clone(),
            id: Some(vm.id),
            description: owner.map(|_| own_text(vm)),
            zvols: Vec::new(),
        };
        all.insert(&vm.name, found);
    }
    let zvols = observed.datasets.iter().filter(|(_, one)| one.is_volume);
    for (name, zvol) in zvols {
        let Some(mark) = zvol.mark.as_ref().filter(|mark| mark.group == group) else {
            continue;
        };
        let vm = all.entry(&mark.vm).or_insert_with(|| ReleaseVm {
            name: mark.vm.clone(),
            id: None,
            description: None,
            zvols: Vec::new(),
        });
        vm.zvols.push(name.clone());
    }
    all
}

fn own_text(vm: &ObservedVm) -> String {
    let text = vm.fields.get("description").and_then(|one| one.as_str());
    Mark::own_text(text.unwrap_or_default()).to_owned()
}

fn not_there(
    name: &str,
    all: &BTreeMap<&str, ReleaseVm>,
    observed: &Observed,
    group: &str,
) -> Diagnostic {
    let found = observed.vms.iter().find(|vm| vm.name == name);
    if let Some(owner) = found.and_then(ObservedVm::owner) {
        return Diagnostic::refusal(format!("belongs to the group `{}`", owner.group))
            .help(format!("name that group: `--group {}`", owner.group))
            .vm(name);
    }
    let ours = all.iter().filter(|(_, vm)| !vm.is_done());
    let help = match nearest(name, ours.map(|(name, _)| *name)).first() {
        Some(near) => format!("did you mean `{near}`?"),
        None => "`tnvm list --owned` shows whose VMs there are".to_owned(),
    };
    Diagnostic::error(format!("group `{group}` has no VM `{name}`")).help(help)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::plan::{ObservedDataset, PowerState};

    fn vm(id: u64, name: &str, description: &str) -> ObservedVm {
        let fields = json!({ "description": description });
        ObservedVm {
            id,
            name: name.into(),
            mark: Mark::in_description(description),
            protected: Mark::is_protected(description),
            state: PowerState::Stopped,
            fields: fields.as_object().cloned().unwrap_or_default(),
            devices: Vec::new(),
        }
    }

    fn world() -> Observed {
        let zvol = |mark: &str| ObservedDataset {
            is_volume: true,
            mark: mark.parse().ok(),
            ..ObservedDataset::default()
        };
        let zvols = [
            ("tank/a", "tnvm:v1:lab:web:web01"),
            ("tank/b", "tnvm:v1:lab:web:web02"),
            ("tank/c", "tnvm:v1:lab:web:web03"),
            ("tank/d", "tnvm:v1:other:db:db01"),
        ];
        Observed {
            vms: vec![
                vm(1, "web01", "shop [tnvm:protected] [tnvm:v1:lab:web:web01]"),
                vm(2, "web02", "mine"),
                vm(4, "db01", "[tnvm:v1:other:db:db01]"),
                vm(5, "copy", "[tnvm:v1:lab:web:web01]"),
            ],
            datasets: zvols
                .into_iter()
                .map(|(name, mark)| (name.to_owned(), zvol(mark)))
                .collect(),
            ..Observed::default()
        }
    }

    fn plan(names: &[&str], prefix: Option<&str>) -> (ReleasePlan, Vec<String>) {
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        let request = ReleaseRequest {
            group: "lab",
            names: &names,
            prefix,
        };
        let (plan, problems) = plan_release(&request, &world());
        (
            plan,
            problems.iter().map(|one| one.message.clone()).collect(),
        )
    }

    #[test]
    fn all_marks_of_a_vm_go_and_nothing_else() {
        let (found, problems) = plan(&[], Some("web"));
        assert!(problems.is_empty(), "{problems:?}");
        let found: Vec<_> = found
            .vms
            .iter()
            .map(|vm| {
                (
                    vm.name.as_str(),
                    vm.id,
                    vm.description.as_deref(),
                    vm.zvols.join(" "),
                )
            })
            .collect();
        assert_eq!(
            found,
            [
                ("web01", Some(1), Some("shop"), "tank/a".to_owned()),
                // Given back half, by hand or by a run that was stopped.
                ("web02", Some(2), None, "tank/b".to_owned()),
                // Its VM is gone; whoever wants to keep the data takes the mark off.
                ("web03", None, None, "tank/c".to_owned()),
            ]
        );
    }

    #[test]
    fn what_is_not_the_groups_has_no_mark_to_give() {
        let (found, problems) = plan(&["copy", "db01", "wbe01"], Some("none"));
        assert!(found.is_empty(), "{found:?}");
        assert_eq!(
            problems,
            [
                "belongs to the group `other`",
                "group `lab` has no VM `wbe01`",
                "group `lab` has no VM whose name begins with `none`",
            ]
        );
    }
}
