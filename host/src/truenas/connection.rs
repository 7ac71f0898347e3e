//! The callers' side of a connection: ids, limits, timeouts and retries of one call.
//!
//! Knows neither sockets nor what methods mean.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use tokio::time::{Instant, sleep, timeout};
use tokio_tungstenite::WebSocketStream;

use super::error::{CallError, DisconnectReason, classify};
use super::frame;
use super::jobs::JobBoard;
use super::limits;
use super::method::Method;
use super::options::ConnectOptions;
use super::stats::CallStats;
use super::task::{Command, Gone, Shared, Task};
use super::timeouts;

/// One connection, logged in or not.
#[derive(Debug)]
pub(super) struct Connection {
    commands: mpsc::UnboundedSender<Command>,
    shared: Arc<Shared>,
    /// One permit per call in flight.
    gate: Semaphore,
    next_id: AtomicU64,
    logged_in: AtomicBool,
    call_timeout: Option<Duration>,
    done: watch::Receiver<()>,
}

impl Connection {
    /// Gives the socket to a task of its own.
    pub(super) fn start<S>(socket: WebSocketStream<S>, options: &ConnectOptions) -> Self
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (commands, receiver) = mpsc::unbounded_channel();
        let (done_sender, done) = watch::channel(());
        let shared = Arc::new(Shared::default());
        tokio::spawn(Task::new(socket, receiver, Arc::clone(&shared), done_sender).run());
        Self {
            commands,
            shared,
            gate: Semaphore::new(options.concurrency.clamp(1, limits::CALLS)),
            next_id: AtomicU64::new(1),
            logged_in: AtomicBool::new(false),
            call_timeout: options.call_timeout,
            done,
        }
    }

    /// From now on frames may have their full length.
    pub(super) fn logged_in(&self) {
        self.logged_in.store(true, Ordering::Relaxed);
    }

    pub(super) fn jobs(&self) -> &Arc<JobBoard> {
        &self.shared.jobs
    }

    pub(super) fn stats(&self) -> CallStats {
        self.shared.counters.snapshot()
    }

    /// How long a method may take on this connection.
    pub(super) fn time(&self, method: Method) -> Duration {
        self.call_timeout.unwrap_or_else(|| method.timeout())
    }

    /// One call. It waits for its turn without a limit of its own: the calls before it have one.
    /// A call that the server did not take up (−32000) is sent again a few times, since it was not
    /// executed; nothing else is ever sent twice.
    pub(super) async fn call(&self, method: Method, params: &[Value]) -> Result<Value, CallError> {
        let _permit = self.gate.acquire().await;
        let mut pause = timeouts::RETRY_FIRST;
        for _ in 0..limits::RETRIES {
            match self.once(method, params).await {
                Err(CallError::TooManyCalls { .. }) => {
                    tracing::debug!(rpc.method = %method, "the server has too many calls in flight");
                    sleep(pause).await;
                    pause *= 2;
                }
                other => return other,
            }
        }
        self.once(method, params).await
    }

    async fn once(&self, method: Method, params: &[Value]) -> Result<Value, CallError> {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let frame = frame::request(id, method, params);
        limits::check_frame(&frame, self.logged_in.load(Ordering::Relaxed)).map_err(|error| {
            CallError::TooLarge {
                method,
                size: error.size,
                limit: error.limit,
            }
        })?;
        let bytes = frame.len();
        let (waiter, answer) = oneshot::channel();
        let command = Command::Call { id, frame, waiter };
        if self.commands.send(command).is_err() {
            return Err(self.gone(method));
        }
        self.shared.counters.sent(method, bytes);
        let _forget = Forget {
            id,
            connection: self,
        };
        let (begin, after) = (Instant::now(), self.time(method));
        let outcome = timeout(after, answer).await;
        let ms = begin.elapsed().as_millis();
        tracing::debug!(
            rpc.method = method.name(),
            rpc.id = id,
            rpc.ms = ms,
            rpc.answered = matches!(outcome, Ok(Ok(Ok(_)))),
            "call",
        );
        match outcome {
            Ok(Ok(Ok(Ok(result)))) => Ok(result),
            Ok(Ok(Ok(Err(error)))) => Err(classify(method, &error)),
            Ok(Ok(Err(Gone { why, sent }))) => Err(CallError::Disconnected {
                method,
                why,
                may_have_run: sent && method.mutates(),
            }),
            // The task is gone without a word, which only a dying runtime does.
            Ok(Err(_)) => Err(CallError::Disconnected {
                method,
                why: DisconnectReason::ClosedByUs,
                may_have_run: method.mutates(),
            }),
            Err(_) => Err(CallError::TimedOut {
                method,
                after,
                may_have_run: method.mutates(),
            }),
        }
    }

    /// The connection had ended before the call.
    fn gone(&self, method: Method) -> CallError {
        let why = self.shared.end.get().cloned();
        CallError::Disconnected {
            method,
            why: why.unwrap_or(DisconnectReason::ClosedByUs),
            may_have_run: false,
        }
    }

    /// Closes the socket and waits a bounded time until it is closed.
    pub(super) async fn close(&self) {
        // An error means that it is closed already.
        let _ = self.commands.send(Command::Close);
        let mut done = self.done.clone();
        // Twice the time of the goodbye: the task bounds itself, and may be writing just now.
        let _ = timeout(timeouts::CLOSE * 2, done.changed()).await;
    }
}

/// Takes a call out of the table when its caller goes away, answered or not.
struct Forget<'a> {
    id: u64,
    connection: &'a Connection,
}

impl Drop for Forget<'_> {
    fn drop(&mut self) {
        // Where the task is gone, so is the table.
        let _ = self.connection.commands.send(Command::Forget(self.id));
    }
}
