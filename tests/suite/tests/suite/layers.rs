//! Values come in layers: templates, defaults, the type's ancestor, the type, one VM, `--set`.

use tnvm_simulator::{VmView, WorldView};
use tnvm_suite::Lab;

fn kind<'a>(vm: &'a VmView, dtype: &str) -> Vec<&'a serde_json::Value> {
    let devices = vm.devices.iter().map(|device| &device.attributes);
    devices.filter(|device| device["dtype"] == dtype).collect()
}

fn created(lab: &Lab, options: &[&str]) -> WorldView {
    let _ = lab.tnvm(&[&["create"], options].concat()).ended(0);
    lab.settled(options);
    lab.view()
}

#[test]
fn each_layer_wins_over_those_below() {
    let lab = Lab::new();
    lab.config(
        "defaults: {autostart: false, memory: 1GiB, cpu: 1, description: lowest}
base: {count: 1, memory: 2GiB, disk: {system: 1, extra: 2}, network: {lan: br0}}
web:
  extends: base
  count: 2
  memory: 3GiB
  disk: {extra: null, data: 512MiB}
  vms: {web02: {memory: 4GiB, description: one of a kind}}
",
    );
    let view = created(&lab, &["--set", "web.cpu=3", "--set", "web.count=3"]);
    assert_eq!(view.vm_names(), ["base01", "web01", "web02", "web03"]);
    let of = |vm: &str, field: &str| view.vms[vm].config[field].clone();
    assert_eq!(of("base01", "memory"), 2048);
    assert_eq!(of("web01", "memory"), 3072);
    assert_eq!(of("web02", "memory"), 4096);
    assert_eq!(
        (of("base01", "cores"), of("web02", "cores")),
        (1.into(), 3.into())
    );
    assert_eq!(of("web03", "autostart"), false);
    let description = |vm| of(vm, "description").as_str().unwrap().to_owned();
    assert!(description("web01").starts_with("lowest "));
    assert!(description("web02").starts_with("one of a kind "));
    assert_eq!(view.zvols["tank/kubernetes/web01-disk1"].volsize, 512 << 20);
    assert_eq!(kind(&view.vms["web01"], "DISK").len(), 2);
    assert_eq!(kind(&view.vms["base01"], "DISK").len(), 2);
}

#[test]
fn device_types_are_switched_off_and_sizes_take_units() {
    let lab = Lab::new();
    lab.config(
        "bare:
  count: 1
  cpu: 1
  memory: 1536MiB
  display: false
  cdrom: false
  start: false
  disk: {a: 1.5GiB, b: {size: 2GiB, sparse: false, block_size: 64K}}
",
    );
    let view = created(&lab, &[]);
    let vm = &view.vms["bare01"];
    assert!(kind(vm, "DISPLAY").is_empty());
    assert!(kind(vm, "CDROM").is_empty());
    assert!(!vm.running);
    assert_eq!(vm.config["memory"], 1536);
    let [a, b] = [
        "tank/kubernetes/bare01-disk0",
        "tank/kubernetes/bare01-disk1",
    ]
    .map(|name| &view.zvols[name]);
    assert_eq!((a.volsize, a.sparse), (3 << 29, true));
    assert_eq!(
        (b.volsize, b.sparse, b.volblocksize),
        (2 << 30, false, 64 << 10)
    );
}

#[test]
fn templates_extend_the_built_in_ones() {
    let lab = Lab::new();
    lab.config("web: {count: 1, cpu: 1, memory: 1GiB, disk: {a: 1}, network: {lan: br0}}\n");
    lab.write(
        "t/vms/vm.json",
        r#"{"extends": "vm", "shutdown_timeout": 33}"#,
    );
    lab.write(
        "t/devices/disk.json",
        r#"{"extends": "disk", "attributes": {"iotype": "NATIVE"}}"#,
    );
    let view = created(&lab, &["--templates-dir", "t"]);
    let vm = &view.vms["web01"];
    assert_eq!(vm.config["shutdown_timeout"], 33);
    assert_eq!(vm.config["bootloader"], "UEFI");
    let disk = kind(vm, "DISK")[0];
    assert_eq!(
        (&disk["iotype"], &disk["type"]),
        (&"NATIVE".into(), &"VIRTIO".into())
    );
}

#[test]
fn variables_are_read_from_the_env_file_beside_the_config() {
    let mut lab = Lab::new();
    let password = lab.environment()["API_PASSWORD"].clone();
    let host = lab.environment()["TRUENAS_HOST"].clone();
    for variable in [
        "TRUENAS_HOST",
        "API_USERNAME",
        "API_PASSWORD",
        "VNC_PASSWORD",
    ] {
        lab.unset(variable);
    }
    let config = "storage: {pool_path: tank/kubernetes}\nweb: {count: 1, cpu: 1, memory: 1GiB}\n";
    lab.write("inner/config.yaml", config);
    lab.write(
        "inner/.env",
        &format!("TRUENAS_HOST={host}\nAPI_USERNAME=truenas_admin\nAPI_PASSWORD='{password}'\nVNC_PASSWORD=FromFile\n"),
    );
    lab.secret("FromFile");
    let view = created(&lab, &["--config", "inner/config.yaml"]);
    let vm = &view.vms["web01"];
    assert_eq!(vm.config["description"], "[tnvm:v1:inner:web:web01]");
    assert_eq!(kind(vm, "DISPLAY")[0]["password"], "FromFile");
}
