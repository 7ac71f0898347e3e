//! One VM fails, the others must not notice: rollback, what is told, and converging afterwards.

use serde_json::json;
use tnvm_simulator::Fault;
use tnvm_suite::Lab;

/// Creates the example with `worker02` failing at a step; it must vanish without a trace.
fn check(fault: Fault, step: &str) {
    let lab = Lab::new();
    lab.inject(fault);
    let ran = lab.example().tnvm(&["create", "-o", "json"]).ended(1);
    let printed = ran.json();
    assert_eq!(
        printed["summary"]["outcomes"],
        json!({"created": 3, "rolled_back": 1}),
        "{}",
        ran.shown()
    );
    let vms = printed["vms"].as_array().unwrap();
    let failed = vms.iter().find(|vm| vm["name"] == "worker02").unwrap();
    assert_eq!(failed["left_behind"], json!([]));
    let error = failed["error"].to_string();
    assert!(error.contains("no luck"), "{error}");
    assert!(error.contains(step), "{step} is missing: {error}");

    let view = lab.view();
    assert_eq!(view.vm_names(), ["controlplane01", "worker01", "worker03"]);
    assert!(view.vms.values().all(|vm| vm.running));
    let trace = |name: &&str| name.contains("worker02");
    assert_eq!(view.zvol_names().into_iter().find(trace), None);
    assert_eq!(view.zvols.len(), 5);

    // The fault struck once and is gone.
    lab.tnvm(&["create"]).ended(0).says(&["worker02 created"]);
    assert!(lab.view().vms["worker02"].running);
    lab.settled(&[]);
}

#[test]
fn a_vm_that_cannot_be_made_leaves_nothing() {
    check(
        Fault::fail("vm.create", 14, "no luck").containing("worker02"),
        "create",
    );
}

#[test]
fn a_zvol_that_cannot_be_made_takes_its_vm_along() {
    let fault = Fault::fail("pool.dataset.create", 14, "no luck");
    check(fault.containing("worker02-disk1"), "worker02-disk1");
}

#[test]
fn a_device_that_cannot_be_made_takes_its_vm_along() {
    let fault = Fault::fail("vm.device.create", 14, "no luck");
    check(fault.containing("worker02-disk0"), "disk.system");
}

#[test]
fn a_display_that_cannot_be_made_takes_its_vm_along() {
    let fault = Fault::fail("vm.device.create", 14, "no luck");
    check(fault.containing("5922"), "display");
}

#[test]
fn a_vm_that_does_not_start_is_removed_again() {
    // Ids are given in the order of creation, so the VM is known by its own fault.
    let lab = Lab::new();
    lab.example();
    lab.inject(Fault::fail("vm.start", 14, "no luck").nth(2));
    let ran = lab.tnvm(&["create", "-o", "json"]).ended(1).json();
    assert_eq!(
        ran["summary"]["outcomes"],
        json!({"created": 3, "rolled_back": 1})
    );
    let vms = ran["vms"].as_array().unwrap();
    let failed = vms
        .iter()
        .find(|vm| vm["outcome"] == "rolled_back")
        .unwrap();
    assert!(failed["error"].to_string().contains("no luck"));
    let name = failed["name"].as_str().unwrap();
    let view = lab.view();
    assert!(!view.vms.contains_key(name));
    assert!(view.zvols.keys().all(|zvol| !zvol.contains(name)));
    assert!(view.vms.values().all(|vm| vm.running));
    let _ = lab.tnvm(&["create"]).ended(0);
    lab.settled(&[]);
}

#[test]
fn for_people_the_table_names_vm_step_and_reason() {
    let lab = Lab::new();
    lab.inject(Fault::fail("vm.device.create", 14, "no luck").containing("worker02-disk0"));
    let ran = lab.example().tnvm(&["create"]).ended(1);
    let line = ran.stdout.lines().find(|line| line.contains("rolled back"));
    let line = line.unwrap_or_else(|| panic!("{}", ran.shown()));
    for word in ["worker02", "disk.system", "no luck"] {
        assert!(line.contains(word), "{word}: {}", ran.shown());
    }
    ran.says(&["3 of 4 VMs as planned", "Running the same command again"]);
}

#[test]
fn without_memory_the_vm_that_does_not_fit_is_removed_and_told() {
    let lab = Lab::of(|world| world.memory(16, 16));
    lab.config("big: {count: 2, cpu: 1, memory: 10GiB, disk: {system: 1}, network: {lan: br0}}");
    let ran = lab
        .tnvm(&["create", "-o", "json", "--concurrency", "1"])
        .ended(1);
    let printed = ran.json();
    assert_eq!(
        printed["summary"]["outcomes"],
        json!({"created": 1, "rolled_back": 1}),
        "{}",
        ran.shown()
    );
    ran.says(&["memory"]);
    assert_eq!(lab.view().vm_names(), ["big01"]);
    assert_eq!(lab.view().zvol_names(), ["tank/kubernetes/big01-disk0"]);
}

#[test]
fn a_failed_vm_is_kept_for_a_look_when_asked_and_completed_later() {
    let lab = Lab::new();
    lab.inject(Fault::fail("vm.device.create", 14, "no luck").containing("5922"));
    let ran = lab
        .example()
        .tnvm(&["create", "--on-failure", "keep", "-o", "json"]);
    let printed = ran.ended(1).json();
    assert_eq!(
        printed["summary"]["outcomes"],
        json!({"created": 3, "kept": 1})
    );
    let view = lab.view();
    assert!(view.vms.contains_key("worker02"));
    assert!(view.zvols.contains_key("tank/kubernetes/worker02-disk0"));
    lab.tnvm(&["create"]).ended(0).says(&["worker02 completed"]);
    assert!(lab.view().vms["worker02"].running);
    lab.settled(&[]);
}

#[test]
fn a_zvol_in_the_way_that_is_not_ours_is_refused_before_the_first_change() {
    let lab = Lab::of(|world| world.zvol("tank/kubernetes/worker02-disk0", 15, &[]));
    let before = lab.view();
    let ran = lab.example().tnvm(&["create"]);
    assert!([2, 4].contains(&ran.code), "{}", ran.shown());
    ran.says(&["tank/kubernetes/worker02-disk0", "help:"]);
    assert_eq!((lab.view(), lab.mutations()), (before, 0));
}
