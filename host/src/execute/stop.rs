//! The wish to stop, in two grades: finish what is in flight, or return at once.
//!
//! Knows nothing of signals; the command line counts Ctrl-C with a [`StopHandle`].

use tokio::sync::watch;

/// How urgently to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Urgency {
    No,
    Soon,
    Now,
}

/// The end that asks. Clones ask for the same thing.
#[derive(Clone, Debug)]
pub struct StopHandle(watch::Sender<Urgency>);

/// The end that is asked. Clones hear the same thing.
#[derive(Clone, Debug)]
pub struct StopSignal(watch::Receiver<Urgency>);

impl StopSignal {
    /// A handle and its signal. Dropping the handle never stops anything.
    #[must_use]
    pub fn new() -> (StopHandle, Self) {
        let (sender, receiver) = watch::channel(Urgency::No);
        (StopHandle(sender), Self(receiver))
    }

    /// Whether to begin nothing more.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        *self.0.borrow() >= Urgency::Soon
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
        if receiver.wait_for(|is| *is >= urgency).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

impl StopHandle {
    /// Asks once more: the first time to stop soon, the second time to stop now.
    pub fn stop(&self) {
        self.0.send_modify(|urgency| {
            *urgency = if *urgency == Urgency::No {
                Urgency::Soon
            } else {
                Urgency::Now
            };
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
    fn a_dropped_handle_stops_nothing() {
        let (handle, signal) = StopSignal::new();
        drop(handle);
        assert!(!signal.is_stopping());
        assert!(signal.soon().now_or_never().is_none());
    }
}
