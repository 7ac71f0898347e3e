//! Calls whose outcome is made sure of: what a lost answer did is looked for, what is removed is
//! looked at until it is gone.
//!
//! Knows nothing of what is made or removed.

use super::failure::StepError;
use super::ledger::{Certainty, Object};
use super::run::VmRun;
use crate::truenas::CallError;

/// How often a call is made in all when its answers are lost and looks find that it was not done.
pub(super) const ASKED_AT_MOST: u32 = 3;

/// What looks for the work of a lost answer came to.
enum Looked<T> {
    Done(T),
    NotDone,
    /// No look was answered, or a stop signal came: asking again might do it twice.
    Unknown,
}

/// Makes a call. When its answer is lost, looks with patience whether it was done, since the server
/// may still be at it; only when it was not, asks again.
///
/// # Errors
/// [`StepError::Lost`] when it may have been done, [`StepError::Call`] when it was not.
pub(super) async fn ask<T, C, L>(
    this: &VmRun<'_>,
    call: impl Fn() -> C,
    look: impl Fn() -> L,
) -> Result<T, StepError>
where
    C: Future<Output = Result<T, CallError>>,
    L: Future<Output = Result<Option<T>, CallError>>,
{
    let mut was_lost = false;
    let mut left = ASKED_AT_MOST;
    loop {
        let error = match call().await {
            Ok(value) => return Ok(value),
            Err(error) => error,
        };
        left -= 1;
        let lost = is_lost(&error);
        if lost && !error.is_final_loss() {
            was_lost = true;
            tracing::warn!(%error, "the answer is lost, looking whether it was done");
            match look_patiently(this, &look).await {
                Looked::Done(value) => return Ok(value),
                Looked::NotDone if left > 0 => continue,
                Looked::NotDone | Looked::Unknown => return Err(StepError::Lost(error)),
            }
        }
        this.run.note_loss(&error);
        // A refusal may be the echo of an earlier call that was done after all.
        if was_lost
            && !lost
            && let Ok(Some(value)) = look().await
        {
            return Ok(value);
        }
        return Err(if was_lost || error.may_have_run() {
            StepError::Lost(error)
        } else {
            StepError::Call(error)
        });
    }
}

/// Looks with patience for what a call that had no answer may have made, or may make yet.
///
/// # Errors
/// When no look was answered.
pub(super) async fn made_late<T, E, L>(
    this: &VmRun<'_>,
    look: impl Fn() -> L,
) -> Result<Option<T>, StepError>
where
    E: Into<StepError>,
    L: Future<Output = Result<Option<T>, E>>,
{
    let mut waits = this.run.options.patience.waits();
    loop {
        if let Some(found) = seen(this, &look).await? {
            return Ok(Some(found));
        }
        match waits.next() {
            Some(wait) if this.pause(wait).await => {}
            _ => return Ok(None),
        }
    }
}

