//! Taking the lock: look, write, read again, and withdraw where somebody else was as quick.

use std::time::Duration;

use tokio::time::sleep;

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
pub struct Look(Result<Option<DatasetEntry>, CallError>);

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
    let roots = client.root_datasets().await;
    Look(roots.map(|roots| roots.into_iter().min_by(|a, b| a.name.cmp(&b.name))))
}

/// Takes the lock. `observe` looks at the server once the lock is written, together with the look
/// whether it is the only one, and may be called again after a collision; what it saw is given
/// back. `tell` is told of each lock that is removed by force, before that.
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
        let root = match place.0 {
            Ok(Some(root)) => root,
            Ok(None) => return Ok(without("the server shows no pool", &observe).await),
            Err(error) if error.is_final_loss() => return Err(error.into()),
            Err(error) => return Ok(without(&error.to_string(), &observe).await),
        };
        let judged = request.judge(&root, &own);
        // Whoever was there before the first try is there to stay for a while.
        let taken = if judged.holders.is_empty() || request.force {
            let (record, written) = request.write(&root.name, &own, &judged, tell).await;
            match written {
                Ok(()) => {}
                Err(error) if error.is_final_loss() => return Err(error.into()),
                // Whether it was written, the next look tells.
                Err(error) if error.may_have_run() => {}
                Err(CallError::Disconnected { .. }) => {}
                Err(error) => return Ok(without(&error.to_string(), &observe).await),
            }
            match request.is_alone(&root.name, &own, &observe).await? {
                Ok(seen) => {
                    let held = Held::keep(request, root.name, own, record);
                    return Ok((Lock::Held(held), seen));
                }
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
    let Ok(Some(root)) = place.0 else { return };
    let judged = judge(
        read_all(&root.user_properties),
        &key(&who.run),
        group,
        who.machine.as_deref(),
        seconds(client.server_time()),
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

async fn without<T>(why: &str, observe: &impl AsyncFn() -> T) -> (Lock, T) {
    (Lock::Without(why.to_owned()), observe().await)
}

impl Request<'_> {
    fn judge(&self, root: &DatasetEntry, own: &str) -> Judgement {
        judge(
            read_all(&root.user_properties),
            own,
            self.group,
            self.who.machine.as_deref(),
            seconds(self.client.server_time()),
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
        root: &str,
        own: &str,
        observe: &impl AsyncFn() -> T,
    ) -> Result<Result<T, Judgement>, CallError> {
        let (found, seen) = tokio::join!(self.client.dataset_opt(root), observe());
        let judged = match &found {
            Ok(Some(root)) if root.user_properties.contains_key(own) => {
                let judged = self.judge(root, own);
                if judged.holders.is_empty() {
                    return Ok(Ok(seen));
                }
                judged
            }
            // Somebody forced it open at once, or the place itself is gone.
            _ => Judgement::default(),
        };
        let withdrawal = [(own.to_owned(), None)];
        let withdrawn = self.client.set_user_properties(root, &withdrawal).await;
        found?;
        withdrawn?;
        Ok(Err(judged))
    }
}
