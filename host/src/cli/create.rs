//! `tnvm create`: makes what is missing, starts it, says what happened.

use super::args::{CreateArgs, Global, OnFailureArg};
use super::exit::{Exit, Failure};
use super::guard;
use super::output::Output;
use super::prepare::{Prepared, Reach, Secrets, prepare};
use super::run::{Run, run, show_only};
use super::session;
use crate::execute::OnFailure;
use crate::plan::{Observed, plan_create, plan_create_offline};
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
        show_only(&plan_create_offline(&prepared.desired), output);
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
    let observe = async || session::observe_for(&session.client, &prepared.desired).await;
    let (place, observed) = tokio::join!(guard::look(session), observe());
    let plan_of = |observed: &Observed| {
        let (plan, problems) = plan_create(&prepared.desired, observed);
        if problems.has_errors() {
            return Err(Failure::Problems(problems));
        }
        Ok((plan, problems))
    };
    let (mut plan, problems) = plan_of(&observed?)?;
    output.problems(&problems);
    if args.dry_run {
        show_only(&plan, output);
        return Ok(Exit::Done);
    }
    if global.read_only && !plan.is_empty() {
        show_only(&plan, output);
        return Err(guard::read_only());
    }
    let mut lock = None;
    if !plan.is_empty() {
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
    }
    let secrets = Secrets::of(&prepared.environment);
    let run_it = Run {
        plan: &plan,
        session,
        lock,
        secrets: &secrets,
        concurrency: args.concurrency,
        on_failure: match args.on_failure {
            OnFailureArg::Rollback => OnFailure::Rollback,
            OnFailureArg::Keep => OnFailure::Keep,
        },
        shown: false,
    };
    run(run_it, output).await
}
