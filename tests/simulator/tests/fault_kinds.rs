//! Every kind of fault that holding, dropping and restarting (`faults.rs`) do not cover, over a real
//! socket.

#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

mod common;

use std::time::Duration;

use common::scram::Scram;
use common::{Client, http, start, started, world};
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tnvm_simulator::{Effect, Fault, Noise, Running, WorldBuilder};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::{Error, Message};

const ZVOL: &str = "tank/vms/z";

fn zvol() -> Value {
    json!([{"name": ZVOL, "type": "VOLUME", "volsize": 16384}])
}

fn exists(running: &Running) -> bool {
    running.change(|world| world.datasets.contains_key(ZVOL))
}

/// What the upgrade to a WebSocket is answered with; 0 when the connection just ends.
async fn status(running: &Running) -> u16 {
    let stream = TcpStream::connect(running.address()).await.unwrap();
    let url = format!("ws://{}/api/current", running.address());
    match tokio_tungstenite::client_async(&url, stream).await {
        Ok(_) => 101,
        Err(Error::Http(response)) => response.status().as_u16(),
        Err(_) => 0,
    }
}

async fn closed_with(client: &mut Client) -> (u16, String) {
    loop {
        if let Message::Close(Some(frame)) = client.socket.next().await.unwrap().unwrap() {
            return (frame.code.into(), frame.reason.to_string());
        }
    }
}

#[tokio::test]
async fn refusals_by_name_have_their_errno_and_nothing_is_done() {
    let (running, mut client) = started().await;
    let vm = json!([{"name": "a", "memory": 512}]);
    client.ok("vm.create", vm).await;
    for (effect, method, params, expected, reason) in [
        (
            Effect::Enomem,
            "vm.start",
            json!([1]),
            12,
            "[ENOMEM] Cannot guarantee memory for guest a",
        ),
        (
            Effect::Enospc,
            "pool.dataset.create",
            zvol(),
            28,
            "[ENOSPC] No space left on device",
        ),
        (
            Effect::Ebusy,
            "vm.start",
            json!([1]),
            16,
            "[EBUSY] Device or resource busy",
        ),
    ] {
        running.inject(Fault::on(method, effect));
        let answer = client.call(method, params).await.unwrap();
        let error = &answer["error"];
        assert_eq!(
            (&error["code"], &error["data"]["error"]),
            (&json!(-32001), &json!(expected))
        );
        assert_eq!(error["data"]["reason"], reason);
        running.clear_faults();
    }
    assert!(!running.view().vms["a"].running && !exists(&running));
}

#[tokio::test]
async fn a_busy_dataset_is_refused_up_to_25_10_and_kept_in_silence_from_26_on() {
    for (version, silent) in [("25.04.2", false), ("25.10", false), ("26", true)] {
        let world = WorldBuilder::example(version.parse().unwrap()).zvol(ZVOL, 1, &[]);
        let running = start(world).await;
        let mut client = Client::connect(&running).await;
        client.log_in(&running).await;
        running.inject(Fault::on("pool.dataset.delete", Effect::DatasetBusy));
        let answer = client
            .call("pool.dataset.delete", json!([ZVOL]))
            .await
            .unwrap();
        if silent {
            assert_eq!(answer["result"], true);
        } else {
            let expected =
                "[EFAULT] Failed to delete dataset: cannot destroy 'tank/vms/z': dataset is busy";
            assert_eq!(answer["error"]["data"]["reason"], expected);
        }
        assert!(exists(&running), "{version}");
        client.ok("pool.dataset.delete", json!([ZVOL])).await;
        assert!(!exists(&running), "{version}");
    }
}

#[tokio::test]
async fn a_throttled_call_waits_and_is_refused_without_being_done() {
    let (running, mut client) = started().await;
    running.inject(Fault::on(
        "pool.dataset.create",
        Effect::RateLimit { pause_ms: None },
    ));
    tokio::time::pause();
    let before = tokio::time::Instant::now();
    let answer = client.call("pool.dataset.create", zvol()).await.unwrap();
    assert_eq!(
        answer["error"]["data"]["reason"],
        "[EBUSY] Rate Limit Exceeded"
    );
    let waited = before.elapsed();
    assert!(
        (Duration::from_secs(1)..Duration::from_secs(11)).contains(&waited),
        "{waited:?}"
    );
    assert!(!exists(&running));
}

#[tokio::test]
async fn a_call_may_be_one_too_many_although_few_are_in_flight() {
    let (running, mut client) = started().await;
    running.inject(Fault::on("pool.dataset.create", Effect::ConcurrencyCap));
    let refused = client.refused("pool.dataset.create", zvol()).await;
    assert_eq!(refused, (-32000, None));
    assert!(!exists(&running));
    client.ok("pool.dataset.create", zvol()).await;
}

