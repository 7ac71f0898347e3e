//! One line to the server: the present connection, and a new one when it is lost.
//!
//! Knows how often and when to try, which calls may be asked again, and when to give up for good;
//! knows neither sockets nor how to log in, nor that there may be other lines.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};
use tokio::sync::{OnceCell, watch};
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep};

use super::backoff::{Backoff, Jitter};
use super::connect_error::{ConnectError, TlsProblem};
use super::connection::Connection;
use super::error::CallError;
use super::jobs;
use super::loss::{DisconnectReason, LossReason};
use super::method::Method;
use super::session::{Opened, ServerInfo};
use super::{limits, timeouts};

/// Makes a new connection, logged in: exactly one login.
pub(super) type Opener = Arc<
    dyn Fn() -> Pin<Box<dyn Future<Output = Result<Opened, ConnectError>> + Send>> + Send + Sync,
>;

/// At any time one connection, or one task that makes one.
pub(super) struct Line {
    /// Which line of the client, from 0.
    pub(super) number: u64,
    state: watch::Sender<State>,
    open: Opener,
    server: ServerInfo,
    /// Whether job events have been asked for; a new connection asks again.
    events: OnceCell<()>,
    tries: Mutex<Tries>,
}

#[derive(Clone)]
enum State {
    Up(Arc<Connection>),
    /// A task makes a new connection.
    Down,
    /// For good.
    Lost(LossReason),
}

/// How many of the attempts are used up.
struct Tries {
    used: usize,
    up_since: Instant,
    backoff: Backoff,
    task: Option<AbortHandle>,
}

impl Line {
    pub(super) fn new(
        number: u64,
        connection: Connection,
        server: ServerInfo,
        open: Opener,
        jitter: Jitter,
    ) -> Self {
        Self {
            number,
            state: watch::Sender::new(State::Up(Arc::new(connection))),
            open,
            server,
            events: OnceCell::new(),
            tries: Mutex::new(Tries {
                used: 0,
                up_since: Instant::now(),
                backoff: Backoff::new(jitter, number),
                task: None,
            }),
        }
    }

    /// The present connection, if there is one at this moment. One that has ended is replaced.
    pub(super) fn up(self: &Arc<Self>) -> Option<Arc<Connection>> {
        let connection = match &*self.state.borrow() {
            State::Up(connection) => Arc::clone(connection),
            State::Down | State::Lost(_) => return None,
        };
        let Some(why) = connection.ended() else {
            return Some(connection);
        };
        self.lost(&connection, why);
        None
    }

    /// Whether there will never be a connection again.
    pub(super) fn is_lost(&self) -> bool {
        matches!(*self.state.borrow(), State::Lost(_))
    }

    /// Why it is lost for good, if it is.
    pub(super) fn loss(&self) -> Option<LossReason> {
        match &*self.state.borrow() {
            State::Lost(why) => Some(why.clone()),
            State::Up(_) | State::Down => None,
        }
    }

    /// The present connection, or the next one.
    pub(super) async fn connection(
        self: &Arc<Self>,
        method: Method,
    ) -> Result<Arc<Connection>, CallError> {
        loop {
            let why = match self.not_down().await {
                State::Up(_) => match self.up() {
                    Some(connection) => return Ok(connection),
                    None => continue,
                },
                State::Lost(why) => why,
                State::Down => continue,
            };
            return Err(CallError::ConnectionLost {
                method,
                why,
                may_have_run: false,
            });
        }
    }

    async fn not_down(&self) -> State {
        let mut states = self.state.subscribe();
        let state = states.wait_for(|state| !matches!(state, State::Down)).await;
        // The sender is our own, so there is always a state.
        state.map_or(State::Lost(LossReason::Closed), |state| state.clone())
    }

    /// What to do about the end of a call on a connection of this line: the caller's result, or none
    /// to make it once more. What has not been sent is sent again; a call that changes nothing is
    /// asked again a few times when its answer was lost; any other that was sent never is.
    pub(super) fn settle(
        self: &Arc<Self>,
        connection: &Arc<Connection>,
        method: Method,
        result: Result<Value, CallError>,
        asked: &mut u32,
    ) -> Option<Result<Value, CallError>> {
        let Err(CallError::Disconnected {
            why, may_have_run, ..
        }) = &result
        else {
            return Some(result);
        };
        self.lost(connection, why.clone());
        if !method.mutates() {
            *asked += 1;
        }
        (*may_have_run || *asked > limits::READS_AGAIN).then_some(result)
    }

    /// Asks for job events, once; every later connection does so by itself.
    pub(super) async fn want_events(self: &Arc<Self>) -> Result<(), CallError> {
        self.events
            .get_or_try_init(|| self.subscribe())
            .await
            .copied()
    }

