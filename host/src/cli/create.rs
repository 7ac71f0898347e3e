//! `tnvm create`: makes what is missing, starts it, says what happened.

use super::args::{CreateArgs, Global};
use super::exit::{Exit, Failure};
use super::fleet::Fleet;
use super::look::Goal;
use super::output::Output;
use super::prepare::{Prepared, Reach, prepare};
use super::session::{self, Opening, Session};
use super::shown::show_offline;
use super::work::Work;
use crate::diagnostic::Diagnostics;
use crate::plan::{Observed, Plan, Selection, plan_create, plan_create_offline};
use crate::resolve::Desired;
use crate::truenas::Purpose;

/// Runs the command.
pub(super) async fn create(
    global: &Global,
    args: &CreateArgs,
    output: &Output,
) -> Result<Exit, Failure> {
    let reach = if args.offline {
        Reach::Offline
    } else {
        Reach::Server
    };
    let prepared = prepare(global, reach, output)?;
    let selection = Selection::of(&args.only);
    check(&selection, &prepared)?;
    if args.offline {
        let plans = prepared.parts.iter().map(|part| {
            let desired = chosen(part.desired.clone(), &selection);
            plan_create_offline(&desired)
        });
        let plans: Vec<Plan> = plans.collect();
        show_offline(&prepared.places(&selection), &plans, output);
        return Ok(Exit::Done);
    }
    let opening = Opening {
        global,
        environment: &prepared.environment,
        vms_at_once: args.concurrency,
        purpose: if args.dry_run {
            Purpose::Look
        } else {
            Purpose::Create
        },
        output,
    };
    let targets = prepared.targets(&selection);
    let unasked = prepared.unasked.clone();
    let fleet = Fleet::open(&opening, targets, unasked, async |session, part| {
        let desired = prepared.for_server(&part, &session.client).await?;
        Ok(Missing {
            desired: chosen(desired, &selection),
        })
    })
    .await?;
    let work = Work {
        global,
        environment: &prepared.environment,
        output,
        dry_run: args.dry_run,
        question: &|_| None,
        // What is done is what was planned from a look under the lock.
        as_shown: false,
        all_or_none: false,
        force_unlock: args.force_unlock,
        concurrency: args.concurrency,
        max_unavailable: None,
        on_failure: args.on_failure.into(),
    };
    let outcome = work.carry_out(&fleet).await;
    fleet.close().await;
    outcome
}

/// What is missing on one server.
struct Missing {
    desired: Desired,
}

impl Goal for Missing {
    fn group(&self) -> &str {
        &self.desired.group
    }

    fn desired(&self) -> Option<&Desired> {
        Some(&self.desired)
    }

    async fn observe(&self, session: &Session) -> Result<Observed, Failure> {
        session::observe_for(&session.client, &self.desired).await
    }

    fn plan(
        &self,
        observed: &Observed,
        _: &[(String, String)],
    ) -> Result<(Plan, Diagnostics), Failure> {
        Ok(plan_create(&self.desired, observed))
    }
}

/// Every pattern of `--only` chooses a VM of some server.
fn check(selection: &Selection, prepared: &Prepared) -> Result<(), Failure> {
    let vms = prepared.parts.iter().flat_map(|part| &part.desired.vms);
    let problems = selection.check(vms.map(|vm| (vm.name.as_str(), vm.vm_type.as_str())));
    if problems.has_errors() {
        return Err(Failure::Problems(problems));
    }
    Ok(())
}

/// The VMs that `--only` leaves.
fn chosen(mut desired: Desired, selection: &Selection) -> Desired {
    desired
        .vms
        .retain(|vm| selection.selects(&vm.name, &vm.vm_type));
    desired
}
