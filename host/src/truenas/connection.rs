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
use tracing::Instrument;

use super::error::{CallError, classify};
use super::frame::{GREETING, Protocol};
use super::jobs::JobBoard;
use super::lane::Lane;
use super::limits;
use super::loss::DisconnectReason;
use super::method::Method;
use super::options::ConnectOptions;
use super::stats::Counters;
use super::task::{Command, Gone, Shared, Task};
use super::timeouts;
use super::wire::Tap;

/// One connection, logged in or not.
#[derive(Debug)]
pub(super) struct Connection {
    protocol: Protocol,
    commands: mpsc::UnboundedSender<Command>,
    shared: Arc<Shared>,
    /// One permit per call in flight.
    gate: Semaphore,
    /// One permit for the calls of [`Lane::Urgent`].
    urgent: Semaphore,
    next_id: AtomicU64,
    logged_in: AtomicBool,
    call_timeout: Option<Duration>,
    done: watch::Receiver<()>,
}

impl Connection {
    /// Gives the socket to a task of its own.
    pub(super) fn start<S>(
        socket: WebSocketStream<S>,
        protocol: Protocol,
        options: &ConnectOptions,
        counters: Arc<Counters>,
    ) -> Self
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (commands, receiver) = mpsc::unbounded_channel();
        let (done_sender, done) = watch::channel(());
        let shared = Arc::new(Shared {
            counters,
            tap: options
                .wire
                .as_ref()
                .map(|observer| Tap::new(observer, protocol.path())),
            ..Shared::default()
        });
        let task = Task::new(socket, protocol, receiver, Arc::clone(&shared), done_sender);
        tokio::spawn(task.run());
        Self {
            protocol,
            commands,
            shared,
            gate: Semaphore::new(options.calls_per_connection()),
            urgent: Semaphore::new(1),
            next_id: AtomicU64::new(1),
            logged_in: AtomicBool::new(false),
            call_timeout: options.call_timeout,
            done,
        }
    }

    pub(super) fn protocol(&self) -> Protocol {
        self.protocol
    }

    /// Says what the protocol wants to be said first, and waits for the answer.
    pub(super) async fn greet(&self) -> Result<(), CallError> {
        let Some(frame) = self.protocol.greeting() else {
            return Ok(());
        };
        // Errors name the method that comes next.
        let answer = self.exchange(GREETING, frame, Method::LegacyLogin, timeouts::UPGRADE);
        answer.await.map(drop)
    }

    /// From now on frames may have their full length.
    pub(super) fn logged_in(&self) {
        self.logged_in.store(true, Ordering::Relaxed);
    }

    pub(super) fn jobs(&self) -> &Arc<JobBoard> {
        &self.shared.jobs
    }

    /// How long a method may take on this connection.
    fn time(&self, method: Method) -> Duration {
        self.call_timeout.unwrap_or_else(|| method.timeout())
    }

    /// One call. It waits for its turn without a limit of its own: the calls before it have one.
    /// A call that the server did not take up (−32000) is sent again a few times, since it was not
    /// executed; nothing else is ever sent twice.
    pub(super) async fn call(&self, method: Method, params: &[Value]) -> Result<Value, CallError> {
        self.call_in(Lane::Usual, method, params).await
    }

    /// One call, in this lane.
    pub(super) async fn call_in(
        &self,
        lane: Lane,
        method: Method,
        params: &[Value],
    ) -> Result<Value, CallError> {
        let span = tracing::debug_span!("rpc", rpc.method = method.name());
        self.in_turn(lane, method, params).instrument(span).await
    }

    async fn in_turn(
        &self,
        lane: Lane,
        method: Method,
        params: &[Value],
    ) -> Result<Value, CallError> {
        let gate = match lane {
            Lane::Usual => &self.gate,
            Lane::Urgent => &self.urgent,
        };
        let _permit = gate.acquire().await;
        let mut pause = timeouts::RETRY_FIRST;
        for _ in 0..limits::RETRIES {
            match self.once(method, params).await {
                Err(CallError::TooManyCalls { .. }) => {
                    tracing::debug!("the server has too many calls in flight");
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
        let frame = self.protocol.request(id, method, params);
        limits::check_frame(&frame, self.logged_in.load(Ordering::Relaxed)).map_err(|error| {
            CallError::TooLarge {
                method,
                size: error.size,
                limit: error.limit,
            }
        })?;
        self.exchange(id, frame, method, self.time(method)).await
    }

    /// Sends one frame and waits for its answer.
    async fn exchange(
        &self,
        id: u64,
        frame: String,
        method: Method,
        after: Duration,
    ) -> Result<Value, CallError> {
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
        let begin = Instant::now();
        let outcome = timeout(after, answer).await;
        let ms = begin.elapsed().as_millis();
        tracing::debug!(
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

    /// Why it has ended, once it has.
    pub(super) fn ended(&self) -> Option<DisconnectReason> {
        self.shared.end.get().cloned()
    }

    /// The connection had ended before the call.
    fn gone(&self, method: Method) -> CallError {
        CallError::Disconnected {
            method,
            why: self.ended().unwrap_or(DisconnectReason::ClosedByUs),
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

#[cfg(test)]
mod tests {
    use futures_util::future::join_all;
    use futures_util::{SinkExt, StreamExt};
    use serde_json::json;
    use tokio::io::DuplexStream;
    use tokio_tungstenite::tungstenite::Message;
    use tokio_tungstenite::tungstenite::protocol::Role;
    use tokio_tungstenite::tungstenite::protocol::frame::CloseFrame;

    use super::*;

    type Server = WebSocketStream<DuplexStream>;

    /// A connection and the other end of its wire.
    async fn pair() -> (Connection, Server) {
        let (ours, theirs) = tokio::io::duplex(1 << 20);
        let client = WebSocketStream::from_raw_socket(ours, Role::Client, None).await;
        let server = WebSocketStream::from_raw_socket(theirs, Role::Server, None).await;
        (
            Connection::start(
                client,
                Protocol::JsonRpc,
                &ConnectOptions::default(),
                Arc::default(),
            ),
            server,
        )
    }

    /// The next call that arrives, as id and method.
    async fn arrival(server: &mut Server) -> (u64, String) {
        loop {
            match server.next().await.expect("a frame").expect("a frame") {
                Message::Text(text) => {
                    let value: Value = serde_json::from_str(&text).expect("JSON");
                    let id = value["id"].as_u64().expect("an id");
                    return (id, value["method"].as_str().expect("a name").to_owned());
                }
                Message::Ping(_) => {}
                other => panic!("{other:?}"),
            }
        }
    }

    async fn answer(server: &mut Server, frame: Value) {
        let message = Message::text(frame.to_string());
        server.send(message).await.expect("an open wire");
    }

    #[tokio::test(start_paused = true)]
    async fn an_idle_line_is_pinged_and_lives() {
        let (connection, mut server) = pair().await;
        let begin = Instant::now();
        for count in 1..=10 {
            let message = server.next().await.expect("a frame").expect("a frame");
            assert!(matches!(message, Message::Ping(_)), "{message:?}");
            assert_eq!(begin.elapsed().as_secs() / timeouts::IDLE.as_secs(), count);
        }
        assert_eq!(connection.shared.end.get(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_that_does_not_answer_a_ping_is_gone() {
        let (connection, _deaf) = pair().await;
        let begin = Instant::now();
        let error = connection
            .call(Method::VmStart, &[])
            .await
            .expect_err("no answer");
        let CallError::Disconnected {
            why: DisconnectReason::NoPong { .. },
            may_have_run: true,
            ..
        } = error
        else {
            panic!("{error:?}");
        };
        assert_eq!(begin.elapsed(), timeouts::IDLE + timeouts::PONG);
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_without_an_answer_times_out() {
        let (connection, mut server) = pair().await;
        let reading = tokio::spawn(async move { while server.next().await.is_some() {} });
        let begin = Instant::now();
        let error = connection
            .call(Method::VmQuery, &[])
            .await
            .expect_err("no answer");
        assert!(
            matches!(
                error,
                CallError::TimedOut {
                    may_have_run: false,
                    ..
                }
            ),
            "{error:?}"
        );
        assert_eq!(begin.elapsed(), timeouts::READ);
        reading.abort();
    }

    #[tokio::test]
    async fn a_dropped_call_gives_its_place_back_and_a_late_answer_does_no_harm() {
        let (connection, mut server) = pair().await;
        {
            let call = connection.call(Method::VmQuery, &[]);
            tokio::select! {
                result = call => panic!("{result:?}"),
                (id, _) = arrival(&mut server) => assert_eq!(id, 1),
            }
        }
        assert_eq!(connection.gate.available_permits(), limits::CALLS);
        answer(&mut server, json!({"id": 1, "result": "late"})).await;
        let (result, ()) = tokio::join!(connection.call(Method::VmQuery, &[]), async {
            let (id, _) = arrival(&mut server).await;
            answer(&mut server, json!({"id": id, "result": "mine"})).await;
        });
        assert_eq!(result.expect("an answer"), json!("mine"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_that_was_not_taken_up_is_sent_again() {
        let (connection, mut server) = pair().await;
        let full = json!({"code": -32000, "message": "too many concurrent calls"});
        let (result, ()) = tokio::join!(connection.call(Method::VmCreate, &[]), async {
            for _ in 0..3 {
                let (id, _) = arrival(&mut server).await;
                answer(&mut server, json!({"id": id, "error": full})).await;
            }
            let (id, _) = arrival(&mut server).await;
            answer(&mut server, json!({"id": id, "result": 1})).await;
        });
        assert_eq!(result.expect("an answer"), json!(1));
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_that_is_never_taken_up_ends() {
        let (connection, mut server) = pair().await;
        let full = json!({"code": -32000, "message": "too many concurrent calls"});
        let refusing = async {
            loop {
                let (id, _) = arrival(&mut server).await;
                answer(&mut server, json!({"id": id, "error": full})).await;
            }
        };
        tokio::select! {
            result = connection.call(Method::VmCreate, &[]) => {
                let error = result.expect_err("refused");
                assert!(matches!(error, CallError::TooManyCalls { .. }), "{error:?}");
                assert!(!error.may_have_run());
            }
            () = refusing => {}
        }
    }

    #[tokio::test]
    async fn another_refusal_is_never_sent_again() {
        let (connection, mut server) = pair().await;
        let error = json!({"code": -32001, "message": "m", "data": {"error": 14, "reason": "no"}});
        let (result, ()) = tokio::join!(connection.call(Method::VmCreate, &[]), async {
            let (id, _) = arrival(&mut server).await;
            answer(&mut server, json!({"id": id, "error": error})).await;
        });
        assert!(matches!(result, Err(CallError::Refused(_))), "{result:?}");
        assert_eq!(connection.shared.counters.snapshot().mutations, 1);
    }

    #[tokio::test]
    async fn a_frame_that_is_too_long_is_not_sent() {
        let (connection, mut server) = pair().await;
        let long = [json!("x".repeat(limits::FRAME_BEFORE_LOGIN))];
        let error = connection.call(Method::VmCreate, &long).await;
        let error = error.expect_err("too long").to_string();
        assert!(
            error.contains("vm.create") && error.contains("8192"),
            "{error}"
        );
        connection.logged_in();
        let (result, ()) = tokio::join!(connection.call(Method::VmCreate, &long), async {
            let (id, _) = arrival(&mut server).await;
            answer(&mut server, json!({"id": id, "result": null})).await;
        });
        assert!(result.is_ok(), "after login it is short enough");
        let longer = [json!("x".repeat(limits::FRAME_AFTER_LOGIN))];
        let error = connection.call(Method::VmCreate, &longer).await;
        assert!(
            matches!(error, Err(CallError::TooLarge { .. })),
            "{error:?}"
        );
        assert_eq!(connection.shared.counters.snapshot().mutations, 1);
    }

    #[tokio::test]
    async fn everybody_learns_why_the_connection_ended() {
        let (connection, mut server) = pair().await;
        let calls = join_all((0..limits::CALLS + 2).map(|_| connection.call(Method::VmStart, &[])));
        let (results, ()) = tokio::join!(calls, async {
            for _ in 0..limits::CALLS {
                arrival(&mut server).await;
            }
            let frame = CloseFrame {
                code: 1008.into(),
                reason: "not from there".into(),
            };
            server.close(Some(frame)).await.expect("an open wire");
            while server.next().await.is_some() {}
        });
        let expected = DisconnectReason::ClosedByServer {
            code: 1008,
            reason: "not from there".into(),
        };
        let mut may_have_run_count = 0;
        for result in results {
            let Err(CallError::Disconnected {
                why, may_have_run, ..
            }) = result
            else {
                panic!("{result:?}");
            };
            assert_eq!(why, expected);
            may_have_run_count += usize::from(may_have_run);
        }
        // The two that still waited for their turn were certainly not done.
        assert_eq!(may_have_run_count, limits::CALLS);
    }

    #[tokio::test]
    async fn garbage_does_not_end_the_connection() {
        let (connection, mut server) = pair().await;
        let (result, ()) = tokio::join!(connection.call(Method::VmQuery, &[]), async {
            let (id, _) = arrival(&mut server).await;
            for garbage in ["", "[]", r#"{"id": 99, "result": 1}"#] {
                server.send(Message::text(garbage)).await.expect("open");
            }
            server.send(Message::binary(vec![0])).await.expect("open");
            answer(&mut server, json!({"id": id, "result": 1})).await;
        });
        assert_eq!(result.expect("an answer"), json!(1));
    }

    #[tokio::test(start_paused = true)]
    async fn closing_does_not_hang_on_a_server_that_does_not_answer() {
        let (connection, _deaf) = pair().await;
        let begin = Instant::now();
        connection.close().await;
        assert!(begin.elapsed() <= timeouts::CLOSE * 2);
        let error = connection.call(Method::VmQuery, &[]).await;
        assert!(
            matches!(
                error,
                Err(CallError::Disconnected {
                    why: DisconnectReason::ClosedByUs,
                    ..
                })
            ),
            "{error:?}"
        );
    }
}
