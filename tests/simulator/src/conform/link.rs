//! One connection of a replay to the simulator: sends what the recording sent, keeps what comes
//! back until somebody asks for it. It compares nothing.

use std::net::SocketAddr;

use futures_util::{SinkExt, StreamExt};
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::ClientRequestBuilder;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Error, Message};

/// An open or closed connection.
pub(super) struct Link {
    socket: WebSocketStream<TcpStream>,
    /// Frames that nobody asked for yet, oldest first.
    waiting: Vec<Value>,
    /// Every event so far.
    events: Vec<Event>,
    /// How the server ended the connection.
    ended: Option<(u16, String)>,
}

/// An event that came.
pub(super) struct Event {
    pub(super) frame: Value,
    /// Whether a recorded one was found for it.
    pub(super) expected: bool,
}

/// Why there is no connection.
pub(super) enum Refused {
    /// The server answered with this HTTP status.
    Status(u16),
    /// Something else, in words.
    Other(String),
}

impl Link {
    /// Connects to the simulator at a path.
    pub(super) async fn open(address: SocketAddr, path: &str) -> Result<Self, Refused> {
        let other = |error: &dyn std::fmt::Display| Refused::Other(error.to_string());
        let stream = TcpStream::connect(address)
            .await
            .map_err(|error| other(&error))?;
        stream.set_nodelay(true).map_err(|error| other(&error))?;
        let uri = format!("ws://{address}{path}")
            .parse()
            .map_err(|error| other(&error))?;
        let request = ClientRequestBuilder::new(uri);
        let config = WebSocketConfig::default().max_message_size(None);
        match tokio_tungstenite::client_async_with_config(request, stream, Some(config)).await {
            Ok((socket, _)) => Ok(Self {
                socket,
                waiting: Vec::new(),
                events: Vec::new(),
                ended: None,
            }),
            Err(Error::Http(response)) => Err(Refused::Status(response.status().as_u16())),
            Err(error) => Err(other(&error)),
        }
    }

    /// Sends; a connection that has ended is noticed when its answer is asked for.
    pub(super) async fn send(&mut self, message: Message) {
        self.socket.send(message).await.ok();
    }

    /// Closes the connection.
    pub(super) async fn close(mut self) {
        self.socket.close(None).await.ok();
    }

    /// The first frame for which `is_it` holds, waited for until `deadline`.
    pub(super) async fn frame(
        &mut self,
        deadline: Instant,
        is_it: impl Fn(&Value) -> bool,
    ) -> Option<Value> {
        loop {
            if let Some(position) = self.waiting.iter().position(&is_it) {
                return Some(self.waiting.remove(position));
            }
            self.read(deadline).await?;
        }
    }

    /// Answers that nobody asked for and whose id `is_spare`.
    pub(super) fn spare(&mut self, is_spare: impl Fn(&Value) -> bool) -> Vec<Value> {
        let frames = std::mem::take(&mut self.waiting);
        frames
            .into_iter()
            .filter(|frame| frame.get("id").is_some_and(&is_spare))
            .collect()
    }

    /// The events that are there. To have more of them, call [`Link::read`].
    pub(super) fn events(&mut self) -> &mut Vec<Event> {
        &mut self.events
    }

    /// How the server closed the connection, waited for until `deadline`.
    pub(super) async fn end(&mut self, deadline: Instant) -> Option<(u16, String)> {
        while self.ended.is_none() {
            self.read(deadline).await?;
        }
        self.ended.clone()
    }

    /// Reads one more frame; `None` when nothing comes any more, or not in time.
    pub(super) async fn read(&mut self, deadline: Instant) -> Option<()> {
        if self.ended.is_some() {
            return None;
        }
        let message = timeout_at(deadline, self.socket.next()).await.ok()?;
        match message {
            Some(Ok(Message::Text(text))) => {
                let frame = serde_json::from_str(text.as_str()).unwrap_or(Value::Null);
                if is_event(&frame) {
                    self.events.push(Event {
                        frame,
                        expected: false,
                    });
                } else {
                    self.waiting.push(frame);
                }
            }
            Some(Ok(Message::Close(Some(frame)))) => {
                self.ended = Some((frame.code.into(), frame.reason.to_string()));
                // The library still wants to say goodbye; nobody waits for that.
                self.socket.flush().await.ok();
            }
            Some(Ok(Message::Close(None))) => self.ended = Some((1005, String::new())),
            Some(Ok(_)) => {}
            Some(Err(_)) | None => self.ended = Some((1006, String::new())),
        }
        Some(())
    }
}

/// Whether a frame of either protocol tells of a change.
pub(super) fn is_event(frame: &Value) -> bool {
    event_of(frame).is_some()
}

/// What tells of the change: the parameters of a notification, or the frame of the older protocol.
pub(super) fn event_of(frame: &Value) -> Option<&Value> {
    match frame.get("method").and_then(Value::as_str) {
        Some("collection_update" | "notify_unsubscribed") => frame.get("params"),
        Some(_) => None,
        None => frame.get("collection").map(|_| frame),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn events_of_both_protocols_are_known() {
        let event = json!({"msg": "added", "collection": "vm.query", "id": 1});
        let wrapped = json!({"jsonrpc": "2.0", "method": "collection_update", "params": event});
        assert_eq!(event_of(&wrapped), Some(&event));
        assert_eq!(event_of(&event), Some(&event));
        assert!(!is_event(&json!({"jsonrpc": "2.0", "id": 1, "result": 1})));
        assert!(!is_event(&json!({"msg": "result", "id": "1", "result": 1})));
    }
}
