//! Executes a plan with someone watching, and says how it ended.

use serde::Serialize;
use serde_json::{Map, Value};
use tokio::sync::watch;

use super::exit::{self, Exit};
use super::guard;
use super::output::{Meaning, Output, cell, meant};
use super::progress;
use super::session::Session;
use super::signals;
use crate::execute::{
    ExecuteOptions, Failure, OnFailure, Outcome, Report, SecretSource, StopSignal, VmReport,
    execute,
};
use crate::lock::Held;
use crate::plan::{Observed, Plan, PlanKind, PlanView};
use crate::truenas::Client;

/// What to execute, and how.
pub(super) struct Run<'a> {
    /// The plan.
    pub(super) plan: &'a Plan,
    /// What it was made from, for showing how much of it is left.
    pub(super) observed: Option<&'a Observed>,
    /// The connection.
    pub(super) session: &'a Session,
    /// The lock of the group; released when the plan is carried out.
    pub(super) lock: Option<Held>,
    /// Where secrets come from.
    pub(super) secrets: &'a dyn SecretSource,
    /// VMs side by side, if the user says.
    pub(super) concurrency: Option<u16>,
    /// VMs that may be down for a restart at once, if the user says.
    pub(super) max_unavailable: Option<u16>,
    /// What becomes of a VM that fails.
    pub(super) on_failure: OnFailure,
    /// Whether the plan was shown already.
    pub(super) shown: bool,
}

/// What a run prints for programs. Members are added, never renamed.
#[derive(Debug, Serialize)]
struct Printed<'a> {
    plan: &'a PlanView,
    vms: &'a [VmReport],
    summary: Summary,
}

#[derive(Debug, Serialize)]
struct Summary {
    /// VMs by outcome.
    outcomes: Map<String, Value>,
    /// Whether every VM is as planned.
    success: bool,
    interrupted: bool,
    wall_seconds: f64,
    /// Calls that read, of the whole command.
    reading_calls: u64,
    /// Calls that change something.
    mutating_calls: u64,
    bytes_sent: u64,
    bytes_received: u64,
}

/// Shows the plan, executes it, prints the result.
pub(super) async fn run(mut run: Run<'_>, output: &Output) -> Result<Exit, exit::Failure> {
    let view = PlanView::of(run.plan, run.observed);
    if !output.is_json() && !run.shown {
        output.plan(&view);
    }
    if let Some(audit) = &run.session.audit {
        audit.about_plan(run.plan);
    }
    if let Some(recorder) = &run.session.recorder {
        recorder.about_plan(run.plan);
    }
    let lost = run.lock.as_ref().map(Held::lost);
    let report = execute_watched(&run, lost.clone(), output).await;
    if report.unsettled {
        guard::leave(run.lock.take(), output);
    } else {
        guard::unlock(run.lock.take()).await;
    }
    let lost = lost.is_some_and(|lost| lost.borrow().is_some());
    if output.is_json() {
        output.json(&Printed {
            plan: &view,
            vms: &report.vms,
            summary: summary(&report, &run.session.client),
        });
    } else if !run.plan.is_empty() {
        print(&report, run.plan.kind, output);
    }
    Ok(if report.interrupted && lost {
        Exit::Refused
    } else if report.interrupted {
        Exit::Interrupted
    } else if report.is_success() {
        Exit::Done
    } else {
        Exit::Failed
    })
}

/// A dry run: the plan in the shape that a real run prints.
pub(super) fn show_only(plan: &Plan, observed: Option<&Observed>, output: &Output) {
    let view = PlanView::of(plan, observed);
    if output.is_json() {
        output.json(&serde_json::json!({"plan": view, "vms": [], "summary": {}}));
    } else {
        output.plan(&view);
    }
}

async fn execute_watched(
    run: &Run<'_>,
    lost: Option<watch::Receiver<Option<String>>>,
    output: &Output,
) -> Report {
    let mut options = ExecuteOptions::new(run.secrets);
    options.on_failure = run.on_failure;
    options.concurrency = match run.concurrency {
        Some(concurrency) => concurrency.into(),
        None => options.concurrency * run.session.client.connections(),
    };
    if let Some(max_unavailable) = run.max_unavailable {
        options.max_unavailable = max_unavailable.into();
    }
    let (stop, signal) = StopSignal::new();
    let watching = progress::watch(*output);
    let note = *output;
    let losing = tokio::spawn(guard::stop_when_lost(lost, stop.clone(), *output));
    let interrupts = signals::on_every(move || {
        note.note("interrupted: finishing the calls in flight; press Ctrl-C again to stop at once");
        stop.stop();
    });
    let client = &run.session.client;
    let report = execute(run.plan, client, &options, watching.reporter(), signal).await;
    interrupts.abort();
    losing.abort();
    watching.finish().await;
    report
}

