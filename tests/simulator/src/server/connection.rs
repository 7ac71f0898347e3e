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
use crate::protocol::{self, BINARY_REFUSED, Incoming, MAX_IN_FLIGHT, MAX_RUNNING, Request};
use crate::state::Outgoing;

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
    shared: Arc<Shared>,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (link, mut outgoing) = mpsc::unbounded_channel();
    let (id, life, cancels) = shared.with(|state| {
        (
            state.connect(peer, tls, link),
            state.life,
            state.world.version.cancels_calls_on_close(),
        )
    });
    let line = Line {
        connection: id,
        life,
        shared: Arc::clone(&shared),
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
                hear(&mut socket, &line, &mut calls, text.as_str()).await
            }
            Wake::Frame(Some(Ok(Message::Binary(_)))) => {
                close(&mut socket, BINARY_REFUSED.0, BINARY_REFUSED.1).await;
                true
            }
            // Pings are answered by the library while it reads.
            Wake::Frame(Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_)))) => false,
            Wake::Frame(Some(Ok(Message::Close(_)) | Err(_)) | None) => true,
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

/// Handles a text frame; answers whether the connection ends.
async fn hear<S>(
    socket: &mut WebSocketStream<S>,
    line: &Line,
    calls: &mut JoinSet<()>,
    text: &str,
) -> bool
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let shared = &line.shared;
    let authenticated = shared.with(|state| {
        state
            .sessions
            .get(&line.connection)
            .is_some_and(|session| session.login.is_some())
    });
    match protocol::read(text, authenticated) {
        Incoming::Call(request) => {
            if let Some(refusal) = begin(line, calls, request) {
                return socket
                    .send(Message::text(refusal.to_string()))
                    .await
                    .is_err();
            }
            false
        }
        Incoming::Refused(answer) => socket
            .send(Message::text(answer.to_string()))
            .await
            .is_err(),
        Incoming::Ignored => false,
        Incoming::Close(code, reason) => {
            close(socket, code, reason).await;
            true
        }
    }
}

/// Lets a call begin, or refuses it when too many are in flight.
fn begin(line: &Line, calls: &mut JoinSet<()>, request: Request) -> Option<Value> {
    let in_flight = line.in_flight.fetch_add(1, Ordering::SeqCst) + 1;
    if in_flight > MAX_IN_FLIGHT {
        line.in_flight.fetch_sub(1, Ordering::SeqCst);
        return request.id.map(|id| protocol::too_many(&id));
    }
    calls.spawn(calls::run(line.clone(), request, in_flight));
    None
}