/// Looks until it is done or patience ends.
async fn look_patiently<T, L>(this: &VmRun<'_>, look: &impl Fn() -> L) -> Looked<T>
where
    L: Future<Output = Result<Option<T>, CallError>>,
{
    let mut waits = this.run.options.patience.waits();
    loop {
        let last = match look().await {
            Ok(Some(value)) => return Looked::Done(value),
            Ok(None) => Looked::NotDone,
            Err(error) => {
                this.run.note_loss(&error);
                if error.is_final_loss() {
                    return Looked::Unknown;
                }
                tracing::debug!(%error, "the look failed");
                Looked::Unknown
            }
        };
        match waits.next() {
            Some(wait) if this.pause(wait).await => {}
            Some(_) => return Looked::Unknown,
            None => return last,
        }
    }
}

/// Whether nothing is known of what became of the call.
pub(super) fn is_lost(error: &CallError) -> bool {
    error.may_have_run() || matches!(error, CallError::Disconnected { .. })
}

/// Makes a thing, with its entry in the ledger before the call.
///
/// A thing that is not found after a lost answer stays in the ledger as asked for, because the
/// server may make it yet.
pub(super) async fn make<T, C, L>(
    this: &VmRun<'_>,
    object: Object,
    call: impl Fn() -> C,
    look: impl Fn() -> L,
) -> Result<T, StepError>
where
    C: Future<Output = Result<(T, Option<u64>), CallError>>,
    L: Future<Output = Result<Option<(T, Option<u64>)>, CallError>>,
{
    let entry = this.ledger.asked(object);
    match ask(this, call, look).await {
        Ok((value, id)) => {
            this.ledger.settle(entry, Certainty::There(id));
            Ok(value)
        }
        Err(error) => {
            if !error.may_have_run() {
                this.ledger.settle(entry, Certainty::Absent);
            }
            Err(error)
        }
    }
}

/// Changes what is there, with its entry in the ledger before the call.
pub(super) async fn change(
    this: &VmRun<'_>,
    object: Object,
    work: impl Future<Output = Result<(), StepError>>,
) -> Result<(), StepError> {
    let entry = this.ledger.asked(object);
    let done = work.await;
    match &done {
        Ok(()) => this.ledger.settle(entry, Certainty::There(None)),
        Err(error) if !error.may_have_run() => this.ledger.settle(entry, Certainty::Absent),
        Err(_) => {}
    }
    done
}

/// Looks; once more, with patience, where the answer was lost with its connection and the client
/// gets another.
pub(super) async fn seen<T, E, L>(this: &VmRun<'_>, look: impl Fn() -> L) -> Result<T, StepError>
where
    E: Into<StepError>,
    L: Future<Output = Result<T, E>>,
{
    let mut waits = this.run.options.patience.waits();
    loop {
        let error = match look().await {
            Ok(value) => return Ok(value),
            Err(error) => error.into(),
        };
        let StepError::Call(call) = &error else {
            return Err(error);
        };
        this.run.note_loss(call);
        if !matches!(call, CallError::Disconnected { .. }) {
            return Err(error);
        }
        match waits.next() {
            Some(wait) if this.pause(wait).await => {}
            _ => return Err(error),
        }
    }
}

/// Deletes a thing and looks until it is gone: a success is not believed (26 and newer report one
/// where ZFS failed: `vm.delete`, `pool.dataset.delete`), and "busy" is given time, since a zvol is let go of only some
/// moments after its VM was powered off.
///
/// `look` gives whether the thing is there, or an error when it must not be deleted; it is asked
/// right before every delete.
pub(super) async fn until_gone<L, D>(
    this: &VmRun<'_>,
    look: impl Fn() -> L,
    delete: impl Fn() -> D,
) -> Result<(), StepError>
where
    L: Future<Output = Result<bool, StepError>>,
    D: Future<Output = Result<(), CallError>>,
{
    let mut waits = this.run.options.patience.waits();
    if !seen(this, &look).await? {
        return Ok(());
    }
    loop {
        let answer = delete().await;
        if !seen(this, &look).await? {
            return Ok(());
        }
        let reason = match answer {
            Err(error) if !is_worth_a_wait(&error) => return Err(error.into()),
            Err(error) => error.into(),
            Ok(()) => StepError::StillThere,
        };
        tracing::debug!(%reason, "still there");
        match waits.next() {
            Some(wait) if this.pause(wait).await => {}
            _ => return Err(reason),
        }
        if !seen(this, &look).await? {
            return Ok(());
        }
    }
}

/// Whether a delete that failed so may work, or turn out to have worked, a little later. ZFS says
/// "busy" with errno 16, or up to 25.10 in the text of errno 14.
fn is_worth_a_wait(error: &CallError) -> bool {
    is_lost(error)
        || matches!(error, CallError::Busy(_))
        || error
            .server()
            .is_some_and(|server| server.reason.to_lowercase().contains("busy"))
}