fn summary(report: &Report, client: &Client) -> Summary {
    let mut outcomes = Map::new();
    for vm in &report.vms {
        let name = serde_json::to_value(vm.outcome).ok();
        let Some(Value::String(name)) = name else {
            continue;
        };
        let count = outcomes.get(&name).and_then(Value::as_u64).unwrap_or(0);
        outcomes.insert(name, (count + 1).into());
    }
    let stats = client.stats();
    Summary {
        outcomes,
        success: report.is_success(),
        interrupted: report.interrupted,
        wall_seconds: report.wall.as_secs_f64(),
        reading_calls: stats.reads,
        mutating_calls: stats.mutations,
        bytes_sent: stats.bytes_sent,
        bytes_received: stats.bytes_received,
    }
}

fn print(report: &Report, kind: PlanKind, output: &Output) {
    let rows: Vec<_> = report
        .vms
        .iter()
        .filter(|vm| vm.outcome != Outcome::Unchanged)
        .map(|vm| {
            let (word, meaning) = words(vm.outcome);
            vec![
                cell(&vm.name),
                meant(word, meaning),
                cell(format!("{:.1} s", vm.wall.as_secs_f64())),
                cell(
                    vm.error
                        .as_ref()
                        .map(|one| why(&vm.name, one))
                        .unwrap_or_default(),
                ),
            ]
        })
        .collect();
    output.line("");
    output.table(&["VM", "RESULT", "TIME", "WHY"], &rows);
    for vm in &report.vms {
        if let Some(help) = vm.error.as_ref().and_then(|failure| failure.help.as_ref()) {
            output.note(&format!("{}: help: {help}", vm.name));
        }
        if vm.left_behind.is_empty() {
            continue;
        }
        output.note(&format!(
            "{}: left behind: {}",
            vm.name,
            vm.left_behind.join(", ")
        ));
        if let Some(advice) = &vm.advice {
            output.note(&format!("  help: {advice}"));
        }
    }
    output.line(&closing(report, kind));
}

/// `could not create device nic.lan: …`; the VM stands in a column of its own.
fn why(vm: &str, failure: &Failure) -> String {
    let message = &failure.message;
    let without = message
        .strip_prefix(vm)
        .and_then(|rest| rest.strip_prefix(": "));
    without.unwrap_or(message).to_owned()
}

fn closing(report: &Report, kind: PlanKind) -> String {
    let well = report
        .vms
        .iter()
        .filter(|vm| vm.outcome.is_success())
        .count();
    let total = report.vms.len();
    let verb = match kind {
        PlanKind::Create | PlanKind::Apply => "as planned",
        PlanKind::Destroy => "gone",
    };
    let seconds = report.wall.as_secs_f64();
    let mut text = format!("{well} of {total} VMs {verb}, in {seconds:.1} s.");
    if report.interrupted {
        text.push_str(" Interrupted: the same command goes on from here.");
    } else if well < total {
        text.push_str(" Running the same command again tries the others once more.");
    }
    text
}

const fn words(outcome: Outcome) -> (&'static str, Meaning) {
    match outcome {
        Outcome::Unchanged => ("unchanged", Meaning::Plain),
        Outcome::Created => ("created", Meaning::Good),
        Outcome::Completed => ("completed", Meaning::Good),
        Outcome::Started => ("started", Meaning::Good),
        Outcome::Updated => ("changed", Meaning::Good),
        Outcome::Restarted => ("changed, restarted", Meaning::Good),
        Outcome::Destroyed => ("destroyed", Meaning::Good),
        Outcome::RolledBack => ("failed, rolled back", Meaning::Bad),
        Outcome::Kept => ("failed, kept", Meaning::Bad),
        Outcome::RollbackIncomplete => ("failed, rollback incomplete", Meaning::Bad),
        Outcome::DestroyIncomplete => ("failed, not all is gone", Meaning::Bad),
        Outcome::Interrupted => ("interrupted", Meaning::Attention),
        Outcome::Skipped => ("not begun", Meaning::Attention),
    }
}
