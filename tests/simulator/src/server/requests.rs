//! What a fault makes of an HTTP request, before anything else looks at it.

use std::time::Duration;

use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::time::sleep;

use super::http::{self, Head};
use super::outage::Outage;
use super::shared::Shared;
use crate::faults::Effect;

/// How a request goes on.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// As if nothing had happened.
    Served,
    /// As before, but a WebSocket is closed as soon as it is open, with this code and reason.
    ClosedAtOnce(u16, String),
    /// There is nothing more to do.
    Over,
}

/// Answers a request during an outage, or as a fault has it.
pub(super) async fn judge<S>(stream: &mut S, head: &Head, shared: &Shared) -> std::io::Result<Fate>
where
    S: AsyncWrite + Unpin,
{
    let (down, struck) = shared.with(|state| match state.down {
        Some(outage) => (Some(outage), None),
        None => (None, state.faults.strike_request(&head.method, &head.path)),
    });
    let answer = match (down, struck) {
        (Some(Outage::Cut), _) | (None, Some(Effect::DropBeforeCommit)) => return Ok(Fate::Over),
        (Some(Outage::BadGateway), _) => page(502),
        (None, Some(Effect::HttpStatus { status })) => page(status),
        (None, Some(Effect::Redirect { to })) => redirect(head, to),
        (None, Some(Effect::Delay { ms })) => {
            sleep(Duration::from_millis(ms)).await;
            return Ok(Fate::Served);
        }
        (None, Some(Effect::Close { code, reason, .. })) => {
            return Ok(Fate::ClosedAtOnce(code, reason));
        }
        (None, Some(Effect::HalfOpen { .. })) => {
            let mut stopping = shared.stopping.subscribe();
            // The sender lies in `shared` and outlives this.
            stopping.wait_for(|stop| *stop).await.ok();
            return Ok(Fate::Over);
        }
        // The other effects strike calls.
        (None, _) => return Ok(Fate::Served),
    };
    stream.write_all(answer.as_bytes()).await?;
    Ok(Fate::Over)
}

/// As nginx answers by itself.
fn page(status: u16) -> String {
    let words = match status {
        301 => "Moved Permanently",
        307 => "Temporary Redirect",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        429 => "Too Many Requests",
        500 => "Internal Server Error",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        _ => "",
    };
    let body = format!("<html><head><title>{status} {words}</title></head></html>\r\n");
    http::response(&format!("{status} {words}"), "text/html", &body)
}

/// Code reading: nginx configuration, 25.10.7: 307 to the same name and path by https.
fn redirect(head: &Head, to: Option<String>) -> String {
    let to = to.unwrap_or_else(|| {
        let host = head.header("host").unwrap_or("localhost");
        // The port belongs to plain HTTP. A bracket ends an IPv6 address, which has colons too.
        let name = match host.rsplit_once(':') {
            Some((name, port)) if !port.contains(']') => name,
            _ => host,
        };
        format!("https://{name}{}", head.path)
    });
    format!(
        "HTTP/1.1 307 Temporary Redirect\r\nLocation: {to}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    )
}
