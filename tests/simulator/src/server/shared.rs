//! What all connections share: the state behind its lock, the latency, and the signals.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, watch};

use crate::state::State;

/// Shared by the listener, all connections and all jobs.
pub(crate) struct Shared {
    state: Mutex<State>,
    /// How long every call takes before it commits.
    pub(super) latency: Duration,
    /// Woken whenever a job ends, for jobs that wait for its lock and calls that wait for its end.
    pub(super) job_ended: Notify,
    /// True once the simulator is told to stop.
    pub(super) stopping: watch::Sender<bool>,
    /// Grows whenever held calls may go on; a call waits for the next growth.
    pub(super) released: watch::Sender<u64>,
}

impl Shared {
    pub(super) fn new(state: State, latency: Duration) -> Self {
        Self {
            state: Mutex::new(state),
            latency,
            job_ended: Notify::new(),
            stopping: watch::Sender::new(false),
            released: watch::Sender::new(0),
        }
    }

    /// Lets every held call go on.
    pub(super) fn release_held(&self) {
        self.released.send_modify(|times| *times += 1);
    }

    /// Looks at or changes the state; events go out before anybody else can change it again, so
    /// subscribers see changes in their order.
    pub(crate) fn with<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        // The standard mutex: it is never held across an await. A panic under it can only come from
        // a test's closure, and the state is still worth looking at then.
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let outcome = act(&mut state);
        state.publish();
        outcome
    }
}
