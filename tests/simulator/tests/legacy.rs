//! The legacy protocol at `/websocket`, over a real socket.

mod common;

use common::legacy::{Legacy, close_of};
use common::{http, start, world_of};
use futures_util::SinkExt;
use serde_json::json;
use tokio_tungstenite::tungstenite::Message;

#[tokio::test]
async fn a_24_10_has_nothing_but_the_websocket() {
    let running = start(world_of("24.10")).await;
    for path in [
        "/api/current",
        "/api/versions",
        "/api/v25.04.0",
        "/api/boot_id",
    ] {
        let answer = http(&running, &format!("GET {path}")).await;
        assert!(answer.starts_with("HTTP/1.1 404"), "{path}: {answer}");
    }
    assert!(running.url().ends_with("/websocket"));
}

#[tokio::test]
async fn the_greeting_comes_first_and_names_the_session() {
    let running = start(world_of("24.10")).await;
    let mut client = Legacy::connect(&running).await;
    client
        .send(json!({"msg": "method", "id": "1", "method": "core.ping", "params": []}))
        .await;
    assert_eq!(
        client.next().await.unwrap(),
        json!({"msg": "failed", "version": "1"})
    );
    client.greet().await;
    client.send(json!({"msg": "ping", "id": "p"})).await;
    assert_eq!(
        client.next().await.unwrap(),
        json!({"msg": "pong", "id": "p"})
    );
    // Even a ping method wants a login on 24.10.
    assert_eq!(client.refused("core.ping", json!([])).await["error"], 207);
    assert_eq!(client.refused("no.such", json!([])).await["error"], 201);
}

#[tokio::test]
async fn passwords_keys_and_tokens_log_in() {
    let running = start(world_of("24.10")).await;
    let login = |method: &'static str, params| {
        let running = &running;
        async move {
            let mut client = Legacy::greeted(running).await;
            let accepted = client.ok(method, params).await;
            let works = client
                .call("vm.query", json!([]))
                .await
                .get("result")
                .is_some();
            assert_eq!(accepted, works, "{method}");
            works
        }
    };
    assert!(login("auth.login", json!(["truenas_admin", "secret"])).await);
    assert!(!login("auth.login", json!(["truenas_admin", "wrong"])).await);
    assert!(!login("auth.login", json!(["limited", "secret"])).await);
    assert!(login("auth.login_with_api_key", json!([running.api_key()])).await);
    assert!(!login("auth.login_with_api_key", json!(["garbage"])).await);
    assert!(!login("auth.login_with_token", json!(["nope"])).await);
    let mut client = Legacy::logged_in(&running).await;
    let token = client.ok("auth.generate_token", json!([600])).await;
    assert!(login("auth.login_with_token", json!([token])).await);
    let error = client.refused("auth.login_ex", json!([{}])).await;
    assert_eq!(
        (&error["error"], &error["reason"]),
        (
            &json!(201),
            &json!("[ENOMETHOD] Method 'login_ex' not found in 'auth'")
        )
    );
    let version = client.ok("system.version", json!([])).await;
    assert_eq!(version, "TrueNAS-SCALE-24.10.2.5");
    assert_eq!(
        client
            .ok("auth.check_user", json!(["truenas_admin", "secret"]))
            .await,
        true
    );
}

#[tokio::test]
async fn devices_have_their_type_beside_the_attributes_and_updates_replace_them() {
    let running = start(world_of("24.10")).await;
    let mut client = Legacy::logged_in(&running).await;
    let vm = client
        .ok("vm.create", json!([{"name": "a", "memory": "512"}]))
        .await;
    assert_eq!(vm["bootloader_ovmf"], "OVMF_CODE.fd");
    assert!(vm.get("enable_secure_boot").is_none());
    let id = &vm["id"];
    let nic = client
        .ok(
            "vm.device.create",
            json!([{"vm": id, "dtype": "NIC", "attributes": {"type": "VIRTIO", "nic_attach": "br68"}}]),
        )
        .await;
    assert_eq!(
        nic,
        json!({"id": 1, "dtype": "NIC", "order": 1002, "vm": 1, "attributes":
            {"type": "VIRTIO", "nic_attach": "br68", "trust_guest_rx_filters": false, "mac": null}})
    );
    let changed = client
        .ok(
            "vm.device.update",
            json!([1, {"attributes": {"nic_attach": "br110"}}]),
        )
        .await;
    assert_eq!(changed["attributes"]["type"], "E1000");
    let disk = json!({"type": "VIRTIO", "create_zvol": true, "zvol_name": "tank/vms/d", "zvol_volsize": 1 << 30});
    let disk = client
        .ok(
            "vm.device.create",
            json!([{"vm": id, "dtype": "DISK", "attributes": disk}]),
        )
        .await;
    assert_eq!(
        disk["attributes"],
        json!({"type": "VIRTIO", "logical_sectorsize": null, "physical_sectorsize": null,
            "iotype": "THREADS", "path": "/dev/zvol/tank/vms/d"})
    );
    let found = client
        .ok(
            "vm.device.query",
            json!([[["dtype", "=", "DISK"]], {"select": ["id"]}]),
        )
        .await;
    assert_eq!(found, json!([{"id": 2}]));
    // The type may change, and an update of the order alone keeps the attributes.
    let iso = json!({"path": "/mnt/tank/iso/talos.iso"});
    let cdrom = client
        .ok(
            "vm.device.update",
            json!([1, {"dtype": "CDROM", "attributes": iso}]),
        )
        .await;
    assert_eq!(
        (&cdrom["dtype"], &cdrom["attributes"]),
        (&json!("CDROM"), &iso)
    );
    let moved = client
        .ok("vm.device.update", json!([1, {"order": 5}]))
        .await;
    assert_eq!((&moved["order"], &moved["attributes"]), (&json!(5), &iso));
}

