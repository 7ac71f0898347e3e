//! Rules of devices, each by the attribute it names.

use super::*;
use crate::bench::Bench;

fn check(attributes: Value, attribute: &str, errno: i64) {
    let mut bench = Bench::new("25.10");
    let vm = bench.vm("a");
    let (code, found_errno, found, text) = bench.refused(
        "vm.device.create",
        json!([{"vm": vm, "attributes": attributes}]),
    );
    assert_eq!(
        (code, found.as_str(), found_errno),
        (-32602, attribute, errno),
        "{attributes}: {text}"
    );
}

#[test]
fn each_rule_of_a_device_names_its_attribute() {
    let zvol = |name: &str, size: Value| json!({"dtype": "DISK", "create_zvol": true, "zvol_name": name, "zvol_volsize": size});
    check(zvol("tank", json!(1 << 30)), "attributes.zvol_name", 22);
    check(zvol("tank/no/x", json!(1 << 30)), "attributes.zvol_name", 2);
    check(zvol("tank/x", Value::Null), "attributes.zvol_volsize", 22);
    check(
        zvol("tank/x", json!((1 << 30) + 1)),
        "pool_dataset_create.volsize",
        22,
    );
    check(
        zvol("tank/x", json!(4_u64 << 40)),
        "pool_dataset_create.volsize",
        22,
    );
    check(
        json!({"dtype": "DISK"}),
        "vm_device_create.attributes.DISK",
        22,
    );
    check(
        json!({"dtype": "DISK", "path": "/dev/sda"}),
        "attributes.path",
        22,
    );
    check(
        json!({"dtype": "DISK", "path": "/dev/zvol/tank/none"}),
        "attributes.path",
        2,
    );
    check(
        json!({"dtype": "RAW", "path": "/etc/x", "size": 1}),
        "attributes.path",
        22,
    );
    check(
        json!({"dtype": "RAW", "path": "/mnt/tank/vms/x"}),
        "attributes.size",
        22,
    );
    check(
        json!({"dtype": "RAW", "path": "/mnt/tank/vms/x", "exists": true}),
        "attributes.path",
        22,
    );
    check(
        json!({"dtype": "CDROM", "path": "/mnt/storage/metal-amd64.iso"}),
        "attributes.path",
        22,
    );
    check(
        json!({"dtype": "CDROM", "path": "/etc/x.iso"}),
        "attributes.path",
        22,
    );
    check(
        json!({"dtype": "NIC", "nic_attach": "br99"}),
        "attributes.nic_attach",
        22,
    );
    check(
        json!({"dtype": "NIC", "nic_attach": "vlan68"}),
        "attributes.nic_attach",
        22,
    );
    check(
        json!({"dtype": "NIC", "mac": "ff:ff:ff:ff:ff:ff"}),
        "attributes.mac",
        22,
    );
    check(
        json!({"dtype": "NIC", "mac": "zz"}),
        "vm_device_create.attributes.NIC.mac",
        22,
    );
    check(
        json!({"dtype": "DISPLAY", "password": " "}),
        "attributes.password",
        22,
    );
    check(
        json!({"dtype": "DISPLAY", "password": "p", "port": 6000}),
        "attributes.port",
        22,
    );
    check(
        json!({"dtype": "DISPLAY", "password": "p", "bind": "10.9.9.9"}),
        "attributes.bind",
        22,
    );
    check(
        json!({"dtype": "DISPLAY", "password": "p", "type": "VNC"}),
        "attributes.web",
        22,
    );
    check(
        json!({"dtype": "PCI", "pptdev": "pci_0000_99_00_0"}),
        "attribute.pptdev",
        22,
    );
    check(json!({"dtype": "USB"}), "attributes.device", 22);
    check(json!({"dtype": "NOPE"}), "vm_device_create.attributes", 22);
}

#[test]
fn a_missing_iso_is_a_call_error_with_enoent_on_25_10() {
    let mut bench = Bench::new("25.10");
    let vm = bench.vm("a");
    let params =
        json!([{"vm": vm, "attributes": {"dtype": "CDROM", "path": "/mnt/tank/iso/no.iso"}}]);
    let (code, errno, ..) = bench.refused("vm.device.create", params);
    assert_eq!((code, errno), (-32001, 2));
}

#[test]
fn a_created_zvol_is_thick_and_named_by_the_device() {
    let mut bench = Bench::new("25.10");
    let vm = bench.vm("a");
    bench.device(vm, json!({"dtype": "DISK", "create_zvol": true, "zvol_name": "tank/a b", "zvol_volsize": 1 << 30}));
    let view = bench.state.world.view();
    assert!(!view.zvols["tank/a b"].sparse);
    let attributes = &view.vms["a"].devices[0].attributes;
    assert_eq!(attributes["path"], "/dev/zvol/tank/a+b");
    assert_eq!(
        (&attributes["create_zvol"], &attributes["zvol_name"]),
        (&json!(false), &Value::Null)
    );
}

#[test]
fn two_vms_may_hold_the_same_zvol() {
    let mut bench = Bench::new("25.10");
    let (a, b) = (bench.vm("a"), bench.vm("b"));
    bench.device(a, json!({"dtype": "DISK", "create_zvol": true, "zvol_name": "tank/z", "zvol_volsize": 1 << 30}));
    bench.device(b, json!({"dtype": "DISK", "path": "/dev/zvol/tank/z"}));
    let again = json!([{"vm": b, "attributes": {"dtype": "DISK", "path": "/dev/zvol/tank/z"}}]);
    assert!(
        bench
            .refused("vm.device.create", again)
            .3
            .contains("already configured")
    );
}

