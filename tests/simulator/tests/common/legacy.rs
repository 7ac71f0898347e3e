//! The same for the legacy protocol.

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tnvm_simulator::Running;
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

/// A connection to `/websocket`.
pub(crate) struct Legacy {
    pub(crate) socket: WebSocketStream<TcpStream>,
    last: i64,
    /// Frames that were no answer, oldest first.
    pub(crate) events: Vec<Value>,
}

impl Legacy {
    /// Not greeted yet.
    pub(crate) async fn connect(running: &Running) -> Self {
        let stream = TcpStream::connect(running.address()).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let url = format!("ws://{}/websocket", running.address());
        let (socket, _) = tokio_tungstenite::client_async(url, stream).await.unwrap();
        Self {
            socket,
            last: 0,
            events: Vec::new(),
        }
    }

    pub(crate) async fn greeted(running: &Running) -> Self {
        let mut client = Self::connect(running).await;
        client.greet().await;
        client
    }

    /// With the administrator's API key.
    pub(crate) async fn logged_in(running: &Running) -> Self {
        let mut client = Self::greeted(running).await;
        let key = json!([running.api_key()]);
        assert_eq!(client.ok("auth.login_with_api_key", key).await, true);
        client
    }

    pub(crate) async fn greet(&mut self) {
        self.send(json!({"msg": "connect", "version": "1", "support": ["1"]}))
            .await;
        let answer = self.next().await.unwrap();
        assert_eq!(answer["msg"], "connected");
        assert!(answer["session"].is_string());
    }

    pub(crate) async fn send(&mut self, frame: Value) {
        self.socket
            .send(Message::text(frame.to_string()))
            .await
            .unwrap();
    }

    /// The next frame, or `None` when the connection has ended.
    pub(crate) async fn next(&mut self) -> Option<Value> {
        loop {
            match self.socket.next().await {
                Some(Ok(Message::Text(text))) => {
                    return Some(serde_json::from_str(text.as_str()).unwrap());
                }
                Some(Ok(Message::Close(_)) | Err(_)) | None => return None,
                Some(Ok(_)) => {}
            }
        }
    }

    /// The whole answer to a call.
    pub(crate) async fn call(&mut self, method: &str, params: Value) -> Value {
        self.last += 1;
        let id = format!("c{}", self.last);
        self.send(json!({"msg": "method", "id": id, "method": method, "params": params}))
            .await;
        loop {
            let frame = self.next().await.unwrap();
            if frame["id"] == id.as_str() {
                return frame;
            }
            self.events.push(frame);
        }
    }

    /// The result of a call that must work.
    pub(crate) async fn ok(&mut self, method: &str, params: Value) -> Value {
        let answer = self.call(method, params).await;
        assert!(answer.get("error").is_none(), "{method}: {answer}");
        answer["result"].clone()
    }

    /// The error of a call that must fail.
    pub(crate) async fn refused(&mut self, method: &str, params: Value) -> Value {
        let answer = self.call(method, params).await;
        assert!(answer.get("error").is_some(), "{method}: {answer}");
        answer["error"].clone()
    }
}

/// The code that the server closes with; `None` when it just goes away.
pub(crate) async fn close_of(client: &mut Legacy) -> Option<u16> {
    loop {
        match client.socket.next().await {
            Some(Ok(Message::Close(Some(frame)))) => return Some(frame.code.into()),
            Some(Ok(Message::Close(None)) | Err(_)) | None => return None,
            Some(Ok(_)) => {}
        }
    }
}
