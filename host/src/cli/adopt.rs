//! `tnvm adopt`: shows VMs that tnvm did not make, asks, marks them, and looks whether they are.

use serde_json::{Map, Value};

use super::adopt_write;
use super::args::{AdoptArgs, Global};
use super::exit::{Exit, Failure};
use super::fleet::{Fleet, Target};
use super::guard;
use super::output::Output;
use super::prepare::{Reach, prepare};
use super::scope::{Scope, scope};
use super::session::{self, Opening, Session};
use super::signals;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::execute::StopSignal;
use crate::lock::Held;
use crate::plan::{
    AdoptPlan, AdoptRequest, AdoptVm, DEVICE_PROPERTY, MARK_PROPERTY, Observed, plan_adopt,
};
use crate::resolve::Desired;
use crate::truenas::{CallError, Client, Purpose};

/// How often marking begins anew after an answer was lost.
const TRIES: u32 = 3;

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
    let host = scope.known.servers.only()?.clone();
    let target = Target {
        host,
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
        let request = AdoptRequest {
            group: &self.scope.group,
            vm_type: self.args.vm_type.as_deref(),
            names: &self.args.names,
            prefix: self.args.prefix.as_deref(),
        };
        let (plan, problems) = plan_adopt(&request, desired, observed);
        if problems.has_errors() {
            return Err(Failure::Problems(problems));
        }
        Ok((plan, problems))
    }

    async fn desired(&self, output: &Output) -> Result<Option<Desired>, Failure> {
        if self.scope.known.config.is_none() {
            return Ok(None);
        }
        let prepared = prepare(self.global, Reach::Server, output)?;
        let own = prepared
            .parts
            .iter()
            .find(|one| one.host.name == self.session.name);
        match own {
            Some(part) => Ok(Some(prepared.for_server(part, &self.session.client).await?)),
            None => Ok(None),
        }
    }

    async fn run(&self, output: &Output) -> Result<Exit, Failure> {
        let desired = self.desired(output).await?;
        let observe = async || session::observe_everything(&self.session.client).await;
        let (place, observed) = tokio::join!(guard::look(self.session), observe());
        let (plan, mut problems) = self.plan(desired.as_ref(), &observed?)?;
        problems.extend(self.unsaid(&plan, desired.as_ref()));
        output.problems(&problems);
        if self.args.dry_run || plan.is_empty() {
            show(&plan, output);
            return Ok(Exit::Done);
        }
        if self.global.read_only {
            show(&plan, output);
            return Err(guard::read_only());
        }
        // What was seen before a question is old by the time of its answer.
        let mut place = place;
        if !self.args.yes {
            confirm(&plan, output)?;
            place = None;
        }
        let force = self.args.force_unlock;
        let (lock, observed) =
            guard::lock(self.session, place, &plan.group, force, output, observe).await?;
        let again = observed.and_then(|observed| self.plan(desired.as_ref(), &observed));
        let refused = match again {
            // What is marked is what was shown and agreed to, and nothing else.
            Ok((again, _)) if again == plan => None,
            Ok(_) => Some(guard::changed_meanwhile(self.session)),
            Err(failure) => Some(failure),
        };
        if let Some(failure) = refused {
            guard::unlock(lock).await;
            return Err(failure);
        }
        let marked = self.mark(&plan, desired.as_ref(), lock, output).await?;
        if marked == Exit::Done {
            if output.is_json() || self.args.yes {
                show(&plan, output);
            }
            output.note(&format!(
                "adopted: {}; `tnvm plan` shows what an apply would change of them",
                names(&plan).join(", ")
            ));
        }
        Ok(marked)
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

    /// Marks everything, call by call; a stop signal is heard in between. An answer that is lost is
    /// looked for: what is marked needs nothing any more.
    async fn mark(
        &self,
        plan: &AdoptPlan,
        desired: Option<&Desired>,
        lock: Option<Held>,
        output: &Output,
    ) -> Result<Exit, Failure> {
        let (stop, signal) = StopSignal::new();
        let lost = lock.as_ref().map(Held::lost);
        let losing = tokio::spawn(guard::stop_when_lost(
            lost,
            stop.clone(),
            self.session.prefix(),
            *output,
        ));
        let interrupts = signals::on_every(move || stop.stop());
        let mut left = plan.clone();
        let mut outcome = Err(Failure::Interrupted);
        for _ in 0..TRIES {
            let done = tokio::select! {
                biased;
                () = signal.now() => break,
                done = mark_all(&self.session.client, &left, &signal) => done,
            };
            let observed = session::observe_everything(&self.session.client).await;
            let rest = observed.and_then(|observed| self.plan(desired, &observed));
            outcome = match (done, rest) {
                (_, Ok((rest, _))) if rest.is_empty() => Ok(Exit::Done),
                (Ok(false), Ok(_)) if signal.is_withdrawn() => Ok(Exit::Refused),
                (Ok(false), Ok(_)) => {
                    output.note("interrupted: the same command marks the rest");
                    Ok(Exit::Interrupted)
                }
                (Err(cause), Ok((rest, _))) if matches!(cause, CallError::Disconnected { .. }) => {
                    left = rest;
                    outcome = Err(session::broken(&cause));
                    continue;
                }
                (Err(cause), _) => {
                    output.error(&format!("not everything could be marked: {cause}"));
                    output.note("  help: remove the cause; the same command marks the rest");
                    Ok(Exit::Failed)
                }
                (Ok(true), Ok((rest, _))) => {
                    output.error(&format!(
                        "the server does not show the marks of {}",
                        names(&rest).join(", ")
                    ));
                    Ok(Exit::Failed)
                }
                (Ok(_), Err(failure)) => Err(failure),
            };
            break;
        }
        interrupts.abort();
        losing.abort();
        if matches!(outcome, Err(Failure::Interrupted)) {
            guard::leave(self.session, lock, output);
        } else {
            guard::unlock(lock).await;
        }
        outcome
    }
}

