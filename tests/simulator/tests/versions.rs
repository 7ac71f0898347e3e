//! What each release line does differently, over a real socket.

mod common;

use common::legacy::Legacy;
use common::{Client, http, start, world_of};
use serde_json::{Value, json};
use tnvm_simulator::Running;

/// A simulator of a version and a connection on which the administrator is logged in.
async fn started(version: &str) -> (Running, Client) {
    let running = start(world_of(version)).await;
    let mut client = Client::connect(&running).await;
    client.log_in(&running).await;
    (running, client)
}

#[tokio::test]
async fn before_25_04_2_there_are_no_vms_and_everything_else() {
    for version in ["25.04.0", "25.04.1"] {
        let (running, mut client) = started(version).await;
        for method in [
            "vm.query",
            "vm.create",
            "vm.virtualization_details",
            "vm.device.query",
        ] {
            assert_eq!(
                client.refused(method, json!([])).await,
                (-32601, None),
                "{version}: {method}"
            );
        }
        assert_eq!(
            client.ok("system.version", json!([])).await,
            format!("TrueNAS-{version}")
        );
        client.ok("pool.dataset.query", json!([])).await;
        let mut legacy = Legacy::logged_in(&running).await;
        let error = legacy.refused("vm.query", json!([])).await;
        assert_eq!(error["error"], 201, "{version}");
    }
}

#[tokio::test]
async fn on_25_04_2_jobs_and_options_are_older_than_the_protocol() {
    let running = start(world_of("25.04.2")).await;
    let mut client = Client::connect(&running).await;
    assert_eq!(
        client.refused("core.ping", json!([])).await,
        (-32001, Some(207))
    );
    client.log_in(&running).await;
    let options = json!([{"legacy_jobs": false}]);
    assert_eq!(client.ok("core.set_options", options).await, Value::Null);
    client.ok("core.subscribe", json!(["core.get_jobs"])).await;
    let vm = client
        .ok("vm.create", json!([{"name": "a", "memory": 512}]))
        .await["id"]
        .clone();
    client.ok("vm.start", json!([vm])).await;
    let job = client.ok("vm.stop", json!([vm])).await.as_i64().unwrap();
    let ended = client.job_ended(job).await;
    assert!(ended.get("message_ids").is_none(), "{ended}");
    let vnc = json!([{"vm": vm, "attributes": {"dtype": "DISPLAY", "type": "VNC", "password": "p", "web": false}}]);
    assert_eq!(
        client.refused("vm.device.create", vnc).await,
        (-32602, Some(22))
    );
    // The root dataset of a pool is good enough for an ISO.
    let iso = json!([{"vm": vm, "attributes": {"dtype": "CDROM", "path": "/mnt/storage/metal-amd64.iso"}}]);
    client.ok("vm.device.create", iso).await;
}

#[tokio::test]
async fn the_root_dataset_is_no_place_for_an_iso_from_25_10_1_on() {
    for (version, fits) in [
        ("25.10.0", true),
        ("25.10.1", false),
        ("26", false),
        ("27", false),
    ] {
        let (_running, mut client) = started(version).await;
        client
            .ok("vm.create", json!([{"name": "a", "memory": 512}]))
            .await;
        let iso = json!([{"vm": 1, "attributes": {"dtype": "CDROM", "path": "/mnt/storage/metal-amd64.iso"}}]);
        let answer = client.call("vm.device.create", iso).await.unwrap();
        assert_eq!(answer.get("result").is_some(), fits, "{version}: {answer}");
    }
}

#[tokio::test]
async fn the_boot_id_is_told_to_whoever_asks_from_25_10_on() {
    for (version, told) in [("25.04.2", false), ("25.10", true), ("27", true)] {
        let running = start(world_of(version)).await;
        let answer = http(&running, "GET /api/boot_id").await;
        assert_eq!(answer.starts_with("HTTP/1.1 200"), told, "{version}");
    }
}

#[tokio::test]
async fn a_beta_of_26_forgets_the_user_properties_of_a_new_zvol_and_takes_them_afterwards() {
    let (running, mut client) = started("26.0.0-BETA.3").await;
    let zvol = json!([{"name": "tank/vms/z", "type": "VOLUME", "volsize": 1 << 30,
        "user_properties": [{"key": "a:b", "value": "c"}]}]);
    client.ok("pool.dataset.create", zvol).await;
    let mark = |running: &Running| {
        running.view().zvols["tank/vms/z"]
            .user_properties
            .get("a:b")
            .cloned()
    };
    assert_eq!(mark(&running), None);
    let set = json!(["tank/vms/z", {"user_properties_update": [{"key": "a:b", "value": "c"}]}]);
    client.ok("pool.dataset.update", set).await;
    assert_eq!(mark(&running).as_deref(), Some("c"));
}

