//! What a run came to, over all servers: sums, the table for people, the closing line.

use std::time::Duration;

use serde_json::{Map, Value};

use super::fleet::{Absent, Place};
use super::output::{Meaning, Output, cell, meant};
use super::run::Executed;
use super::shown::{Summary, Sums};
use crate::execute::{Failure, Outcome, Report, VmReport};
use crate::plan::PlanKind;
use crate::truenas::CallStats;

/// What one server came to.
pub(super) struct Came<'a> {
    place: &'a Place,
    report: Report,
    /// Whether nobody could ask it; then none of its VMs was begun.
    absent: bool,
    stats: CallStats,
}

/// In order of the config. The VMs of a server that could not be asked were not begun.
pub(super) fn all<'a>(executed: Vec<Executed<'a>>, absent: &'a [Absent]) -> Vec<Came<'a>> {
    let executed = executed.into_iter().map(|one| Came {
        place: one.place,
        report: one.report,
        absent: false,
        stats: one.session.client.stats(),
    });
    let absent = absent.iter().map(|one| Came {
        place: &one.place,
        report: not_begun(one),
        absent: true,
        stats: CallStats::default(),
    });
    let mut all: Vec<Came<'a>> = executed.chain(absent).collect();
    all.sort_by_key(|one| one.place.index);
    all
}

fn not_begun(absent: &Absent) -> Report {
    let vms = absent.place.vms.iter().map(|(name, _)| VmReport {
        name: name.clone(),
        outcome: Outcome::Skipped,
        error: Some(Failure {
            step: None,
            device: None,
            message: format!(
                "{name}: was not begun: {} could not be asked: {}",
                absent.place.name(),
                absent.message
            ),
            help: absent.help.clone(),
        }),
        rolled_back: Vec::new(),
        left_behind: Vec::new(),
        advice: None,
        wall: Duration::ZERO,
    });
    Report {
        vms: vms.collect(),
        interrupted: false,
        wall: Duration::ZERO,
        calls: 0,
        unsettled: false,
    }
}

/// Sums over all servers.
pub(super) fn whole(all: &[Came<'_>]) -> Summary {
    let mut sums = Summary {
        success: true,
        ..Summary::default()
    };
    for one in all {
        sums.add(&summary(one));
    }
    sums
}

/// The VMs and sums of one server.
pub(super) fn of(all: &[Came<'_>], place: &Place) -> (Vec<VmReport>, Sums) {
    match all.iter().find(|one| one.place.index == place.index) {
        Some(one) => (one.report.vms.clone(), Sums::Of(summary(one))),
        None => (Vec::new(), Sums::Nothing {}),
    }
}

fn summary(one: &Came<'_>) -> Summary {
    let Came { report, stats, .. } = one;
    let mut outcomes = Map::new();
    for vm in &report.vms {
        let name = serde_json::to_value(vm.outcome).ok();
        let Some(Value::String(name)) = name else {
            continue;
        };
        let count = outcomes.get(&name).and_then(Value::as_u64).unwrap_or(0);
        outcomes.insert(name, (count + 1).into());
    }
    Summary {
        outcomes,
        success: report.is_success() && !one.absent,
        interrupted: report.interrupted,
        wall_seconds: report.wall.as_secs_f64(),
        reading_calls: stats.reads,
        mutating_calls: stats.mutations,
        bytes_sent: stats.bytes_sent,
        bytes_received: stats.bytes_received,
    }
}

/// Prints the table, what is to be said of single VMs, and the closing line.
pub(super) fn print(all: &[Came<'_>], kind: PlanKind, output: &Output) {
    let named = all.iter().any(|one| one.place.name.is_some());
    let vms = || {
        let all = all.iter();
        all.flat_map(|one| one.report.vms.iter().map(move |vm| (one.place, vm)))
    };
    let rows: Vec<_> = vms()
        .filter(|(_, vm)| vm.outcome != Outcome::Unchanged)
        .map(|(place, vm)| {
            let (word, meaning) = words(vm.outcome);
            let error = vm.error.as_ref();
            let mut cells = vec![
                cell(&vm.name),
                meant(word, meaning),
                cell(format!("{:.1} s", vm.wall.as_secs_f64())),
                cell(error.map(|one| why(&vm.name, one)).unwrap_or_default()),
            ];
            if named {
                cells.insert(0, cell(place.name()));
            }
            cells
        })
        .collect();
    let mut header = vec!["VM", "RESULT", "TIME", "WHY"];
    if named {
        header.insert(0, "HOST");
    }
    output.line("");
    output.table(&header, &rows);
    for (_, vm) in vms() {
        notes(vm, output);
    }
    output.line(&closing(all, kind));
}

fn notes(vm: &VmReport, output: &Output) {
    if let Some(help) = vm.error.as_ref().and_then(|failure| failure.help.as_ref()) {
        output.note(&format!("{}: help: {help}", vm.name));
    }
    if vm.left_behind.is_empty() {
        return;
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

/// `could not create device nic.lan: …`; the VM stands in a column of its own.
fn why(vm: &str, failure: &Failure) -> String {
    let message = &failure.message;
    let without = message
        .strip_prefix(vm)
        .and_then(|rest| rest.strip_prefix(": "));
    without.unwrap_or(message).to_owned()
}

fn closing(all: &[Came<'_>], kind: PlanKind) -> String {
    let vms = || all.iter().flat_map(|one| &one.report.vms);
    let well = vms().filter(|vm| vm.outcome.is_success()).count();
    let total = vms().count();
    let verb = match kind {
        PlanKind::Create | PlanKind::Apply => "as planned",
        PlanKind::Destroy => "gone",
    };
    let wall = all.iter().map(|one| one.report.wall).max();
    let seconds = wall.unwrap_or_default().as_secs_f64();
    let mut text = format!("{well} of {total} VMs {verb}, in {seconds:.1} s.");
    let absent = all.iter().filter(|one| one.absent);
    let absent: Vec<&str> = absent.map(|one| one.place.name()).collect();
    if !absent.is_empty() {
        text.push_str(&format!(" Not asked: {}.", absent.join(", ")));
    }
    if all.iter().any(|one| one.report.interrupted) {
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
