//! What all VMs of an execution share, and what one VM remembers: slots, stop, events, ledger.
//!
//! A step is the unit of work: it holds one slot and makes one call at a time, so slots bound both.
//! Knows nothing of what a step does.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::Instant;
use tracing::Instrument;

use super::events::{Event, Reporter, StepLabel};
use super::failure::{Failure, StepError};
use super::ledger::Ledger;
use super::options::ExecuteOptions;
use super::report::Outcome;
use super::restarts::Restarts;
use super::stop::StopSignal;
use super::turns::Turns;
use crate::plan::{Plan, VmPlan};
use crate::truenas::{CallError, Client, VmEntry};

/// What all VMs share.
pub(super) struct Run<'a> {
    pub(super) client: &'a Client,
    pub(super) options: &'a ExecuteOptions<'a>,
    pub(super) reporter: &'a dyn Reporter,
    pub(super) stop: StopSignal,
    pub(super) restarts: Arc<Restarts>,
    pub(super) turns: Turns,
    slots: Semaphore,
    lost: OnceLock<String>,
}

/// One VM.
pub(super) struct VmRun<'a> {
    pub(super) run: &'a Run<'a>,
    pub(super) plan: &'a VmPlan,
    pub(super) ledger: Ledger,
    baseline: OnceLock<VmEntry>,
    device_answer_lost: AtomicBool,
    went_down: AtomicBool,
    failed: AtomicBool,
    notes: Mutex<Notes>,
}

/// What is known of a VM so far; read even when its work was cut off.
#[derive(Clone, Debug, Default)]
pub(super) struct Notes {
    pub(super) began: Option<Instant>,
    pub(super) ended: Option<Instant>,
    pub(super) failure: Option<Failure>,
    pub(super) removed: Vec<String>,
    pub(super) outcome: Option<Outcome>,
}

/// Why work on a VM ended before its plan did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Halt {
    /// A stop signal.
    Stopped,
    /// A step failed; the first failure is in the notes.
    Failed,
}

impl<'a> Run<'a> {
    pub(super) fn new(
        client: &'a Client,
        options: &'a ExecuteOptions<'a>,
        reporter: &'a dyn Reporter,
        stop: StopSignal,
        plan: &Plan,
    ) -> Self {
        let slots = options.concurrency.clamp(1, Semaphore::MAX_PERMITS);
        Self {
            client,
            options,
            reporter,
            stop,
            restarts: options
                .restarts
                .clone()
                .unwrap_or_else(|| Arc::new(Restarts::new(options.max_unavailable))),
            turns: Turns::new(plan),
            slots: Semaphore::new(slots),
            lost: OnceLock::new(),
        }
    }

    /// Notes that the connection is gone if this error says so; nothing is begun after that.
    pub(super) fn note_loss(&self, error: &CallError) {
        if error.is_final_loss() && self.lost.set(error.to_string()).is_ok() {
            tracing::warn!(%error, "the connection is lost, nothing more is begun");
        }
    }

    /// Why the connection is gone, if it is.
    pub(super) fn lost(&self) -> Option<StepError> {
        self.lost.get().cloned().map(StepError::ConnectionLost)
    }
}

enum NotBegun {
    Stopped,
    Lost(StepError),
}

impl<'a> VmRun<'a> {
    pub(super) fn new(run: &'a Run<'a>, plan: &'a VmPlan) -> Self {
        Self {
            run,
            plan,
            ledger: Ledger::default(),
            baseline: OnceLock::new(),
            device_answer_lost: AtomicBool::new(false),
            went_down: AtomicBool::new(false),
            failed: AtomicBool::new(false),
            notes: Mutex::default(),
        }
    }

