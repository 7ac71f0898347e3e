//! Sends what a connection is told to send, well-formed or not.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::watch;
use tokio::time::sleep;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{CloseCode, Data, OpCode};
use tokio_tungstenite::tungstenite::{Error, Message};

use crate::state::Outgoing;

/// How a connection goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// As before.
    Talk,
    /// It is open and nobody listens any more.
    Silence,
    /// It is over.
    End,
}

/// Does what a connection is told.
pub(super) async fn send<S>(socket: &mut WebSocketStream<S>, outgoing: Outgoing) -> Next
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let sent = match outgoing {
        Outgoing::Text(text) => socket.send(Message::text(text)).await,
        Outgoing::Binary(bytes) => socket.send(Message::binary(bytes)).await,
        Outgoing::Trickle(text, pieces, pause) => trickle(socket, &text, pieces, pause).await,
        Outgoing::Close(code, reason) => {
            close(socket, code, &reason).await;
            return Next::End;
        }
        Outgoing::Silence => return Next::Silence,
        // Neither a close frame nor a goodbye: as if the cable were cut.
        Outgoing::Drop => return Next::End,
    };
    match sent {
        Ok(()) => Next::Talk,
        Err(_) => Next::End,
    }
}

/// Keeps a connection open without looking at it, until the server ends it.
pub(super) async fn keep_silent(
    outgoing: &mut UnboundedReceiver<Outgoing>,
    stopping: &mut watch::Receiver<bool>,
) {
    loop {
        tokio::select! {
            message = outgoing.recv() => match message {
                Some(Outgoing::Drop) | None => return,
                Some(_) => {}
            },
            _ = stopping.wait_for(|stop| *stop) => return,
        }
    }
}

/// Closes a connection and waits for the other side to have understood.
pub(super) async fn close<S>(socket: &mut WebSocketStream<S>, code: u16, reason: &str)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let frame = CloseFrame {
        code: CloseCode::from(code),
        reason: reason.to_owned().into(),
    };
    // The peer may be gone already; then there is nobody to tell.
    if socket.close(Some(frame)).await.is_ok() {
        while let Some(Ok(_)) = socket.next().await {}
    }
}

/// One message in several frames (RFC 6455, section 5.4).
async fn trickle<S>(
    socket: &mut WebSocketStream<S>,
    text: &str,
    pieces: usize,
    pause: Duration,
) -> Result<(), Error>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let bytes = text.as_bytes();
    let size = bytes.len().div_ceil(pieces.max(1)).max(1);
    let count = bytes.chunks(size).count();
    for (position, piece) in bytes.chunks(size).enumerate() {
        let kind = match position {
            0 => Data::Text,
            _ => Data::Continue,
        };
        let last = position + 1 == count;
        let frame = Frame::message(piece.to_vec(), OpCode::Data(kind), last);
        socket.send(Message::Frame(frame)).await?;
        if !last {
            sleep(pause).await;
        }
    }
    Ok(())
}
