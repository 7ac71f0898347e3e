//! All lines of a client to its server: which one a call goes to, and when another one is opened.
//!
//! Knows how many there may be; what one line does about its losses is its own affair.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use serde_json::Value;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::task::AbortHandle;

use super::backoff::Jitter;
use super::connection::Connection;
use super::error::CallError;
use super::lane::Lane;
use super::limits;
use super::loss::LossReason;
use super::method::Method;
use super::reconnect::{Line, Opener};
use super::session::{Opened, ServerInfo};

/// What all clones of a client share. The first line is there from the start, others are opened
/// when there are more calls than the server runs at once on those that are there.
pub(super) struct Lines {
    open: Opener,
    server: ServerInfo,
    jitter: Jitter,
    /// Lines at most.
    most: usize,
    /// Calls in flight per line.
    per_line: usize,
    /// One permit per call that may be in flight, over all lines. Calls wait here and not at a line,
    /// so that each goes to the line that has room first.
    turns: Semaphore,
    /// Calls that wait for a permit.
    waiting: Arc<AtomicUsize>,
    members: Mutex<Members>,
}

/// The lines that there are, and those that are being opened.
#[derive(Default)]
struct Members {
    lines: Vec<Member>,
    /// How many are being opened.
    opening: usize,
    /// How many more may be opened.
    may_open: usize,
    /// Whether one could not be opened; told once.
    failed: bool,
    /// Whether the client has logged out.
    ended: bool,
    tasks: Vec<AbortHandle>,
}

#[derive(Clone)]
struct Member {
    line: Arc<Line>,
    /// Calls that are made on it, those that wait for its next connection included.
    busy: Arc<AtomicUsize>,
}

/// Where one call is made; kept until it is answered.
struct Seat<'a> {
    line: Arc<Line>,
    /// Its connection at this moment.
    connection: Arc<Connection>,
    _busy: Counted,
    /// The turn, for calls that wait for one.
    permit: Option<SemaphorePermit<'a>>,
}

/// One more, until it is dropped.
struct Counted(Arc<AtomicUsize>);

impl Counted {
    fn up(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(count))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Lines {
    /// With one line, and at most so many; each takes so many calls at once.
    pub(super) fn new(
        first: Connection,
        server: ServerInfo,
        open: Opener,
        jitter: Jitter,
        most: usize,
        per_line: usize,
    ) -> Self {
        let most = most.clamp(1, limits::CONNECTIONS);
        let line = Line::new(0, first, server.clone(), Arc::clone(&open), jitter);
        Self {
            open,
            server,
            jitter,
            most,
            per_line,
            turns: Semaphore::new(per_line),
            waiting: Arc::default(),
            members: Mutex::new(Members {
                lines: vec![Member::new(line)],
                may_open: most - 1,
                ..Members::default()
            }),
        }
    }

    /// Why no call can be made any more, if that is so: the reason of the first line.
    pub(super) fn loss(&self) -> Option<LossReason> {
        let members = self.members();
        let losses = members.lines.iter().map(|member| member.line.loss());
        let losses: Option<Vec<LossReason>> = losses.collect();
        losses?.into_iter().next()
    }

    /// Lines at most.
    pub(super) fn most(&self) -> usize {
        self.most
    }

    /// Who answered first, and whoever answers later.
    pub(super) fn server(&self) -> &ServerInfo {
        &self.server
    }

    /// One call, on the line with the fewest; [`Line::settle`] says what is made again, on whatever
    /// line is the best one then.
    pub(super) async fn call(
        self: &Arc<Self>,
        lane: Lane,
        method: Method,
        params: &[Value],
    ) -> Result<Value, CallError> {
        let mut asked = 0;
        loop {
            let seat = match lane {
                Lane::Usual => self.seat(method).await?,
                // It has a lane of its own at every connection, and so waits for no turn.
                Lane::Urgent => self.any(method).await?,
            };
            let result = seat.connection.call_in(lane, method, params).await;
            let settled = seat
                .line
                .settle(&seat.connection, method, result, &mut asked);
            if let Some(result) = settled {
                return result;
            }
        }
    }

    /// The line for a call that is followed after its answer: asked for job events already. Where
    /// they cannot be had, the job is looked up now and then.
    pub(super) async fn line_with_events(
        self: &Arc<Self>,
        method: Method,
    ) -> Result<Arc<Line>, CallError> {
        let line = Arc::clone(&self.any(method).await?.line);
        match line.want_events().await {
            Err(error) if error.is_final_loss() => return Err(error),
            Err(error) => tracing::debug!(%error, line = line.number, "no job events on this line"),
            Ok(()) => {}
        }
        Ok(line)
    }

    /// This line while it has a connection, else another that has one, else the first to have one
    /// again; asked for job events where that is possible.
    pub(super) async fn follow_on(
        self: &Arc<Self>,
        line: &Arc<Line>,
        method: Method,
    ) -> Result<(Arc<Line>, Arc<Connection>), CallError> {
        if let Some(connection) = line.up() {
            return Ok((Arc::clone(line), connection));
        }
        let seat = self.any(method).await?;
        // Events only save time; jobs are looked up anyway.
        if let Err(error) = seat.line.want_events().await {
            tracing::debug!(%error, line = seat.line.number, "no job events on this line");
        }
        Ok((Arc::clone(&seat.line), Arc::clone(&seat.connection)))
    }

    /// Ends all lines for good; gives the connections that are to be closed.
    pub(super) fn end(&self) -> Vec<Arc<Connection>> {
        let mut members = self.members();
        (members.may_open, members.ended) = (0, true);
        for task in members.tasks.drain(..) {
            task.abort();
        }
        members
            .lines
            .iter()
            .filter_map(|member| member.line.end())
            .collect()
    }

    /// A place for a call, when it is its turn.
    async fn seat(self: &Arc<Self>, method: Method) -> Result<Seat<'_>, CallError> {
        let permit = match self.turns.try_acquire() {
            Ok(permit) => Some(permit),
            Err(_) => {
                let _waiting = Counted::up(&self.waiting);
                self.grow(0);
                // Nobody closes it.
                self.turns.acquire().await.ok()
            }
        };
        let mut seat = self.any(method).await?;
        seat.permit = permit;
        self.grow(0);
        Ok(seat)
    }

