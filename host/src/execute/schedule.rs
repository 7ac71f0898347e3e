//! All VMs of a plan side by side, and what each came to.

use futures_util::stream::{self, StreamExt};
use tokio::time::Instant;
use tracing::Instrument;

use super::create::create;
use super::destroy::destroy;
use super::events::{Event, Reporter};
use super::failure::Failure;
use super::ledger::{Entry, Object};
use super::options::{ExecuteOptions, OnFailure};
use super::report::{Outcome, Report, VmReport};
use super::rollback::roll_back;
use super::run::{Halt, Run, VmRun};
use super::stop::StopSignal;
use crate::plan::{Plan, Step};
use crate::truenas::Client;

/// Executes a plan literally and says what each VM came to. It does not fail as a whole: one VM's
/// failure is undone (or kept) and the others go on.
///
/// At the first stop, steps that have begun are finished and no others are begun; nothing is
/// rolled back then, since the same command run again goes on from what is there. At the second it
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
    let run = Run::new(client, options, reporter, stop.clone());
    let vms: Vec<VmRun<'_>> = plan.vms.iter().map(|vm| VmRun::new(&run, vm)).collect();

    // The longest first, so that no long one is left to run alone at the end; among equals the
    // order of the plan, since it is what people expect.
    let mut queue: Vec<&VmRun<'_>> = vms.iter().collect();
    queue.sort_by_key(|vm| std::cmp::Reverse(vm.plan.steps.len()));
    let all = stream::iter(queue).for_each_concurrent(options.concurrency.max(1), |this| {
        let span = tracing::info_span!("vm", vm = %this.plan.name);
        work(this).instrument(span)
    });
    let told = async {
        stop.soon().await;
        reporter.report(Event::Interrupted);
        std::future::pending::<()>().await;
    };
    tokio::select! {
        biased;
        () = stop.now() => tracing::warn!("stopped at once, calls in flight were left"),
        () = all => {}
        () = told => {}
    }

    let vms: Vec<VmReport> = vms.iter().map(sum_up).collect();
    Report {
        // A signal that came when all was done has ended nothing early.
        interrupted: stop.is_stopping() && !vms.iter().all(|vm| vm.outcome.is_success()),
        vms,
        wall: began.elapsed(),
        calls: calls(client).saturating_sub(calls_before),
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
    } else if let Some(error) = this.run.lost() {
        this.notes().failure = Some(not_begun(this, &error.to_string()));
        Outcome::Skipped
    } else if this.run.stop.is_stopping() {
        Outcome::Skipped
    } else {
        this.notes().began = Some(Instant::now());
        this.report(Event::VmBegan {
            vm: this.name(),
            steps: this.plan.steps.len(),
        });
        let done = if this.plan.removes() {
            destroy(this).await
        } else {
            create(this).await
        };
        let outcome = match done {
            Ok(()) => success(this),
            Err(Halt::Stopped) => Outcome::Interrupted,
            Err(Halt::Failed) => failure(this).await,
        };
        this.notes().ended = Some(Instant::now());
        outcome
    };
    tracing::info!(?outcome, "VM finished");
    this.notes().outcome = Some(outcome);
    this.report(Event::VmFinished {
        vm: this.name(),
        outcome,
    });
}

fn success(this: &VmRun<'_>) -> Outcome {
    if this.plan.removes() {
        Outcome::Destroyed
    } else if this.plan.creates() {
        Outcome::Created
    } else if this.plan.steps == [Step::StartVm] {
        Outcome::Started
    } else {
        Outcome::Completed
    }
}

/// What a failed VM comes to; rolls back where that is wanted.
async fn failure(this: &VmRun<'_>) -> Outcome {
    let run = this.run;
    match (this.plan.removes(), run.options.on_failure) {
        (true, _) => Outcome::DestroyIncomplete,
        (false, _) if run.stop.is_stopping() => Outcome::Interrupted,
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

fn not_begun(this: &VmRun<'_>, reason: &str) -> Failure {
    Failure {
        step: None,
        device: None,
        message: format!("{}: was not begun: {reason}", this.plan.name),
        help: Some("check the connection, then run the same command again".to_owned()),
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
        advice: advice(outcome, left_behind.is_empty()).map(str::to_owned),
        left_behind,
        wall,
    }
}

fn advice(outcome: Outcome, nothing_left: bool) -> Option<&'static str> {
    match outcome {
        _ if outcome.is_success() => None,
        Outcome::Interrupted | Outcome::Skipped => {
            Some("run the same command again; it goes on from what is there")
        }
        _ if nothing_left => None,
        Outcome::DestroyIncomplete => {
            Some("remove the cause, then run `tnvm destroy` again; it goes on from what is there")
        }
        _ => Some(
            "run the same command again to complete it, or `tnvm destroy` to remove it; both know it by its mark",
        ),
    }
}
