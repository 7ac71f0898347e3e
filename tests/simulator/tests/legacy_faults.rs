//! Logins and faults over the legacy protocol of 24.10: the same scripts, other frames.

#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

mod common;

use std::time::Duration;

use common::legacy::{Legacy, close_of};
use common::start;
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tnvm_simulator::{Effect, Fault, Noise, Running, TwoFactor, WorldBuilder};
use tokio_tungstenite::tungstenite::Message;

const ZVOL: &str = "tank/vms/z";

fn old() -> WorldBuilder {
    WorldBuilder::example("24.10".parse().unwrap())
}

fn zvol() -> Value {
    json!([{"name": ZVOL, "type": "VOLUME", "volsize": 16384}])
}

async fn struck_by(effect: Effect) -> (Running, Legacy) {
    let running = start(old()).await;
    let client = Legacy::logged_in(&running).await;
    running.inject(Fault::on("pool.dataset.create", effect));
    (running, client)
}

async fn create(client: &mut Legacy) {
    let call =
        json!({"msg": "method", "id": "z", "method": "pool.dataset.create", "params": zvol()});
    client.send(call).await;
}

fn exists(running: &Running) -> bool {
    running.change(|world| world.datasets.contains_key(ZVOL))
}

#[tokio::test]
async fn the_code_comes_with_the_password() {
    let running = start(old().two_factor("truenas_admin", TwoFactor::with_code("424242"))).await;
    let mut client = Legacy::greeted(&running).await;
    for (name, password, wanted) in [
        ("truenas_admin", "secret", true),
        ("truenas_admin", "wrong", false),
        ("viewer", "secret", false),
    ] {
        let asked = client
            .ok("auth.two_factor_auth", json!([name, password]))
            .await;
        assert_eq!(asked, wanted, "{name} {password}");
    }
    for (params, expected) in [
        (json!(["truenas_admin", "secret"]), false),
        (json!(["truenas_admin", "secret", "000000"]), false),
        (json!(["truenas_admin", "secret", "424242"]), true),
    ] {
        assert_eq!(client.ok("auth.login", params).await, expected);
    }
    let me = client.ok("auth.me", json!([])).await;
    assert_eq!(me["two_factor_config"]["secret_configured"], true);
}

#[tokio::test]
async fn no_key_is_revoked_however_it_travels() {
    let running = start(old().logins(|logins| logins.trusts_loopback = false)).await;
    for _ in 0..2 {
        Legacy::logged_in(&running).await;
    }
}

#[tokio::test]
async fn refusals_are_written_in_the_protocols_own_way() {
    for (effect, errno, reason) in [
        (Effect::Enospc, 28, "[ENOSPC] No space left on device"),
        (Effect::Ebusy, 16, "[EBUSY] Device or resource busy"),
        (
            Effect::RateLimit { pause_ms: Some(1) },
            16,
            "Rate Limit Exceeded",
        ),
        (
            Effect::ConcurrencyCap,
            109,
            "Maximum number of concurrent calls (20) has exceeded.",
        ),
    ] {
        let (running, mut client) = struck_by(effect).await;
        let error = client.refused("pool.dataset.create", zvol()).await;
        assert_eq!(
            (&error["error"], &error["reason"]),
            (&json!(errno), &json!(reason))
        );
        assert!(!exists(&running));
    }
}

#[tokio::test]
async fn an_answer_may_come_twice_astray_in_pieces_or_after_nonsense() {
    let (_running, mut client) = struck_by(Effect::Duplicate).await;
    create(&mut client).await;
    let (one, other) = (client.next().await.unwrap(), client.next().await.unwrap());
    assert!(one == other && one["msg"] == "result" && one["id"] == "z");

    let (_running, mut client) = struck_by(Effect::WrongId { then_ms: Some(10) }).await;
    create(&mut client).await;
    let astray = client.next().await.unwrap();
    assert!(astray["msg"] == "result" && astray["id"] != "z");
    assert_eq!(client.next().await.unwrap()["id"], "z");

    let (pieces, pause_ms) = (3, 5);
    let (_running, mut client) = struck_by(Effect::Slow { pieces, pause_ms }).await;
    create(&mut client).await;
    assert_eq!(client.next().await.unwrap()["id"], "z");

    let (_running, mut client) = struck_by(Effect::Garbage(Noise::NoObject)).await;
    create(&mut client).await;
    assert!(client.next().await.unwrap().is_array());
    assert_eq!(client.next().await.unwrap()["id"], "z");
}

#[tokio::test]
async fn a_connection_may_end_close_or_fall_silent() {
    for (effect, committed, code) in [
        (Effect::DropBeforeCommit, false, None),
        (Effect::DropAfterCommit, true, None),
        (
            Effect::Close {
                code: 1011,
                reason: "because".into(),
                after_commit: true,
            },
            true,
            Some(1011),
        ),
        (
            Effect::Restart {
                down_ms: 0,
                after_commit: false,
                bad_gateway: false,
                reboot: false,
            },
            false,
            None,
        ),
    ] {
        let (running, mut client) = struck_by(effect.clone()).await;
        create(&mut client).await;
        assert_eq!(close_of(&mut client).await, code, "{effect:?}");
        assert_eq!(exists(&running), committed, "{effect:?}");
    }

    let (running, mut client) = struck_by(Effect::HalfOpen { after_commit: true }).await;
    create(&mut client).await;
    while !exists(&running) {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let mut other = Legacy::logged_in(&running).await;
    client.send(json!({"msg": "ping", "id": "p"})).await;
    client
        .socket
        .send(Message::Ping("hello".into()))
        .await
        .unwrap();
    other.ok("core.ping", json!([])).await;
    tokio::time::pause();
    let heard = tokio::time::timeout(Duration::from_secs(60), client.socket.next()).await;
    assert!(heard.is_err(), "{heard:?}");
}