/// Zvols first, then their VM. Gives whether it came to its end.
async fn mark_all(
    client: &Client,
    plan: &AdoptPlan,
    signal: &StopSignal,
) -> Result<bool, CallError> {
    for vm in &plan.vms {
        for zvol in &vm.zvols {
            if signal.is_stopping() {
                return Ok(false);
            }
            let properties = [
                (MARK_PROPERTY.to_owned(), Some(vm.mark.to_string())),
                (DEVICE_PROPERTY.to_owned(), Some(zvol.device.clone())),
            ];
            client
                .set_user_properties(&zvol.dataset, &properties)
                .await?;
        }
        if let Some(description) = &vm.description {
            if signal.is_stopping() {
                return Ok(false);
            }
            let fields: Map<String, Value> =
                [("description".to_owned(), description.as_str().into())]
                    .into_iter()
                    .collect();
            client.update_vm(vm.id, fields).await?;
        }
    }
    Ok(true)
}

fn names(plan: &AdoptPlan) -> Vec<&str> {
    let vms = plan.vms.iter().filter(|vm| !vm.is_done());
    vms.map(|vm| vm.name.as_str()).collect()
}

fn show(plan: &AdoptPlan, output: &Output) {
    if output.is_json() {
        output.json(plan);
        return;
    }
    for vm in plan.vms.iter().filter(|vm| !vm.is_done()) {
        line(vm, output);
    }
    let done = plan.vms.iter().filter(|vm| vm.is_done()).count();
    let open = plan.vms.len() - done;
    output.line(&format!(
        "Group `{}`: {open} VMs to adopt, {done} are its own already.",
        plan.group
    ));
}

fn line(vm: &AdoptVm, output: &Output) {
    output.line(&format!(
        "  ~ {} (id {}): becomes a `{}`",
        vm.name, vm.id, vm.mark.vm_type
    ));
    for zvol in &vm.zvols {
        output.line(&format!("      ~ {}  {}", zvol.device, zvol.dataset));
    }
    if let Some(description) = &vm.description {
        output.line(&format!("      ~ description: {description}"));
    }
}

fn confirm(plan: &AdoptPlan, output: &Output) -> Result<(), Failure> {
    if output.is_json() {
        return Err(Failure::NotConfirmed(
            "a program cannot be asked: `-o json` needs `--yes`, or `--dry-run` to look first; nothing was changed".to_owned(),
        ));
    }
    show(plan, output);
    let question = format!(
        "From then on `tnvm apply` and `tnvm destroy` count them in. Type the group's name ({}) to go on:",
        plan.group
    );
    match output.ask(&question) {
        Some(answer) if answer == plan.group => Ok(()),
        Some(_) => Err(Failure::NotConfirmed(
            "that is not the group's name; nothing was changed".to_owned(),
        )),
        None => Err(Failure::NotConfirmed(
            "nobody can be asked, since standard input is not a terminal; `--yes` goes on without asking; nothing was changed".to_owned(),
        )),
    }
}
