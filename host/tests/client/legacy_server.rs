//! A server that speaks the older protocol and does what a script says, or any other thing that may
//! stand at the two addresses of the API.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::accept_hdr_async;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tokio_tungstenite::tungstenite::protocol::frame::CloseFrame;

use tnvm::truenas::{Allowed, Client, ConnectError, ConnectOptions, Credentials, Endpoint};

/// What the server does about a call.
#[derive(Debug)]
pub(crate) enum Act {
    /// Answers it.
    Answer(Value),
    /// Refuses it with this error object.
    Refuse(Value),
    /// Sends a frame as it is.
    Frame(Value),
    /// Drops the socket without a word.
    Cut,
    /// Closes the socket.
    Close(u16),
}

/// What the server does about calls, by method and parameters. The greeting is the method `connect`,
/// a subscription the method `sub`.
pub(crate) type Script = Box<dyn FnMut(&str, &Value) -> Vec<Act> + Send>;

/// What a path answers in place of a WebSocket: a status, and where a redirect leads.
pub(crate) type Http = Box<dyn FnMut(&str) -> Option<(u16, Option<&'static str>)> + Send>;

/// A running server; it ends with the runtime of the test.
pub(crate) struct LegacyServer {
    address: SocketAddr,
    seen: Arc<Mutex<Seen>>,
}

#[derive(Default)]
struct Seen {
    paths: Vec<String>,
    calls: Vec<(String, Value)>,
}

/// What a healthy 24.10 says to the calls that every connection begins and ends with.
pub(crate) fn usual(method: &str) -> Vec<Act> {
    let answer = match method {
        "connect" => return vec![Act::Frame(json!({"msg": "connected", "session": "x"}))],
        "auth.login" | "auth.login_with_api_key" | "auth.logout" => json!(true),
        "system.version" => json!("TrueNAS-SCALE-24.10.2.5"),
        "system.info" => json!({"hostname": "nas", "datetime": {"$date": 1_000}}),
        "system.host_id" => json!("5f3c"),
        "sub" => return Vec::new(),
        _ => return Vec::new(),
    };
    vec![Act::Answer(answer)]
}

impl LegacyServer {
    /// A 24.10: nothing at `/api/current`, and this at `/websocket`.
    pub(crate) async fn start(
        script: impl FnMut(&str, &Value) -> Vec<Act> + Send + 'static,
    ) -> Self {
        let http = |path: &str| (path != "/websocket").then_some((404, None));
        Self::start_with(Box::new(http), Box::new(script)).await
    }

    pub(crate) async fn start_with(mut http: Http, mut script: Script) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::<Mutex<Seen>>::default();
        let log = Arc::clone(&seen);
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                serve(stream, &mut http, &mut script, &log).await;
            }
        });
        Self { address, seen }
    }

    pub(crate) async fn connect(&self, credentials: &Credentials) -> Result<Client, ConnectError> {
        self.connect_with(credentials, ConnectOptions::default())
            .await
    }

    /// The same, with a wish.
    pub(crate) async fn connect_with(
        &self,
        credentials: &Credentials,
        options: ConnectOptions,
    ) -> Result<Client, ConnectError> {
        let endpoint = Endpoint::parse(&format!("ws://{}", self.address)).unwrap();
        let options = ConnectOptions {
            call_timeout: Some(Duration::from_secs(5)),
            allowed: Allowed::everything(),
            ..options
        };
        Client::connect(&endpoint, credentials, &options).await
    }

    /// The paths that were asked for so far.
    pub(crate) fn paths(&self) -> Vec<String> {
        self.seen.lock().unwrap().paths.clone()
    }

    /// The calls so far, greetings and subscriptions included.
    pub(crate) fn calls(&self) -> Vec<(String, Value)> {
        self.seen.lock().unwrap().calls.clone()
    }

    /// Their names.
    pub(crate) fn names(&self) -> Vec<String> {
        self.calls().into_iter().map(|(name, _)| name).collect()
    }

    /// The parameters of the last call of a method.
    pub(crate) fn last(&self, method: &str) -> Value {
        let calls = self.calls();
        let found = calls.iter().rev().find(|(name, _)| name == method);
        found.unwrap_or_else(|| panic!("no {method}")).1.clone()
    }
}

async fn serve(stream: TcpStream, http: &mut Http, script: &mut Script, log: &Mutex<Seen>) {
    #[expect(clippy::result_large_err, reason = "the shape that the library wants")]
    let judge = |request: &Request, response: Response| -> Result<Response, ErrorResponse> {
        let path = request.uri().path().to_owned();
        let refused = http(&path);
        log.lock().unwrap().paths.push(path);
        let Some((status, location)) = refused else {
            return Ok(response);
        };
        let mut refusal = ErrorResponse::new(Some(String::from("<html></html>")));
        *refusal.status_mut() = status.try_into().unwrap();
        if let Some(to) = location {
            let to = to.try_into().unwrap();
            refusal.headers_mut().insert("location", to);
        }
        Err(refusal)
    };
    let Ok(mut socket) = accept_hdr_async(stream, judge).await else {
        return;
    };
    while let Some(Ok(message)) = socket.next().await {
        let Message::Text(text) = message else {
            continue;
        };
        let frame: Value = serde_json::from_str(&text).unwrap();
        let (name, params) = match frame["msg"].as_str() {
            Some("method") => (frame["method"].as_str().unwrap(), &frame["params"]),
            // JSON-RPC, where the script lets it in.
            None => (frame["method"].as_str().unwrap(), &frame["params"]),
            Some(other) => (other, &frame),
        };
        let call = (name.to_owned(), params.clone());
        log.lock().unwrap().calls.push(call);
        let id = &frame["id"];
        let legacy = frame.get("jsonrpc").is_none();
        if name == "sub" {
            let ready = json!({"msg": "ready", "subs": [id]});
            drop(socket.send(Message::text(ready.to_string())).await);
        }
        for act in script(name, params) {
            let answer = match act {
                Act::Answer(result) if legacy => {
                    json!({"msg": "result", "id": id, "result": result})
                }
                Act::Answer(result) => json!({"jsonrpc": "2.0", "id": id, "result": result}),
                Act::Refuse(error) => json!({"msg": "result", "id": id, "error": error}),
                Act::Frame(frame) => frame,
                Act::Cut => return,
                Act::Close(code) => {
                    let frame = CloseFrame {
                        code: code.into(),
                        reason: "denied".into(),
                    };
                    drop(socket.close(Some(frame)).await);
                    continue;
                }
            };
            drop(socket.send(Message::text(answer.to_string())).await);
        }
    }
}