#[tokio::test]
async fn a_key_is_revoked_at_its_login_and_useless_ever_after() {
    let running = start(WorldBuilder::example("26".parse().unwrap())).await;
    running.inject(Fault::on("auth.login_ex", Effect::RevokeKey));
    let mut client = Client::connect(&running).await;
    let login = json!([{"mechanism": "API_KEY_PLAIN", "username": "truenas_admin", "api_key": running.api_key()}]);
    for expected in ["EXPIRED", "AUTH_ERR"] {
        let answer = client.ok("auth.login_ex", login.clone()).await;
        assert_eq!(answer, json!({"response_type": expected}));
    }
    let half = Scram::new("truenas_admin", running.api_key());
    let first = json!([{"mechanism": "SCRAM", "scram_type": "CLIENT_FIRST_MESSAGE", "rfc_str": half.first()}]);
    let answer = client.ok("auth.login_ex", first).await;
    assert_eq!(answer["response_type"], "AUTH_ERR");
}

#[tokio::test]
async fn a_key_is_revoked_in_the_middle_and_its_session_goes_on() {
    let (running, mut client) = started().await;
    running.inject(Fault::on("vm.query", Effect::RevokeKey));
    assert_eq!(client.ok("vm.query", json!([])).await, json!([]));
    client.ok("vm.query", json!([])).await;
    let mut other = Client::connect(&running).await;
    let key = json!([running.api_key()]);
    assert_eq!(other.ok("auth.login_with_api_key", key).await, false);
}

#[tokio::test]
async fn an_answer_may_come_twice() {
    let (running, mut client) = started().await;
    running.inject(Fault::on("pool.dataset.create", Effect::Duplicate));
    let id = client.send("pool.dataset.create", zvol()).await;
    let (one, other) = (client.next().await.unwrap(), client.next().await.unwrap());
    assert!(one == other && one["id"] == id && one["result"]["id"] == ZVOL);
    client.ok("core.ping", json!([])).await;
}

#[tokio::test]
async fn nonsense_may_come_before_an_answer() {
    let (running, mut client) = started().await;
    for noise in [
        Noise::NoJson,
        Noise::NoObject,
        Noise::NoMessage,
        Noise::Binary,
    ] {
        running.inject(Fault::on("core.ping", Effect::Garbage(noise)));
        let id = client.send("core.ping", json!([])).await;
        match (noise, client.socket.next().await.unwrap().unwrap()) {
            (Noise::Binary, Message::Binary(_)) => {}
            (Noise::NoJson, Message::Text(text)) => {
                assert!(serde_json::from_str::<Value>(&text).is_err());
            }
            (Noise::NoObject, Message::Text(text)) => {
                assert!(!serde_json::from_str::<Value>(&text).unwrap().is_object());
            }
            (Noise::NoMessage, Message::Text(text)) => {
                assert!(
                    serde_json::from_str::<Value>(&text)
                        .unwrap()
                        .get("id")
                        .is_none()
                );
            }
            (noise, message) => assert!(message.is_empty(), "{noise:?}: {message:?}"),
        }
        assert_eq!(client.next().await.unwrap()["id"], id);
        running.clear_faults();
    }
}

#[tokio::test]
async fn an_answer_may_come_under_another_id_and_under_its_own_later_or_never() {
    let (running, mut client) = started().await;
    running.inject(Fault::on(
        "core.ping",
        Effect::WrongId { then_ms: Some(30) },
    ));
    let id = client.send("core.ping", json!([])).await;
    let astray = client.next().await.unwrap();
    assert!(astray["id"] != id && astray["result"] == "pong");
    assert_eq!(client.next().await.unwrap()["id"], id);

    running.inject(Fault::on("vm.query", Effect::WrongId { then_ms: None }));
    client.send("vm.query", json!([])).await;
    assert_eq!(client.next().await.unwrap()["result"], json!([]));
    client.ok("core.ping", json!([])).await;
    assert!(client.events.is_empty());
}

#[tokio::test]
async fn an_answer_may_trickle() {
    let (running, mut client) = started().await;
    let (pieces, pause_ms) = (5, 10_000);
    running.inject(Fault::on("system.info", Effect::Slow { pieces, pause_ms }));
    tokio::time::pause();
    let before = tokio::time::Instant::now();
    assert!(client.ok("system.info", json!([])).await.is_object());
    let waited = before.elapsed();
    assert!(
        (Duration::from_secs(40)..Duration::from_secs(41)).contains(&waited),
        "{waited:?}"
    );
}

#[tokio::test]
async fn the_server_may_close_with_any_code_before_or_after_the_call_took_effect() {
    let codes = [1000, 1001, 1007, 1008, 1009, 1011];
    for (code, after_commit) in codes.into_iter().zip([false, true].into_iter().cycle()) {
        let (running, mut client) = started().await;
        let reason = "because".to_owned();
        running.inject(Fault::on(
            "pool.dataset.create",
            Effect::Close {
                code,
                reason,
                after_commit,
            },
        ));
        client.send("pool.dataset.create", zvol()).await;
        assert_eq!(closed_with(&mut client).await, (code, "because".into()));
        assert_eq!(exists(&running), after_commit, "{code}");
    }
}

