//! `tnvm destroy`: shows what goes, asks, removes it, and looks whether it is gone.

use super::args::{DestroyArgs, Global};
use super::exit::{Exit, Failure};
use super::guard;
use super::output::Output;
use super::prepare::{Scope, Secrets, scope};
use super::run::{Run, run, show_only};
use super::session;
use crate::execute::OnFailure;
use crate::plan::{DestroyOptions, Observed, Plan, PlanView, Selection, plan_destroy};
use crate::truenas::Purpose;

/// Runs the command.
pub(super) async fn destroy(
    global: &Global,
    args: &DestroyArgs,
    output: &Output,
) -> Result<Exit, Failure> {
    let scope = scope(global, output)?;
    let session = session::open(
        global,
        &scope.environment,
        scope.config.as_ref(),
        args.concurrency,
        if args.dry_run {
            Purpose::Look
        } else {
            Purpose::Destroy
        },
        output,
    )
    .await?;
    let outcome = destroy_on(&session, &scope, global, args, output).await;
    session.close().await;
    outcome
}

async fn destroy_on(
    session: &session::Session,
    scope: &Scope,
    global: &Global,
    args: &DestroyArgs,
    output: &Output,
) -> Result<Exit, Failure> {
    let observe = async || session::observe_everything(&session.client).await;
    let (place, observed) = tokio::join!(guard::look(session), observe());
    let plan_of = |observed: &Observed| {
        let (plan, problems) = plan_destroy(
            &scope.group,
            &DestroyOptions {
                selection: &Selection::of(&args.only),
                protected: &scope.protected,
                with_snapshots: args.with_snapshots,
            },
            observed,
        );
        if problems.has_errors() {
            return Err(Failure::Problems(problems));
        }
        Ok((plan, problems))
    };
    let observed = observed?;
    let (plan, problems) = plan_of(&observed)?;
    output.problems(&problems);
    if args.dry_run {
        show_only(&plan, Some(&observed), output);
        return Ok(Exit::Done);
    }
    if global.read_only && !plan.is_empty() {
        show_only(&plan, Some(&observed), output);
        return Err(guard::read_only());
    }
    let ask = !plan.is_empty() && !args.yes;
    // What was seen before a question is old by the time of its answer.
    let mut place = place;
    if ask {
        confirm(&plan, output)?;
        place = None;
    }
    let mut lock = None;
    if !plan.is_empty() {
        let force = args.force_unlock;
        let (held, observed) =
            guard::lock(session, place, &plan.group, force, output, observe).await?;
        let again = observed.and_then(|observed| plan_of(&observed));
        let refused = match again {
            Ok((again, _)) if again == plan => None,
            // What is removed is what was shown and agreed to, and nothing else.
            Ok(_) => Some(guard::changed_meanwhile()),
            Err(failure) => Some(failure),
        };
        if let Some(failure) = refused {
            guard::unlock(held).await;
            return Err(failure);
        }
        lock = held;
    } else {
        guard::sweep(session, place, &plan.group).await;
    }
    let secrets = Secrets::of(&scope.environment);
    let run_it = Run {
        plan: &plan,
        observed: Some(&observed),
        session,
        lock,
        secrets: &secrets,
        concurrency: args.concurrency,
        max_unavailable: None,
        on_failure: OnFailure::Keep,
        shown: ask,
    };
    run(run_it, output).await
}

fn confirm(plan: &Plan, output: &Output) -> Result<(), Failure> {
    if output.is_json() {
        return Err(Failure::NotConfirmed(
            "a program cannot be asked: `-o json` needs `--yes`, or `--dry-run` to look first; nothing was changed".to_owned(),
        ));
    }
    output.plan(&PlanView::from(plan));
    let question = format!(
        "This cannot be undone. Type the group's name ({}) to go on:",
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
