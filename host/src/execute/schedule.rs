//! All VMs of a plan side by side, and what each came to.

use futures_util::stream::{self, StreamExt};
use tokio::time::Instant;
use tracing::Instrument;

use super::events::{Event, Reporter};
use super::failure::Failure;
use super::ledger::{Entry, Object};
use super::options::{ExecuteOptions, OnFailure};
use super::phases;
use super::report::{Outcome, Report, VmReport};
use super::rollback::roll_back;
use super::run::{Halt, Run, VmRun};
use super::stop::StopSignal;
use super::turns;
use crate::plan::{Plan, Step};
use crate::truenas::Client;

/// Executes a plan literally and says what each VM came to. It does not fail as a whole: one VM's
/// failure is undone (or kept) and the others go on.
///
/// Of the VMs that are restarted, only `max_unavailable` are worked on at once; when one of them
/// fails after it was asked to stop, no other is begun.
///
/// At the first stop, steps that have begun are finished and no others are begun, except that a
/// restart goes on until the VM runs again; nothing else is
/// rolled back then, since the same command run again goes on from what is there. Where the right to
/// change anything is lost, a VM that was stopped for its restart is started and nothing else. At the second it
/// returns at once; calls in flight may still take effect on the server, and the report says of
/// what. Dropping the future is like the second stop, without a report. When the connection is
/// lost, what cannot be done any more is reported as such.
pub async fn execute(
    plan: &Plan,
    client: &Client,
    options: &ExecuteOptions<'_>,
    reporter: &dyn Reporter,
    stop: StopSignal,
) -> Report {
    let began = Instant::now();
    let calls_before = calls(client);
    let run = Run::new(client, options, reporter, stop.clone(), plan);
    let vms: Vec<VmRun<'_>> = plan.vms.iter().map(|vm| VmRun::new(&run, vm)).collect();

    // The longest first, so that no long one is left to run alone at the end; among equals the
    // order of the plan, since it is what people expect. Those that wait for their turn to restart
    // come last, so that they keep no other from a place; those that wait for others still later.
    let depths = turns::depths(plan);
    let mut queue: Vec<&VmRun<'_>> = vms.iter().collect();
    queue.sort_by_key(|vm| {
        let steps = vm.plan.steps.len();
        let depth = depths.get(vm.plan.name.as_str());
        (depth, vm.plan.restarts(), std::cmp::Reverse(steps))
    });
    let all = stream::iter(queue).for_each_concurrent(options.concurrency.max(1), |this| {
        let span = tracing::info_span!("vm", vm = %this.plan.name);
        work(this).instrument(span)
    });
    let told = async {
        stop.soon().await;
        reporter.report(Event::Interrupted);
        std::future::pending::<()>().await;
    };
    let cut_off = tokio::select! {
        biased;
        () = stop.now() => true,
        () = all => false,
        () = told => false,
    };
    if cut_off {
        tracing::warn!("stopped at once, calls in flight were left");
    }
    let unsettled = cut_off || vms.iter().any(|vm| vm.ledger.is_unsettled());

    let vms: Vec<VmReport> = vms.iter().map(sum_up).collect();
    Report {
        // A signal that came when all was done has ended nothing early.
        interrupted: stop.is_stopping() && !vms.iter().all(|vm| vm.outcome.is_success()),
        vms,
        wall: began.elapsed(),
        calls: calls(client).saturating_sub(calls_before),
        unsettled,
    }
}

fn calls(client: &Client) -> u64 {
    let stats = client.stats();
    stats.reads + stats.mutations
}

/// One VM from its first step to its outcome.
async fn work(this: &VmRun<'_>) {
    let outcome = if this.plan.steps.is_empty() {
        Outcome::Unchanged
    } else if let Err(failed) = others(this).await {
        let reason = format!("it gets a port or MAC address that {failed} still has");
        let help = format!("mend {failed}, then run the same command again");
        this.notes().failure = Some(not_begun(this, &reason, &help));
        Outcome::Skipped
    } else if this.plan.restarts() {
        // Held from the first step on and not only while the VM is down: a change that waits for
        // a restart which then does not come would be on the server, seen by nobody.
        let stop = &this.run.stop;
        let turn = tokio::select! {
            biased;
            () = stop.soon() => None,
            turn = this.run.restarts.permit() => turn,
        };
        let outcome = begin(this).await;
        if !outcome.is_success() && this.went_down() {
            this.run.restarts.note_failure(&this.plan.name);
        }
        drop(turn);
        outcome
    } else {
        begin(this).await
    };
    tracing::info!(?outcome, "VM finished");
    let turns = &this.run.turns;
    turns.done(&this.plan.name, outcome.is_success());
    this.notes().outcome = Some(outcome);
    this.report(Event::VmFinished {
        vm: this.name(),
        outcome,
    });
}

/// Waits for the VMs that come first; gives back the one that failed. A stop ends the wait.
async fn others(this: &VmRun<'_>) -> Result<(), String> {
    tokio::select! {
        biased;
        () = this.run.stop.soon() => Ok(()),
        waited = this.run.turns.wait(this.plan) => waited,
    }
}