#[tokio::test]
async fn a_half_open_connection_answers_neither_calls_nor_pings_and_stays_open() {
    for after_commit in [false, true] {
        let (running, mut client) = started().await;
        running.inject(Fault::on(
            "pool.dataset.create",
            Effect::HalfOpen { after_commit },
        ));
        client.send("pool.dataset.create", zvol()).await;
        let mut other = Client::connect(&running).await;
        other.log_in(&running).await;
        while running.journal().count("pool.dataset.create") == 0
            || exists(&running) != after_commit
        {
            other.ok("core.ping", json!([])).await;
        }
        client.send("core.ping", json!([])).await;
        client
            .socket
            .send(Message::Ping("hello".into()))
            .await
            .unwrap();
        // Whoever is answered later than this has been heard.
        other.ok("core.ping", json!([])).await;
        tokio::time::pause();
        let minute = Duration::from_secs(60);
        let heard = tokio::time::timeout(minute, client.socket.next()).await;
        assert!(heard.is_err(), "{heard:?}");
        tokio::time::resume();
        assert_eq!(exists(&running), after_commit);
    }
}

#[tokio::test]
async fn a_call_may_bring_the_middleware_down_before_or_after_it_took_effect() {
    for (after_commit, bad_gateway, expected) in [(false, false, 0), (true, true, 502)] {
        let (running, mut client) = started().await;
        client.ok("core.bulk", json!(["core.ping", [[]]])).await;
        let restart = Effect::Restart {
            down_ms: 300,
            after_commit,
            bad_gateway,
            reboot: false,
        };
        running.inject(Fault::on("pool.dataset.create", restart));
        assert!(client.call("pool.dataset.create", zvol()).await.is_none());
        assert_eq!(status(&running).await, expected);
        while status(&running).await != 101 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert_eq!(exists(&running), after_commit);
        let mut client = Client::connect(&running).await;
        client.log_in(&running).await;
        let job = client.ok("core.bulk", json!(["core.ping", [[]]])).await;
        assert_eq!(job, 1, "jobs are counted anew");
    }
}

#[tokio::test]
async fn a_call_may_bring_the_host_down() {
    let (running, mut client) = started().await;
    let boot = running.change(|world| world.boot_id.clone());
    let restart = Effect::Restart {
        down_ms: 0,
        after_commit: false,
        bad_gateway: false,
        reboot: true,
    };
    running.inject(Fault::on("core.ping", restart));
    assert!(client.call("core.ping", json!([])).await.is_none());
    assert_ne!(running.change(|world| world.boot_id.clone()), boot);
}

#[tokio::test]
async fn http_requests_may_be_refused_sent_elsewhere_or_dropped() {
    let running = start(world()).await;
    for code in [502, 503, 404] {
        running.inject(Fault::on_request(
            "/api/current",
            Effect::HttpStatus { status: code },
        ));
        assert_eq!(status(&running).await, code);
        running.clear_faults();
    }
    running.inject(Fault::on_request("", Effect::Redirect { to: None }).first(2));
    let answer = http(&running, "GET /api/current").await;
    assert!(
        answer.starts_with("HTTP/1.1 307 Temporary Redirect\r\n"),
        "{answer}"
    );
    assert!(
        answer.contains("Location: https://x/api/current\r\n"),
        "{answer}"
    );
    assert_eq!(status(&running).await, 307);
    assert_eq!(status(&running).await, 101);
    running.clear_faults();

    running.inject(Fault::on_request("/api/versions", Effect::DropBeforeCommit));
    assert_eq!(http(&running, "GET /api/versions").await, "");
    assert!(
        http(&running, "GET /api/versions")
            .await
            .starts_with("HTTP/1.1 200")
    );
}

#[tokio::test]
async fn a_websocket_may_be_closed_as_soon_as_it_is_open() {
    let running = start(world()).await;
    let close = Effect::Close {
        code: 1008,
        reason: "not allowed".into(),
        after_commit: false,
    };
    running.inject(Fault::on_request("/api/current", close));
    let mut client = Client::connect(&running).await;
    assert_eq!(closed_with(&mut client).await, (1008, "not allowed".into()));
}

#[tokio::test]
async fn a_request_may_wait_or_never_be_answered() {
    let running = start(world()).await;
    running.inject(Fault::on_request("", Effect::Delay { ms: 5_000 }));
    running.inject(
        Fault::on_request(
            "",
            Effect::HalfOpen {
                after_commit: false,
            },
        )
        .nth(2),
    );
    tokio::time::pause();
    let before = tokio::time::Instant::now();
    assert_eq!(status(&running).await, 101);
    assert!(before.elapsed() >= Duration::from_secs(5));
    let forever = tokio::time::timeout(Duration::from_secs(600), status(&running));
    assert!(forever.await.is_err());
}

#[tokio::test]
async fn a_notification_that_is_struck_is_not_answered_either() {
    let (running, mut client) = started().await;
    running.inject(Fault::on("pool.dataset.create", Effect::Duplicate));
    let silent = json!({"jsonrpc": "2.0", "method": "pool.dataset.create", "params": zvol()});
    client
        .socket
        .send(Message::text(silent.to_string()))
        .await
        .unwrap();
    while !exists(&running) {
        client.ok("core.ping", json!([])).await;
    }
    assert!(client.events.is_empty());
}
