//! `tnvm create`: makes what is missing, starts it, says what happened.

use super::args::{CreateArgs, Global, OnFailureArg};
use super::exit::{Exit, Failure};
use super::guard;
use super::output::Output;
use super::prepare::{Prepared, Reach, Secrets, prepare};
use super::run::{Run, run, show_only};
use super::session;
use crate::execute::OnFailure;
use crate::plan::{Observed, Selection, plan_create, plan_create_offline};
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
    if args.offline {
        let desired = chosen(&prepared.desired, args)?;
        show_only(&plan_create_offline(&desired), None, output);
        return Ok(Exit::Done);
    }
    let session = session::open(
        global,
        &prepared.environment,
        Some(&prepared.config),
        args.concurrency,
        if args.dry_run {
            Purpose::Look
        } else {
            Purpose::Create
        },
        output,
    )
    .await?;
    let outcome = create_on(&session, prepared, global, args, output).await;
    session.close().await;
    outcome
}

async fn create_on(
    session: &session::Session,
    prepared: Prepared,
    global: &Global,
    args: &CreateArgs,
    output: &Output,
) -> Result<Exit, Failure> {
    let prepared = prepared.for_server(&session.client).await?;
    let desired = chosen(&prepared.desired, args)?;
    let observe = async || session::observe_for(&session.client, &desired).await;
    let (place, observed) = tokio::join!(guard::look(session), observe());
    let plan_of = |observed: &Observed| {
        let (plan, problems) = plan_create(&desired, observed);
        if problems.has_errors() {
            return Err(Failure::Problems(problems));
        }
        Ok((plan, problems))
    };
    let observed = observed?;
    let (mut plan, problems) = plan_of(&observed)?;
    output.problems(&problems);
    if args.dry_run {
        show_only(&plan, Some(&observed), output);
        return Ok(Exit::Done);
    }
    if global.read_only && !plan.is_empty() {
        show_only(&plan, Some(&observed), output);
        return Err(guard::read_only());
    }
    let mut lock = None;
    if !plan.is_empty() {
        session.expect(&plan, args.concurrency);
        let force = args.force_unlock;
        let (held, observed) =
            guard::lock(session, place, &plan.group, force, output, observe).await?;
        // What is done is what was planned from a look under the lock.
        match observed.and_then(|observed| plan_of(&observed)) {
            Ok((again, _)) => plan = again,
            Err(failure) => {
                guard::unlock(held).await;
                return Err(failure);
            }
        }
        lock = held;
    } else {
        guard::sweep(session, place, &plan.group).await;
    }
    let secrets = Secrets::of(&prepared.environment);
    let run_it = Run {
        plan: &plan,
        observed: Some(&observed),
        session,
        lock,
        secrets: &secrets,
        concurrency: args.concurrency,
        max_unavailable: None,
        on_failure: match args.on_failure {
            OnFailureArg::Rollback => OnFailure::Rollback,
            OnFailureArg::Keep => OnFailure::Keep,
        },
        shown: false,
    };
    run(run_it, output).await
}

/// The VMs that `--only` leaves.
fn chosen(desired: &Desired, args: &CreateArgs) -> Result<Desired, Failure> {
    let selection = Selection::of(&args.only);
    let vms = desired.vms.iter();
    let problems = selection.check(vms.map(|vm| (vm.name.as_str(), vm.vm_type.as_str())));
    if problems.has_errors() {
        return Err(Failure::Problems(problems));
    }
    let mut desired = desired.clone();
    desired
        .vms
        .retain(|vm| selection.selects(&vm.name, &vm.vm_type));
    Ok(desired)
}
