//! A server with many VMs and zvols of others: everything is read, in few calls. `cargo xtask bench
//! look` measures five times as many.

use serde_json::json;
use tnvm::execute::{ObserveRequest, observe};
use tnvm_simulator::{Options, Simulator, WorldBuilder};

use super::simulated::client_of;

const VMS: usize = 600;

/// Foreign VMs with a zvol and a NIC each.
fn world(version: &str) -> WorldBuilder {
    (0..VMS).fold(
        WorldBuilder::example(version.parse().unwrap()),
        |world, nth| {
            let zvol = format!("tank/kubernetes/foreign{nth:04}");
            let disk = json!({"dtype": "DISK", "path": format!("/dev/zvol/{zvol}")});
            let nic = json!({"dtype": "NIC", "type": "VIRTIO", "nic_attach": "br0",
            "mac": format!("00:a0:98:01:{:02x}:{:02x}", nth / 256, nth % 256)});
            world
                .zvol(&zvol, 1, &[("other:owner", "somebody")])
                .vm(&format!("foreign{nth:04}"), 256, &[disk, nic])
                .unwrap()
        },
    )
}

#[tokio::test]
async fn many_foreign_vms_and_zvols_are_read_in_few_calls() {
    let world = world("25.10").build();
    let simulator = Simulator::start(Options::with_world(world)).await.unwrap();
    let client = client_of(&simulator).await;
    let before = client.stats();
    let request = ObserveRequest {
        all_volumes: true,
        dataset_prefixes: vec!["tank/kubernetes".into()],
        want_choices: true,
        ..ObserveRequest::default()
    };
    let observed = observe(&client, &request).await.unwrap();
    let mut names: Vec<&str> = observed.vms.iter().map(|vm| vm.name.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), VMS);
    assert!(observed.vms.iter().all(|vm| vm.devices.len() == 2));
    assert!(observed.datasets.len() > VMS);
    let stats = client.stats();
    let calls = stats.reads - before.reads;
    assert_eq!(calls, 6, "VMs, datasets, zvols, choices");
    let bytes = stats.bytes_received - before.bytes_received;
    assert!(bytes < 16 << 20, "{bytes}");
}
