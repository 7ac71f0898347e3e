//! `tnvm create`: makes what is missing, starts it, says what happened.

use super::args::{CreateArgs, Global, OnFailureArg};
use super::exit::{Exit, Failure};
use super::guard;
use super::output::Output;
use super::prepare::{Prepared, Reach, Secrets, prepare};
use super::run::{Run, run, show_only};
use super::session;
use crate::execute::OnFailure;
use crate::plan::{plan_create, plan_create_offline};
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
    let observed = session::observe_for(&session.client, &prepared.desired).await?;
    let (plan, problems) = plan_create(&prepared.desired, &observed);
    if problems.has_errors() {
        return Err(Failure::Problems(problems));
    }
    output.problems(&problems);
    if args.dry_run {
        show_only(&plan, output);
        return Ok(Exit::Done);
    }
    if global.read_only && !plan.is_empty() {
        show_only(&plan, output);
        return Err(guard::read_only());
    }
    let secrets = Secrets::of(&prepared.environment);
    let run_it = Run {
        plan: &plan,
        client: &session.client,
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
