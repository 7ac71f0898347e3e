//! Jobs, events, faults and connections that are cut, over a real socket.

mod common;

use std::time::Duration;

use common::{Client, start, started, world};
use serde_json::json;
use tnvm_simulator::{Effect, Fault, Pace};

#[tokio::test]
async fn a_stop_is_a_job_whose_end_subscribers_hear() {
    let (_running, mut client) = started().await;
    client.ok("core.subscribe", json!(["core.get_jobs"])).await;
    client.ok("core.subscribe", json!(["vm.query"])).await;
    let vm = client
        .ok("vm.create", json!([{"name": "a", "memory": 512}]))
        .await["id"]
        .clone();
    client.ok("vm.start", json!([vm])).await;
    let job = client.ok("vm.stop", json!([vm])).await.as_i64().unwrap();
    assert_eq!(client.job_ended(job).await["state"], "SUCCESS");
    assert_eq!(
        client.ok("vm.status", json!([vm])).await["state"],
        "STOPPED"
    );
    let states: Vec<&str> = client
        .events
        .iter()
        .filter(|event| event["params"]["collection"] == "vm.query")
        .filter_map(|event| event["params"]["extra"]["state"].as_str())
        .collect();
    // Recorded on 25.10.7: a start undefines, defines and starts the domain; a guest that obeys
    // shuts down before it is off.
    assert_eq!(
        states,
        [
            "NOSTATE", "RUNNING", "NOSTATE", "BLOCKED", "CRASHED", "SHUTOFF"
        ]
    );
}

#[tokio::test]
async fn a_job_that_fails_tells_why_in_its_row() {
    let (_running, mut client) = started().await;
    client.ok("core.subscribe", json!(["core.get_jobs"])).await;
    let vm = client
        .ok("vm.create", json!([{"name": "a", "memory": 512}]))
        .await["id"]
        .clone();
    let job = client.ok("vm.stop", json!([vm])).await.as_i64().unwrap();
    let row = client.job_ended(job).await;
    assert_eq!(
        (&row["state"], &row["exc_info"]["errno"]),
        (&json!("FAILED"), &json!(14))
    );
    let found = client
        .ok("core.get_jobs", json!([[["id", "=", job]], {"get": true}]))
        .await;
    assert_eq!(found["error"], row["error"]);
}

#[tokio::test]
async fn without_legacy_jobs_the_answer_is_withheld_until_the_end() {
    let (_running, mut client) = started().await;
    client
        .ok("core.set_options", json!([{"legacy_jobs": false}]))
        .await;
    let vm = client
        .ok("vm.create", json!([{"name": "a", "memory": 512}]))
        .await["id"]
        .clone();
    assert_eq!(
        client.refused("vm.stop", json!([vm])).await,
        (-32001, Some(14))
    );
    client.ok("vm.start", json!([vm])).await;
    assert!(client.ok("vm.stop", json!([vm])).await.is_null());
    assert_eq!(
        client.ok("vm.status", json!([vm])).await["state"],
        "STOPPED"
    );
}

#[tokio::test]
async fn a_guest_that_ignores_acpi_takes_its_whole_timeout() {
    let quick = Pace {
        second: Duration::from_millis(2),
        ..Pace::default()
    };
    let running = start(
        world()
            .with(|world| world.pace = quick)
            .vm("deaf", 512, &[])
            .unwrap(),
    )
    .await;
    running.change(|world| world.vms.values_mut().for_each(|vm| vm.ignores_acpi = true));
    let mut client = Client::connect(&running).await;
    client.log_in(&running).await;
    client.ok("core.subscribe", json!(["core.get_jobs"])).await;
    client.ok("vm.start", json!([1])).await;
    let job = client.ok("vm.stop", json!([1])).await.as_i64().unwrap();
    assert_eq!(client.job_ended(job).await["state"], "SUCCESS");
    assert!(running.view().vms["deaf"].running);
}

#[tokio::test]
async fn a_fault_refuses_the_call_it_is_meant_for() {
    let (running, mut client) = started().await;
    running.inject(
        Fault::fail("vm.device.create", 14, "no luck")
            .containing("NIC")
            .nth(2),
    );
    let vm = client
        .ok("vm.create", json!([{"name": "a", "memory": 512}]))
        .await["id"]
        .clone();
    let nic = json!([{"vm": vm, "attributes": {"dtype": "NIC"}}]);
    client.ok("vm.device.create", nic.clone()).await;
    assert_eq!(
        client.refused("vm.device.create", nic.clone()).await,
        (-32001, Some(14))
    );
    client.ok("vm.device.create", nic).await;
    assert_eq!(running.view().vms["a"].devices.len(), 2);
}

#[tokio::test]
async fn a_connection_can_be_cut_before_or_after_the_change() {
    for (effect, made) in [
        (Effect::DropBeforeCommit, false),
        (Effect::DropAfterCommit, true),
    ] {
        let (running, mut client) = started().await;
        running.inject(Fault::on("vm.create", effect));
        assert_eq!(
            client
                .call("vm.create", json!([{"name": "a", "memory": 512}]))
                .await,
            None
        );
        assert_eq!(running.view().vms.contains_key("a"), made);
        let mut again = Client::connect(&running).await;
        again.log_in(&running).await;
        assert_eq!(
            again.ok("vm.query", json!([[], {"count": true}])).await,
            i32::from(made)
        );
    }
}

#[tokio::test]
async fn success_can_be_pretended() {
    let (running, mut client) = started().await;
    let vm = client
        .ok("vm.create", json!([{"name": "a", "memory": 512}]))
        .await["id"]
        .clone();
    running.inject(Fault::on(
        "vm.delete",
        Effect::Pretend {
            result: json!(true),
        },
    ));
    assert_eq!(client.ok("vm.delete", json!([vm])).await, true);
    assert_eq!(running.view().vm_names(), ["a"]);
    assert_eq!(running.journal().mutating(), ["vm.create", "vm.delete"]);
}

#[tokio::test]
async fn a_job_outlives_the_connection_that_began_it() {
    let (running, mut client) = started().await;
    let vm = client
        .ok("vm.create", json!([{"name": "a", "memory": 512}]))
        .await["id"]
        .clone();
    client.ok("vm.start", json!([vm])).await;
    client.ok("vm.stop", json!([vm])).await;
    drop(client);
    let mut again = Client::connect(&running).await;
    again.log_in(&running).await;
    let job = again
        .ok(
            "core.get_jobs",
            json!([[["method", "=", "vm.stop"]], {"get": true}]),
        )
        .await;
    again
        .ok("core.set_options", json!([{"legacy_jobs": false}]))
        .await;
    again.ok("core.job_wait", json!([job["id"]])).await;
    assert_eq!(again.ok("vm.status", json!([vm])).await["state"], "STOPPED");
}

#[tokio::test]
async fn stopping_the_simulator_closes_its_connections() {
    let (running, mut client) = started().await;
    running.stop().await;
    assert_eq!(client.next().await, None);
}
