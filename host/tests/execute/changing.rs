//! Changing VMs that are there: what is sent, and what is set back.

use serde_json::{Value, json};
use tnvm::execute::Outcome;
use tnvm::plan::Step;
use tnvm::truenas::Client;
use tnvm_simulator::{Fault, Running};

use super::plans::{PASSWORD, changing, create_volume, device, display, map, outcomes, run, zvol};
use super::simulated::{complete, real, start};

const GIB: u64 = 1 << 30;

/// A server with these VMs, running.
pub(crate) async fn running(version: &str, names: &[&str]) -> (Running, Client) {
    let (simulator, client) = start(version, vec![]).await;
    let report = run(&client, &real(names)).await;
    assert!(report.is_success(), "{report:?}");
    (simulator, client)
}

pub(crate) fn id(simulator: &Running, vm: &str) -> u64 {
    u64::try_from(simulator.view().vms[vm].id).unwrap()
}

pub(crate) fn device_id(simulator: &Running, vm: &str, dtype: &str) -> u64 {
    let view = simulator.view();
    let mut devices = view.vms[vm].devices.iter();
    let found = devices.find(|device| device.attributes["dtype"] == dtype);
    u64::try_from(found.unwrap().id).unwrap()
}

pub(crate) fn more_memory() -> Step {
    Step::UpdateVm {
        fields: map(json!({"memory": 2048})),
        before: map(json!({"memory": 1024})),
    }
}

pub(crate) fn grow(vm: &str, to: u64) -> Step {
    Step::GrowVolume {
        dataset: zvol(vm),
        size: to,
        before: GIB,
        device: "disk.system".into(),
    }
}

pub(crate) fn other_nic(id: u64) -> Step {
    let mut nic = device("nic.system", "NIC", 3001);
    complete(&mut nic, "web01", 0);
    nic.attributes.insert("type".into(), json!("E1000"));
    Step::UpdateDevice {
        id,
        device: nic,
        changed: vec!["type".into()],
        before: map(json!({"type": "VIRTIO"})),
        order_before: None,
    }
}

pub(crate) fn no_display(simulator: &Running, vm: &str) -> Step {
    Step::DeleteDevice {
        id: device_id(simulator, vm, "DISPLAY"),
        name: "display.spice".into(),
    }
}

/// Parameters of all calls of a method, in the order of their arrival.
fn sent(simulator: &Running, method: &str) -> Vec<Value> {
    let journal = simulator.journal();
    let calls = journal.calls().iter();
    let calls = calls.filter(|call| call.method == method);
    calls.map(|call| json!(call.params)).collect()
}

#[tokio::test]
async fn a_vm_is_changed_in_place_and_only_what_changes_is_sent() {
    for version in ["25.10", "26"] {
        let (simulator, client) = running(version, &["web01"]).await;
        let (vm, nic) = (
            id(&simulator, "web01"),
            device_id(&simulator, "web01", "NIC"),
        );
        let steps = vec![
            more_memory(),
            grow("web01", 2 * GIB),
            other_nic(nic),
            Step::StopVm,
            no_display(&simulator, "web01"),
            Step::StartVm,
        ];
        let report = run(&client, &changing(vec![("web01", vm, steps)])).await;
        assert_eq!(outcomes(&report), [Outcome::Restarted], "{report:?}");
        assert_eq!(
            sent(&simulator, "vm.update"),
            [json!([vm, {"memory": 2048}])]
        );
        assert_eq!(
            sent(&simulator, "vm.device.update"),
            [json!([nic, {"attributes": {"type": "E1000"}}])]
        );
        assert_eq!(
            sent(&simulator, "pool.dataset.update"),
            [json!([zvol("web01"), {"volsize": 2 * GIB}])]
        );
        let view = simulator.view();
        let web01 = &view.vms["web01"];
        assert!(web01.running && web01.config["memory"] == 2048);
        assert_eq!(web01.devices.len(), 2);
        assert_eq!(view.zvols[&zvol("web01")].volsize, 2 * GIB);
    }
}

#[tokio::test]
async fn a_change_that_needs_no_restart_leaves_the_vm_running() {
    let (simulator, client) = running("25.10", &["web01"]).await;
    let vm = id(&simulator, "web01");
    let plan = changing(vec![("web01", vm, vec![more_memory()])]);
    assert_eq!(outcomes(&run(&client, &plan).await), [Outcome::Updated]);
    assert_eq!(simulator.journal().count("vm.stop"), 0);
}

