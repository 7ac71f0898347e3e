//! A client as small as a test needs: it sends texts and matches answers by id.

#![allow(dead_code, reason = "every test file uses another part")]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a helper that fails fails its test"
)]

pub(crate) mod legacy;
pub(crate) mod scram;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tnvm_simulator::{Options, Running, Simulator, Version, WorldBuilder};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

/// A connection to a simulator.
pub(crate) struct Client<S = TcpStream> {
    pub(crate) socket: WebSocketStream<S>,
    last: i64,
    /// Frames that were no answer, oldest first.
    pub(crate) events: Vec<Value>,
}

/// A builder of the default world with quick guests.
pub(crate) fn world() -> WorldBuilder {
    WorldBuilder::example(Version::default())
}

/// The same of a version.
pub(crate) fn world_of(version: &str) -> WorldBuilder {
    WorldBuilder::example(version.parse().unwrap())
}

/// A simulator of this world.
pub(crate) async fn start(world: WorldBuilder) -> Running {
    Simulator::start(Options::with_world(world.build()))
        .await
        .unwrap()
}

/// A simulator of the default world and a connection on which the administrator is logged in.
pub(crate) async fn started() -> (Running, Client) {
    let running = start(world()).await;
    let mut client = Client::connect(&running).await;
    client.log_in(&running).await;
    (running, client)
}

/// What an HTTP request answers.
pub(crate) async fn http(running: &Running, request: &str) -> String {
    let mut stream = TcpStream::connect(running.address()).await.unwrap();
    stream
        .write_all(format!("{request} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes())
        .await
        .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

impl Client {
    pub(crate) async fn connect(running: &Running) -> Self {
        Self::at(running, "/api/current").await
    }

    /// At another path.
    pub(crate) async fn at(running: &Running, path: &str) -> Self {
        let stream = TcpStream::connect(running.address()).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self::over(stream, &format!("ws://{}{path}", running.address())).await
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Client<S> {
    pub(crate) async fn over(stream: S, url: &str) -> Self {
        let (socket, _) = tokio_tungstenite::client_async(url, stream).await.unwrap();
        Self {
            socket,
            last: 0,
            events: Vec::new(),
        }
    }

    pub(crate) async fn log_in(&mut self, running: &Running) {
        let login = json!({"mechanism": "API_KEY_PLAIN", "username": "truenas_admin", "api_key": running.api_key()});
        assert_eq!(
            self.ok("auth.login_ex", json!([login])).await["response_type"],
            "SUCCESS"
        );
    }

    /// Sends a call without waiting; answers its id.
    pub(crate) async fn send(&mut self, method: &str, params: Value) -> i64 {
        self.last += 1;
        let request =
            json!({"jsonrpc": "2.0", "id": self.last, "method": method, "params": params});
        self.socket
            .send(Message::text(request.to_string()))
            .await
            .unwrap();
        self.last
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
    pub(crate) async fn call(&mut self, method: &str, params: Value) -> Option<Value> {
        let id = self.send(method, params).await;
        loop {
            let frame = self.next().await?;
            if frame["id"] == id {
                return Some(frame);
            }
            self.events.push(frame);
        }
    }

    /// The result of a call that must work.
    pub(crate) async fn ok(&mut self, method: &str, params: Value) -> Value {
        let answer = self.call(method, params).await.unwrap();
        assert!(answer.get("error").is_none(), "{method}: {answer}");
        answer["result"].clone()
    }

    /// Code and errno of a call that must fail.
    pub(crate) async fn refused(&mut self, method: &str, params: Value) -> (i64, Option<i64>) {
        let answer = self.call(method, params).await.unwrap();
        let error = &answer["error"];
        (
            error["code"]
                .as_i64()
                .unwrap_or_else(|| panic!("{method} worked: {answer}")),
            error["data"]["error"].as_i64(),
        )
    }

    /// Follows a job by its events; the client must be subscribed to `core.get_jobs`.
    pub(crate) async fn job_ended(&mut self, job: i64) -> Value {
        loop {
            let over = self.events.iter().find_map(|event| {
                let fields = &event["params"]["fields"];
                let ended = ["SUCCESS", "FAILED", "ABORTED"]
                    .iter()
                    .any(|word| fields["state"] == *word);
                (fields["id"] == job && fields["method"].is_string() && ended)
                    .then(|| fields.clone())
            });
            if let Some(fields) = over {
                return fields;
            }
            let frame = self.next().await.unwrap();
            self.events.push(frame);
        }
    }
}
