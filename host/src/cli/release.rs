//! `tnvm adopt --release`: VMs are given back, as they are, by taking the marks off them.

use super::adopt::Adopt;
use super::exit::{Exit, Failure};
use super::marking::{MarkCall, MarkPlan, Marking};
use super::output::Output;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::plan::{
    DEVICE_PROPERTY, MARK_PROPERTY, Observed, ReleasePlan, ReleaseRequest, ReleaseVm, plan_release,
};

/// Gives back the VMs that were named.
pub(super) async fn release(this: &Adopt<'_>, output: &Output) -> Result<Exit, Failure> {
    let request = ReleaseRequest {
        group: &this.scope.group,
        names: &this.args.names,
        prefix: this.args.prefix.as_deref(),
    };
    let plan_of = |observed: &Observed| {
        let (plan, mut problems) = plan_release(&request, observed);
        problems.extend(still_said(&plan, this));
        (plan, problems)
    };
    let marking = Marking {
        global: this.global,
        args: this.args,
        session: this.session,
        plan_of: &plan_of,
    };
    marking.run(output).await
}

/// A VM that the config says and that is not the group's is in the way of every other command.
fn still_said(plan: &ReleasePlan, this: &Adopt<'_>) -> Diagnostics {
    let mut problems = Diagnostics::default();
    let said = this
        .scope
        .known
        .config
        .iter()
        .flat_map(|config| &config.vms);
    let here = said.filter(|vm| vm.host == this.session.name);
    for vm in here.filter(|vm| plan.vms.iter().any(|one| one.name == vm.name)) {
        problems.push(
            Diagnostic::warning(
                "the config still has it, so `tnvm create` and `tnvm apply` would be refused",
            )
            .help("take it out of the config")
            .vm(&vm.name),
        );
    }
    problems
}

impl MarkPlan for ReleasePlan {
    fn group(&self) -> &str {
        &self.group
    }

    fn open(&self) -> Vec<&str> {
        let vms = self.vms.iter().filter(|vm| !vm.is_done());
        vms.map(|vm| vm.name.as_str()).collect()
    }

    /// The VM first: see [`plan_release`].
    fn calls(&self) -> Vec<MarkCall> {
        let mut calls = Vec::new();
        for vm in &self.vms {
            if let (Some(id), Some(description)) = (vm.id, &vm.description) {
                calls.push(MarkCall::Vm {
                    id,
                    description: description.clone(),
                });
            }
            calls.extend(vm.zvols.iter().map(|dataset| {
                MarkCall::Zvol {
                    dataset: dataset.clone(),
                    properties: [MARK_PROPERTY, DEVICE_PROPERTY]
                        .map(|property| (property.to_owned(), None))
                        .to_vec(),
                }
            }));
        }
        calls
    }

    fn lines(&self) -> Vec<String> {
        let open: Vec<&ReleaseVm> = self.vms.iter().filter(|vm| !vm.is_done()).collect();
        let mut lines: Vec<String> = open.iter().flat_map(|vm| vm_lines(vm)).collect();
        lines.push(format!(
            "Group `{}`: {} VMs to give back, {} carry no mark of it.",
            self.group,
            open.len(),
            self.vms.len() - open.len()
        ));
        lines
    }

    fn question(&self) -> &'static str {
        "From then on tnvm neither changes nor removes them."
    }

    fn goes_on(&self) -> &'static str {
        "takes off the rest"
    }

    fn done(&self) -> String {
        format!("given back: {}", self.open().join(", "))
    }
}

fn vm_lines(vm: &ReleaseVm) -> Vec<String> {
    let mut lines = vec![match vm.id {
        Some(id) => format!("  ~ {} (id {id}): is given back", vm.name),
        None => format!("  ~ {}: its left-over zvols are given back", vm.name),
    }];
    if let Some(description) = &vm.description {
        lines.push(format!("      ~ description: {description}"));
    }
    let zvols = vm.zvols.iter();
    lines.extend(zvols.map(|zvol| format!("      ~ zvol  {zvol}")));
    lines
}
