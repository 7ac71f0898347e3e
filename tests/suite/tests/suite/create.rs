//! Creating what is missing: what stands on the server afterwards, and what the program says.

use serde_json::{Value, json};
use tnvm_simulator::DeviceView;
use tnvm_suite::Lab;

/// Devices in the order in which the guest boots from them.
fn kinds(devices: &[DeviceView]) -> Vec<(i64, String)> {
    let mut kinds: Vec<_> = devices
        .iter()
        .map(|device| {
            let kind = device.attributes["dtype"].as_str().unwrap();
            (device.order, kind.to_owned())
        })
        .collect();
    kinds.sort();
    kinds
}

fn attribute(devices: &[DeviceView], kind: &str, name: &str) -> Vec<Value> {
    let mut of_kind: Vec<_> = devices
        .iter()
        .filter(|device| device.attributes["dtype"] == kind)
        .collect();
    of_kind.sort_by_key(|device| device.order);
    of_kind
        .iter()
        .map(|device| device.attributes[name].clone())
        .collect()
}

#[test]
fn the_example_becomes_running_vms_with_marks_thin_zvols_and_fixed_addresses() {
    let lab = Lab::new();
    let ran = lab.example().tnvm(&["create"]).ended(0);
    ran.says(&["4 of 4 VMs as planned"]);

    let view = lab.view();
    let names = ["controlplane01", "worker01", "worker02", "worker03"];
    assert_eq!(view.vm_names(), names);
    for (name, port) in names.iter().zip([5911, 5921, 5922, 5923]) {
        let vm = &view.vms[*name];
        assert!(vm.running, "{name}");
        let vm_type = name.trim_end_matches(char::is_numeric);
        let mark = format!("tnvm:v1:lab:{vm_type}:{name}");
        assert_eq!(vm.config["description"], format!("[{mark}]"));
        assert_eq!(attribute(&vm.devices, "DISPLAY", "port"), [json!(port)]);
        assert_eq!(
            attribute(&vm.devices, "DISPLAY", "web_port"),
            [json!(port + 1000)]
        );
        for zvol in attribute(&vm.devices, "DISK", "path") {
            let zvol = zvol.as_str().unwrap().trim_start_matches("/dev/zvol/");
            assert_eq!(view.zvols[zvol].user_properties["tnvm:owner"], mark);
            assert!(view.zvols[zvol].sparse, "{zvol}");
        }
        for mac in attribute(&vm.devices, "NIC", "mac") {
            assert!(mac.as_str().unwrap().starts_with("02:"), "{mac}");
        }
    }
    let worker = &view.vms["worker02"];
    let expected = ["DISK", "DISK", "CDROM", "DISPLAY", "NIC", "NIC"];
    let orders = kinds(&worker.devices);
    let shown: Vec<&str> = orders.iter().map(|(_, kind)| kind.as_str()).collect();
    assert_eq!(shown, expected);
    assert_eq!(
        attribute(&worker.devices, "NIC", "nic_attach"),
        ["br68", "br110"]
    );
    let cores = ["vcpus", "cores", "threads"].map(|field| worker.config[field].as_u64().unwrap());
    assert_eq!(cores, [1, 8, 1]);
    assert_eq!(worker.config["memory"], 24 * 1024);
    assert_eq!(
        view.zvols["tank/kubernetes/worker02-disk0"].volsize,
        15 << 30
    );
    assert_eq!(
        view.zvols["tank/kubernetes/worker02-disk1"].volsize,
        60 << 30
    );
    assert_eq!(view.zvols.len(), 7);
    lab.settled(&[]);
}

#[test]
fn a_command_logs_in_once_and_keeps_well_within_twenty_calls_in_flight() {
    // Slow enough for calls to meet.
    let lab = Lab::slow(std::time::Duration::from_millis(10));
    let _ = lab.example().tnvm(&["create"]).ended(0);
    let journal = lab.journal();
    assert_eq!((journal.logins(), journal.connections().len()), (1, 1));
    let peak = journal.peak_in_flight();
    // Ten run at the server and four wait there; it refuses the twenty-first.
    assert!((2..=14).contains(&peak), "{peak}");
}

#[test]
fn one_at_a_time_is_strictly_one_call_at_a_time() {
    let lab = Lab::slow(std::time::Duration::from_millis(2));
    let _ = lab
        .example()
        .tnvm(&["create", "--concurrency", "1"])
        .ended(0);
    let of_create = lab.journal().peak_in_flight();
    let _ = lab
        .tnvm(&["destroy", "--yes", "--concurrency", "1"])
        .ended(0);
    assert_eq!((of_create, lab.journal().peak_in_flight()), (1, 1));
}

