//! The one task that owns the socket: sends calls, hands out answers, keeps the line alive, and
//! tells every waiter why it ended.
//!
//! `select!` chooses what happened; plain functions act on it.

use std::sync::{Arc, OnceLock};

use futures_util::{SinkExt, StreamExt};
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, sleep_until, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::{self, Bytes, Message};

use super::error::ErrorObject;
use super::frame::{Frame, Protocol};
use super::jobs::{self, JobBoard};
use super::loss::DisconnectReason;
use super::pending::{Pending, Unknown};
use super::stats::Counters;
use super::timeouts;
use super::wire::{Direction, Tap};

/// What the server answered, or why it did not.
pub(super) type Outcome = Result<Result<Value, ErrorObject>, Gone>;

/// There will be no answer.
#[derive(Clone, Debug)]
pub(super) struct Gone {
    pub(super) why: DisconnectReason,
    /// Whether the call had been given to the socket.
    pub(super) sent: bool,
}

/// What callers ask of the task.
#[derive(Debug)]
pub(super) enum Command {
    /// Send this frame and tell the waiter its answer.
    Call {
        id: u64,
        frame: String,
        waiter: oneshot::Sender<Outcome>,
    },
    /// The caller gave up.
    Forget(u64),
    /// Close the connection.
    Close,
}

/// What callers share with the task.
#[derive(Debug, Default)]
pub(super) struct Shared {
    pub(super) counters: Arc<Counters>,
    pub(super) jobs: Arc<JobBoard>,
    /// Set once the connection has ended.
    pub(super) end: OnceLock<DisconnectReason>,
    /// Who sees every frame, if anybody.
    pub(super) tap: Option<Tap>,
}

pub(super) struct Task<S> {
    socket: WebSocketStream<S>,
    protocol: Protocol,
    commands: mpsc::UnboundedReceiver<Command>,
    shared: Arc<Shared>,
    pending: Pending<oneshot::Sender<Outcome>>,
    /// When the server was last heard.
    heard: Instant,
    /// When it was pinged, if it has not been heard since.
    pinged: Option<Instant>,
    /// Dropped when the task is done.
    _done: watch::Sender<()>,
}

