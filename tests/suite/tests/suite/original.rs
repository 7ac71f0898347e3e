//! Files as the original Python tool took them.

use tnvm_simulator::Version;
use tnvm_suite::Lab;

const CONFIG: &str = "
controlplane:
  count: 1
  cpu: 4
  memory: 16384
  disk:
    system: 15
  network:
    system: br68

worker:
  count: 2
  cpu: 6
  memory: 8192
  disk:
    system: 15
    storage: 60
  network:
    system: br68
    storage: br110
";

/// The config and its templates: nulls where the tool filled in, the order in the file, zvols made
/// by the server together with the device.
fn original(lab: &Lab, iso: &str) {
    lab.write(
        "config.yaml",
        &format!("storage:\n  pool_path: storage/VMs\n  cdrom_path: {iso}\n{CONFIG}"),
    );
    let files = [
        (
            "vms/vm",
            r#"{
            "command_line_args": "", "cpu_mode": "HOST-PASSTHROUGH", "cpu_model": null, "name": null,
            "description": "", "vcpus": null, "cores": null, "threads": null, "cpuset": null,
            "nodeset": null, "pin_vcpus": false, "suspend_on_snapshot": false,
            "trusted_platform_module": false, "memory": null, "min_memory": null,
            "hyperv_enlightenments": false, "bootloader": "UEFI", "bootloader_ovmf": "OVMF_CODE.fd",
            "autostart": true, "hide_from_msr": false, "ensure_display_device": true, "time": "LOCAL",
            "shutdown_timeout": 90, "arch_type": null, "machine_type": null, "uuid": null}"#,
        ),
        (
            "devices/disk",
            r#"{"vm": null, "order": null, "attributes": {
            "dtype": "DISK", "path": null, "type": "VIRTIO", "create_zvol": true, "zvol_name": null,
            "zvol_volsize": null, "logical_sectorsize": null, "physical_sectorsize": null,
            "iotype": "THREADS"}}"#,
        ),
        (
            "devices/nic",
            r#"{"vm": null, "order": null, "attributes": {
            "dtype": "NIC", "type": "VIRTIO", "nic_attach": null, "mac": null,
            "trust_guest_rx_filters": false}}"#,
        ),
        (
            "devices/cdrom",
            r#"{"vm": null, "order": 1003, "attributes": {"dtype": "CDROM", "path": null}}"#,
        ),
        (
            "devices/display",
            r#"{"vm": null, "order": 1002, "attributes": {
            "dtype": "DISPLAY", "resolution": "1024x768", "port": null, "web_port": null,
            "bind": "0.0.0.0", "wait": false, "password": null, "web": true, "type": "SPICE"}}"#,
        ),
    ];
    for (name, text) in files {
        lab.write(&format!("templates/{name}.json"), text);
    }
}

const CREATE: [&str; 3] = ["create", "--templates-dir", "templates"];

#[test]
fn an_iso_in_the_root_dataset_is_refused_with_advice_where_the_server_refuses_it() {
    let lab = Lab::on("25.10.7".parse::<Version>().unwrap(), |world| world);
    original(&lab, "/mnt/storage/metal-amd64.iso");
    let before = lab.view();
    let ran = lab.tnvm(&CREATE).ended(2);
    ran.says(&["/mnt/storage/metal-amd64.iso", "dataset", "help:"]);
    assert_eq!((lab.view(), lab.mutations()), (before, 0));
}

#[test]
fn the_original_files_make_the_vms_they_meant() {
    let lab = Lab::on("25.10.7".parse::<Version>().unwrap(), |world| world);
    original(&lab, "/mnt/storage/iso/metal-amd64.iso");
    let _ = lab.tnvm(&CREATE).ended(0);
    let view = lab.view();
    assert_eq!(view.vm_names(), ["controlplane01", "worker01", "worker02"]);
    assert!(view.vms.values().all(|vm| vm.running));
    let worker = &view.vms["worker02"];
    let cpus = ["vcpus", "cores", "threads"].map(|field| worker.config[field].as_u64().unwrap());
    assert_eq!(cpus.iter().product::<u64>(), 6, "N cores, not N times N");
    let order = |kind: &str| {
        let orders = worker
            .devices
            .iter()
            .filter(|device| device.attributes["dtype"] == kind)
            .map(|device| device.order);
        orders.collect::<Vec<_>>()
    };
    assert_eq!((order("DISPLAY"), order("CDROM")), (vec![1002], vec![1003]));
    assert!(order("DISK").iter().all(|disk| *disk < 1002));
    assert_eq!(
        view.zvol_names(),
        [
            "storage/VMs/controlplane01-disk0",
            "storage/VMs/worker01-disk0",
            "storage/VMs/worker01-disk1",
            "storage/VMs/worker02-disk0",
            "storage/VMs/worker02-disk1",
        ]
    );
    lab.settled(&CREATE[1..]);
}