#[tokio::test]
async fn the_development_line_has_what_the_others_have_not() {
    let running = start(world_of("27")).await;
    let mut client = Client::connect(&running).await;
    let login = json!(["truenas_admin", "secret"]);
    assert_eq!(client.ok("auth.login", login).await, true);
    let vm = client
        .ok("vm.create", json!([{"name": "a", "memory": 512}]))
        .await["id"]
        .clone();
    assert_eq!(
        client.refused("vm.reset", json!([vm])).await,
        (-32001, Some(22))
    );
    let nic = json!([{"vm": vm, "attributes": {"dtype": "NIC", "nic_attach": "br68", "pci_address": {"bus": 1, "slot": 2}}}]);
    let nic = client.ok("vm.device.create", nic).await;
    assert_eq!(
        nic["attributes"]["pci_address"],
        json!({"bus": 1, "slot": 2, "function": 0, "domain": 0})
    );
    let iscsi = json!([{"vm": vm, "attributes": {"dtype": "ISCSI_DISK", "portal_address": "10.0.0.1",
        "targets": [{"iqn": "iqn.2026-01.x:t"}], "initiator_iqn": "iqn.2026-01.x:i"}}]);
    let iscsi = client.ok("vm.device.create", iscsi).await;
    assert_eq!(iscsi["attributes"]["targets"][0]["luns"], json!([0]));
    client.ok("vm.start", json!([vm])).await;
    client.ok("vm.reset", json!([vm])).await;
    let choices = client.ok("vm.cpu_model_choices", json!(["aarch64"])).await;
    assert!(choices.get("cortex-a72").is_some());
}

#[tokio::test]
async fn older_paths_keep_their_shapes_and_lack_what_was_renamed() {
    let running = start(world_of("27")).await;
    let mut client = Client::at(&running, "/api/v25.10.0").await;
    client
        .ok("auth.login", json!(["truenas_admin", "secret"]))
        .await;
    let vm = client
        .ok("vm.create", json!([{"name": "a", "memory": 512}]))
        .await;
    assert_eq!(vm["suspend_on_snapshot"], false);
    let nic = json!([{"vm": vm["id"], "attributes": {"dtype": "NIC", "nic_attach": "br68"}}]);
    let nic = client.ok("vm.device.create", nic).await;
    assert!(nic["attributes"].get("pci_address").is_none());
    assert_eq!(
        client.ok("vm.device.nic_attach_choices", json!([])).await,
        json!({})
    );
    assert_eq!(client.ok("vm.delete", json!([vm["id"]])).await, true);

    let running = start(world_of("25.10")).await;
    let mut client = Client::at(&running, "/api/v25.04.2").await;
    client
        .ok("auth.login", json!(["truenas_admin", "secret"]))
        .await;
    client
        .ok("vm.create", json!([{"name": "a", "memory": 512}]))
        .await;
    for method in ["vm.device.nic_attach_choices", "pool.dataset.query"] {
        assert_eq!(
            client.refused(method, json!([])).await,
            (-32001, Some(201)),
            "{method}"
        );
    }
    let mut client = Client::at(&running, "/api/v25.04.1").await;
    client
        .ok("auth.login", json!(["truenas_admin", "secret"]))
        .await;
    assert_eq!(
        client.refused("vm.create", json!([])).await,
        (-32001, Some(201))
    );
}

#[tokio::test]
async fn the_same_vm_comes_out_of_every_line() {
    let nic = json!({"type": "VIRTIO", "nic_attach": "br68", "mac": "00:a0:98:00:00:01"});
    let disk = json!({"type": "VIRTIO", "path": "/dev/zvol/tank/vms/z"});
    let mut seen = Vec::new();
    for version in ["24.10", "25.04.2", "25.10", "26", "27"] {
        let running = start(world_of(version).zvol("tank/vms/z", 1, &[])).await;
        let mut legacy = Legacy::logged_in(&running).await;
        legacy
            .ok(
                "vm.create",
                json!([{"name": "a", "memory": 512, "cores": 2}]),
            )
            .await;
        for (dtype, attributes) in [("NIC", &nic), ("DISK", &disk)] {
            let mut device = json!({"vm": 1, "attributes": attributes, "order": 1});
            if version == "24.10" {
                device["dtype"] = json!(dtype);
            } else {
                device["attributes"]["dtype"] = json!(dtype);
            }
            legacy.ok("vm.device.create", json!([device])).await;
        }
        legacy.ok("vm.start", json!([1])).await;
        let vm = &running.view().vms["a"];
        let devices: Vec<Value> = vm
            .devices
            .iter()
            .map(|device| {
                let attributes = &device.attributes;
                json!([
                    device.order,
                    attributes["dtype"],
                    attributes["type"],
                    attributes["path"],
                    attributes["nic_attach"],
                    attributes["mac"]
                ])
            })
            .collect();
        seen.push((
            version,
            json!([vm.config["cores"], vm.config["memory"], vm.running, devices]),
        ));
    }
    for (version, state) in &seen {
        assert_eq!(state, &seen[0].1, "{version}");
    }
}
