//! What `apply` does: makes what is missing, changes what differs, removes what is no longer wanted.

use std::collections::BTreeSet;
use std::fmt;

use super::create::{LeftOver, new_vm, refuse_foreign};
use super::existing::{Changed, Existing};
use super::observed::Observed;
use super::preflight;
use super::removal::{Removal, by_name, protected};
use super::selection::Selection;
use super::settle::settle;
use super::step::{Plan, PlanKind, Step, VmPlan};
use super::volume_rule::VolumeRule;
use crate::diagnostic::Diagnostics;
use crate::mark::Mark;
use crate::release::Release;
use crate::resolve::{Desired, DesiredVm};

/// What an apply may do, and to which VMs.
#[derive(Clone, Copy)]
pub struct ApplyOptions<'a> {
    /// The VMs chosen.
    pub selection: &'a Selection,
    /// Whether VMs that run are stopped and started where a change needs it.
    pub restart: bool,
    /// Whether snapshots of zvols that are removed may go with them. Clones never do.
    pub with_snapshots: bool,
    /// Whether a secret, by its reference, is what the server shows. A plan holds no secrets, so
    /// that is asked of whoever has them; a masked one is to count as the same.
    pub same_secret: &'a (dyn Fn(&str, &str) -> bool + Sync),
}

impl fmt::Debug for ApplyOptions<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApplyOptions")
            .field("selection", &self.selection)
            .field("restart", &self.restart)
            .field("with_snapshots", &self.with_snapshots)
            .finish_non_exhaustive()
    }
}

/// Plans an apply. The plan is only fit for execution when the diagnostics hold no error.
#[must_use]
pub fn plan_apply(
    desired: &Desired,
    observed: &Observed,
    options: &ApplyOptions<'_>,
) -> (Plan, Diagnostics) {
    let mut problems = Diagnostics::default();
    let desired = settle(desired, observed, options.selection, &mut problems);
    let wanted: BTreeSet<&str> = desired.vms.iter().map(|vm| vm.name.as_str()).collect();
    check_selection(&desired, observed, options.selection, &mut problems);

    let found = by_name(observed);
    let release = Release::of_text(&observed.version);
    let goes = |mark: &Mark| {
        !wanted.contains(mark.vm.as_str()) && options.selection.selects(&mark.vm, &mark.vm_type)
    };
    let rule = VolumeRule::new(Some(&desired), observed, &goes, options.with_snapshots);
    let mut vms = Vec::with_capacity(desired.vms.len());
    for vm in &desired.vms {
        if !options.selection.selects(&vm.name, &vm.vm_type) {
            continue;
        }
        let mark = mark_of(&desired.group, vm);
        vms.push(match found.get(vm.name.as_str()) {
            None => {
                let mut new = new_vm(vm, &mark, observed, LeftOver::Grows, &mut problems);
                remove_left_overs(&mut new, vm.protect, &rule, &mut problems);
                new
            }
            Some(found) if found.owner() == Some(&mark) => {
                let existing = Existing {
                    vm,
                    found,
                    mark: &mark,
                    observed,
                    release: &release,
                    options,
                    rule: &rule,
                };
                changed(vm, &mark, found.id, existing.plan(&mut problems))
            }
            Some(found) => refuse_foreign(vm, &mark, found, &mut problems),
        });
    }
    let removal = Removal {
        group: &desired.group,
        observed,
        goes: &goes,
        protects: &|_| false,
        rule: &rule,
    };
    vms.extend(removal.plan(&mut problems));
    let mut plan = Plan::new(&desired.group, PlanKind::Apply, vms);
    preflight::check(&mut plan, &desired, observed, &mut problems);
    (plan, problems)
}

/// Plans an apply as if the server were empty: what `--offline` shows.
#[must_use]
pub fn plan_apply_offline(desired: &Desired, selection: &Selection) -> (Plan, Diagnostics) {
    let mut problems = Diagnostics::default();
    let nothing = Observed::default();
    check_selection(desired, &nothing, selection, &mut problems);
    let vms = desired
        .vms
        .iter()
        .filter(|vm| selection.selects(&vm.name, &vm.vm_type))
        .map(|vm| {
            let mark = mark_of(&desired.group, vm);
            new_vm(vm, &mark, &nothing, LeftOver::Grows, &mut problems)
        })
        .collect();
    (Plan::new(&desired.group, PlanKind::Apply, vms), problems)
}

/// Zvols that an earlier VM of this name left and that no disk wants: seen now, and not only by the
/// next plan. They go last, when the VM is whole.
fn remove_left_overs(
    new: &mut VmPlan,
    protect: bool,
    rule: &VolumeRule<'_>,
    problems: &mut Diagnostics,
) {
    let steps = rule.delete_unwanted(&new.mark, &mut new.after, problems);
    if protect && !steps.is_empty() {
        problems.push(protected(
            &new.name,
            "left-over zvols of it would be removed",
        ));
    }
    let start = new.steps.iter().position(|step| *step == Step::StartVm);
    let end = start.unwrap_or(new.steps.len());
    new.steps.splice(end..end, steps);
}

/// A pattern may choose what is wanted as well as what is there and no longer wanted.
pub(super) fn check_selection(
    desired: &Desired,
    observed: &Observed,
    selection: &Selection,
    problems: &mut Diagnostics,
) {
    let marks = observed.marks(&desired.group);
    let there = marks
        .iter()
        .map(|mark| (mark.vm.as_str(), mark.vm_type.as_str()));
    let wanted = desired
        .vms
        .iter()
        .map(|vm| (vm.name.as_str(), vm.vm_type.as_str()));
    problems.extend(selection.check(wanted.chain(there)));
}

/// Whose a desired VM is.
pub(super) fn mark_of(group: &str, vm: &DesiredVm) -> Mark {
    Mark {
        group: group.to_owned(),
        vm_type: vm.vm_type.clone(),
        vm: vm.name.clone(),
    }
}

fn changed(vm: &DesiredVm, mark: &Mark, id: u64, changed: Changed) -> VmPlan {
    let mut devices = vm.devices.clone();
    devices.extend(changed.removed);
    VmPlan {
        name: vm.name.clone(),
        vm_type: vm.vm_type.clone(),
        mark: mark.clone(),
        id: Some(id),
        vcpus: vm.vcpus(),
        memory_mib: vm.memory_mib(),
        steps: changed.steps,
        devices,
        changes: changed.changes,
        after: changed.after,
    }
}
