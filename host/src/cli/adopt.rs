//! `tnvm adopt`: VMs that tnvm did not make become the group's, or are given back.

use super::adopt_write;
use super::args::{AdoptArgs, Global};
use super::exit::{Exit, Failure};
use super::fleet::{Fleet, Target};
use super::marking::{MarkCall, MarkPlan, Marking};
use super::output::Output;
use super::prepare::{Reach, prepare};
use super::release;
use super::scope::{Scope, scope};
use super::session::{Opening, Session};
use crate::config::RESERVED_SECTIONS;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::plan::{
    AdoptPlan, AdoptRequest, AdoptVm, DEVICE_PROPERTY, MARK_PROPERTY, Observed, plan_adopt,
};
use crate::resolve::Desired;
use crate::truenas::Purpose;

/// Runs the command.
pub(super) async fn adopt(
    global: &Global,
    args: &AdoptArgs,
    output: &Output,
) -> Result<Exit, Failure> {
    let scope = scope(global, output)?;
    let purpose = if args.dry_run || args.write.is_some() {
        Purpose::Look
    } else {
        Purpose::Adopt
    };
    let opening = Opening {
        global,
        environment: &scope.known.environment,
        vms_at_once: None,
        purpose,
        output,
    };
    let target = Target {
        host: scope.known.servers.only()?.clone(),
        vms: Vec::new(),
        part: (),
    };
    let fleet = Fleet::open(&opening, vec![target], Vec::new(), async |_, ()| Ok(())).await?;
    let mut outcome = Ok(Exit::Done);
    for member in &fleet.members {
        let this = Adopt {
            global,
            args,
            scope: &scope,
            session: &member.session,
        };
        outcome = match &args.write {
            Some(path) => adopt_write::write(&this, path, output).await,
            None if args.release => release::release(&this, output).await,
            None => this.run(output).await,
        };
    }
    fleet.close().await;
    outcome
}

/// One run.
pub(super) struct Adopt<'a> {
    pub(super) global: &'a Global,
    pub(super) args: &'a AdoptArgs,
    pub(super) scope: &'a Scope,
    pub(super) session: &'a Session,
}

impl Adopt<'_> {
    /// What is to be marked; a config, where there is one, knows types and names of disks.
    pub(super) fn plan(
        &self,
        desired: Option<&Desired>,
        observed: &Observed,
    ) -> Result<(AdoptPlan, Diagnostics), Failure> {
        let (plan, problems) = plan_adopt(&self.request(), desired, observed);
        if problems.has_errors() {
            return Err(Failure::Problems(problems));
        }
        Ok((plan, problems))
    }

    fn request(&self) -> AdoptRequest<'_> {
        AdoptRequest {
            group: &self.scope.group,
            vm_type: self.args.vm_type.as_deref(),
            names: &self.args.names,
            prefix: self.args.prefix.as_deref(),
            reserved: RESERVED_SECTIONS,
        }
    }

    async fn desired(&self, output: &Output) -> Result<Option<Desired>, Failure> {
        if self.scope.known.config.is_none() {
            return Ok(None);
        }
        let prepared = prepare(self.global, Reach::Server, output)?;
        let mut parts = prepared.parts.iter();
        match parts.find(|part| part.host.name == self.session.name) {
            Some(part) => Ok(Some(prepared.for_server(part, &self.session.client).await?)),
            None => Ok(None),
        }
    }

    async fn run(&self, output: &Output) -> Result<Exit, Failure> {
        let desired = self.desired(output).await?;
        let plan_of = |observed: &Observed| {
            let (plan, mut problems) = plan_adopt(&self.request(), desired.as_ref(), observed);
            problems.extend(self.unsaid(&plan, desired.as_ref()));
            (plan, problems)
        };
        let marking = Marking {
            global: self.global,
            args: self.args,
            session: self.session,
            plan_of: &plan_of,
        };
        marking.run(output).await
    }

    /// A VM of the group that no config says is one that the next apply removes; one that it puts on
    /// another server is in the way there.
    fn unsaid(&self, plan: &AdoptPlan, desired: Option<&Desired>) -> Diagnostics {
        let mut problems = Diagnostics::default();
        let Some(desired) = desired else {
            return problems;
        };
        let config = self.scope.known.config.as_ref();
        for vm in &plan.vms {
            if desired.vms.iter().any(|one| one.name == vm.name) {
                continue;
            }
            let said = config.and_then(|config| config.vms.iter().find(|one| one.name == vm.name));
            let host = said.and_then(|said| said.host.as_deref());
            let problem = match (host, &self.session.name) {
                (Some(host), Some(here)) => Diagnostic::warning(format!(
                    "the config says that it is on {host}, so the next `tnvm apply` would refuse"
                ))
                .help(format!("write `host: {here}` for it first")),
                _ => Diagnostic::warning(
                    "the config does not have it, so the next `tnvm apply` would remove it",
                )
                .help("write it into the config first; `tnvm adopt NAME --write -` shows how"),
            };
            problems.push(problem.vm(&vm.name));
        }
        problems
    }
}

impl MarkPlan for AdoptPlan {
    fn group(&self) -> &str {
        &self.group
    }

    fn open(&self) -> Vec<&str> {
        let vms = self.vms.iter().filter(|vm| !vm.is_done());
        vms.map(|vm| vm.name.as_str()).collect()
    }

    /// Zvols first, then their VM.
    fn calls(&self) -> Vec<MarkCall> {
        let mut calls = Vec::new();
        for vm in &self.vms {
            calls.extend(vm.zvols.iter().map(|zvol| MarkCall::Zvol {
                dataset: zvol.dataset.clone(),
                properties: vec![
                    (MARK_PROPERTY.to_owned(), Some(vm.mark.to_string())),
                    (DEVICE_PROPERTY.to_owned(), Some(zvol.device.clone())),
                ],
            }));
            calls.extend(vm.description.as_ref().map(|description| MarkCall::Vm {
                id: vm.id,
                description: description.clone(),
            }));
        }
        calls
    }

    fn lines(&self) -> Vec<String> {
        let open: Vec<&AdoptVm> = self.vms.iter().filter(|vm| !vm.is_done()).collect();
        let mut lines: Vec<String> = open.iter().flat_map(|vm| vm_lines(vm)).collect();
        lines.push(format!(
            "Group `{}`: {} VMs to adopt, {} are its own already.",
            self.group,
            open.len(),
            self.vms.len() - open.len()
        ));
        lines
    }

    fn question(&self) -> &'static str {
        "From then on `tnvm apply` and `tnvm destroy` count them in."
    }

    fn goes_on(&self) -> &'static str {
        "marks the rest"
    }

    fn done(&self) -> String {
        format!(
            "adopted: {}; `tnvm plan` shows what an apply would change of them",
            self.open().join(", ")
        )
    }
}

fn vm_lines(vm: &AdoptVm) -> Vec<String> {
    let mut lines = vec![format!(
        "  ~ {} (id {}): becomes a `{}`",
        vm.name, vm.id, vm.mark.vm_type
    )];
    for zvol in &vm.zvols {
        lines.push(format!("      ~ {}  {}", zvol.device, zvol.dataset));
    }
    if let Some(description) = &vm.description {
        lines.push(format!("      ~ description: {description}"));
    }
    lines
}
