//! Taking the lock: look, write, read again, and withdraw where somebody else was as quick.

use std::time::{Duration, SystemTime};

use tokio::time::{Instant, sleep};

use super::held::Held;
use super::judge::{Judgement, judge};
use super::record::{LockRecord, key, read_all, seconds};
use crate::truenas::{CallError, Client, DatasetEntry};
use crate::whoami::{WhoAmI, random};

/// How often the lock is tried for when two runs come at the same moment.
const TRIES: u32 = 4;
/// The pause before another try, in milliseconds: random, so that two runs part.
const PAUSE: std::ops::Range<u64> = 50..500;

/// How long a lock lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Times {
    /// From the last renewal until others may ignore it.
    pub lasts: Duration,
    /// Between renewals.
    pub renewed: Duration,
}

impl Times {
    /// Until when a lock that was written at this moment must be renewed: half the time between
    /// renewals before it expires, so that the holder stops before anybody else begins.
    pub(super) fn deadline(&self, written: Instant) -> Instant {
        written + self.lasts.saturating_sub(self.renewed / 2)
    }
}

impl Default for Times {
    fn default() -> Self {
        Self {
            lasts: Duration::from_secs(120),
            renewed: Duration::from_secs(30),
        }
    }
}

/// Who wants which group, and how.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// The server.
    pub client: &'a Client,
    /// Who runs this.
    pub who: &'a WhoAmI,
    /// The group.
    pub group: &'a str,
    /// The command, for others to see.
    pub command: &'a str,
    /// Whether to remove what others hold.
    pub force: bool,
    /// How long it lasts.
    pub times: Times,
}

/// The place of the locks as it was found, or why it cannot be read.
#[derive(Debug)]
pub struct Look {
    found: Result<Option<DatasetEntry>, CallError>,
    /// When, by the server's clock: what it shows is judged by this time. By a later one a lock
    /// that was renewed since would count as expired.
    at: SystemTime,
}

/// What a run got.
#[derive(Debug)]
pub enum Lock {
    /// The lock.
    Held(Held),
    /// None, since the server has no place for it; why, for the user. The lock is advisory.
    Without(String),
}

/// The group is not to be had.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Others hold it.
    #[error("another run works on this group")]
    Taken(Vec<LockRecord>),
    /// The server did not answer.
    #[error(transparent)]
    Call(#[from] CallError),
}

/// Finds the place of the locks; one call, that can go together with others.
pub async fn look(client: &Client) -> Look {
    let at = client.server_time();
    let roots = client.root_datasets().await;
    let found = roots.map(|roots| roots.into_iter().min_by(|a, b| a.name.cmp(&b.name)));
    Look { found, at }
}

/// Takes the lock. `observe` looks at the server once the lock is written, together with the look
/// whether it is the only one, and may be called again after a collision; what it saw is given
/// back. `tell` is told of each lock that is to be removed by force, before that.
///
/// # Errors
/// [`LockError::Taken`] when others hold the group; nothing of this run is left on the server then.
pub async fn take<T>(
    request: &Request<'_>,
    first: Look,
    tell: &dyn Fn(&LockRecord),
    observe: impl AsyncFn() -> T,
) -> Result<(Lock, T), LockError> {
    let own = key(&request.who.run);
    let mut place = first;
    let mut tries = 0;
    loop {
        tries += 1;
        let root = match place.found {
            Ok(Some(root)) => root,
            Ok(None) => return Ok(without("the server shows no pool", &observe).await),
            Err(error) if is_no(&error) => return Ok(without(&error.to_string(), &observe).await),
            Err(error) => return Err(error.into()),
        };
        let judged = request.judge(&root, &own, place.at);
        // Whoever was there before the first try is there to stay for a while.
        let taken = if judged.holders.is_empty() || request.force {
            let begun = Instant::now();
            let (record, written) = request.write(&root.name, &own, &judged, tell).await;
            match written {
                Ok(()) => {}
                // Whether it was written, the next look tells.
                Err(error) if error.may_have_run() && !error.is_final_loss() => {}
                Err(CallError::Disconnected { .. }) => {}
                Err(error) if is_no(&error) => {
                    return Ok(without(&error.to_string(), &observe).await);
                }
                Err(error) => return Err(error.into()),
            }
            // From now on, since the look at the server may take longer than the lock lasts.
            let held = Held::keep(request, root.name, own.clone(), record, begun);
            match request.is_alone(held, &own, &observe).await? {
                Ok((held, seen)) => return Ok((Lock::Held(held), seen)),
                Err(others) => others,
            }
        } else if tries == 1 {
            return Err(request.taken(judged));
        } else {
            judged
        };
        if tries == TRIES {
            return Err(request.taken(taken));
        }
        let span = PAUSE.end - PAUSE.start;
        sleep(Duration::from_millis(PAUSE.start + random() % span)).await;
        place = look(request.client).await;
    }
}

