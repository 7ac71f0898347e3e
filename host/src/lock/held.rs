//! A lock that is held: renewed in the background, released at the end.

use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::judge::judge;
use super::record::{LockRecord, read_all, seconds};
use super::take::{Request, Times};
use crate::truenas::{CallError, Client};
use crate::whoami::WhoAmI;

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
    /// Somebody removed the lock.
    Gone,
    /// Another run has the group; its lock is younger.
    Another(Box<LockRecord>),
    Call(CallError),
}

struct Renewal {
    client: Client,
    root: String,
    key: String,
    record: LockRecord,
    machine: Option<String>,
    times: Times,
    /// From when on others may take the lock for expired, less a margin.
    deadline: Instant,
}

impl Held {
    /// Begins to renew a lock whose writing began at this moment.
    pub(super) fn keep(
        request: &Request<'_>,
        root: String,
        key: String,
        record: LockRecord,
        begun: Instant,
    ) -> Self {
        let (tell, lost) = watch::channel(None);
        let (stop, stopped) = watch::channel(false);
        // A run keeps all its calls busy; the renewal must not wait behind a start of two minutes.
        let client = request.client.urgent();
        let renewal = Renewal {
            client: client.clone(),
            root: root.clone(),
            key: key.clone(),
            record,
            machine: request.who.machine.clone(),
            times: request.times,
            deadline: request.times.deadline(begun),
        };
        Self {
            client,
            root,
            key,
            lost,
            stop,
            renewal: tokio::spawn(renewal.run(tell, stopped)),
        }
    }

    /// The dataset that carries it.
    pub(super) fn root(&self) -> &str {
        &self.root
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
            loop {
                match self.client.set_user_properties(&self.root, &gone).await {
                    // Removed twice is removed; the client connects again by itself.
                    Err(CallError::Disconnected { .. }) => {}
                    other => return other,
                }
            }
        });
        match released.await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::info!(%error, "the lock was not released, it will expire"),
            Err(_) => tracing::info!("the lock was not released in time, it will expire"),
        }
    }

    /// Leaves the lock on the server until it expires, for a run that does not know whether its last
    /// changes are done: until then nobody begins on top of them.
    pub fn leave(self) {
        tracing::info!(key = %self.key, "the lock is left to expire");
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
            // The last try must lie before the expiry, or another run may hold the group.
            let deadline = self.deadline;
            let why = match timeout_at(deadline, self.renew()).await {
                Ok(Ok(())) => {
                    tracing::debug!("the lock is renewed");
                    pause = self.times.renewed;
                    continue;
                }
                Ok(Err(NotRenewed::Gone)) => {
                    "the lock of the group was removed by somebody else (`--force-unlock`)"
                        .to_owned()
                }
                Ok(Err(NotRenewed::Another(other))) => {
                    lost.send_replace(Some(format!("the group is held by {}", other.holder())));
                    return self.withdraw().await;
                }
                Ok(Err(NotRenewed::Call(error))) => {
                    tracing::info!(%error, "the lock could not be renewed");
                    pause = self.times.renewed / 4;
                    if Instant::now() + pause < deadline {
                        continue;
                    }
                    format!("the lock of the group could not be renewed: {error}")
                }
                Err(_) => "the lock of the group could not be renewed in time".to_owned(),
            };
            lost.send_replace(Some(why));
            return;
        }
    }

    async fn renew(&mut self) -> Result<(), NotRenewed> {
        // Not written again where somebody removed it: that would undo their decision.
        self.look().await?;
        let begun = Instant::now();
        let mut record = self.record.clone();
        record.expires = seconds(self.client.server_time() + self.times.lasts);
        let properties = [(self.key.clone(), Some(record.text()))];
        let written = self.client.set_user_properties(&self.root, &properties);
        written.await.map_err(NotRenewed::Call)?;
        self.record = record;
        self.deadline = self.times.deadline(begun);
        // Removed between the look and the write it is there again, so whoever removed it has a
        // lock beside it: that one counts.
        self.look().await
    }

    /// Whether the lock is there, and no younger one of the group beside it. An older one is that of
    /// a run which finds ours in the same way and gives way.
    async fn look(&self) -> Result<(), NotRenewed> {
        let at = self.client.server_time();
        let root = self.client.dataset_opt(&self.root).await;
        let Some(root) = root.map_err(NotRenewed::Call)? else {
            return Err(NotRenewed::Gone);
        };
        if !root.user_properties.contains_key(&self.key) {
            return Err(NotRenewed::Gone);
        }
        let judged = judge(
            read_all(&root.user_properties),
            &self.key,
            &self.record.group,
            self.machine.as_deref(),
            seconds(at),
            &WhoAmI::has_ended,
        );
        let since = (self.record.since, self.key.as_str());
        let younger = judged
            .holders
            .into_iter()
            .find(|(key, other)| (other.since, key.as_str()) > since);
        match younger {
            Some((_, other)) => Err(NotRenewed::Another(Box::new(other))),
            None => Ok(()),
        }
    }

    /// Takes the own lock away, where it came back beside another.
    async fn withdraw(&self) {
        let gone = [(self.key.clone(), None)];
        if let Err(error) = self.client.set_user_properties(&self.root, &gone).await {
            tracing::info!(%error, "the lock was not withdrawn, it will expire");
        }
    }
}
