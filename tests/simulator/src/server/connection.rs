//! One WebSocket connection: frames in, frames out, until either side ends it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::{SinkExt, StreamExt};
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

use super::calls::{self, Line};
use super::delivery::{self, Next, close};
use super::shared::Shared;
use crate::errors::{EACCES, Failure};
use crate::protocol::{
    self, BINARY_REFUSED, Conversation, Incoming, MAX_IN_FLIGHT, MAX_RUNNING, Protocol, Request,
};
use crate::state::{ConnectionId, Outgoing, State};
use crate::version;

/// What wakes a connection's task.
enum Wake {
    Frame(Option<Result<Message, tokio_tungstenite::tungstenite::Error>>),
    Outgoing(Option<Outgoing>),
    Stop,
}

/// Serves a connection until it ends.
pub(super) async fn talk<S>(
    mut socket: WebSocketStream<S>,
    peer: SocketAddr,
    tls: bool,
    mut conversation: Conversation,
    shape: version::Line,
    shared: Arc<Shared>,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (link, mut outgoing) = mpsc::unbounded_channel();
    let (id, life, cancels) = shared.with(|state| {
        (
            state.connect(peer, tls, conversation.protocol(), link),
            state.life,
            state.world.version.cancels_calls_on_close(),
        )
    });
    let line = Line {
        connection: id,
        life,
        shared: Arc::clone(&shared),
        protocol: conversation.protocol(),
        shape,
        running: Arc::new(Semaphore::new(MAX_RUNNING)),
        in_flight: Arc::new(AtomicUsize::new(0)),
    };
    let mut calls = JoinSet::new();
    let mut stopping = shared.stopping.subscribe();
    loop {
        let wake = tokio::select! {
            frame = socket.next() => Wake::Frame(frame),
            message = outgoing.recv() => Wake::Outgoing(message),
            _ = stopping.wait_for(|stop| *stop) => Wake::Stop,
        };
        while calls.try_join_next().is_some() {}
        let ended = match wake {
            Wake::Outgoing(Some(message)) => match delivery::send(&mut socket, message).await {
                Next::Talk => false,
                Next::Silence => {
                    delivery::keep_silent(&mut outgoing, &mut stopping).await;
                    true
                }
                Next::End => true,
            },
            Wake::Outgoing(None) => true,
            Wake::Stop => {
                close(&mut socket, 1001, "going away").await;
                true
            }
            Wake::Frame(Some(Ok(Message::Text(text)))) => {
                let said = conversation.read(text.as_str(), is_authenticated(&line));
                hear(&mut socket, &line, &mut calls, said).await
            }
            Wake::Frame(Some(Ok(Message::Binary(_)))) => {
                close(&mut socket, BINARY_REFUSED.0, BINARY_REFUSED.1).await;
                true
            }
            // Pings are answered by the library while it reads.
            Wake::Frame(Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_)))) => false,
            // The library has the answer ready; a client may wait for it.
            Wake::Frame(Some(Ok(Message::Close(_)))) => {
                socket.flush().await.ok();
                true
            }
            Wake::Frame(Some(Err(_)) | None) => true,
        };
        if ended {
            break;
        }
    }
    shared.with(|state| state.disconnect(id));
    // Code reading: plain calls go on without their caller up to 25.10 and are cancelled from 26 on.
    if cancels {
        calls.abort_all();
    } else {
        calls.detach_all();
    }
}

fn is_authenticated(line: &Line) -> bool {
    line.shared.with(|state| {
        state
            .sessions
            .get(&line.connection)
            .is_some_and(|session| session.login.is_some())
    })
}

/// Handles what a text frame said; answers whether the connection ends.
async fn hear<S>(
    socket: &mut WebSocketStream<S>,
    line: &Line,
    calls: &mut JoinSet<()>,
    said: Incoming,
) -> bool
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let answer = match said {
        Incoming::Call(request) => begin(line, calls, request),
        Incoming::Refused(answer) => Some(answer),
        Incoming::Subscribe { id, name } => {
            let subscribed = |state: &mut State| subscribe(state, line.connection, &id, name);
            Some(line.shared.with(subscribed))
        }
        Incoming::Unsubscribe { id } => {
            line.shared.with(|state| {
                if let Some(session) = state.sessions.get_mut(&line.connection) {
                    session.subscriptions.remove(&plain(&id));
                }
            });
            None
        }
        Incoming::Ignored => None,
        Incoming::Close(code, reason) => {
            close(socket, code, &reason).await;
            return true;
        }
        Incoming::Drop => return true,
    };
    match answer {
        Some(answer) => socket
            .send(Message::text(answer.to_string()))
            .await
            .is_err(),
        None => false,
    }
}

/// The legacy protocol's subscription; any name is taken, as by `core.subscribe`. Code reading: who is
/// not logged in is turned away.
fn subscribe(state: &mut State, connection: ConnectionId, id: &Value, name: String) -> Value {
    let session = state.sessions.get_mut(&connection);
    match session.filter(|session| session.login.is_some()) {
        Some(session) => {
            session.subscriptions.insert(plain(id), name);
            protocol::ready(id)
        }
        None => Protocol::Legacy.failed(id, &Failure::denied(EACCES, "Not authorized"), false),
    }
}

/// A subscription's id as it is kept: texts without their quotes.
fn plain(id: &Value) -> String {
    id.as_str().map_or_else(|| id.to_string(), str::to_owned)
}

/// Lets a call begin, or refuses it when too many are in flight.
fn begin(line: &Line, calls: &mut JoinSet<()>, request: Request) -> Option<Value> {
    let in_flight = line.in_flight.fetch_add(1, Ordering::SeqCst) + 1;
    if in_flight > MAX_IN_FLIGHT {
        line.in_flight.fetch_sub(1, Ordering::SeqCst);
        return request.id.map(|id| line.protocol.too_many(&id));
    }
    calls.spawn(calls::run(line.clone(), request, in_flight));
    None
}
