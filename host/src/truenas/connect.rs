//! From an address to an open WebSocket: TCP, TLS, upgrade. No login yet.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::{self, protocol::WebSocketConfig};

use super::connect_error::{ConnectError, TlsProblem};
use super::endpoint::Endpoint;
use super::frame::Protocol;
use super::options::TlsOptions;
use super::proxy::Proxy;
use super::tls::{self, Tls};
use super::transport::{Certificate, Transport};
use super::{limits, timeouts, tunnel};

/// An open WebSocket.
pub(super) enum Socket {
    Plain(Box<WebSocketStream<TcpStream>>),
    Tls(Box<WebSocketStream<TlsStream<TcpStream>>>),
}

/// Where to, whom to trust there, and through what.
#[derive(Clone, Copy, Debug)]
pub(super) struct Way<'a> {
    pub(super) endpoint: &'a Endpoint,
    pub(super) tls: &'a TlsOptions,
    pub(super) proxy: Option<&'a Proxy>,
}

/// Opens the WebSocket of a protocol; also tells over what.
pub(super) async fn open(
    way: &Way<'_>,
    protocol: Protocol,
) -> Result<(Socket, Transport), ConnectError> {
    let endpoint = way.endpoint;
    // What can be wrong on this side is found before the first packet.
    let tls = (!endpoint.is_plaintext())
        .then(|| Tls::new(way.tls))
        .transpose()?;
    let stream = match way.proxy {
        None => tcp(endpoint).await?,
        Some(proxy) => through(endpoint, proxy).await?,
    };
    let mut transport = Transport {
        address: stream.peer_addr().ok(),
        proxy: way.proxy.map(ToString::to_string),
        certificate: None,
    };
    let Some(tls) = tls else {
        let socket = upgrade(endpoint, protocol, stream).await?;
        return Ok((Socket::Plain(Box::new(socket)), transport));
    };
    let (stream, certificate) = handshake(endpoint, tls, stream).await?;
    transport.certificate = Some(certificate);
    let socket = upgrade(endpoint, protocol, stream).await?;
    Ok((Socket::Tls(Box::new(socket)), transport))
}

async fn tcp(endpoint: &Endpoint) -> Result<TcpStream, ConnectError> {
    let host = endpoint.lookup_name();
    let dns = |source| ConnectError::Dns {
        host: host.clone(),
        source,
    };
    let lookup = lookup_host((host.as_str(), endpoint.port()));
    let addresses = within(endpoint, "the look-up of its name", timeouts::TCP, lookup)
        .await?
        .map_err(dns)?;
    to_any(addresses).await.map_err(|source| ConnectError::Tcp {
        endpoint: endpoint.clone(),
        source,
    })
}

/// A tunnel through a proxy, which also looks the server's name up.
async fn through(endpoint: &Endpoint, proxy: &Proxy) -> Result<TcpStream, ConnectError> {
    let failed = |source| ConnectError::ProxyTcp {
        proxy: proxy.to_string(),
        source,
    };
    let lookup = lookup_host((proxy.host(), proxy.port()));
    let stage = "the look-up of the proxy's name";
    let addresses = within(endpoint, stage, timeouts::TCP, lookup).await?;
    let addresses = addresses.map_err(failed)?;
    let stream = to_any(addresses).await.map_err(failed)?;
    let digging = tunnel::dig(stream, proxy, endpoint);
    within(
        endpoint,
        "the way through the proxy",
        timeouts::TUNNEL,
        digging,
    )
    .await?
}

/// Tries the addresses of a host one after the other, each for a bounded time, so that a dead
/// IPv6 route does not hide a living IPv4 one.
async fn to_any(addresses: impl Iterator<Item = SocketAddr>) -> io::Result<TcpStream> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for address in addresses {
        match timeout(timeouts::TCP, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => {
                // Frames are small and each waits for its answer: Nagle would add 40 ms to some.
                if let Err(error) = stream.set_nodelay(true) {
                    tracing::debug!(%error, "TCP_NODELAY could not be set");
                }
                return Ok(stream);
            }
            Ok(Err(error)) => last = error,
            Err(_) => {
                last = io::Error::new(
                    io::ErrorKind::TimedOut,
                    format!("no answer within {} s", timeouts::TCP.as_secs()),
                );
            }
        }
        tracing::debug!(%address, error = %last, "an address does not accept the connection");
    }
    Err(last)
}

async fn handshake(
    endpoint: &Endpoint,
    tls: Tls,
    stream: TcpStream,
) -> Result<(TlsStream<TcpStream>, Certificate), ConnectError> {
    let name = ServerName::try_from(endpoint.host()).map_err(|error| ConnectError::TlsSetup {
        message: error.to_string(),
    })?;
    let connecting = TlsConnector::from(tls.config).connect(name, stream);
    let failed = |problem| ConnectError::Tls {
        endpoint: endpoint.clone(),
        problem,
        fingerprint: tls.seen.get().map(|seen| seen.fingerprint),
    };
    let stream = within(endpoint, "the TLS handshake", timeouts::TLS, connecting)
        .await?
        .map_err(|error| failed(tls::problem(&error)))?;
    // There is no session to resume, so each handshake has shown one.
    let certificate = tls.seen.get().cloned();
    let certificate = certificate
        .ok_or_else(|| failed(TlsProblem::Other("the server showed no certificate".into())))?;
    Ok((stream, certificate))
}

async fn upgrade<S>(
    endpoint: &Endpoint,
    protocol: Protocol,
    stream: S,
) -> Result<WebSocketStream<S>, ConnectError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let config = WebSocketConfig::default()
        .max_message_size(Some(limits::INCOMING))
        .max_frame_size(Some(limits::INCOMING));
    let url = endpoint.url(protocol.path());
    let upgrading = tokio_tungstenite::client_async_with_config(url, stream, Some(config));
    match within(
        endpoint,
        "the WebSocket upgrade",
        timeouts::UPGRADE,
        upgrading,
    )
    .await?
    {
        Ok((socket, _)) => Ok(socket),
        Err(tungstenite::Error::Http(response)) => Err(ConnectError::Http {
            endpoint: endpoint.clone(),
            path: protocol.path(),
            status: response.status().as_u16(),
            location: response
                .headers()
                .get("location")
                .and_then(|to| to.to_str().ok())
                .map(str::to_owned),
        }),
        Err(error) => Err(ConnectError::WebSocket {
            endpoint: endpoint.clone(),
            message: error.to_string(),
        }),
    }
}

async fn within<T>(
    endpoint: &Endpoint,
    stage: &'static str,
    time: Duration,
    work: impl Future<Output = T>,
) -> Result<T, ConnectError> {
    timeout(time, work)
        .await
        .map_err(|_| ConnectError::Timeout {
            endpoint: endpoint.clone(),
            stage,
        })
}