    pub(super) fn client(&self) -> &'a Client {
        self.run.client
    }

    /// The VM's id, where it is known.
    pub(super) fn known_id(&self) -> Option<u64> {
        self.plan.id.or_else(|| self.ledger.vm_id())
    }

    /// The VM's id, for steps that need one.
    pub(super) fn id(&self) -> Result<u64, StepError> {
        self.known_id().ok_or(StepError::NoVm)
    }

    /// The VM as it was before anything was done, where it was there and was looked at.
    pub(super) fn baseline(&self) -> Option<&VmEntry> {
        self.baseline.get()
    }

    pub(super) fn set_baseline(&self, vm: VmEntry) {
        // It is looked at once; a second look would not be what was before.
        let _ = self.baseline.set(vm);
    }

    /// The ids of the devices that were there before and of those that this run made and knows.
    pub(super) fn known_devices(&self) -> HashSet<u64> {
        let before = self.baseline().into_iter().flat_map(|vm| &vm.devices);
        let made = self.ledger.devices().into_iter().map(|(_, id)| id);
        before.map(|device| device.id).chain(made).collect()
    }

    /// Notes that a device may have been made without this run knowing.
    pub(super) fn note_lost_device_answer(&self) {
        self.device_answer_lost.store(true, Ordering::Relaxed);
    }

    pub(super) fn device_answer_lost(&self) -> bool {
        self.device_answer_lost.load(Ordering::Relaxed)
    }

    /// Notes that the VM is about to be stopped for its restart.
    pub(super) fn note_down(&self) {
        self.went_down.store(true, Ordering::Relaxed);
    }

    /// Whether this run has asked the VM to stop.
    pub(super) fn went_down(&self) -> bool {
        self.went_down.load(Ordering::Relaxed)
    }

    /// Whether the VM is finished even after the first stop signal: a restart that has begun, since
    /// half of one leaves the VM off, or with changes that it does not have and nobody sees. Not
    /// where the right to change it is lost.
    pub(super) fn must_finish(&self) -> bool {
        self.plan.restarts() && !self.ledger.standing().is_empty() && !self.run.stop.is_withdrawn()
    }

    /// Waits, but not beyond a stop signal; gives whether to go on.
    pub(super) async fn pause(&self, wait: Duration) -> bool {
        if self.must_finish() {
            tokio::time::sleep(wait).await;
            return true;
        }
        tokio::select! {
            () = self.run.stop.soon() => false,
            () = tokio::time::sleep(wait) => true,
        }
    }

    /// A slot, or why nothing may be begun any more.
    async fn slot(&self) -> Result<SemaphorePermit<'a>, NotBegun> {
        // The semaphore is fair and never closed, so this waits its turn and cannot fail.
        let slot = self.run.slots.acquire().await;
        let slot = slot.map_err(|_| NotBegun::Stopped)?;
        if self.run.stop.is_stopping() && !self.must_finish() {
            return Err(NotBegun::Stopped);
        }
        match self.run.lost() {
            Some(error) => Err(NotBegun::Lost(error)),
            None => Ok(slot),
        }
    }

    pub(super) fn notes(&self) -> MutexGuard<'_, Notes> {
        // Notes are replaced whole, so a panic elsewhere leaves none half-written.
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does one step: waits for a slot, says that it begins, does it, says how it ended.
    ///
    /// Of a VM that is being made, no step is begun after one has failed; what is being destroyed
    /// goes on, because each thing less is a thing less.
    pub(super) async fn step<T>(
        &self,
        label: StepLabel,
        device: Option<&str>,
        work: impl Future<Output = Result<T, StepError>>,
    ) -> Result<T, Halt> {
        let _slot = match self.slot().await {
            Ok(slot) => slot,
            Err(NotBegun::Stopped) => return Err(Halt::Stopped),
            Err(NotBegun::Lost(error)) => return Err(self.fail(&label, device, &error)),
        };
        if !self.plan.removes() && self.failed.load(Ordering::Relaxed) {
            return Err(Halt::Failed);
        }
        self.in_slot(label, device, work).await
    }

    /// Does one step that is due whatever happened before, stop signals included.
    pub(super) async fn last_step<T>(
        &self,
        label: StepLabel,
        work: impl Future<Output = Result<T, StepError>>,
    ) -> Result<T, Halt> {
        let _slot = self.run.slots.acquire().await;
        self.in_slot(label, None, work).await
    }

    async fn in_slot<T>(
        &self,
        label: StepLabel,
        device: Option<&str>,
        work: impl Future<Output = Result<T, StepError>>,
    ) -> Result<T, Halt> {
        // Of the highest level, so that whatever is logged within says of which VM.
        let span = tracing::error_span!("step", vm = %self.plan.name, step = %label);
        let began = Instant::now();
        self.report(Event::StepBegan {
            vm: self.name(),
            step: label.clone(),
        });
        match work.instrument(span.clone()).await {
            Ok(value) => {
                let duration = began.elapsed();
                span.in_scope(|| tracing::debug!(?duration, "step done"));
                self.report(Event::StepDone {
                    vm: self.name(),
                    step: label,
                    duration,
                });
                Ok(value)
            }
            Err(error) => {
                // No warning: the event and the report tell the user already.
                span.in_scope(|| tracing::info!(%error, "step failed"));
                Err(self.fail(&label, device, &error))
            }
        }
    }

    /// Does steps side by side and waits for all of them, so that no call is in flight afterwards.
    pub(super) async fn side_by_side(
        &self,
        steps: impl IntoIterator<Item = impl Future<Output = Result<(), Halt>>>,
    ) -> Result<(), Halt> {
        let halts = join_all(steps).await.into_iter().filter_map(Result::err);
        // A failure outweighs a stop: it is what must be told and undone.
        halts
            .reduce(|one, other| if other == Halt::Failed { other } else { one })
            .map_or(Ok(()), Err)
    }

    /// Notes a failure, the first of the VM for the report.
    pub(super) fn fail(&self, label: &StepLabel, device: Option<&str>, error: &StepError) -> Halt {
        self.failed.store(true, Ordering::Relaxed);
        let failure = error.of_step(&self.plan.name, label, device);
        self.report(Event::StepFailed {
            vm: self.name(),
            step: label.clone(),
            error: error.to_string(),
        });
        self.notes().failure.get_or_insert(failure);
        Halt::Failed
    }

    /// Undoes one thing as part of a rollback; gives whether it is undone for sure.
    pub(super) async fn undo(
        &self,
        object: String,
        work: impl Future<Output = Result<(), StepError>>,
    ) -> bool {
        let result = match self.slot().await {
            Ok(_slot) => {
                let span = tracing::error_span!("rollback", vm = %self.plan.name, object = %object);
                work.instrument(span).await
            }
            // The signal itself is the explanation; there is nothing to add per thing.
            Err(NotBegun::Stopped) => return false,
            Err(NotBegun::Lost(error)) => Err(error),
        };
        let vm = self.name();
        match result {
            Ok(()) => {
                self.notes().removed.push(object.clone());
                self.report(Event::RollbackStepDone { vm, object });
                true
            }
            Err(error) => {
                tracing::warn!(vm = %vm, %object, %error, "could not be rolled back");
                let error = error.to_string();
                self.report(Event::RollbackStepFailed { vm, object, error });
                false
            }
        }
    }

    pub(super) fn report(&self, event: Event) {
        self.run.reporter.report(event);
    }

    pub(super) fn name(&self) -> String {
        self.plan.name.clone()
    }
}
