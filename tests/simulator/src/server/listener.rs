//! Accepts connections and tells plain HTTP from WebSocket upgrades.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::Role;

use super::connection;
use super::delivery;
use super::http::{self, Head};
use super::outage::Outage;
use super::requests::{self, Fate};
use super::shared::Shared;
use crate::protocol::Conversation;

/// Where the legacy protocol is spoken, on every version.
const LEGACY: &str = "/websocket";

/// Serves until told to stop.
pub(super) async fn serve(socket: TcpListener, acceptor: Option<TlsAcceptor>, shared: Arc<Shared>) {
    let mut stopping = shared.stopping.subscribe();
    loop {
        let accepted = tokio::select! {
            accepted = socket.accept() => accepted,
            _ = stopping.wait_for(|stop| *stop) => return,
        };
        let Ok((stream, peer)) = accepted else {
            continue;
        };
        // The port stays ours, so that nobody else takes it; whoever comes is turned away.
        if shared.with(|state| state.down == Some(Outage::Cut)) {
            drop(stream);
            continue;
        }
        // Answers are small and often follow each other: waiting to fill a packet would cost 40 ms a
        // piece. Where it cannot be set the connection is only slower.
        stream.set_nodelay(true).ok();
        let (acceptor, shared) = (acceptor.clone(), Arc::clone(&shared));
        tokio::spawn(async move {
            let ended = match acceptor {
                None => welcome(stream, peer, false, shared).await,
                Some(acceptor) => match acceptor.accept(stream).await {
                    Ok(stream) => welcome(stream, peer, true, shared).await,
                    Err(error) => Err(error),
                },
            };
            if let Err(error) = ended {
                tracing::debug!(%peer, %error, "connection failed");
            }
        });
    }
}

async fn welcome<S>(
    mut stream: S,
    peer: SocketAddr,
    tls: bool,
    shared: Arc<Shared>,
) -> std::io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let Some((head, rest)) = http::read_head(&mut stream).await? else {
        return Ok(());
    };
    let closed_at_once = match requests::judge(&mut stream, &head, &shared).await? {
        Fate::Served => None,
        Fate::ClosedAtOnce(code, reason) => Some((code, reason)),
        Fate::Over => return Ok(()),
    };
    let version = shared.with(|state| state.world.version.clone());
    if head.path == "/api/versions" && head.method == "GET" && version.speaks_json_rpc() {
        let body = serde_json::json!(version.api_versions()).to_string();
        return stream
            .write_all(http::response("200 OK", "application/json", &body).as_bytes())
            .await;
    }
    if head.path == "/api/boot_id" && head.method == "GET" && version.serves_boot_id() {
        let body = serde_json::json!(shared.with(|state| state.world.boot_id.clone())).to_string();
        return stream
            .write_all(http::response("200 OK", "application/json", &body).as_bytes())
            .await;
    }
    // The legacy protocol passes straight to the newest shape (code reading: 25.04 and newer).
    let found = match head.path.strip_prefix("/api/") {
        Some(name) => version
            .shape_at(name)
            .map(|shape| (Conversation::JsonRpc, shape)),
        None if head.path == LEGACY => Some((
            Conversation::legacy(version.answers_legacy_ping()),
            version.line(),
        )),
        None => None,
    };
    let Some((conversation, shape)) = found else {
        return stream
            .write_all(http::response("404 Not Found", "text/plain", "404: Not Found").as_bytes())
            .await;
    };
    let Some(key) = upgrade_key(&head) else {
        let body = "No WebSocket UPGRADE hdr: None\n Can \"Upgrade\" only to \"WebSocket\".";
        return stream
            .write_all(http::response("400 Bad Request", "text/plain", body).as_bytes())
            .await;
    };
    let accepted = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {}\r\n\r\n",
        derive_accept_key(key.as_bytes())
    );
    stream.write_all(accepted.as_bytes()).await?;
    stream.flush().await?;
    let mut socket = WebSocketStream::from_partially_read(stream, rest, Role::Server, None).await;
    if let Some((code, reason)) = closed_at_once {
        delivery::close(&mut socket, code, &reason).await;
        return Ok(());
    }
    connection::talk(socket, peer, tls, conversation, shape, shared).await;
    Ok(())
}

fn upgrade_key(head: &Head) -> Option<&str> {
    head.header("upgrade")
        .filter(|value| value.eq_ignore_ascii_case("websocket"))?;
    head.header("sec-websocket-key")
}
