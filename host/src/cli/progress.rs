//! Live progress on standard error: a line per VM on a terminal, plain lines elsewhere.
//!
//! Draws events; knows nothing of what causes them.

use std::collections::HashMap;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinHandle;

use super::output::Output;
use crate::execute::{Event, Outcome};

/// A running display; it ends when every sender is gone.
pub(super) struct Watching {
    events: UnboundedSender<Event>,
    task: JoinHandle<()>,
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
    /// Where events go.
    pub(super) fn reporter(&self) -> &UnboundedSender<Event> {
        &self.events
    }

    /// Draws what is left and ends.
    pub(super) async fn finish(self) {
        drop(self.events);
        // A display that failed has nothing more to say, and the result is printed anyway.
        let _ = self.task.await;
    }
}

async fn print(mut events: UnboundedReceiver<Event>, output: Output) {
    while let Some(event) = events.recv().await {
        if let Some(line) = line(&event) {
            output.note(&line);
        }
    }
}

/// What is said of an event where lines cannot be redrawn: beginnings, ends and what goes wrong.
fn line(event: &Event) -> Option<String> {
    match event {
        Event::VmBegan { vm, steps } => Some(format!("{vm}: {steps} steps to do")),
        Event::StepFailed { vm, step, error } => Some(format!("{vm}: {step} failed: {error}")),
        Event::RollbackBegan { vm, objects } => {
            Some(format!("{vm}: rolling back, {objects} to undo"))
        }
        Event::RollbackStepDone { vm, object } => Some(format!("{vm}: undone: {object}")),
        Event::RollbackStepFailed { vm, object, error } => {
            Some(format!("{vm}: could not undo: {object}: {error}"))
        }
        Event::VmFinished {
            outcome: Outcome::Unchanged,
            ..
        } => None,
        Event::VmFinished { vm, outcome } => Some(format!("{vm}: {}", word(*outcome))),
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

async fn draw(mut events: UnboundedReceiver<Event>) {
    // A quarter of a second without drawing keeps quick commands clean of flicker.
    const FRAMES_PER_SECOND: u8 = 15;
    let bars =
        MultiProgress::with_draw_target(ProgressDrawTarget::stderr_with_hz(FRAMES_PER_SECOND));
    let mut of_vm: HashMap<String, ProgressBar> = HashMap::new();
    while let Some(event) = events.recv().await {
        draw_one(&event, &bars, &mut of_vm);
    }
}

fn draw_one(event: &Event, bars: &MultiProgress, of_vm: &mut HashMap<String, ProgressBar>) {
    match event {
        Event::VmBegan { vm, steps } => {
            let bar = bars.add(ProgressBar::new(*steps as u64));
            if let Ok(style) = ProgressStyle::with_template("{spinner} {prefix} {pos}/{len} {msg}")
            {
                bar.set_style(style);
            }
            bar.set_prefix(vm.clone());
            bar.enable_steady_tick(Duration::from_millis(120));
            of_vm.insert(vm.clone(), bar);
        }
        Event::StepBegan { vm, step } => {
            if let Some(bar) = of_vm.get(vm) {
                bar.set_message(step.to_string());
            }
        }
        Event::StepDone { vm, .. } => {
            if let Some(bar) = of_vm.get(vm) {
                bar.inc(1);
            }
        }
        Event::VmFinished { vm, .. } => {
            if let Some(bar) = of_vm.remove(vm) {
                bar.finish_and_clear();
            }
            say(event, bars);
        }
        _ => say(event, bars),
    }
}

fn say(event: &Event, bars: &MultiProgress) {
    if let Some(line) = line(event) {
        let _ = bars.println(line);
    }
}