#[test]
fn a_second_create_changes_nothing_and_says_so() {
    let lab = Lab::new();
    let _ = lab.example().tnvm(&["create"]).ended(0);
    lab.settled(&[]);
    let before = lab.mutations();
    let again = lab.tnvm(&["create", "-o", "json"]).ended(0).json();
    assert_eq!(again["plan"]["changes"], false);
    assert_eq!(again["summary"]["mutating_calls"], 0);
    assert_eq!(lab.mutations(), before);
}

#[test]
fn what_an_administrator_removed_or_stopped_comes_back() {
    let lab = Lab::new();
    let _ = lab.example().tnvm(&["create"]).ended(0);
    lab.change(|world| {
        let id = world.vm_named("worker01").unwrap();
        world.vms.get_mut(&id).unwrap().power = tnvm_simulator::Power::Off;
        let other = world.vm_named("worker02").unwrap();
        world
            .devices
            .retain(|_, device| device.vm != other || device.attributes["dtype"] != "NIC");
    });
    let ran = lab.tnvm(&["create", "-o", "json"]).ended(0);
    assert_eq!(
        ran.json()["summary"]["outcomes"],
        json!({"unchanged": 2, "started": 1, "completed": 1})
    );
    assert!(lab.view().vms["worker01"].running);
    assert_eq!(lab.view().vms["worker02"].devices.len(), 6);
    lab.settled(&[]);
}

#[test]
fn for_programs_create_prints_plan_vms_and_summary() {
    let lab = Lab::new();
    let printed = lab
        .example()
        .tnvm(&["create", "-o", "json"])
        .ended(0)
        .json();
    assert_eq!(printed["plan"]["group"], "lab");
    assert_eq!(printed["plan"]["totals"]["vms"], 4);
    let vms = printed["vms"].as_array().unwrap();
    assert_eq!(vms.len(), 4);
    for vm in vms {
        assert_eq!(
            (&vm["outcome"], &vm["error"]),
            (&json!("created"), &Value::Null)
        );
        assert!(vm["name"].is_string());
    }
    assert_eq!(printed["summary"]["success"], true);
    let counted = printed["summary"]["mutating_calls"].as_u64().unwrap();
    assert_eq!(counted, lab.mutations() as u64);
}

#[test]
fn list_prints_every_vm_and_whose_it_is() {
    let lab = Lab::of(|world| world.vm("web", 512, &[]).unwrap());
    let _ = lab.example().tnvm(&["create"]).ended(0);
    let before = lab.mutations();
    let rows = lab.tnvm(&["list", "-o", "json"]).ended(0).json();
    let row = |name: &str| {
        let rows = rows.as_array().unwrap();
        rows.iter().find(|row| row["name"] == name).unwrap().clone()
    };
    let worker = row("worker01");
    assert_eq!(worker["state"], "RUNNING");
    assert_eq!(worker["vcpus"], 8);
    assert_eq!(worker["memory_mib"], 24 * 1024);
    assert_eq!(
        (&worker["owned"], &worker["group"]),
        (&json!(true), &json!("lab"))
    );
    assert_eq!(worker["id"], lab.view().vms["worker01"].id);
    assert_eq!(worker["devices"].as_array().unwrap().len(), 6);
    let web = row("web");
    assert_eq!(
        (&web["owned"], &web["state"]),
        (&json!(false), &json!("STOPPED"))
    );

    let owned = lab.tnvm(&["list", "--owned", "-o", "json"]).ended(0).json();
    assert_eq!(owned.as_array().unwrap().len(), 4);
    lab.tnvm(&["list"])
        .ended(0)
        .says(&["web", "worker03", "24 GiB"]);
    assert_eq!(lab.mutations(), before);
}

#[test]
fn a_dry_run_shows_the_plan_of_a_real_run_and_changes_nothing() {
    let lab = Lab::new();
    let before = lab.view();
    let dry = lab
        .example()
        .tnvm(&["create", "--dry-run", "-o", "json"])
        .ended(0);
    lab.tnvm(&["create", "--dry-run"])
        .ended(0)
        .says(&["worker03", "tank/kubernetes/worker03-disk1, 60 GiB thin"]);
    assert_eq!((lab.view(), lab.mutations()), (before, 0));
    let real = lab.tnvm(&["create", "-o", "json"]).ended(0);
    assert_eq!(dry.json()["plan"], real.json()["plan"]);
}

#[test]
fn planned_offline_nobody_is_called() {
    let mut lab = Lab::new();
    for variable in ["TRUENAS_HOST", "API_USERNAME", "API_PASSWORD"] {
        lab.unset(variable);
    }
    let ran = lab.example().tnvm(&["create", "--dry-run", "--offline"]);
    ran.ended(0).says(&["worker03"]);
    assert!(lab.is_untouched());
}