#[test]
fn an_order_that_is_taken_pushes_the_others_upwards() {
    let mut bench = Bench::new("25.10");
    let vm = bench.vm("a");
    let cdrom = bench.device(
        vm,
        json!({"dtype": "CDROM", "path": "/mnt/tank/iso/talos.iso"}),
    );
    let disk = bench.device(vm, json!({"dtype": "DISK", "create_zvol": true, "zvol_name": "tank/z", "zvol_volsize": 1 << 30}));
    let nic = bench.device(vm, json!({"dtype": "NIC"}));
    bench.ok(
        "vm.device.create",
        json!([{"vm": vm, "attributes": {"dtype": "NIC"}, "order": 1001}]),
    );
    let order = |bench: &Bench, id: i64| bench.state.world.devices[&id].shown_order();
    assert_eq!(
        (
            order(&bench, cdrom),
            order(&bench, disk),
            order(&bench, nic)
        ),
        (1000, 1002, 1003)
    );
}

#[test]
fn an_update_merges_attributes_and_keeps_the_serial() {
    let mut bench = Bench::new("25.10");
    let vm = bench.vm("a");
    let disk = bench.device(vm, json!({"dtype": "DISK", "create_zvol": true, "zvol_name": "tank/z", "zvol_volsize": 1 << 30}));
    let updated = bench.ok(
        "vm.device.update",
        json!([disk, {"attributes": {"type": "VIRTIO"}}]),
    );
    assert_eq!(updated["attributes"]["path"], "/dev/zvol/tank/z");
    let changed = json!([disk, {"attributes": {"serial": "mine"}}]);
    assert_eq!(
        bench.refused("vm.device.update", changed).2,
        "attributes.serial"
    );
}

#[test]
fn a_device_of_an_active_vm_cannot_be_deleted() {
    let mut bench = Bench::new("25.10");
    let vm = bench.vm("a");
    let nic = bench.device(vm, json!({"dtype": "NIC", "nic_attach": "br0"}));
    bench.ok("vm.start", json!([vm]));
    assert!(
        bench
            .refused("vm.device.delete", json!([nic]))
            .3
            .contains("stop/resume")
    );
    bench.ok("vm.poweroff", json!([vm]));
    assert_eq!(bench.ok("vm.device.delete", json!([nic])), json!(true));
}

#[test]
fn ports_are_given_in_turn_and_never_twice() {
    let mut bench = Bench::new("25.10");
    let (a, b) = (bench.vm("a"), bench.vm("b"));
    bench.device(
        a,
        json!({"dtype": "DISPLAY", "password": "p", "port": 5911}),
    );
    assert_eq!(
        bench.ok("vm.port_wizard", json!([])),
        json!({"port": 5901, "web": 5902})
    );
    let taken =
        json!([{"vm": b, "attributes": {"dtype": "DISPLAY", "password": "p", "port": 5900}}]);
    assert_eq!(
        bench.refused("vm.device.create", taken).2,
        "attributes.port"
    );
}

#[test]
fn from_26_on_a_spice_display_needs_its_ports_and_a_nic_keeps_a_mac() {
    let mut bench = Bench::new("26");
    let vm = bench.vm("a");
    let no_ports = json!([{"vm": vm, "attributes": {"dtype": "DISPLAY", "password": "p"}}]);
    assert_eq!(
        bench.refused("vm.device.create", no_ports).2,
        "attributes.port"
    );
    let nic = bench.device(vm, json!({"dtype": "NIC"}));
    let stored = bench.ok("vm.device.get_instance", json!([nic]));
    assert!(
        stored["attributes"]["mac"]
            .as_str()
            .unwrap()
            .starts_with("00:a0:98")
    );
    let choices = bench.ok("vm.device.nic_attach_choices", json!([]));
    assert!(
        choices["BRIDGE"]
            .as_array()
            .unwrap()
            .contains(&json!("br0"))
    );
    assert!(
        !choices["MACVLAN"]
            .as_array()
            .unwrap()
            .contains(&json!("eno2"))
    );
}

#[test]
fn on_25_04_an_update_is_a_whole_device_and_defaults_overwrite_what_it_leaves_out() {
    let mut bench = Bench::new("25.04.2");
    let vm = bench.vm("a");
    let nic = json!({"dtype": "NIC", "type": "VIRTIO", "nic_attach": "br0"});
    let id = bench.device(vm, nic);
    let (code, _, attribute, _) = bench.refused(
        "vm.device.update",
        json!([id, {"attributes": {"nic_attach": "br1"}}]),
    );
    let told = (code, attribute.as_str());
    assert_eq!(told, (-32602, "vm_device_update.attributes.dtype"));
    let whole = json!([id, {"attributes": {"dtype": "NIC", "nic_attach": "br1"}}]);
    let entry = bench.ok("vm.device.update", whole);
    assert_eq!(entry["attributes"]["type"], "E1000");
    assert_eq!(entry["attributes"]["nic_attach"], "br1");
}
