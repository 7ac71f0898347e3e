//! The way through a proxy: `CONNECT`, and whatever the proxy says to it.
//!
//! What goes through afterwards is TLS to the server itself; the proxy sees its name and no more.

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::connect_error::ConnectError;
use super::endpoint::Endpoint;
use super::proxy::Proxy;

/// The longest answer of a proxy in bytes, its headers included.
const LONGEST: usize = 16 << 10;

/// Asks a proxy for a tunnel to a server.
pub(super) async fn dig<S>(
    mut stream: S,
    proxy: &Proxy,
    endpoint: &Endpoint,
) -> Result<S, ConnectError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let failed = |error: std::io::Error| ConnectError::ProxyTcp {
        proxy: proxy.to_string(),
        source: error,
    };
    stream
        .write_all(request(proxy, endpoint).as_bytes())
        .await
        .map_err(failed)?;
    let head = read_head(&mut stream).await.map_err(failed)?;
    match status(&head) {
        Some(200..=299) => Ok(stream),
        Some(status) => Err(ConnectError::ProxyRefused {
            proxy: proxy.to_string(),
            endpoint: endpoint.clone(),
            status,
        }),
        None => Err(ConnectError::NoProxy {
            proxy: proxy.to_string(),
        }),
    }
}

fn request(proxy: &Proxy, endpoint: &Endpoint) -> String {
    let server = endpoint.authority();
    // Base64, so there is nothing in it that could be taken for another header.
    let authorization = proxy
        .authorization()
        .and_then(|value| value.to_str().ok())
        .map(|value| format!("Proxy-Authorization: {value}\r\n"))
        .unwrap_or_default();
    format!("CONNECT {server} HTTP/1.1\r\nHost: {server}\r\n{authorization}\r\n")
}

/// Reads up to the empty line and not a byte further: what follows is the server's.
async fn read_head<S: AsyncRead + Unpin>(stream: &mut S) -> std::io::Result<Vec<u8>> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") && head.len() < LONGEST {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            // It may have said something before it left.
            Err(_) if !head.is_empty() => break,
            Err(error) => return Err(error),
        }
    }
    Ok(head)
}

fn status(head: &[u8]) -> Option<u16> {
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let mut response = httparse::Response::new(&mut headers);
    let parsed = response.parse(head).ok()?;
    response.code.filter(|_| parsed.is_complete())
}

#[cfg(test)]
mod tests {
    use secrecy::SecretString;
    use tokio::io::duplex;

    use super::*;
    use crate::truenas::proxy::Proxies;

    /// What the proxy was told, and what came of its answer.
    async fn dug(url: &str, answer: &str) -> (String, Result<String, ConnectError>) {
        let endpoint = Endpoint::parse("[fd00::1]:444").expect("an address");
        let proxies = Proxies::always("--proxy", SecretString::from(url));
        let proxy = proxies.to(&endpoint).expect("usable").expect("one");
        let (ours, mut theirs) = duplex(1 << 16);
        theirs.write_all(answer.as_bytes()).await.expect("open");
        let dug = match dig(ours, &proxy, &endpoint).await {
            Ok(mut stream) => {
                theirs.shutdown().await.expect("open");
                let mut rest = String::new();
                stream.read_to_string(&mut rest).await.expect("open");
                Ok(rest)
            }
            Err(error) => Err(error),
        };
        let mut told = vec![0; 1 << 12];
        let length = theirs.read(&mut told).await.expect("a request");
        told.truncate(length);
        (String::from_utf8(told).expect("text"), dug)
    }

    #[tokio::test]
    async fn a_tunnel_is_asked_for_and_what_comes_after_it_is_the_servers() {
        let answer = "HTTP/1.1 200 Connection established\r\nVia: x\r\n\r\nhello";
        let (told, dug) = dug("http://u:p@proxy:1", answer).await;
        assert_eq!(
            told,
            "CONNECT [fd00::1]:444 HTTP/1.1\r\nHost: [fd00::1]:444\r\nProxy-Authorization: Basic dTpw\r\n\r\n"
        );
        assert_eq!(dug.expect("a tunnel"), "hello");
        let (told, _) = super::tests::dug("http://proxy:1", answer).await;
        assert!(!told.contains("Authorization"), "{told}");
    }

    async fn check_refused(answer: &str, expected: Option<u16>, help: &str) {
        let (_, dug) = dug("http://u:geheim@proxy:1", answer).await;
        let error = dug.expect_err(answer);
        let status = match &error {
            ConnectError::ProxyRefused { status, .. } => Some(*status),
            ConnectError::NoProxy { .. } => None,
            other => panic!("{other:?}"),
        };
        assert_eq!(status, expected, "{answer}");
        let said = format!("{error} {error:?} {:?}", error.help());
        assert!(said.contains("proxy:1") && said.contains(help), "{said}");
        assert!(!said.contains("geheim"), "{said}");
    }

    #[tokio::test]
    async fn a_proxy_that_says_no_is_told_apart_from_the_server() {
        let head = |status: &str| format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n");
        check_refused(
            &head("407 Proxy Authentication Required"),
            Some(407),
            "USER:PASSWORD",
        )
        .await;
        check_refused(&head("403 Forbidden"), Some(403), "NO_PROXY").await;
        check_refused(&head("502 Bad Gateway"), Some(502), "reach").await;
        check_refused("SSH-2.0-OpenSSH_9.2\r\n\r\n", None, "port").await;
        check_refused(&"x".repeat(LONGEST), None, "port").await;
    }
}