/// What happened.
enum Step {
    Command(Option<Command>),
    Message(Option<Result<Message, tungstenite::Error>>),
    Silence,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Task<S> {
    pub(super) fn new(
        socket: WebSocketStream<S>,
        protocol: Protocol,
        commands: mpsc::UnboundedReceiver<Command>,
        shared: Arc<Shared>,
        done: watch::Sender<()>,
    ) -> Self {
        Self {
            socket,
            protocol,
            commands,
            shared,
            pending: Pending::new(),
            heard: Instant::now(),
            pinged: None,
            _done: done,
        }
    }

    /// Runs until the connection ends.
    pub(super) async fn run(mut self) {
        let why = loop {
            let deadline = self.deadline();
            let step = tokio::select! {
                command = self.commands.recv() => Step::Command(command),
                message = self.socket.next() => Step::Message(message),
                () = sleep_until(deadline) => Step::Silence,
            };
            let going_on = match step {
                Step::Command(command) => self.command(command).await,
                Step::Message(message) => self.message(message),
                Step::Silence => self.silence().await,
            };
            if let Err(why) = going_on {
                break why;
            }
        };
        self.finish(why).await;
    }

    /// When silence becomes a reason to act.
    fn deadline(&self) -> Instant {
        match self.pinged {
            None => self.heard + timeouts::IDLE,
            Some(at) => at + timeouts::PONG,
        }
    }

    async fn command(&mut self, command: Option<Command>) -> Result<(), DisconnectReason> {
        match command {
            // Without a handle left nobody can want anything any more.
            None | Some(Command::Close) => Err(DisconnectReason::ClosedByUs),
            Some(Command::Forget(id)) => {
                self.pending.forget(id);
                Ok(())
            }
            Some(Command::Call { id, frame, waiter }) => {
                if waiter.is_closed() {
                    return Ok(());
                }
                if self.pending.insert(id, waiter).is_err() {
                    tracing::error!(rpc.id = id, "an id was given twice; the call is not sent");
                    return Ok(());
                }
                self.send(Message::text(frame)).await
            }
        }
    }

    async fn silence(&mut self) -> Result<(), DisconnectReason> {
        if self.pinged.is_some() {
            return Err(DisconnectReason::NoPong {
                waited: timeouts::PONG,
            });
        }
        tracing::trace!("ping");
        self.pinged = Some(Instant::now());
        self.send(Message::Ping(Bytes::new())).await
    }

    async fn send(&mut self, message: Message) -> Result<(), DisconnectReason> {
        if let (Some(tap), Message::Text(text)) = (&self.shared.tap, &message) {
            tap.frame(Direction::ToServer, text);
        }
        match timeout(timeouts::WRITE, self.socket.send(message)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(reason(&error)),
            Err(_) => Err(DisconnectReason::Io("the server does not read".into())),
        }
    }

    fn message(
        &mut self,
        message: Option<Result<Message, tungstenite::Error>>,
    ) -> Result<(), DisconnectReason> {
        self.heard = Instant::now();
        self.pinged = None;
        match message {
            None => Err(DisconnectReason::Ended),
            Some(Err(error)) => Err(reason(&error)),
            Some(Ok(Message::Text(text))) => {
                self.shared.counters.received(text.len());
                if let Some(tap) = &self.shared.tap {
                    tap.frame(Direction::FromServer, &text);
                }
                self.frame(self.protocol.classify(&text));
                Ok(())
            }
            Some(Ok(Message::Close(frame))) => Err(match frame {
                Some(frame) => DisconnectReason::ClosedByServer {
                    code: frame.code.into(),
                    reason: frame.reason.to_string(),
                },
                None => DisconnectReason::ClosedByServer {
                    code: 1005,
                    reason: String::new(),
                },
            }),
            Some(Ok(Message::Binary(_))) => {
                tracing::warn!("the server sent a binary frame, which the API does not have");
                Ok(())
            }
            Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => Ok(()),
        }
    }

    fn frame(&mut self, frame: Frame) {
        match frame {
            Frame::Reply { id, outcome } => match self.pending.complete(id) {
                // A caller that gave up in this very moment does not listen any more.
                Ok(waiter) => drop(waiter.send(Ok(outcome))),
                Err(Unknown::Late) => {
                    tracing::debug!(rpc.id = id, "an answer came after its caller gave up");
                }
                Err(Unknown::Never) => {
                    tracing::warn!(rpc.id = id, "an answer to a call that was never made");
                }
            },
            Frame::Event {
                collection,
                id,
                fields,
            } => {
                if let (jobs::COLLECTION, Some(id)) = (collection.as_str(), id) {
                    self.shared.jobs.update(id, fields);
                }
            }
            Frame::Unsubscribed { collection } => {
                tracing::warn!(collection, "the server ended a subscription");
            }
            Frame::Garbage(reason) => {
                tracing::warn!(reason, "the server sent what cannot be understood");
            }
        }
    }

    async fn finish(mut self, why: DisconnectReason) {
        tracing::debug!(%why, waiting = self.pending.len(), "the connection has ended");
        // First the reason, then no more commands: whoever cannot send finds the reason.
        let _ = self.shared.end.set(why.clone());
        self.commands.close();
        while let Ok(command) = self.commands.try_recv() {
            if let Command::Call { waiter, .. } = command {
                let why = why.clone();
                drop(waiter.send(Err(Gone { why, sent: false })));
            }
        }
        for waiter in self.pending.drain() {
            let why = why.clone();
            drop(waiter.send(Err(Gone { why, sent: true })));
        }
        self.shared.jobs.close();
        if let Some(tap) = &self.shared.tap {
            tap.closed(&why);
        }
        // A courtesy: the server forgets the session sooner. Nobody waits for it for long.
        let goodbye = async {
            if self.socket.close(None).await.is_ok() {
                while let Some(Ok(_)) = self.socket.next().await {}
            }
        };
        let _ = timeout(timeouts::CLOSE, goodbye).await;
    }
}

fn reason(error: &tungstenite::Error) -> DisconnectReason {
    use tungstenite::Error;
    match error {
        Error::ConnectionClosed | Error::AlreadyClosed => DisconnectReason::Ended,
        Error::Protocol(tungstenite::error::ProtocolError::ResetWithoutClosingHandshake) => {
            DisconnectReason::Ended
        }
        Error::Io(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
            DisconnectReason::Ended
        }
        Error::Io(error) => DisconnectReason::Io(error.to_string().into()),
        other => DisconnectReason::Garbage(other.to_string().into()),
    }
}

#[cfg(test)]
mod tests {
    use tokio_tungstenite::tungstenite::protocol::Role;

    use super::*;

    #[tokio::test]
    async fn a_call_given_up_leaves_the_table() {
        let (ours, _theirs) = tokio::io::duplex(1024);
        let socket = WebSocketStream::from_raw_socket(ours, Role::Client, None).await;
        let (commands, receiver) = mpsc::unbounded_channel();
        let (done, _) = watch::channel(());
        let task = Task::new(socket, Protocol::JsonRpc, receiver, Arc::default(), done);
        let (waiter, answer) = oneshot::channel();
        let frame = String::from("{}");
        commands
            .send(Command::Call {
                id: 1,
                frame,
                waiter,
            })
            .expect("a task");
        commands.send(Command::Forget(1)).expect("a task");
        let running = tokio::spawn(task.run());
        // The table held the other half: it is gone, while the task goes on.
        assert!(answer.await.is_err());
        assert!(!running.is_finished());
        running.abort();
    }
}
