//! Taking over VMs that tnvm did not make: which, and what has to be marked for that.
//!
//! Only marks are written: a VM is as it was but for the end of its description, a zvol but for two
//! user properties.

use std::collections::BTreeMap;

use serde::Serialize;

use super::adopt_disks::zvols;
use super::observed::{Observed, ObservedVm};
use crate::diagnostic::{Diagnostic, Diagnostics, nearest};
use crate::mark::Mark;
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
    /// Words that cannot be a VM type, since a config means something else by them.
    pub reserved: &'a [&'a str],
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
        let fitting = observed.vms.iter().filter(|vm| vm.name.starts_with(prefix));
        let mut fitting = fitting.peekable();
        let none = fitting.peek().is_none();
        chosen.extend(fitting.map(|vm| (vm.name.as_str(), vm)));
        if none {
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
        let owner = vm.owner();
        if let Some(mark) = owner.filter(|mark| mark.group != self.group) {
            let problem = Diagnostic::refusal(format!("belongs to the group `{}`", mark.group));
            let help = format!(
                "work on it with that group's config; to move it, give it back first: `tnvm adopt --release {} --group {}`",
                vm.name, mark.group
            );
            return Err(Box::new(problem.help(help)));
        }
        let of_config = desired.and_then(|desired| {
            let wanted = desired.vms.iter().find(|one| one.name == vm.name)?;
            Some(wanted.vm_type.as_str())
        });
        // What is marked already changes its type only when that is asked for.
        let of_mark = owner.map(|mark| mark.vm_type.as_str());
        let vm_type = self.vm_type.or(of_mark).or(of_config);
        let vm_type = vm_type.unwrap_or_else(|| stem(&vm.name));
        if self.reserved.contains(&vm_type) && of_mark != Some(vm_type) {
            let problem = Diagnostic::refusal(format!(
                "cannot be of the type `{vm_type}`, which is a section of every config"
            ));
            return Err(Box::new(problem.help("give another `--type`")));
        }
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
pub(super) fn stem(name: &str) -> &str {
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
    let description = (vm.owner() != Some(&mark)).then(|| {
        let text = vm.fields.get("description").and_then(|one| one.as_str());
        // A copy of a VM carries the mark of its source, and no protection of its own.
        let protected = vm.owner().is_some() && vm.protected;
        mark.description(
            Mark::own_text(text.unwrap_or_default()).trim_end(),
            protected,
        )
    });
    AdoptVm {
        name: vm.name.clone(),
        id: vm.id,
        mark,
        zvols,
        description,
    }
}
