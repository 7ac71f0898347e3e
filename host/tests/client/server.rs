//! A WebSocket server that does what a script says: one connection, one request after the other.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use secrecy::SecretString;
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_tungstenite::accept_async;
use tokio_tungstenite::tungstenite::protocol::frame::CloseFrame;
use tokio_tungstenite::tungstenite::{Bytes, Message};

use tnvm::truenas::{Allowed, Client, ConnectError, ConnectOptions, Credentials, Endpoint};

/// A call that arrived.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) id: u64,
    pub(crate) method: String,
    pub(crate) params: Value,
}

impl Request {
    /// The answer with this result.
    pub(crate) fn result(&self, result: Value) -> Do {
        Do::Send(json!({"jsonrpc": "2.0", "id": self.id, "result": result}))
    }

    /// The answer with this error.
    pub(crate) fn error(&self, code: i64, data: Value) -> Do {
        let error = json!({"code": code, "message": "Method call error", "data": data});
        Do::Send(json!({"jsonrpc": "2.0", "id": self.id, "error": error}))
    }
}

/// What the server does next.
#[derive(Debug)]
pub(crate) enum Do {
    Send(Value),
    Ping,
    Close(u16, &'static str),
    /// Drops the socket without a word.
    Cut,
}

/// What the server does about what it gets.
pub(crate) trait Script: Send + 'static {
    fn request(&mut self, request: &Request) -> Vec<Do>;
    fn pong(&mut self) -> Vec<Do> {
        Vec::new()
    }
}

impl<F: FnMut(&Request) -> Vec<Do> + Send + 'static> Script for F {
    fn request(&mut self, request: &Request) -> Vec<Do> {
        self(request)
    }
}

/// What a healthy 25.10 answers to the calls that every connection begins and ends with.
pub(crate) fn usual(request: &Request) -> Option<Vec<Do>> {
    let result = match request.method.as_str() {
        "auth.login_ex" => json!({"response_type": "SUCCESS", "user_info": null}),
        "system.version" => json!("TrueNAS-25.10.7"),
        "system.info" => json!({"hostname": "nas"}),
        "system.host_id" => json!("5f3c"),
        // As recorded before a login.
        "auth.mechanism_choices" => {
            let reason = "'NoneType' object has no attribute 'may_create_auth_token'";
            let data = json!({"error": 22, "errname": "EINVAL", "reason": reason});
            return Some(vec![request.error(-32001, data)]);
        }
        "auth.logout" => json!(true),
        "core.subscribe" => json!("1"),
        _ => return None,
    };
    Some(vec![request.result(result)])
}

/// A running server; it ends with the runtime of the test.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    seen: Arc<Mutex<Vec<Request>>>,
}

impl Server {
    /// Without TLS.
    pub(crate) async fn start(script: impl Script) -> Self {
        Self::start_with(script, None).await
    }

    pub(crate) async fn start_with(mut script: impl Script, tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::default();
        let log = Arc::clone(&seen);
        tokio::spawn(async move {
            // One after the other: a client that connects twice is seen to do so.
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                match &tls {
                    None => serve(stream, &mut script, &log).await,
                    Some(tls) => {
                        if let Ok(stream) = tls.accept(stream).await {
                            serve(stream, &mut script, &log).await;
                        }
                    }
                }
            }
        });
        Self { address, seen }
    }

    /// Answers every connection with this text.
    pub(crate) async fn start_http(answer: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                tokio::spawn(async move {
                    let _ = stream.write_all(answer.as_bytes()).await;
                    let _ = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await;
                });
            }
        });
        Self {
            address,
            seen: Arc::default(),
        }
    }

    pub(crate) fn endpoint(&self) -> Endpoint {
        Endpoint::parse(&format!("ws://{}", self.address)).unwrap()
    }

    pub(crate) async fn connect(&self) -> Result<Client, ConnectError> {
        // A test that waits for what never comes fails soon instead of hanging.
        let options = ConnectOptions {
            call_timeout: Some(Duration::from_secs(5)),
            allowed: Allowed::everything(),
            ..ConnectOptions::default()
        };
        Client::connect(&self.endpoint(), &password(), &options).await
    }

    /// The calls of this method so far.
    pub(crate) fn seen(&self, method: &str) -> Vec<Request> {
        let seen = self.seen.lock().unwrap();
        seen.iter()
            .filter(|request| request.method == method)
            .cloned()
            .collect()
    }

    /// The names of all calls so far.
    pub(crate) fn names(&self) -> Vec<String> {
        let seen = self.seen.lock().unwrap();
        seen.iter().map(|request| request.method.clone()).collect()
    }
}

pub(crate) fn password() -> Credentials {
    Credentials::Password {
        username: "admin".into(),
        password: SecretString::from("hunter2"),
    }
}

pub(crate) fn api_key() -> Credentials {
    Credentials::ApiKey {
        username: "admin".into(),
        key: SecretString::from("1-hunter2"),
    }
}

async fn serve<S>(stream: S, script: &mut impl Script, log: &Mutex<Vec<Request>>)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let Ok(mut socket) = accept_async(stream).await else {
        return;
    };
    while let Some(Ok(message)) = socket.next().await {
        let next = match message {
            Message::Text(text) => {
                let frame: Value = serde_json::from_str(&text).unwrap();
                let request = Request {
                    id: frame["id"].as_u64().unwrap(),
                    method: frame["method"].as_str().unwrap().to_owned(),
                    params: frame["params"].clone(),
                };
                log.lock().unwrap().push(request.clone());
                script.request(&request)
            }
            Message::Pong(_) => script.pong(),
            _ => Vec::new(),
        };
        for one in next {
            match one {
                Do::Send(frame) => drop(socket.send(Message::text(frame.to_string())).await),
                Do::Ping => drop(socket.send(Message::Ping(Bytes::new())).await),
                Do::Close(code, reason) => {
                    let frame = CloseFrame {
                        code: code.into(),
                        reason: reason.into(),
                    };
                    drop(socket.close(Some(frame)).await);
                }
                Do::Cut => return,
            }
        }
    }
}
