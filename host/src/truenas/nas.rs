//! A server in memory for the client's own tests: it follows a script, and remembers what it was
//! asked on which connection.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::io::DuplexStream;
use tokio::time::sleep;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::Role;

use super::allowed::Allowed;
use super::auth::Credentials;
use super::backoff::Jitter;
use super::client::Client;
use super::connect_error::ConnectError;
use super::connection::Connection;
use super::endpoint::Endpoint;
use super::frame::Protocol;
use super::login::{Entry, KeyLogin};
use super::options::ConnectOptions;
use super::session::{self, Past};
use super::stats::Counters;
use super::transport::Transport;

/// What the server does about a call.
pub(super) enum Act {
    Say(Value),
    /// Answers, then cuts the line.
    SayAndCut(Value),
    Cut,
    Silence,
    /// Answers after this time, other calls of the connection meanwhile.
    Late(Duration, Value),
}

/// The pseudo-method for a new connection: anything but `Say` refuses it.
pub(super) const CONNECT: &str = "connect";

type Script = dyn Fn(usize, &str) -> Option<Act> + Send + Sync;

/// A server in memory; connections count from 0.
#[derive(Clone)]
pub(super) struct Nas {
    script: Arc<Script>,
    pub(super) connections: Arc<AtomicUsize>,
    seen: Arc<Mutex<Vec<(usize, String, Value)>>>,
    counters: Arc<Counters>,
    /// None unless a test says otherwise: pauses are exact.
    pub(super) jitter: Jitter,
}

impl Nas {
    /// `script` gets the number of the connection and the method; none means: as a healthy one.
    pub(super) fn new(script: impl Fn(usize, &str) -> Option<Act> + Send + Sync + 'static) -> Self {
        Self {
            script: Arc::new(script),
            connections: Arc::default(),
            seen: Arc::default(),
            counters: Arc::default(),
            jitter: Jitter::None,
        }
    }

    pub(super) async fn client(&self) -> Client {
        self.client_with(ConnectOptions::default()).await
    }

    /// With other options than the default; every method is allowed.
    pub(super) async fn client_with(&self, options: ConnectOptions) -> Client {
        let endpoint = Endpoint::parse("ws://127.0.0.1:1").expect("an address");
        let (nas, to) = (self.clone(), endpoint.clone());
        let open = Arc::new(move || {
            let (nas, endpoint) = (nas.clone(), to.clone());
            let opening = async move { nas.open(&endpoint).await };
            Box::pin(opening) as std::pin::Pin<Box<dyn Future<Output = _> + Send>>
        });
        let options = ConnectOptions {
            allowed: Allowed::everything(),
            jitter: self.jitter,
            ..options
        };
        let client = Client::over(
            &endpoint,
            "root",
            &options,
            Arc::clone(&self.counters),
            open,
        )
        .await;
        client.expect("a connection")
    }

    async fn open(&self, endpoint: &Endpoint) -> Result<session::Opened, ConnectError> {
        let number = self.connections.fetch_add(1, Ordering::Relaxed);
        if (self.script)(number, CONNECT).is_some() {
            return Err(ConnectError::Tcp {
                endpoint: endpoint.clone(),
                source: io::Error::from(io::ErrorKind::ConnectionRefused),
            });
        }
        let (ours, theirs) = tokio::io::duplex(1 << 20);
        let client = WebSocketStream::from_raw_socket(ours, Role::Client, None).await;
        let server = WebSocketStream::from_raw_socket(theirs, Role::Server, None).await;
        tokio::spawn(self.clone().serve(number, server));
        let connection = Connection::start(
            client,
            Protocol::JsonRpc,
            &ConnectOptions::default(),
            Arc::clone(&self.counters),
        );
        let credentials = Credentials::Password {
            username: "admin".into(),
            password: "x".into(),
        };
        let entry = Entry {
            endpoint,
            credentials: &credentials,
            key_login: KeyLogin::Auto,
            otp: None,
            transport: &Transport::default(),
        };
        session::enter(connection, &entry, &Past::default()).await
    }

    async fn serve(self, number: usize, socket: WebSocketStream<DuplexStream>) {
        let (sink, mut stream) = socket.split();
        let sink = Arc::new(tokio::sync::Mutex::new(sink));
        while let Some(Ok(message)) = stream.next().await {
            let Message::Text(text) = message else {
                continue;
            };
            let call: Value = serde_json::from_str(&text).expect("JSON");
            let method = call["method"].as_str().expect("a name").to_owned();
            let params = call["params"].clone();
            self.seen
                .lock()
                .expect("no panic")
                .push((number, method.clone(), params));
            let act = (self.script)(number, &method).unwrap_or_else(|| healthy(&method));
            let (answer, cut) = match act {
                Act::Say(result) => (Some((result, Duration::ZERO)), false),
                Act::Late(after, result) => (Some((result, after)), false),
                Act::SayAndCut(result) => (Some((result, Duration::ZERO)), true),
                Act::Cut => (None, true),
                Act::Silence => (None, false),
            };
            if let Some((result, after)) = answer {
                let frame = json!({"jsonrpc": "2.0", "id": call["id"], "result": result});
                let sink = Arc::clone(&sink);
                let sending = async move {
                    sleep(after).await;
                    let _ = sink
                        .lock()
                        .await
                        .send(Message::text(frame.to_string()))
                        .await;
                };
                if after.is_zero() {
                    sending.await;
                } else {
                    tokio::spawn(sending);
                }
            }
            if cut {
                return;
            }
        }
    }

    /// Forgets what it was asked.
    pub(super) fn forget(&self) {
        self.seen.lock().expect("no panic").clear();
    }

    /// On which connections this method was called, in order.
    pub(super) fn calls(&self, method: &str) -> Vec<usize> {
        let seen = self.seen.lock().expect("no panic");
        seen.iter()
            .filter(|(_, name, _)| name == method)
            .map(|(number, ..)| *number)
            .collect()
    }
}

fn healthy(method: &str) -> Act {
    Act::Say(match method {
        "auth.login_ex" => json!({"response_type": "SUCCESS"}),
        "system.version" => json!("TrueNAS-25.10.7"),
        "system.info" => json!({"hostname": "nas"}),
        "system.host_id" => json!("5f3c"),
        "vm.query" => json!([]),
        _ => json!(true),
    })
}
