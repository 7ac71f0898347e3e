//! What `destroy` does: removes the group's VMs and zvols, recognised by their marks alone.

use super::claims;
use super::observed::Observed;
use super::removal::Removal;
use super::selection::Selection;
use super::step::{Plan, PlanKind};
use super::volume_rule::VolumeRule;
use crate::diagnostic::Diagnostics;
use crate::mark::Mark;

/// What a destroy is about.
#[derive(Clone, Copy, Debug)]
pub struct DestroyOptions<'a> {
    /// The VMs chosen.
    pub selection: &'a Selection,
    /// Names of VMs that the config protects. The server knows more: a VM carries its protection.
    pub protected: &'a [String],
    /// Whether snapshots of zvols may go with them. Clones never do.
    pub with_snapshots: bool,
}

/// Plans the removal of everything that carries the group's mark and is chosen.
#[must_use]
pub fn plan_destroy(
    group: &str,
    options: &DestroyOptions<'_>,
    observed: &Observed,
) -> (Plan, Diagnostics) {
    let mut problems = Diagnostics::default();
    let marks = observed.marks(group);
    problems.extend(
        options.selection.check(
            marks
                .iter()
                .map(|mark| (mark.vm.as_str(), mark.vm_type.as_str())),
        ),
    );
    let goes = |mark: &Mark| options.selection.selects(&mark.vm, &mark.vm_type);
    let removal = Removal {
        group,
        observed,
        goes: &goes,
        protects: &|mark: &Mark| options.protected.contains(&mark.vm),
        rule: &VolumeRule::new(None, observed, &goes, options.with_snapshots),
    };
    let plan = Plan::new(group, PlanKind::Destroy, removal.plan(&mut problems));
    claims::refuse_circles(&plan, &mut problems);
    (plan, problems)
}
