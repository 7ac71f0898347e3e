//! The same against the simulator, with the rules of real servers of both API generations.

use serde_json::{Value, json};
use tnvm::execute::{ObserveRequest, Outcome, observe};
use tnvm::plan::{Plan, PowerState, Step};
use tnvm::resolve::DesiredDevice;
use tnvm::truenas::{Allowed, Client, ConnectOptions, Credentials, Endpoint};
use tnvm_simulator::{Effect, Fault, Options, Running, Simulator, WorldBuilder};

use super::plans::{
    How, PASSWORD, creation, destruction, display, map, mark, outcomes, run, run_watched, zvol,
};

const VERSIONS: [&str; 2] = ["25.10", "26"];

pub(crate) async fn start(version: &str, faults: Vec<Fault>) -> (Running, Client) {
    let world = WorldBuilder::example(version.parse().unwrap()).build();
    let options = Options {
        faults,
        ..Options::with_world(world)
    };
    let simulator = Simulator::start(options).await.unwrap();
    let client = client_of(&simulator).await;
    (simulator, client)
}

/// A client of its administrator that may do anything.
pub(crate) async fn client_of(simulator: &Running) -> Client {
    let credentials = Credentials::ApiKey {
        username: "truenas_admin".into(),
        key: simulator.api_key().into(),
    };
    let endpoint = Endpoint::parse(&simulator.url()).unwrap();
    let options = ConnectOptions {
        allowed: Allowed::everything(),
        ..ConnectOptions::default()
    };
    Client::connect(&endpoint, &credentials, &options)
        .await
        .unwrap()
}

/// The plan of `creation`, with what a real server wants of VMs and devices.
pub(crate) fn real(names: &[&str]) -> Plan {
    let mut plan = creation(names);
    for (nth, vm) in plan.vms.iter_mut().enumerate() {
        for step in &mut vm.steps {
            match step {
                Step::CreateVm { fields } => fields.extend(map(json!({"memory": 1024}))),
                Step::CreateDevice { device } => complete(device, &vm.name, nth),
                _ => {}
            }
        }
    }
    plan
}

pub(crate) fn complete(device: &mut DesiredDevice, vm: &str, nth: usize) {
    device.attributes.extend(map(match device.name.as_str() {
        "disk.system" => json!({"path": format!("/dev/zvol/{}", zvol(vm)), "type": "VIRTIO"}),
        "nic.system" => json!({"type": "VIRTIO", "nic_attach": "br68",
            "mac": format!("00:a0:98:00:00:{nth:02x}")}),
        _ => json!({"type": "SPICE", "port": 5911 + nth, "web_port": 6911 + nth, "web": true,
            "bind": "0.0.0.0", "resolution": "1024x768", "wait": false}),
    }));
}

#[tokio::test]
async fn what_is_made_is_observed_and_what_is_destroyed_is_gone() {
    for version in VERSIONS {
        let (simulator, client) = start(version, vec![]).await;
        let report = run(&client, &real(&["web01", "web02"])).await;
        assert_eq!(
            outcomes(&report),
            [Outcome::Created; 2],
            "{version}: {report:?}"
        );

        let request = ObserveRequest {
            dataset_prefixes: vec!["tank".into()],
            files: vec![
                "/mnt/tank/iso/talos.iso".into(),
                "/mnt/tank/iso/none.iso".into(),
            ],
            want_choices: true,
            want_memory: true,
            want_virtualization: true,
            all_volumes: false,
            snapshots: false,
        };
        let observed = observe(&client, &request).await.unwrap();
        for vm in &observed.vms {
            assert_eq!(
                (&vm.mark, vm.state),
                (&Some(mark(&vm.name)), PowerState::Running)
            );
            assert_eq!(observed.datasets[&zvol(&vm.name)].mark, vm.mark);
            let orders: Vec<_> = vm
                .devices
                .iter()
                .filter_map(|device| device.order)
                .collect();
            assert_eq!(orders.len(), 3);
            assert!(orders.contains(&1) && orders.contains(&2003) && orders.contains(&3001));
        }
        let exists: Vec<bool> = observed.files.values().copied().collect();
        assert_eq!(exists, [false, true], "{version}");
        assert!(observed.nic_choices.unwrap().contains(&"br68".to_owned()));
        assert!(observed.memory_available.is_some_and(|bytes| bytes > 0));
        let passwords = simulator.view().vms["web01"]
            .devices
            .iter()
            .any(|device| device.attributes["password"] == PASSWORD);
        assert!(passwords);

        let vms: Vec<_> = observed
            .vms
            .iter()
            .map(|vm| (vm.name.as_str(), vm.id))
            .collect();
        let report = run(&client, &destruction(&vms)).await;
        assert_eq!(
            outcomes(&report),
            [Outcome::Destroyed; 2],
            "{version}: {report:?}"
        );
        assert!(simulator.view().vms.is_empty() && simulator.view().zvols.is_empty());
    }
}