    /// The line with a connection and the fewest calls; where none has one, the first that has one
    /// again.
    async fn any(&self, method: Method) -> Result<Seat<'_>, CallError> {
        loop {
            if let Some(seat) = self.least_busy() {
                return Ok(seat);
            }
            let lines: Vec<Member> = self.members().lines.clone();
            let mut waits: FuturesUnordered<_> = lines
                .iter()
                .map(|member| member.line.connection(method))
                .collect();
            let mut lost = None;
            let mut back = false;
            while let Some(waited) = waits.next().await {
                match waited {
                    Ok(_) => {
                        back = true;
                        break;
                    }
                    Err(error) => lost = Some(error),
                }
            }
            if !back {
                return Err(lost.unwrap_or(CallError::ConnectionLost {
                    method,
                    why: LossReason::Closed,
                    may_have_run: false,
                }));
            }
        }
    }

    fn least_busy(&self) -> Option<Seat<'_>> {
        let mut members = self.members();
        members.forget_lost();
        let up = members.lines.iter().filter_map(|member| {
            let connection = member.line.up()?;
            Some((member.busy.load(Ordering::Relaxed), member, connection))
        });
        let (_, member, connection) = up.min_by_key(|(busy, ..)| *busy)?;
        Some(Seat {
            line: Arc::clone(&member.line),
            connection,
            // Under the lock: the next one sees it.
            _busy: Counted::up(&member.busy),
            permit: None,
        })
    }

    /// Begins to open more lines where the calls of the moment, or so many that are expected soon,
    /// would keep them busy.
    pub(super) fn grow(self: &Arc<Self>, expected: usize) {
        if self.most == 1 {
            return;
        }
        let mut members = self.members();
        let busy: usize = members
            .lines
            .iter()
            .map(|member| member.busy.load(Ordering::Relaxed))
            .sum();
        let calls = expected.max(busy + self.waiting.load(Ordering::Relaxed));
        let wanted = calls.div_ceil(self.per_line.min(limits::RUNNING));
        while members.may_open > 0 && members.lines.len() + members.opening < wanted {
            members.may_open -= 1;
            members.opening += 1;
            let number = self.most - 1 - members.may_open;
            let opening = Arc::clone(self).open_another(number as u64);
            let task = tokio::spawn(opening);
            members.tasks.push(task.abort_handle());
        }
    }

    /// Opens one more line. Where that fails the client goes on with those it has.
    async fn open_another(self: Arc<Self>, number: u64) {
        let opened = (self.open)().await;
        let why = match opened {
            Ok(opened) if self.server.is_same(&opened.server) => {
                return self.add(number, opened);
            }
            Ok(opened) => {
                opened.connection.close().await;
                format!("another server answers: {}", opened.server.hostname)
            }
            Err(error) => error.to_string(),
        };
        let mut members = self.members();
        members.opening -= 1;
        // What failed once is not tried again: every attempt is a login.
        members.may_open = 0;
        let told = std::mem::replace(&mut members.failed, true);
        let connections = members.lines.len();
        drop(members);
        if !told {
            tracing::warn!(%why, connections, "no further connection can be opened, going on with those there are");
        }
    }

    fn add(&self, number: u64, opened: Opened) {
        let Opened {
            connection, server, ..
        } = opened;
        let line = Line::new(
            number,
            connection,
            server,
            Arc::clone(&self.open),
            self.jitter,
        );
        let mut members = self.members();
        members.opening -= 1;
        if members.ended {
            return;
        }
        members.lines.push(Member::new(line));
        tracing::debug!(connections = members.lines.len(), "another connection");
        drop(members);
        self.turns.add_permits(self.per_line);
    }

    fn members(&self) -> MutexGuard<'_, Members> {
        // Nothing that runs under the lock can leave it half-changed.
        self.members.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Members {
    /// Leaves out lines that are lost for good, as long as there is another: their calls go there.
    fn forget_lost(&mut self) {
        if self.lines.iter().all(|member| !member.line.is_lost()) {
            return;
        }
        if self.lines.iter().all(|member| member.line.is_lost()) {
            return;
        }
        self.lines.retain(|member| {
            let lost = member.line.is_lost();
            if lost {
                let line = member.line.number;
                tracing::warn!(
                    line,
                    "a connection is lost for good, going on with the others"
                );
            }
            !lost
        });
    }
}

impl Member {
    fn new(line: Line) -> Self {
        Self {
            line: Arc::new(line),
            busy: Arc::default(),
        }
    }
}
