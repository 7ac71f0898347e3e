//! A lock that is held: renewed in the background, released at the end.

use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use super::record::{LockRecord, seconds};
use super::take::{Request, Times};
use crate::truenas::{CallError, Client};

/// Nobody waits longer for a goodbye: the lock expires by itself.
const RELEASE: Duration = Duration::from_secs(5);

/// A lock that is held. It is renewed until it is released or dropped; dropped, it stays on the
/// server until it expires.
#[derive(Debug)]
pub struct Held {
    client: Client,
    root: String,
    key: String,
    lost: watch::Receiver<Option<String>>,
    stop: watch::Sender<bool>,
    renewal: JoinHandle<()>,
}

/// Why a renewal did not come to its end.
enum NotRenewed {
    Gone,
    Call(CallError),
}

struct Renewal {
    client: Client,
    root: String,
    key: String,
    record: LockRecord,
    times: Times,
}

impl Held {
    /// Begins to renew a lock that was written.
    pub(super) fn keep(
        request: &Request<'_>,
        root: String,
        key: String,
        record: LockRecord,
    ) -> Self {
        let (tell, lost) = watch::channel(None);
        let (stop, stopped) = watch::channel(false);
        let renewal = Renewal {
            client: request.client.clone(),
            root: root.clone(),
            key: key.clone(),
            record,
            times: request.times,
        };
        Self {
            client: request.client.clone(),
            root,
            key,
            lost,
            stop,
            renewal: tokio::spawn(renewal.run(tell, stopped)),
        }
    }

    /// Becomes a text when the lock is no longer ours, which says why: nothing more may be begun.
    #[must_use]
    pub fn lost(&self) -> watch::Receiver<Option<String>> {
        self.lost.clone()
    }

    /// Removes the lock from the server; tries for a few seconds at most. Where that fails it
    /// expires by itself.
    pub async fn release(mut self) {
        let released = timeout(RELEASE, async {
            self.stop.send_replace(true);
            // A renewal in flight would write it again after its removal.
            (&mut self.renewal).await.ok();
            let gone = [(self.key.clone(), None)];
            self.client.set_user_properties(&self.root, &gone).await
        });
        match released.await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::info!(%error, "the lock was not released, it will expire"),
            Err(_) => tracing::info!("the lock was not released in time, it will expire"),
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.stop.send_replace(true);
        self.renewal.abort();
    }
}

impl Renewal {
    async fn run(mut self, lost: watch::Sender<Option<String>>, mut stop: watch::Receiver<bool>) {
        let mut pause = self.times.renewed;
        loop {
            tokio::select! {
                _ = stop.wait_for(|stop| *stop) => return,
                () = sleep(pause) => {}
            }
            pause = self.times.renewed;
            match self.renew().await {
                Ok(()) => tracing::debug!("the lock is renewed"),
                Err(NotRenewed::Gone) => {
                    let why =
                        "the lock of the group was removed by somebody else (`--force-unlock`)";
                    lost.send_replace(Some(why.to_owned()));
                    return;
                }
                Err(NotRenewed::Call(error)) => {
                    tracing::info!(%error, "the lock could not be renewed");
                    // The last try must lie before the expiry, or another run may hold the group.
                    pause /= 4;
                    let then = self.client.server_time() + pause * 2;
                    if seconds(then) >= self.record.expires {
                        let why = format!("the lock of the group could not be renewed: {error}");
                        lost.send_replace(Some(why));
                        return;
                    }
                }
            }
        }
    }

    async fn renew(&mut self) -> Result<(), NotRenewed> {
        let root = self.client.dataset_opt(&self.root).await;
        let root = root.map_err(NotRenewed::Call)?;
        // Not written again where somebody removed it: that would undo their decision.
        if !root.is_some_and(|root| root.user_properties.contains_key(&self.key)) {
            return Err(NotRenewed::Gone);
        }
        let mut record = self.record.clone();
        record.expires = seconds(self.client.server_time() + self.times.lasts);
        let properties = [(self.key.clone(), Some(record.text()))];
        let written = self.client.set_user_properties(&self.root, &properties);
        written.await.map_err(NotRenewed::Call)?;
        self.record = record;
        Ok(())
    }
}