/// Works on a VM unless there is a reason not to begin.
async fn begin(this: &VmRun<'_>) -> Outcome {
    if let Some(error) = this.run.lost() {
        let help = "check the connection, then run the same command again";
        this.notes().failure = Some(not_begun(this, &error.to_string(), help));
        return Outcome::Skipped;
    }
    if this.run.stop.is_stopping() {
        return Outcome::Skipped;
    }
    if let Some(failed) = this.run.restarts.failed().filter(|_| this.plan.restarts()) {
        let name = &this.plan.name;
        let reason = format!("the restart of {failed} failed, so {name} was not stopped");
        let help = format!("mend {failed}, then run the same command again");
        this.notes().failure = Some(not_begun(this, &reason, &help));
        return Outcome::Skipped;
    }
    this.notes().began = Some(Instant::now());
    this.report(Event::VmBegan {
        vm: this.name(),
        steps: this.plan.steps.len() + usize::from(phases::looks_first(this)),
    });
    let outcome = match phases::carry_out(this).await {
        Ok(()) => success(this),
        Err(Halt::Stopped) => Outcome::Interrupted,
        Err(Halt::Failed) => failure(this).await,
    };
    if this.run.stop.is_withdrawn() {
        phases::start_again(this).await;
    }
    this.notes().ended = Some(Instant::now());
    outcome
}

fn success(this: &VmRun<'_>) -> Outcome {
    let changes = |step: &Step| {
        matches!(
            step,
            Step::UpdateVm { .. }
                | Step::GrowVolume { .. }
                | Step::UpdateDevice { .. }
                | Step::DeleteDevice { .. }
                | Step::DeleteVolume { .. }
                | Step::StopVm
        )
    };
    if this.plan.removes() {
        Outcome::Destroyed
    } else if this.plan.creates() {
        Outcome::Created
    } else if this.plan.restarts() {
        Outcome::Restarted
    } else if this.plan.steps == [Step::StartVm] {
        Outcome::Started
    } else if this.plan.steps.iter().any(changes) {
        Outcome::Updated
    } else {
        Outcome::Completed
    }
}

/// What a failed VM comes to; rolls back where that is wanted.
async fn failure(this: &VmRun<'_>) -> Outcome {
    let run = this.run;
    match (this.plan.removes(), run.options.on_failure) {
        (true, _) => Outcome::DestroyIncomplete,
        (false, _) if run.stop.is_stopping() && !this.must_finish() => Outcome::Interrupted,
        (false, OnFailure::Keep) => Outcome::Kept,
        (false, OnFailure::Rollback) if this.ledger.standing().is_empty() => Outcome::RolledBack,
        (false, OnFailure::Rollback) => {
            if roll_back(this).await {
                Outcome::RolledBack
            } else if run.stop.is_stopping() {
                Outcome::Interrupted
            } else {
                Outcome::RollbackIncomplete
            }
        }
    }
}

fn not_begun(this: &VmRun<'_>, reason: &str, help: &str) -> Failure {
    Failure {
        step: None,
        device: None,
        message: format!("{}: was not begun: {reason}", this.plan.name),
        help: Some(help.to_owned()),
    }
}

/// The report of a VM from its notes and its ledger, also when its work was cut off.
fn sum_up(this: &VmRun<'_>) -> VmReport {
    let notes = this.notes().clone();
    let outcome = notes.outcome.unwrap_or(if notes.began.is_some() {
        Outcome::Interrupted
    } else {
        Outcome::Skipped
    });
    let left_behind: Vec<String> = if outcome.is_success() {
        Vec::new()
    } else {
        let standing = this.ledger.standing().into_iter();
        let things = standing.filter(|one| !matches!(one.object, Object::Running { .. }));
        things.map(|one| Entry::to_string(&one)).collect()
    };
    let wall = notes.began.map_or_else(Default::default, |began| {
        notes.ended.unwrap_or_else(Instant::now) - began
    });
    VmReport {
        name: this.name(),
        outcome,
        error: notes.failure,
        rolled_back: notes.removed,
        advice: advice(this, outcome, left_behind.is_empty()).map(str::to_owned),
        left_behind,
        wall,
    }
}

fn advice(this: &VmRun<'_>, outcome: Outcome, nothing_left: bool) -> Option<&'static str> {
    match outcome {
        _ if outcome.is_success() => None,
        Outcome::Interrupted | Outcome::Skipped => {
            Some("run the same command again; it goes on from what is there")
        }
        _ if nothing_left => None,
        Outcome::DestroyIncomplete => {
            Some("remove the cause, then run `tnvm destroy` again; it goes on from what is there")
        }
        _ if this.plan.id.is_some() => {
            Some("run the same command again: it plans anew from what is there")
        }
        _ => Some(
            "run the same command again to complete it, or `tnvm destroy` to remove it; both know it by its mark",
        ),
    }
}