#[tokio::test]
async fn refusals_carry_the_words_of_the_old_schemas() {
    let running = start(world_of("24.10")).await;
    let mut client = Legacy::logged_in(&running).await;
    client
        .ok("vm.create", json!([{"name": "a", "memory": 512}]))
        .await;
    for (method, params, attribute, text) in [
        (
            "vm.create",
            json!([{"name": "b", "memory": 512, "enable_secure_boot": true}]),
            "vm_create.enable_secure_boot",
            "Field was not expected",
        ),
        (
            "vm.create",
            json!([{"name": "b", "memory": 19}]),
            "vm_create.memory",
            "Should be greater than or equal to 20",
        ),
        (
            "vm.create",
            json!([{"name": "", "memory": 512}]),
            "vm_create.name",
            "Only alphanumeric characters are allowed.",
        ),
        (
            "vm.create",
            json!([{"name": "b", "memory": 512, "cpuset": "5-1"}]),
            "vm_create.cpuset",
            "End of range has to greater that start: 5-1",
        ),
        (
            "vm.delete",
            json!([1, {"zvol": true}]),
            "vm_delete.zvol",
            "Field was not expected",
        ),
        (
            "vm.device.create",
            json!([{"vm": 1, "attributes": {}}]),
            "vmdevice_create.dtype",
            "attribute required",
        ),
        (
            "vm.device.create",
            json!([{"vm": 1, "dtype": "DISPLAY", "attributes": {}}]),
            "password",
            "attribute required",
        ),
        (
            "vm.device.create",
            json!([{"vm": 1, "dtype": "DISPLAY", "attributes": {"password": " "}}]),
            "password",
            "Empty value not allowed",
        ),
        (
            "vm.device.create",
            json!([{"vm": 1, "dtype": "NIC", "attributes": {"mac": "00-a0-98-11-22-33"}}]),
            "mac",
            "Please provide a valid MAC address",
        ),
        (
            "vm.device.create",
            json!([{"vm": 1, "dtype": "NIC", "attributes": {"dtype": "NIC"}}]),
            "dtype",
            "Field was not expected",
        ),
        (
            "vm.device.create",
            json!([{"vm": 1, "dtype": "DISK", "attributes": {"path": "/dev/zvol/tank/x", "serial": "S"}}]),
            "serial",
            "Field was not expected",
        ),
        (
            "vm.query",
            json!([["name", "=", "a"]]),
            "query-filters",
            "Item#0 is not valid per list types: [query-filter] Not a list",
        ),
        (
            "vm.query",
            json!([[["name", "==", "a"]]]),
            "query-filters",
            "Invalid operation: ==",
        ),
        (
            "pool.dataset.create",
            json!([{"name": "tank/a@b", "type": "VOLUME", "volsize": 1 << 30}]),
            "pool_dataset_create.name",
            "Invalid dataset name",
        ),
    ] {
        let error = client.refused(method, params).await;
        assert_eq!(error["error"], 11, "{method}: {error}");
        assert_eq!(error["extra"][0], json!([attribute, text, 22]), "{method}");
    }
    let missing = client.refused("vm.get_instance", json!([9])).await;
    assert_eq!(
        (&missing["error"], &missing["type"]),
        (&json!(2), &json!("VALIDATION"))
    );
    let many = client.refused("vm.random_mac", json!([1])).await;
    assert_eq!(
        many["reason"],
        "[EFAULT] Too many arguments (expected 0, found 1)"
    );
    let nothing = client
        .refused(
            "vm.device.create",
            json!([{"vm": 1, "dtype": "DISK", "attributes": {}}]),
        )
        .await;
    assert_eq!(nothing["reason"], "'zvol_name'");
}

