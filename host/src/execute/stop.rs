//! The wish to stop, in two grades: finish what is in flight, or return at once. And apart from
//! that, the loss of the right to change anything.
//!
//! Knows nothing of signals and locks; the command line counts Ctrl-C with a [`StopHandle`].

use tokio::sync::watch;

/// How urgently to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Urgency {
    No,
    Soon,
    Now,
}

/// What is asked for.
#[derive(Clone, Copy, Debug)]
struct Wish {
    urgency: Urgency,
    /// Whether nothing may be changed any more, except to leave VMs as they were: running.
    withdrawn: bool,
}

/// The end that asks. Clones ask for the same thing.
#[derive(Clone, Debug)]
pub struct StopHandle(watch::Sender<Wish>);

/// The end that is asked. Clones hear the same thing.
#[derive(Clone, Debug)]
pub struct StopSignal(watch::Receiver<Wish>);

impl StopSignal {
    /// A handle and its signal. Dropping the handle never stops anything.
    #[must_use]
    pub fn new() -> (StopHandle, Self) {
        let (sender, receiver) = watch::channel(Wish {
            urgency: Urgency::No,
            withdrawn: false,
        });
        (StopHandle(sender), Self(receiver))
    }

    /// Whether to begin nothing more.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        self.0.borrow().urgency >= Urgency::Soon
    }

    /// Whether the right to change anything is lost: then not even what has begun is finished.
    #[must_use]
    pub fn is_withdrawn(&self) -> bool {
        self.0.borrow().withdrawn
    }

    /// Waits for the first wish to stop; for ever if none comes.
    pub async fn soon(&self) {
        self.reached(Urgency::Soon).await;
    }

    /// Waits for the second wish to stop; for ever if none comes.
    pub async fn now(&self) {
        self.reached(Urgency::Now).await;
    }

    async fn reached(&self, urgency: Urgency) {
        let mut receiver = self.0.clone();
        let reached = |wish: &Wish| wish.urgency >= urgency;
        if receiver.wait_for(reached).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

impl StopHandle {
    /// Asks once more: the first time to stop soon, the second time to stop now.
    pub fn stop(&self) {
        self.0.send_modify(|wish| {
            wish.urgency = if wish.urgency == Urgency::No {
                Urgency::Soon
            } else {
                Urgency::Now
            };
        });
    }

    /// Takes the right to change anything away: stops soon, however often it is said, and adds
    /// nothing to what a person asks for.
    pub fn withdraw(&self) {
        self.0.send_modify(|wish| {
            wish.urgency = wish.urgency.max(Urgency::Soon);
            wish.withdrawn = true;
        });
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[test]
    fn the_first_stop_is_soon_and_the_second_is_now() {
        let (handle, signal) = StopSignal::new();
        assert!(!signal.is_stopping());
        handle.stop();
        assert!(signal.is_stopping());
        assert!(signal.soon().now_or_never().is_some());
        assert!(signal.now().now_or_never().is_none());
        handle.stop();
        assert!(signal.now().now_or_never().is_some());
    }

    #[test]
    fn a_withdrawal_is_never_a_second_stop() {
        let (handle, signal) = StopSignal::new();
        handle.stop();
        handle.withdraw();
        handle.withdraw();
        assert!(signal.is_stopping() && signal.is_withdrawn());
        assert!(signal.now().now_or_never().is_none());
    }

    #[test]
    fn a_dropped_handle_stops_nothing() {
        let (handle, signal) = StopSignal::new();
        drop(handle);
        assert!(!signal.is_stopping());
        assert!(signal.soon().now_or_never().is_none());
    }
}