    async fn subscribe(self: &Arc<Self>) -> Result<(), CallError> {
        let (method, params) = (Method::Subscribe, [json!(jobs::COLLECTION)]);
        let mut asked = 0;
        loop {
            let connection = self.connection(method).await?;
            let result = connection.call(method, &params).await;
            if let Some(result) = self.settle(&connection, method, result, &mut asked) {
                return result.map(drop);
            }
        }
    }

    /// Ends the line for good; gives the connection that is to be closed, if there is one.
    pub(super) fn end(&self) -> Option<Arc<Connection>> {
        let before = self.state.send_replace(State::Lost(LossReason::Closed));
        if let Some(task) = self.tries().task.take() {
            task.abort();
        }
        match before {
            State::Up(connection) => Some(connection),
            State::Down | State::Lost(_) => None,
        }
    }

    /// Begins to make a new connection in place of this one, unless that has been done.
    fn lost(self: &Arc<Self>, connection: &Arc<Connection>, why: DisconnectReason) {
        let begin = self.state.send_if_modified(|state| {
            let present = matches!(state, State::Up(up) if Arc::ptr_eq(up, connection));
            if present {
                *state = State::Down;
            }
            present
        });
        if !begin {
            return;
        }
        tracing::warn!(%why, line = self.number, "the connection to the server is lost, connecting again");
        let mut tries = self.tries();
        // A server that lets us in and drops us again is no reason to log in again and again.
        if tries.up_since.elapsed() >= timeouts::STABLE {
            tries.used = 0;
        }
        let task = tokio::spawn(Arc::clone(self).reconnect(why));
        tries.task = Some(task.abort_handle());
    }

    async fn reconnect(self: Arc<Self>, why: DisconnectReason) {
        let began = Instant::now();
        let mut last = None;
        loop {
            let Some(pause) = self.next_pause() else {
                let attempts = timeouts::RECONNECT.len();
                return self.give_up(LossReason::GivenUp {
                    why,
                    attempts,
                    within: began.elapsed(),
                    last,
                });
            };
            sleep(pause).await;
            if !matches!(*self.state.borrow(), State::Down) {
                return;
            }
            match (self.open)().await {
                Ok(opened) if !self.server.is_same(&opened.server) => {
                    opened.connection.close().await;
                    return self.give_up(LossReason::OtherServer {
                        was: Box::new(self.server.clone()),
                        is: Box::new(opened.server),
                    });
                }
                Ok(opened) => {
                    if self.events.initialized() {
                        let params = [json!(jobs::COLLECTION)];
                        // Events only save time; jobs are looked up anyway.
                        if let Err(error) = opened.connection.call(Method::Subscribe, &params).await
                        {
                            tracing::debug!(%error, "no job events on the new connection");
                        }
                    }
                    return self.back(opened.connection);
                }
                Err(error) if may_pass(&error) => {
                    tracing::debug!(%error, "no new connection yet");
                    last = Some(Arc::new(error));
                }
                Err(error) => return self.give_up(LossReason::Refused(Arc::new(error))),
            }
        }
    }

    /// How long to wait before the next attempt; none when all are used up.
    fn next_pause(&self) -> Option<std::time::Duration> {
        let mut tries = self.tries();
        let attempt = tries.used;
        tries.used += 1;
        tries.backoff.pause(attempt)
    }

    fn back(&self, connection: Connection) {
        self.tries().up_since = Instant::now();
        let connection = Arc::new(connection);
        let back = self.leave_down(State::Up(connection));
        if back {
            tracing::info!(
                hostname = self.server.hostname,
                line = self.number,
                "connected again"
            );
        }
    }

    fn give_up(&self, why: LossReason) {
        tracing::debug!(%why, "the connection is given up");
        self.leave_down(State::Lost(why));
    }

    /// Changes the state, unless the line was ended meanwhile.
    fn leave_down(&self, next: State) -> bool {
        self.state.send_if_modified(|state| {
            let down = matches!(state, State::Down);
            if down {
                *state = next;
            }
            down
        })
    }

    fn tries(&self) -> MutexGuard<'_, Tries> {
        // Nothing that runs under the lock can leave it half-changed.
        self.tries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether another attempt may do better: the server restarts, or the network is not back. A
/// refused login is never repeated, and who shows another certificate is not trusted later.
fn may_pass(error: &ConnectError) -> bool {
    match error {
        ConnectError::Dns { .. }
        | ConnectError::Tcp { .. }
        | ConnectError::ProxyTcp { .. }
        | ConnectError::Timeout { .. }
        | ConnectError::WebSocket { .. } => true,
        ConnectError::Tls { problem, .. } => {
            matches!(problem, TlsProblem::NotTls | TlsProblem::Other(_))
        }
        ConnectError::Http { status, .. } | ConnectError::ProxyRefused { status, .. } => {
            *status >= 500
        }
        ConnectError::Call { source, .. } => matches!(
            **source,
            CallError::Disconnected { .. }
                | CallError::TimedOut { .. }
                | CallError::TooManyCalls { .. }
                | CallError::RateLimited(_)
        ),
        _ => false,
    }
}
