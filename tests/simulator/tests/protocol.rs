//! Framing, limits, logins and HTTP over a real socket.

mod common;

use std::sync::Arc;
use std::time::Duration;

use common::{Client, http, start, started, world};
use futures_util::{SinkExt, StreamExt};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use serde_json::json;
use tnvm_simulator::{Options, Role, Simulator};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_tungstenite::tungstenite::Message;

#[tokio::test]
async fn versions_are_listed_without_login_and_other_paths_are_unknown() {
    let running = start(world()).await;
    let versions = http(&running, "GET /api/versions").await;
    assert!(
        versions.starts_with("HTTP/1.1 200") && versions.contains("v25.10.5"),
        "{versions}"
    );
    assert!(
        http(&running, "GET /websocket/shell")
            .await
            .starts_with("HTTP/1.1 404")
    );
    assert!(
        http(&running, "GET /websocket")
            .await
            .starts_with("HTTP/1.1 400")
    );
    assert!(
        http(&running, "GET /api/v99.0.0")
            .await
            .starts_with("HTTP/1.1 404")
    );
    assert!(
        http(&running, "GET /api/current")
            .await
            .starts_with("HTTP/1.1 400")
    );
}

#[tokio::test]
async fn nothing_but_a_few_methods_works_before_login() {
    let running = start(world()).await;
    let mut client = Client::connect(&running).await;
    assert_eq!(client.ok("core.ping", json!([])).await, "pong");
    assert_eq!(
        client.refused("vm.query", json!([])).await,
        (-32001, Some(207))
    );
    assert_eq!(client.refused("no.such", json!([])).await, (-32601, None));
    assert_eq!(
        client.refused("auth.mechanism_choices", json!([])).await,
        (-32001, Some(22))
    );
    client.log_in(&running).await;
    assert_eq!(client.ok("vm.query", json!([])).await, json!([]));
    client.ok("auth.logout", json!([])).await;
    assert_eq!(
        client.refused("vm.query", json!([])).await,
        (-32001, Some(207))
    );
}

#[tokio::test]
async fn wrong_credentials_leave_the_connection_open() {
    let running = start(world()).await;
    let mut client = Client::connect(&running).await;
    assert_eq!(
        client
            .ok("auth.login", json!(["truenas_admin", "wrong"]))
            .await,
        false
    );
    assert_eq!(
        client.ok("auth.login", json!(["limited", "secret"])).await,
        false
    );
    let wrong_key =
        json!([{"mechanism": "API_KEY_PLAIN", "username": "truenas_admin", "api_key": "1-x"}]);
    assert_eq!(
        client.ok("auth.login_ex", wrong_key).await["response_type"],
        "AUTH_ERR"
    );
    client.log_in(&running).await;
    assert_eq!(running.journal().logins(), 1);
    assert!(
        running
            .journal()
            .calls()
            .iter()
            .all(|call| !call.method.starts_with("auth.") || call.params.is_empty())
    );
}

#[tokio::test]
async fn tokens_log_in_once_or_as_often_as_allowed() {
    let (running, mut first) = started().await;
    let token = first
        .ok("auth.generate_token", json!([600, {}, false, true]))
        .await;
    for expected in [true, false] {
        let mut client = Client::connect(&running).await;
        assert_eq!(
            client.ok("auth.login_with_token", json!([token])).await,
            expected
        );
    }
}

#[tokio::test]
async fn a_viewer_reads_and_does_not_write() {
    let running = start(world().user("eve", "pw", Role::Readonly)).await;
    let mut client = Client::connect(&running).await;
    client.ok("auth.login", json!(["eve", "pw"])).await;
    client.ok("vm.query", json!([])).await;
    client.ok("pool.dataset.query", json!([])).await;
    assert_eq!(
        client
            .refused("vm.create", json!([{"name": "a", "memory": 512}]))
            .await,
        (-32001, Some(13))
    );
}

#[tokio::test]
async fn the_21st_anonymous_call_of_a_minute_is_refused() {
    let running = start(world()).await;
    let mut client = Client::connect(&running).await;
    for _ in 0..20 {
        client.ok("core.ping", json!([])).await;
    }
    // The clock jumps over the pause of up to ten seconds.
    tokio::time::pause();
    assert_eq!(
        client.refused("core.ping", json!([])).await,
        (-32001, Some(16))
    );
}