/// Removes locks that nobody needs any more, such as that of a run of this machine that was killed.
/// For a run that finds nothing to do and so takes no lock itself. Nothing depends on it.
pub async fn sweep(client: &Client, who: &WhoAmI, group: &str, place: Look) {
    let Ok(Some(root)) = place.found else { return };
    let judged = judge(
        read_all(&root.user_properties),
        &key(&who.run),
        group,
        who.machine.as_deref(),
        seconds(place.at),
        &WhoAmI::has_ended,
    );
    let gone: Vec<_> = judged.leftover.into_iter().map(|key| (key, None)).collect();
    if gone.is_empty() {
        return;
    }
    if let Err(error) = client.set_user_properties(&root.name, &gone).await {
        tracing::debug!(%error, "locks of ended runs are left");
    }
}

/// Whether the server has no place for locks for this account. Anything else, such as no answer in
/// time, says nothing of the kind, and a run without a lock must not come of it.
fn is_no(error: &CallError) -> bool {
    matches!(
        error,
        CallError::NotAuthorized(_)
            | CallError::Refused(_)
            | CallError::NotFound(_)
            | CallError::Unsupported { .. }
    )
}

async fn without<T>(why: &str, observe: &impl AsyncFn() -> T) -> (Lock, T) {
    (Lock::Without(why.to_owned()), observe().await)
}

impl Request<'_> {
    fn judge(&self, root: &DatasetEntry, own: &str, at: SystemTime) -> Judgement {
        judge(
            read_all(&root.user_properties),
            own,
            self.group,
            self.who.machine.as_deref(),
            seconds(at),
            &WhoAmI::has_ended,
        )
    }

    fn taken(&self, judged: Judgement) -> LockError {
        LockError::Taken(judged.holders.into_iter().map(|(_, lock)| lock).collect())
    }

    /// Writes the own lock and removes what nobody needs, in one call.
    async fn write(
        &self,
        root: &str,
        own: &str,
        judged: &Judgement,
        tell: &dyn Fn(&LockRecord),
    ) -> (LockRecord, Result<(), CallError>) {
        let now = self.client.server_time();
        let record = LockRecord::new(self.who, self.group, self.command, now, self.times.lasts);
        let mut properties = vec![(own.to_owned(), Some(record.text()))];
        let forced = judged.holders.iter().map(|(key, lock)| {
            tell(lock);
            key
        });
        let gone = judged.leftover.iter().chain(forced);
        properties.extend(gone.map(|key| (key.clone(), None)));
        let written = self.client.set_user_properties(root, &properties).await;
        (record, written)
    }

    /// Reads the locks and observes; gives the others back, with the own lock withdrawn, where
    /// this run is not alone.
    async fn is_alone<T>(
        &self,
        held: Held,
        own: &str,
        observe: &impl AsyncFn() -> T,
    ) -> Result<Result<(Held, T), Judgement>, CallError> {
        let look = async {
            let at = self.client.server_time();
            (self.client.dataset_opt(held.root()).await, at)
        };
        let ((found, at), seen) = tokio::join!(look, observe());
        let judged = match &found {
            Ok(Some(root)) if root.user_properties.contains_key(own) => {
                let judged = self.judge(root, own, at);
                if judged.holders.is_empty() && held.lost().borrow().is_none() {
                    return Ok(Ok((held, seen)));
                }
                judged
            }
            // Somebody forced it open at once, or the place itself is gone.
            _ => Judgement::default(),
        };
        held.release().await;
        found?;
        Ok(Err(judged))
    }
}