#[tokio::test]
async fn a_vm_that_fails_midway_is_as_it_was_before() {
    for version in ["25.10", "26"] {
        let (simulator, client) = running(version, &["web01"]).await;
        let before = simulator.view();
        let nic = device_id(&simulator, "web01", "NIC");
        let mut second = device("nic.second", "NIC", 3002);
        second
            .attributes
            .extend(map(json!({"type": "VIRTIO", "nic_attach": "br68",
            "mac": "00:a0:98:00:01:00"})));
        let mut data = create_volume("web01");
        if let Step::CreateVolume { volume, .. } = &mut data {
            volume.dataset = "tank/web01-data".into();
        }
        let steps = vec![
            more_memory(),
            other_nic(nic),
            Step::StopVm,
            data,
            Step::CreateDevice { device: second },
            Step::StartVm,
        ];
        simulator.inject(Fault::fail("vm.start", 14, "no luck"));
        let plan = changing(vec![("web01", id(&simulator, "web01"), steps)]);
        let report = run(&client, &plan).await;
        assert_eq!(outcomes(&report), [Outcome::RolledBack], "{report:?}");
        assert_eq!(
            report.vms[0].rolled_back,
            [
                "device nic.second",
                "zvol tank/web01-data",
                "change of device nic.system",
                "change of memory",
                "stop of web01",
            ]
        );
        assert_eq!(simulator.view(), before);
    }
}

#[tokio::test]
async fn what_cannot_be_undone_is_told() {
    let (simulator, client) = running("25.10", &["web01"]).await;
    let screen = device_id(&simulator, "web01", "DISPLAY");
    let mut changed = display("display-password");
    complete(&mut changed, "web01", 0);
    let steps = vec![
        grow("web01", 2 * GIB),
        Step::UpdateDevice {
            id: screen,
            device: changed,
            changed: vec!["password".into()],
            before: map(json!({})),
            order_before: None,
        },
        Step::StopVm,
        Step::DeleteDevice {
            id: device_id(&simulator, "web01", "NIC"),
            name: "nic#3".into(),
        },
        Step::StartVm,
    ];
    simulator.inject(Fault::fail("vm.start", 14, "no luck"));
    let plan = changing(vec![("web01", id(&simulator, "web01"), steps)]);
    let report = run(&client, &plan).await;
    assert_eq!(
        outcomes(&report),
        [Outcome::RollbackIncomplete],
        "{report:?}"
    );
    assert_eq!(
        report.vms[0].left_behind,
        [
            "removal of device nic#3",
            "new secret of device display.spice (password)",
            "growth of zvol tank/web01-disk0 from 1 GiB to 2 GiB",
        ]
    );
    assert!(simulator.view().vms["web01"].running);
    assert!(!format!("{report:?}").contains(PASSWORD));
    let advice = report.vms[0].advice.clone().unwrap();
    assert!(!advice.contains("destroy"), "{advice}");
}

#[tokio::test]
async fn a_zvol_is_grown_once_and_never_shrunk() {
    let (simulator, client) = running("25.10", &["web01"]).await;
    let vm = id(&simulator, "web01");
    for (size, outcome) in [
        (2 * GIB, Outcome::Updated),
        (2 * GIB, Outcome::Updated),
        (GIB, Outcome::RolledBack),
    ] {
        let plan = changing(vec![("web01", vm, vec![grow("web01", size)])]);
        assert_eq!(outcomes(&run(&client, &plan).await), [outcome]);
    }
    assert_eq!(simulator.journal().count("pool.dataset.update"), 1);
    assert_eq!(simulator.view().zvols[&zvol("web01")].volsize, 2 * GIB);
}

#[tokio::test]
async fn a_device_of_an_active_vm_is_not_deleted() {
    let (simulator, client) = running("25.10", &["web01"]).await;
    let steps = vec![no_display(&simulator, "web01")];
    let plan = changing(vec![("web01", id(&simulator, "web01"), steps)]);
    let report = run(&client, &plan).await;
    assert_eq!(outcomes(&report), [Outcome::RolledBack]);
    let message = report.vms[0].error.clone().unwrap().message;
    assert!(message.contains("the VM is active"), "{message}");
    assert_eq!(simulator.journal().count("vm.device.delete"), 0);
}

#[tokio::test]
async fn a_plan_for_another_vm_changes_nothing() {
    let (simulator, client) = running("25.10", &["web01", "web02"]).await;
    let other = id(&simulator, "web02");
    let plan = changing(vec![("web01", other, vec![more_memory()])]);
    let report = run(&client, &plan).await;
    assert_eq!(outcomes(&report), [Outcome::RolledBack]);
    assert_eq!(simulator.journal().count("vm.update"), 0);
}
