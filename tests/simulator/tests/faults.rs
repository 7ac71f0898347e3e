//! Calls that are held, committed late or lost in a restart, over a real socket.

mod common;

use std::time::Duration;

use common::{Client, start, started, world};
use serde_json::json;
use tnvm_simulator::{Effect, Fault, Running};

const FILESYSTEM: &str = "tank/fresh";

async fn until(what: &str, holds: impl Fn() -> bool) {
    for _ in 0..2000 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    unreachable!("never came: {what}");
}

fn is_there(running: &Running) -> bool {
    running
        .view()
        .filesystems
        .iter()
        .any(|name| name == FILESYSTEM)
}

#[tokio::test]
async fn a_held_call_stands_before_or_after_its_commit_until_it_is_released() {
    for (effect, committed) in [
        (Effect::HoldBeforeCommit, false),
        (Effect::HoldAfterCommit, true),
    ] {
        let (running, mut client) = started().await;
        running.inject(Fault::on("pool.dataset.create", effect));
        let id = client
            .send("pool.dataset.create", json!([{"name": FILESYSTEM}]))
            .await;
        until("held", || running.journal().held_call().is_some()).await;
        assert_eq!(is_there(&running), committed);
        assert_eq!(client.ok("core.ping", json!([])).await, "pong");
        running.release_held();
        assert_eq!(client.next().await.unwrap()["id"], id);
        assert!(is_there(&running) && running.journal().held_call().is_none());
    }
}

#[tokio::test]
async fn a_call_that_was_held_commits_after_its_caller_is_gone() {
    let (running, mut client) = started().await;
    running.inject(Fault::on("pool.dataset.create", Effect::HoldBeforeCommit));
    client
        .send("pool.dataset.create", json!([{"name": FILESYSTEM}]))
        .await;
    until("held", || running.journal().held_call().is_some()).await;
    drop(client);
    running.release_held();
    until("committed", || is_there(&running)).await;
}

#[tokio::test]
async fn a_star_counts_every_call_the_login_included() {
    let running = start(world()).await;
    running.inject(Fault::on("*", Effect::HoldBeforeCommit).nth(3));
    let mut client = Client::connect(&running).await;
    client.log_in(&running).await;
    client.ok("system.info", json!([])).await;
    client.send("system.version", json!([])).await;
    until("held", || running.journal().held_call().is_some()).await;
    assert_eq!(
        running.journal().held_call().unwrap().method,
        "system.version"
    );
}

#[tokio::test]
async fn a_late_commit_comes_after_the_connection_is_gone() {
    let (running, mut client) = started().await;
    running.inject(Fault::on(
        "pool.dataset.create",
        Effect::CommitLate { ms: 30 },
    ));
    let lost = client
        .call("pool.dataset.create", json!([{"name": FILESYSTEM}]))
        .await;
    assert!(lost.is_none() && !is_there(&running));
    until("committed", || is_there(&running)).await;
    let succeeded = || running.journal().calls().last().unwrap().succeeded == Some(true);
    until("journal", succeeded).await;
}

#[tokio::test]
async fn a_restart_loses_what_only_lived_in_memory_and_keeps_the_world() {
    let (running, mut client) = started().await;
    client
        .ok("vm.create", json!([{"name": "a", "memory": 512}]))
        .await;
    client.ok("vm.start", json!([1])).await;
    assert_eq!(client.ok("vm.stop", json!([1, {"force": true}])).await, 1);
    until("off", || !running.view().vms["a"].running).await;
    client.ok("vm.start", json!([1])).await;
    let token = client.ok("auth.generate_token", json!([])).await;
    let boot = client.ok("system.boot_id", json!([])).await;
    running.inject(Fault::on("pool.dataset.create", Effect::HoldBeforeCommit));
    client
        .send("pool.dataset.create", json!([{"name": FILESYSTEM}]))
        .await;
    until("held", || running.journal().held_call().is_some()).await;
    running.restart(Duration::from_millis(1)).await;
    while client.next().await.is_some() {}

    let mut client = Client::connect(&running).await;
    let login = json!([{"mechanism": "TOKEN_PLAIN", "token": token}]);
    assert_ne!(
        client.ok("auth.login_ex", login).await["response_type"],
        "SUCCESS"
    );
    client.log_in(&running).await;
    assert!(running.view().vms["a"].running);
    assert!(!is_there(&running));
    assert_eq!(client.ok("system.boot_id", json!([])).await, boot);
    assert_eq!(client.ok("vm.stop", json!([1, {"force": true}])).await, 1);
}

#[tokio::test]
async fn nobody_is_let_in_during_a_restart() {
    let running = start(world()).await;
    let down = running.restart(Duration::from_millis(200));
    let look = async {
        tokio::time::sleep(Duration::from_millis(20)).await;
        let stream = tokio::net::TcpStream::connect(running.address())
            .await
            .unwrap();
        let url = format!("ws://{}/api/current", running.address());
        assert!(tokio_tungstenite::client_async(url, stream).await.is_err());
    };
    tokio::join!(down, look);
    let mut client = Client::connect(&running).await;
    client.log_in(&running).await;
}

#[tokio::test]
async fn a_reboot_ends_every_vm_and_starts_those_with_autostart() {
    let (running, mut client) = started().await;
    for (id, name, autostart) in [(1, "a", true), (2, "b", false)] {
        let row = json!([{"name": name, "memory": 512, "autostart": autostart}]);
        client.ok("vm.create", row).await;
        client.ok("vm.start", json!([id])).await;
    }
    let boot = client.ok("system.boot_id", json!([])).await;
    running.reboot(Duration::ZERO).await;
    let view = running.view();
    assert!(view.vms["a"].running && !view.vms["b"].running);
    let mut client = Client::connect(&running).await;
    assert_ne!(client.ok("system.boot_id", json!([])).await, boot);
}
