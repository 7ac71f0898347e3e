//! Changes against the simulator, with the rules of real servers of every line.

use serde_json::{Map, Value, json};
use std::time::SystemTime;

use tnvm::truenas::{
    Allowed, CallError, Client, ConnectOptions, Credentials, DeviceChange, Endpoint, VolumeSpec,
};
use tnvm_simulator::{Effect, Fault, Options, Running, Simulator, WorldBuilder};

const VERSIONS: [&str; 5] = ["24.10", "25.04.2", "25.10", "26", "27"];

async fn start(version: &str, faults: Vec<Fault>) -> (Running, Client) {
    let world = WorldBuilder::example(version.parse().unwrap()).build();
    let options = Options {
        faults,
        ..Options::with_world(world)
    };
    let simulator = Simulator::start(options).await.unwrap();
    let credentials = Credentials::ApiKey {
        username: "truenas_admin".into(),
        key: simulator.api_key().into(),
    };
    let endpoint = Endpoint::parse(&simulator.url()).unwrap();
    let options = ConnectOptions {
        allowed: Allowed::everything(),
        ..ConnectOptions::default()
    };
    let client = Client::connect(&endpoint, &credentials, &options)
        .await
        .unwrap();
    (simulator, client)
}

fn map(value: Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

fn zvol() -> VolumeSpec {
    VolumeSpec {
        dataset: "tank/web-disk0".into(),
        size: 1 << 30,
        sparse: true,
        block_size: None,
        user_properties: vec![("tnvm:owner".into(), "me".into())],
    }
}

#[tokio::test]
async fn a_vm_its_devices_and_its_zvols_are_changed_in_place() {
    for version in VERSIONS {
        let (simulator, client) = start(version, vec![]).await;
        let fields = map(json!({"name": "web", "memory": 512, "vcpus": 2}));
        let vm = client.create_vm(fields).await.unwrap().id;
        client
            .update_vm(vm, map(json!({"memory": 1024})))
            .await
            .unwrap();
        let whole = map(
            json!({"dtype": "NIC", "type": "VIRTIO", "nic_attach": "br68",
            "mac": "00:a0:98:00:00:01"}),
        );
        let nic = client.create_device(vm, whole.clone(), 1).await.unwrap().id;
        let changed = map(json!({"nic_attach": "br110"}));
        let mut whole = whole;
        whole.extend(changed.clone());
        let change = DeviceChange {
            changed,
            whole,
            order: Some(7),
        };
        client.update_device(nic, change).await.unwrap();

        let seen = client.vm_opt(vm).await.unwrap().unwrap();
        let field = |key: &str| seen.fields.get(key).cloned();
        assert_eq!(
            (field("memory"), field("vcpus")),
            (Some(json!(1024)), Some(json!(2))),
            "{version}"
        );
        let attribute = |key: &str| seen.devices[0].attributes.get(key).cloned();
        assert_eq!(attribute("nic_attach"), Some(json!("br110")), "{version}");
        assert_eq!(attribute("type"), Some(json!("VIRTIO")), "{version}");
        assert_eq!(seen.devices[0].order, Some(7), "{version}");

        client.create_volume(&zvol()).await.unwrap();
        client.grow_volume("tank/web-disk0", 2 << 30).await.unwrap();
        let error = client.grow_volume("tank/web-disk0", 1 << 30).await;
        assert!(matches!(error, Err(CallError::Refused(_))), "{error:?}");
        let properties = [
            ("tnvm:owner".to_owned(), None),
            ("tnvm:lock".to_owned(), Some("x".to_owned())),
        ];
        client
            .set_user_properties("tank/web-disk0", &properties)
            .await
            .unwrap();
        let seen = client.dataset_opt("tank/web-disk0").await.unwrap().unwrap();
        assert_eq!(seen.volsize, Some(2 << 30), "{version}");
        let properties: Vec<_> = seen.user_properties.into_iter().collect();
        assert_eq!(properties, [("tnvm:lock".to_owned(), "x".to_owned())]);
        simulator.change(|world| world.take_snapshot("tank/web-disk0", "daily"));
        let snapshots = client.snapshots_of("tank/web-disk0").await.unwrap();
        assert_eq!(snapshots, ["tank/web-disk0@daily"], "{version}");
        client.delete_snapshot(&snapshots[0]).await.unwrap();
        client.delete_dataset("tank/web-disk0").await.unwrap();
        assert_eq!(client.dataset_opt("tank/web-disk0").await.unwrap(), None);
    }
}

#[tokio::test]
async fn the_machine_and_its_clock_are_known() {
    for version in VERSIONS {
        let (_simulator, client) = start(version, vec![]).await;
        assert!(client.server().host_id.is_some(), "{version}");
        // It runs on this machine.
        let now = SystemTime::now();
        let there = client.server_time();
        let off = now
            .duration_since(there)
            .or_else(|_| there.duration_since(now))
            .unwrap();
        assert!(off.as_secs() < 60, "{version}: {off:?}");
    }
}

#[tokio::test]
async fn a_change_whose_answer_was_lost_is_done_once_and_can_be_looked_for() {
    let fault = Fault::on("pool.dataset.create", Effect::DropAfterCommit).every();
    let (simulator, client) = start("26", vec![fault]).await;
    let error = client.create_volume(&zvol()).await.expect_err("cut");
    assert!(error.may_have_run() && !error.is_final_loss(), "{error:?}");
    assert!(
        client
            .dataset_opt("tank/web-disk0")
            .await
            .unwrap()
            .is_some()
    );
    assert_eq!(simulator.journal().count("pool.dataset.create"), 1);
    assert_eq!(simulator.journal().logins(), 2);
    client.logout().await;
}
