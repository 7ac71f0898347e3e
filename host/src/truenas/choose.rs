//! Which protocol a server speaks: found by opening its WebSocket, remembered for the next time.
//!
//! `/api/current` is opened first. `GET /api/versions` would tell as well, but costs every newer
//! server a round trip and a handshake, while here only 24.10 pays. Nothing that was answered before
//! the WebSocket is open is followed or trusted: it only decides whether `/websocket` is opened, at
//! the same address and under the same rules for TLS. The login comes after that. A server that once
//! spoke JSON-RPC is never asked for the older protocol again, so nobody can talk a connection that
//! was lost down to it.

use std::sync::OnceLock;

use super::connect::{self, Socket, Way};
use super::connect_error::ConnectError;
use super::endpoint::Endpoint;
use super::frame::Protocol;
use super::transport::Transport;

/// The protocol of a server, once it is known.
#[derive(Debug, Default)]
pub(super) struct Spoken(OnceLock<Protocol>);

/// Opens the WebSocket of whichever protocol the server has.
pub(super) async fn open(
    way: &Way<'_>,
    spoken: &Spoken,
) -> Result<(Socket, Transport, Protocol), ConnectError> {
    let open = async |protocol| {
        let (socket, transport) = connect::open(way, protocol).await?;
        Ok((socket, transport, *spoken.0.get_or_init(|| protocol)))
    };
    if let Some(protocol) = spoken.0.get() {
        return open(*protocol).await;
    }
    let refused = match open(Protocol::JsonRpc).await {
        Err(error) if is_absent(&error, way.endpoint) => error,
        other => return other,
    };
    tracing::debug!(%refused, "no JSON-RPC there, trying the older protocol");
    match open(Protocol::Legacy).await {
        // Neither is there. The first answer is the one that a reader expects.
        Err(ConnectError::Http { .. } | ConnectError::WebSocket { .. }) => Err(refused),
        other => other,
    }
}

/// Whether what answers has no such path. 24.10 says 404, or shows or points to its web page,
/// depending on the path; a redirect to elsewhere is about the address and not about the path.
fn is_absent(error: &ConnectError, endpoint: &Endpoint) -> bool {
    let ConnectError::Http {
        status, location, ..
    } = error
    else {
        return false;
    };
    match (status, location.as_deref()) {
        (404 | 200..=299, _) => true,
        (300..=399, Some(to)) => is_here(to, endpoint),
        _ => false,
    }
}

fn is_here(location: &str, endpoint: &Endpoint) -> bool {
    let is_path = location.starts_with('/') && !location.starts_with("//");
    is_path || Endpoint::parse(location).is_ok_and(|to| to == *endpoint)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn absent(status: u16, location: Option<&str>) -> bool {
        let endpoint = Endpoint::parse("wss://nas:8443").expect("an address");
        let error = ConnectError::Http {
            endpoint: endpoint.clone(),
            path: Protocol::JsonRpc.path(),
            status,
            location: location.map(str::to_owned),
        };
        is_absent(&error, &endpoint)
    }

    #[test]
    fn only_a_missing_path_leads_to_the_older_protocol() {
        assert!(absent(404, None) && absent(200, None));
        assert!(absent(302, Some("/ui/")) && absent(302, Some("https://nas:8443/ui/")));
        for (status, location) in [
            (307, Some("https://nas/api/current")),
            (302, Some("https://other:8443/ui/")),
            (302, Some("http://nas:8443/ui/")),
            (302, Some("//other/ui/")),
            (302, None),
            (401, None),
            (502, None),
        ] {
            assert!(!absent(status, location), "{status} {location:?}");
        }
    }
}
