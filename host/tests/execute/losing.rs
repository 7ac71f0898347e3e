//! Answers that are lost with their connection, at every call that changes something.

use serde_json::json;
use tnvm::execute::{Action, Event, Outcome};
use tnvm::plan::Step;
use tnvm_simulator::{Effect, Fault, WorldView};

use super::changing::{device_id, grow, id, more_memory, no_display, other_nic, running};
use super::plans::{
    How, changing, create_volume, creation, device, map, outcomes, run, run_watched,
};
use super::server::{Act, IMPATIENT, Server};
use super::simulated::{real, start};

const DROPS: [Effect; 2] = [Effect::DropBeforeCommit, Effect::DropAfterCommit];

/// The state without what a second try may change: ids.
fn essence(view: &WorldView) -> String {
    let vms = view.vms.iter().map(|(name, vm)| {
        let mut devices: Vec<_> = vm.devices.iter().collect();
        devices.sort_by_key(|device| device.order);
        let devices = devices.iter().map(|device| {
            let mut attributes = device.attributes.clone();
            // The server draws it.
            attributes.as_object_mut().unwrap().remove("serial");
            json!([device.order, attributes])
        });
        json!([
            name,
            vm.running,
            vm.config["memory"],
            devices.collect::<Vec<_>>()
        ])
    });
    json!([vms.collect::<Vec<_>>(), view.zvol_names()]).to_string()
}

#[tokio::test]
async fn a_creation_survives_the_loss_of_any_answer() {
    let (simulator, client) = start("25.10", vec![]).await;
    run(&client, &real(&["web01"])).await;
    let expected = essence(&simulator.view());
    for (method, nth) in [
        ("vm.create", 1),
        ("pool.dataset.create", 1),
        ("vm.device.create", 1),
        ("vm.device.create", 2),
        ("vm.device.create", 3),
        ("vm.start", 1),
    ] {
        for effect in DROPS {
            let case = format!("{method} {nth} {effect:?}");
            let fault = Fault::on(method, effect).nth(nth);
            let (simulator, client) = start("25.10", vec![fault]).await;
            let report = run(&client, &real(&["web01"])).await;
            assert_eq!(outcomes(&report), [Outcome::Created], "{case}: {report:?}");
            assert_eq!(essence(&simulator.view()), expected, "{case}");
        }
    }
}

#[tokio::test]
async fn a_change_survives_the_loss_of_any_answer() {
    let mut expected = None;
    for method in [
        "none",
        "vm.update",
        "pool.dataset.update",
        "vm.device.update",
        "vm.stop",
        "vm.device.delete",
        "pool.dataset.create",
        "vm.device.create",
        "vm.start",
    ] {
        for effect in DROPS {
            let case = format!("{method} {effect:?}");
            let (simulator, client) = running("25.10", &["web01"]).await;
            let mut second = device("nic.second", "NIC", 3002);
            second
                .attributes
                .extend(map(json!({"type": "VIRTIO", "nic_attach": "br68",
                "mac": "00:A0:98:00:01:00"})));
            let mut data = create_volume("web01");
            if let Step::CreateVolume { volume, .. } = &mut data {
                volume.dataset = "tank/web01-data".into();
            }
            let steps = vec![
                more_memory(),
                grow("web01", 2 << 30),
                other_nic(device_id(&simulator, "web01", "NIC")),
                Step::StopVm,
                no_display(&simulator, "web01"),
                data,
                Step::CreateDevice { device: second },
                Step::StartVm,
            ];
            simulator.inject(Fault::on(method, effect));
            let plan = changing(vec![("web01", id(&simulator, "web01"), steps)]);
            let report = run(&client, &plan).await;
            assert_eq!(
                outcomes(&report),
                [Outcome::Restarted],
                "{case}: {report:?}"
            );
            let found = essence(&simulator.view());
            assert_eq!(&found, expected.get_or_insert(found.clone()), "{case}");
        }
    }
}

#[tokio::test]
async fn a_device_that_a_lost_answer_made_late_is_removed_and_its_place_given_back() {
    let mut first = true;
    let rule = move |method: &str, params: &serde_json::Value| {
        let nic = method == "vm.device.create" && params[0]["attributes"]["dtype"] == "NIC";
        if nic && std::mem::take(&mut first) {
            return Act::Ignore;
        }
        Act::Do
    };
    let server = Server::start_with(std::time::Duration::ZERO, IMPATIENT, rule).await;
    let plan = creation(&["web01"]);
    let (report, _) = run_watched(&server.client, &plan, How::default(), |event, _| {
        let Event::StepDone { step, .. } = event else {
            return;
        };
        if step.action != Action::CreateDevice || step.subject.as_deref() != Some("nic.system") {
            return;
        }
        // The server makes the first one only now and moves the other up.
        let mut world = server.world();
        let vm = world.vms.values_mut().next().unwrap();
        for device in vm.devices.values_mut() {
            if device["order"] == 3001 {
                device["order"] = json!(3002);
            }
        }
        let late = json!({"id": 99, "order": 3001, "attributes": {"dtype": "NIC"}});
        vm.devices.insert(99, late);
    })
    .await;
    assert_eq!(outcomes(&report), [Outcome::Created], "{report:?}");
    let world = server.world();
    let devices = &world.vms.values().next().unwrap().devices;
    let nics: Vec<_> = devices
        .values()
        .filter(|device| device["attributes"]["dtype"] == "NIC")
        .map(|device| &device["order"])
        .collect();
    assert_eq!(nics, [3001]);
    assert!(!devices.contains_key(&99));
}
