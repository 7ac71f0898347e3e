//! As much HTTP/1.1 as two URLs need: one request head in, one response out, then the line closes
//! or becomes a WebSocket.

use std::io::{Error, ErrorKind};

use tokio::io::{AsyncRead, AsyncReadExt};

/// Longest request head in bytes; browsers' and clients' heads are well below.
const MAX_HEAD: usize = 16 << 10;

/// A request's head.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) method: String,
    /// Without the query.
    pub(super) path: String,
    /// Names in lower case.
    headers: Vec<(String, String)>,
}

impl Head {
    /// The value of a header; `name` is in lower case.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    fn parse(text: &str) -> Option<Self> {
        let mut lines = text.split("\r\n");
        let mut first = lines.next()?.split(' ');
        let (method, target) = (first.next()?, first.next()?);
        let headers = lines
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.trim().to_lowercase(), value.trim().to_owned()))
            .collect();
        let path = target.split('?').next()?;
        Some(Self {
            method: method.to_owned(),
            path: path.to_owned(),
            headers,
        })
    }
}

/// Reads a head; what came after it belongs to the next protocol. `None` when the peer left first.
pub(super) async fn read_head<S: AsyncRead + Unpin>(
    stream: &mut S,
) -> std::io::Result<Option<(Head, Vec<u8>)>> {
    let mut read = Vec::new();
    let end = loop {
        if let Some(end) = read.windows(4).position(|window| window == b"\r\n\r\n") {
            break end;
        }
        if read.len() > MAX_HEAD {
            return Err(Error::new(
                ErrorKind::InvalidData,
                "the request head is too long",
            ));
        }
        if stream.read_buf(&mut read).await? == 0 {
            return Ok(None);
        }
    };
    let rest = read.split_off(end + 4);
    let head = std::str::from_utf8(&read)
        .ok()
        .and_then(Head::parse)
        .ok_or_else(|| Error::new(ErrorKind::InvalidData, "the request head is no HTTP"))?;
    Ok(Some((head, rest)))
}

/// A response that ends the connection.
pub(super) fn response(status: &str, kind: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_head_ends_at_the_empty_line_and_the_rest_is_kept() {
        let mut bytes: &[u8] =
            b"GET /api/versions?x=1 HTTP/1.1\r\nHost: a\r\nUpgrade: WebSocket\r\n\r\nrest";
        let (head, rest) = read_head(&mut bytes).await.unwrap().unwrap();
        assert_eq!(
            (head.method.as_str(), head.path.as_str()),
            ("GET", "/api/versions")
        );
        assert_eq!(head.header("upgrade"), Some("WebSocket"));
        // Bytes that were not read yet stay in the stream.
        assert_eq!([rest.as_slice(), bytes].concat(), b"rest");
    }

    #[tokio::test]
    async fn a_head_without_end_is_refused() {
        let endless = vec![b'x'; MAX_HEAD * 2];
        assert!(read_head(&mut endless.as_slice()).await.is_err());
        assert!(read_head(&mut [].as_slice()).await.unwrap().is_none());
    }
}
