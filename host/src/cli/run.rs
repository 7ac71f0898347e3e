//! Executes plans on all servers side by side with someone watching, and says how it ended.
//!
//! What fails on one server stops none of the others.

use std::sync::Arc;

use futures_util::future::join_all;
use tokio::sync::watch;

use super::exit::Exit;
use super::fleet::{Absent, Place};
use super::guard;
use super::output::Output;
use super::progress::{self, HostReporter};
use super::results;
use super::session::Session;
use super::shown::{Shown, Sums, in_order, printed, show};
use super::signals;
use crate::execute::{
    ExecuteOptions, OnFailure, Report, Restarts, SecretSource, StopHandle, StopSignal, execute,
};
use crate::lock::Held;
use crate::plan::{Observed, Plan};

/// What to execute, and how.
pub(super) struct Run<'a> {
    /// The servers' parts.
    pub(super) parts: Vec<RunPart<'a>>,
    /// The servers that could not be asked.
    pub(super) absent: &'a [Absent],
    /// Where secrets come from.
    pub(super) secrets: &'a dyn SecretSource,
    /// VMs side by side on a server, if the user says.
    pub(super) concurrency: Option<u16>,
    /// VMs that may be down for a restart at once, over all servers, if the user says.
    pub(super) max_unavailable: Option<u16>,
    /// What becomes of a VM that fails.
    pub(super) on_failure: OnFailure,
    /// Whether the plan was shown already.
    pub(super) shown: bool,
}

/// One server's part.
pub(super) struct RunPart<'a> {
    /// The server.
    pub(super) place: &'a Place,
    /// The connection.
    pub(super) session: &'a Session,
    /// The plan.
    pub(super) plan: &'a Plan,
    /// What it was made from, for showing how much of it is left.
    pub(super) observed: &'a Observed,
    /// The lock of the group; released when the plan is carried out.
    pub(super) lock: Option<Held>,
}

/// Shows the plan, executes it, prints the result.
pub(super) async fn run(run: Run<'_>, output: &Output) -> Exit {
    let absent = run.absent;
    let asked = run.parts.iter().map(|part| {
        let address = part.session.client.endpoint().to_string();
        Shown::asked(part.place, address, part.plan, Some(part.observed))
    });
    let shown = in_order(asked.chain(absent.iter().map(Shown::not_asked)));
    if !output.is_json() && !run.shown {
        show(&shown, output);
    }
    let kind = run.parts.first().map(|part| part.plan.kind);
    let has_changes = run.parts.iter().any(|part| !part.plan.is_empty());
    let came = execute_all(run, output).await;
    let lost = came.iter().any(|one| one.lost && one.report.interrupted);
    let came = results::all(came, absent);
    let whole = results::whole(&came);
    if output.is_json() {
        let ran = |place: &Place| results::of(&came, place);
        output.json(&printed(&shown, ran, Sums::Of(whole.clone())));
    } else if let Some(kind) = kind.filter(|_| has_changes || !absent.is_empty()) {
        results::print(&came, kind, output);
    }
    if whole.interrupted && lost {
        Exit::Refused
    } else if whole.interrupted {
        Exit::Interrupted
    } else if whole.success {
        Exit::Done
    } else {
        Exit::Failed
    }
}

/// What one server's execution came to.
pub(super) struct Executed<'a> {
    /// The server.
    pub(super) place: &'a Place,
    /// The connection.
    pub(super) session: &'a Session,
    /// What became of its VMs.
    pub(super) report: Report,
    /// Whether its lock was lost meanwhile.
    lost: bool,
}

async fn execute_all<'a>(run: Run<'a>, output: &Output) -> Vec<Executed<'a>> {
    let mut options = ExecuteOptions::new(run.secrets);
    options.on_failure = run.on_failure;
    if let Some(max_unavailable) = run.max_unavailable {
        options.max_unavailable = max_unavailable.into();
    }
    // Over all servers: a group of equals is one group wherever its VMs are.
    options.restarts = Some(Arc::new(Restarts::new(options.max_unavailable)));
    let (parts, concurrency) = (run.parts, run.concurrency);
    let watching = progress::watch(*output);
    let signals: Vec<(StopHandle, StopSignal)> = parts.iter().map(|_| StopSignal::new()).collect();
    let handles: Vec<StopHandle> = signals.iter().map(|(handle, _)| handle.clone()).collect();
    let note = *output;
    let interrupts = signals::on_every(move || {
        note.note("interrupted: finishing the calls in flight; press Ctrl-C again to stop at once");
        handles.iter().for_each(StopHandle::stop);
    });
    let all = parts.into_iter().zip(signals).map(|(part, stop)| {
        let reporter = watching.reporter(part.place.name.as_deref());
        let options = ExecuteOptions {
            concurrency: match concurrency {
                Some(concurrency) => concurrency.into(),
                None => options.concurrency * part.session.client.connections(),
            },
            restarts: options.restarts.clone(),
            ..options
        };
        execute_one(part, options, reporter, stop, *output)
    });
    let came = join_all(all).await;
    interrupts.abort();
    watching.finish().await;
    came
}

async fn execute_one<'a>(
    mut part: RunPart<'a>,
    options: ExecuteOptions<'_>,
    reporter: HostReporter,
    (stop, signal): (StopHandle, StopSignal),
    output: Output,
) -> Executed<'a> {
    let RunPart { session, plan, .. } = part;
    if let Some(audit) = &session.audit {
        audit.about_plan(plan);
    }
    if let Some(recorder) = &session.recorder {
        recorder.about_plan(plan);
    }
    let lost: Option<watch::Receiver<Option<String>>> = part.lock.as_ref().map(Held::lost);
    let losing = guard::stop_when_lost(lost.clone(), stop, session.prefix(), output);
    let losing = tokio::spawn(losing);
    let report = execute(plan, &session.client, &options, &reporter, signal).await;
    losing.abort();
    if let Some(why) = session.client.loss() {
        output.error(&format!("{}{why}", session.prefix()));
        output.note(&format!("  help: {}", why.help()));
    }
    if report.unsettled {
        guard::leave(session, part.lock.take(), &output);
    } else {
        guard::unlock(part.lock.take()).await;
    }
    Executed {
        place: part.place,
        session,
        report,
        lost: lost.is_some_and(|lost| lost.borrow().is_some()),
    }
}