#[tokio::test]
async fn subscribers_hear_of_rows_and_jobs_until_they_unsubscribe() {
    let running = start(world_of("24.10")).await;
    let mut client = Legacy::logged_in(&running).await;
    for (id, name) in [("jobs", "core.get_jobs"), ("vms", "vm.query")] {
        client
            .send(json!({"msg": "sub", "id": id, "name": name}))
            .await;
        assert_eq!(
            client.next().await.unwrap(),
            json!({"msg": "ready", "subs": [id]})
        );
    }
    client
        .ok("vm.create", json!([{"name": "a", "memory": 512}]))
        .await;
    assert_eq!(
        client.events[0],
        json!({"msg": "added", "collection": "vm.query", "id": 1})
    );
    assert_eq!(client.events[1]["extra"]["state"], "NOSTATE");
    client.send(json!({"msg": "unsub", "id": "vms"})).await;
    client.events.clear();
    client.ok("vm.start", json!([1])).await;
    assert_eq!(client.events, Vec::<serde_json::Value>::new());
    let job = client.ok("vm.stop", json!([1])).await;
    let ended = loop {
        let event = client.next().await.unwrap();
        if event["fields"]["state"] == "SUCCESS" {
            break event;
        }
    };
    assert_eq!(
        (&ended["id"], &ended["collection"]),
        (&job, &json!("core.get_jobs"))
    );
    assert!(ended["fields"].get("message_ids").is_none());
    assert_eq!(
        ended["fields"]["credentials"]["data"]["api_key"]["id"], 1,
        "{ended}"
    );
}

#[tokio::test]
async fn the_21st_call_in_flight_is_one_reference_too_many() {
    let running = start(world_of("24.10").with(|world| {
        world.pace.start = std::time::Duration::from_millis(300);
    }))
    .await;
    let mut client = Legacy::logged_in(&running).await;
    for number in 0..21 {
        let name = format!("a{number}");
        client
            .ok("vm.create", json!([{"name": name, "memory": 20}]))
            .await;
    }
    for number in 1..=21 {
        client
            .send(json!({"msg": "method", "id": number, "method": "vm.start", "params": [number]}))
            .await;
    }
    let refused = client.next().await.unwrap();
    assert_eq!(
        (
            &refused["id"],
            &refused["error"]["error"],
            &refused["error"]["errname"]
        ),
        (&json!(21), &json!(109), &json!("ETOOMANYREFS"))
    );
}

#[tokio::test]
async fn broken_frames_end_the_connection_with_their_own_codes() {
    let running = start(world_of("24.10")).await;
    for (frame, code) in [
        ("not json".to_owned(), Some(1007)),
        ("{}".to_owned(), Some(1011)),
        (
            r#"{"msg": "sub", "name": "vm.query"}"#.to_owned(),
            Some(1011),
        ),
        ("[]".to_owned(), None),
        ("x".repeat(70_000), Some(1009)),
    ] {
        let mut client = Legacy::logged_in(&running).await;
        client
            .socket
            .send(Message::text(frame.clone()))
            .await
            .unwrap();
        assert_eq!(close_of(&mut client).await, code, "{:.20}", frame);
    }
    let mut client = Legacy::greeted(&running).await;
    client
        .socket
        .send(Message::text("x".repeat(9_000)))
        .await
        .unwrap();
    assert_eq!(close_of(&mut client).await, Some(1007));
}

#[tokio::test]
async fn logins_are_throttled_for_the_logged_in_too() {
    let running = start(world_of("24.10")).await;
    let mut client = Legacy::logged_in(&running).await;
    for _ in 0..20 {
        client
            .ok("auth.login", json!(["truenas_admin", "secret"]))
            .await;
    }
    // The clock jumps over the pause of up to ten seconds.
    tokio::time::pause();
    let error = client
        .refused("auth.login", json!(["truenas_admin", "secret"]))
        .await;
    assert_eq!(
        (&error["error"], &error["reason"]),
        (&json!(16), &json!("Rate Limit Exceeded"))
    );
}

#[tokio::test]
async fn later_servers_speak_it_in_their_newest_shape_and_drop_the_ping() {
    let running = start(world_of("25.10")).await;
    let mut client = Legacy::greeted(&running).await;
    client.send(json!({"msg": "ping", "id": "p"})).await;
    assert_eq!(client.ok("core.ping", json!([])).await, "pong");
    client
        .ok("auth.login_with_api_key", json!([running.api_key()]))
        .await;
    client
        .ok("vm.create", json!([{"name": "a", "memory": 512}]))
        .await;
    let nic = client
        .ok(
            "vm.device.create",
            json!([{"vm": 1, "attributes": {"dtype": "NIC", "nic_attach": "br68"}}]),
        )
        .await;
    assert_eq!(nic["attributes"]["dtype"], "NIC");
    let error = client.refused("vm.create", json!([{"name": "b"}])).await;
    assert_eq!(
        (&error["error"], &error["extra"]),
        (
            &json!(11),
            &json!([["vm_create.memory", "Field required", 22]])
        )
    );
}