#[tokio::test]
async fn a_failure_in_any_phase_leaves_the_others_alone() {
    let phases = [
        Fault::fail("vm.create", 14, "no").containing("web02"),
        Fault::fail("pool.dataset.create", 28, "no space").containing("web02"),
        Fault::fail("vm.device.create", 14, "no").containing("5912"),
        Fault::fail("vm.start", 12, "Cannot guarantee memory").nth(2),
    ];
    for version in VERSIONS {
        for fault in &phases {
            let (simulator, client) = start(version, vec![fault.clone()]).await;
            let report = run(&client, &real(&["web01", "web02", "web03"])).await;
            let failed = report
                .vms
                .iter()
                .find(|vm| vm.outcome == Outcome::RolledBack);
            let failed = failed.map(|vm| vm.name.clone()).unwrap();
            assert_eq!(
                report.count(Outcome::Created),
                2,
                "{version} {fault:?}: {report:?}"
            );
            let view = simulator.view();
            assert_eq!(view.vms.len(), 2);
            assert!(view.vms.values().all(|vm| vm.running) && !view.vms.contains_key(&failed));
            assert_eq!(view.zvols.len(), 2);
            assert!(!view.zvols.contains_key(&zvol(&failed)));
        }
    }
}

#[tokio::test]
async fn a_delete_that_does_nothing_is_told() {
    let pretend = Effect::Pretend {
        result: Value::Null,
    };
    let faults = vec![Fault::on("pool.dataset.delete", pretend).every()];
    let (simulator, client) = start("26", faults).await;
    run(&client, &real(&["web01"])).await;
    let id = u64::try_from(simulator.view().vms["web01"].id).unwrap();
    let report = run(&client, &destruction(&[("web01", id)])).await;
    assert_eq!(outcomes(&report), [Outcome::DestroyIncomplete]);
    assert_eq!(report.vms[0].left_behind, ["zvol tank/web01-disk0"]);
    assert_eq!(simulator.view().zvol_names(), ["tank/web01-disk0"]);
}

/// Destroys web01, whose zvol has the snapshot `old`, which the plan lets go, and perhaps a clone of
/// it and a snapshot that came after the plan.
async fn destroyed_with_snapshots(version: &str, cloned: bool, newer: bool) -> (Running, String) {
    let (simulator, client) = start(version, vec![]).await;
    run(&client, &real(&["web01"])).await;
    let dataset = zvol("web01");
    simulator.change(|world| {
        world.take_snapshot(&dataset, "old");
        if cloned {
            let mut clone = world.datasets[&dataset].clone();
            clone.name = "tank/theirs".into();
            clone.origin = Some(format!("{dataset}@old"));
            clone.user_properties.clear();
            world.datasets.insert(clone.name.clone(), clone);
        }
        if newer {
            world.take_snapshot(&dataset, "new");
        }
    });
    let id = u64::try_from(simulator.view().vms["web01"].id).unwrap();
    let mut plan = destruction(&[("web01", id)]);
    plan.vms[0].steps[2] = Step::DeleteVolume {
        snapshots: vec![format!("{dataset}@old")],
        dataset,
    };
    let report = run(&client, &plan).await;
    let error = report.vms[0].error.clone();
    (
        simulator,
        error.map_or_else(String::new, |error| error.message),
    )
}

#[tokio::test]
async fn snapshots_go_only_as_agreed_and_clones_never() {
    for version in VERSIONS {
        let (simulator, message) = destroyed_with_snapshots(version, false, false).await;
        assert_eq!(message, "", "{version}");
        let view = simulator.view();
        assert!(
            view.zvols.is_empty() && view.snapshots.is_empty(),
            "{version}"
        );

        let (simulator, message) = destroyed_with_snapshots(version, true, false).await;
        assert!(
            message.contains("1 clone") && message.contains("tank/theirs"),
            "{message}"
        );
        assert!(
            simulator.view().zvols.contains_key("tank/theirs"),
            "{version}"
        );
        assert_eq!(simulator.view().snapshots.len(), 1, "{version}");

        let (simulator, message) = destroyed_with_snapshots(version, false, true).await;
        assert!(message.contains("tank/web01-disk0@new"), "{message}");
        assert_eq!(simulator.view().snapshots.len(), 2, "{version}");
    }
}

#[tokio::test]
async fn a_connection_lost_after_the_commit_is_made_again_and_the_run_goes_on() {
    let fault = Fault::on("vm.create", Effect::DropAfterCommit);
    let (simulator, client) = start("25.10", vec![fault]).await;
    let one_by_one = How {
        concurrency: 1,
        ..How::default()
    };
    let plan = real(&["web01", "web02"]);
    let (report, _) = run_watched(&client, &plan, one_by_one, |_, _| {}).await;
    assert_eq!(outcomes(&report), [Outcome::Created, Outcome::Created]);
    assert_eq!(simulator.view().vm_names(), ["web01", "web02"]);
}

#[tokio::test]
async fn a_value_that_the_server_refuses_is_explained_by_the_server() {
    let (simulator, client) = start("25.10", vec![]).await;
    let mut plan = real(&["web01"]);
    let mut second = display("display-password");
    second.name = "display.second".into();
    second.order = 2004;
    complete(&mut second, "web01", 0);
    plan.vms[0]
        .steps
        .push(Step::CreateDevice { device: second });
    let report = run(&client, &plan).await;
    assert_eq!(outcomes(&report), [Outcome::RolledBack]);
    let message = report.vms[0].error.clone().unwrap().message;
    assert!(
        message.contains("web01: could not create device display."),
        "{message}"
    );
    assert!(!message.contains(PASSWORD), "{message}");
    assert!(simulator.view().vms.is_empty());
}