#[tokio::test]
async fn messages_that_are_too_long_close_the_connection() {
    let running = start(world()).await;
    let mut client = Client::connect(&running).await;
    client
        .socket
        .send(Message::text("x".repeat(9000)))
        .await
        .unwrap();
    assert_eq!(close_code(&mut client).await, 1007);
    let mut client = Client::connect(&running).await;
    client.log_in(&running).await;
    client
        .socket
        .send(Message::text("x".repeat(70_000)))
        .await
        .unwrap();
    assert_eq!(close_code(&mut client).await, 1009);
    let mut client = Client::connect(&running).await;
    client
        .socket
        .send(Message::binary(vec![0, 1]))
        .await
        .unwrap();
    assert_eq!(close_code(&mut client).await, 1003);
}

#[tokio::test]
async fn a_notification_is_executed_and_not_answered() {
    let (running, mut client) = started().await;
    let silent = json!({"jsonrpc": "2.0", "method": "vm.create", "params": [{"name": "quiet", "memory": 512}]});
    client
        .socket
        .send(Message::text(silent.to_string()))
        .await
        .unwrap();
    while running.view().vms.is_empty() {
        client.ok("core.ping", json!([])).await;
    }
    assert!(client.events.is_empty());
}

#[tokio::test]
async fn control_pings_are_answered() {
    let (_running, mut client) = started().await;
    client
        .socket
        .send(Message::Ping("hello".into()))
        .await
        .unwrap();
    let pong = client.socket.next().await.unwrap().unwrap();
    assert_eq!(pong, Message::Pong("hello".into()));
}

#[tokio::test]
async fn ten_calls_run_at_once_and_the_21st_in_flight_is_refused() {
    let mut options = Options::with_world(world().build());
    options.latency = Duration::from_millis(50);
    let running = Simulator::start(options).await.unwrap();
    let mut client = Client::connect(&running).await;
    client.log_in(&running).await;
    for _ in 0..25 {
        client.send("vm.random_mac", json!([])).await;
    }
    let (mut refused, mut answered) = (0, 0);
    for _ in 0..25 {
        let answer = client.next().await.unwrap();
        if answer["error"]["code"] == -32000 {
            refused += 1
        } else {
            answered += 1
        }
    }
    assert_eq!((refused, answered), (5, 20));
    assert_eq!(running.journal().peak_in_flight(), 20);
}

#[tokio::test]
async fn answers_come_in_the_order_of_completion() {
    let (_running, mut client) = started().await;
    let vm = client
        .ok("vm.create", json!([{"name": "a", "memory": 512}]))
        .await;
    let slow = client.send("vm.start", json!([vm["id"]])).await;
    let quick = client.send("core.ping", json!([])).await;
    assert_eq!(client.next().await.unwrap()["id"], quick);
    assert_eq!(client.next().await.unwrap()["id"], slow);
}

#[tokio::test]
async fn tls_is_trusted_by_the_certificate_it_shows() {
    let mut options = Options::with_world(world().build());
    options.tls = true;
    let running = Simulator::start(options).await.unwrap();
    let made = running.certificate().unwrap();
    assert_eq!(made.fingerprint.len(), 64);
    let mut roots = rustls::RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_slice(made.pem.as_bytes()).unwrap())
        .unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let stream = TcpStream::connect(running.address()).await.unwrap();
    let name = ServerName::try_from("127.0.0.1").unwrap();
    let stream = TlsConnector::from(Arc::new(config))
        .connect(name, stream)
        .await
        .unwrap();
    let mut client = Client::over(stream, &running.url()).await;
    client.log_in(&running).await;
}

#[expect(clippy::panic, reason = "a helper that fails fails its test")]
async fn close_code(client: &mut Client) -> u16 {
    loop {
        match client.socket.next().await {
            Some(Ok(Message::Close(Some(frame)))) => return frame.code.into(),
            Some(Ok(_)) => {}
            other => panic!("no close frame: {other:?}"),
        }
    }
}

#[tokio::test]
async fn a_client_that_closes_is_answered_before_the_line_ends() {
    let (_running, mut client) = started().await;
    client.socket.send(Message::Close(None)).await.unwrap();
    let answer = client.socket.next().await;
    assert!(matches!(answer, Some(Ok(Message::Close(_)))), "{answer:?}");
}
