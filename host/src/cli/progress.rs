//! Live progress on standard error: a line per VM on a terminal, plain lines elsewhere.
//!
//! Draws events; knows nothing of what causes them.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinHandle;

use super::output::Output;
use crate::execute::{Event, Outcome, Reporter};

/// A running display; it ends when every sender is gone.
pub(super) struct Watching {
    events: UnboundedSender<Told>,
    task: JoinHandle<()>,
}

/// An event, and the server that it happened on, where that has a name.
struct Told {
    host: Option<Arc<str>>,
    event: Event,
}

/// Takes the events of one server.
pub(super) struct HostReporter {
    host: Option<Arc<str>>,
    events: UnboundedSender<Told>,
}

impl Reporter for HostReporter {
    fn report(&self, event: Event) {
        let host = self.host.clone();
        // A display that went away is no reason to stop the work.
        let _ = self.events.send(Told { host, event });
    }
}

impl Told {
    /// A VM by its name; two servers may have one of the same.
    fn of(&self, vm: &str) -> String {
        match &self.host {
            Some(host) => format!("{host}/{vm}"),
            None => vm.to_owned(),
        }
    }
}

/// Begins to draw.
pub(super) fn watch(output: Output) -> Watching {
    let (events, receiver) = unbounded_channel();
    let task = if output.is_terminal() {
        tokio::spawn(draw(receiver))
    } else {
        tokio::spawn(print(receiver, output))
    };
    Watching { events, task }
}

impl Watching {
    /// Where the events of a server go.
    pub(super) fn reporter(&self, host: Option<&str>) -> HostReporter {
        HostReporter {
            host: host.map(Arc::from),
            events: self.events.clone(),
        }
    }

    /// Draws what is left and ends.
    pub(super) async fn finish(self) {
        drop(self.events);
        // A display that failed has nothing more to say, and the result is printed anyway.
        let _ = self.task.await;
    }
}

async fn print(mut events: UnboundedReceiver<Told>, output: Output) {
    while let Some(told) = events.recv().await {
        if let Some(line) = line(&told) {
            output.note(&line);
        }
    }
}

/// What is said of an event where lines cannot be redrawn: beginnings, ends and what goes wrong.
fn line(told: &Told) -> Option<String> {
    let of = |vm: &str| told.of(vm);
    match &told.event {
        Event::VmBegan { vm, steps } => Some(format!("{}: {steps} steps to do", of(vm))),
        Event::StepFailed { vm, step, error } => {
            Some(format!("{}: {step} failed: {error}", of(vm)))
        }
        Event::RollbackBegan { vm, objects } => {
            Some(format!("{}: rolling back, {objects} to undo", of(vm)))
        }
        Event::RollbackStepDone { vm, object } => Some(format!("{}: undone: {object}", of(vm))),
        Event::RollbackStepFailed { vm, object, error } => {
            Some(format!("{}: could not undo: {object}: {error}", of(vm)))
        }
        Event::VmFinished {
            outcome: Outcome::Unchanged,
            ..
        } => None,
        Event::VmFinished { vm, outcome } => Some(format!("{}: {}", of(vm), word(*outcome))),
        Event::StepBegan { .. } | Event::StepDone { .. } | Event::Interrupted => None,
    }
}

const fn word(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Unchanged => "unchanged",
        Outcome::Created => "created",
        Outcome::Completed => "completed",
        Outcome::Started => "started",
        Outcome::Updated => "changed",
        Outcome::Restarted => "changed, restarted",
        Outcome::Destroyed => "destroyed",
        Outcome::RolledBack => "rolled back",
        Outcome::Kept => "failed, kept",
        Outcome::RollbackIncomplete => "rollback incomplete",
        Outcome::DestroyIncomplete => "not all is gone",
        Outcome::Interrupted => "interrupted",
        Outcome::Skipped => "not begun",
    }
}

async fn draw(mut events: UnboundedReceiver<Told>) {
    // A quarter of a second without drawing keeps quick commands clean of flicker.
    const FRAMES_PER_SECOND: u8 = 15;
    let bars =
        MultiProgress::with_draw_target(ProgressDrawTarget::stderr_with_hz(FRAMES_PER_SECOND));
    let mut of_vm: HashMap<String, ProgressBar> = HashMap::new();
    while let Some(told) = events.recv().await {
        draw_one(&told, &bars, &mut of_vm);
    }
}

fn draw_one(told: &Told, bars: &MultiProgress, of_vm: &mut HashMap<String, ProgressBar>) {
    match &told.event {
        Event::VmBegan { vm, steps } => {
            let bar = bars.add(ProgressBar::new(*steps as u64));
            if let Ok(style) = ProgressStyle::with_template("{spinner} {prefix} {pos}/{len} {msg}")
            {
                bar.set_style(style);
            }
            bar.set_prefix(told.of(vm));
            bar.enable_steady_tick(Duration::from_millis(120));
            of_vm.insert(told.of(vm), bar);
        }
        Event::StepBegan { vm, step } => {
            if let Some(bar) = of_vm.get(&told.of(vm)) {
                bar.set_message(step.to_string());
            }
        }
        Event::StepDone { vm, .. } => {
            if let Some(bar) = of_vm.get(&told.of(vm)) {
                bar.inc(1);
            }
        }
        Event::VmFinished { vm, .. } => {
            if let Some(bar) = of_vm.remove(&told.of(vm)) {
                bar.finish_and_clear();
            }
            say(told, bars);
        }
        _ => say(told, bars),
    }
}

fn say(told: &Told, bars: &MultiProgress) {
    if let Some(line) = line(told) {
        let _ = bars.println(line);
    }
}
