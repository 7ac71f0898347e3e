//! The same commands against every line of TrueNAS, with the same VMs in the end; and what a line
//! cannot do is refused before anything is changed.

use serde_json::{Value, json};
use tnvm_simulator::{VmView, WorldView};
use tnvm_suite::Lab;

const LINES: [&str; 7] = [
    "24.10",
    "25.04.2",
    "25.10.0",
    "25.10.7",
    "26.0.0-BETA.3",
    "26",
    "27",
];

fn lab(line: &str) -> Lab {
    Lab::on(line.parse().unwrap(), |world| world)
}

#[test]
fn on_every_line_a_group_is_made_found_complete_and_removed() {
    for line in LINES {
        let lab = lab(line);
        let before = lab.view();
        let ran = lab.example().tnvm(&["create"]);
        assert_eq!(ran.code, 0, "{line}: {}", ran.shown());
        assert_eq!(lab.view().vms.len(), 4, "{line}");
        lab.settled(&[]);
        let ran = lab.tnvm(&["destroy", "--yes"]);
        assert_eq!(ran.code, 0, "{line}: {}", ran.shown());
        assert_eq!(lab.view(), before, "{line}");
    }
}

/// Two types before and after a change of every kind: of fields, of devices in place, of a zvol's
/// size, of devices and VMs that come and go, of the order.
const BEFORE: &str = "\
web:
  count: 2
  cpu: 1
  memory: 1GiB
  shutdown_timeout: 60
  disk: {a: 1, b: {size: 2, iotype: THREADS}}
  network: {lan: br0}
  display: {resolution: 1024x768}
old: {count: 1, cpu: 1, memory: 512MiB, disk: {a: 1}, network: {lan: br0}}
";
const AFTER: &str = "\
web:
  count: 3
  cpu: 2
  memory: 2GiB
  shutdown_timeout: 30
  description: changed
  disk: {a: 2, c: {size: 3, sparse: false}}
  network: {lan: {bridge: br1, type: E1000}, dmz: br0}
  display: {resolution: 1280x720}
  cdrom: /mnt/storage/iso/debian-12.iso
  boot: [disk.a]
";

/// What the lines give different values to, or do not all have.
const OF_THE_LINE: [&str; 10] = [
    // Made up by the server.
    "id",
    "uuid",
    "serial",
    // The firmware that the server chooses: another file from 25.10 on, and no secure boot on 24.10.
    "bootloader_ovmf",
    "enable_secure_boot",
    // 27 alone.
    "pci_address",
    // For making a zvol along with its device, which tnvm does not do; some lines show the defaults.
    "create_zvol",
    "zvol_name",
    "zvol_volsize",
    // Betas of 26 keep the word `INHERIT`, or nothing, where others keep no comment.
    "comments",
];

fn without_what_differs(value: &Value) -> Value {
    let mut value = value.clone();
    let members = value.as_object_mut().unwrap();
    members.retain(|name, _| !OF_THE_LINE.contains(&name.as_str()));
    value
}

/// A VM without what is the line's own business.
fn essence(vm: &VmView) -> Value {
    let mut devices: Vec<Value> = vm
        .devices
        .iter()
        .map(|device| {
            json!({"order": device.order,
                "attributes": without_what_differs(&device.attributes)})
        })
        .collect();
    devices.sort_by_key(|device| device["order"].as_i64());
    json!({"config": without_what_differs(&vm.config), "running": vm.running, "devices": devices})
}

/// Everything that is there, as every line should have it.
fn state(view: &WorldView) -> Value {
    let vms: Vec<Value> = view
        .vms
        .iter()
        .map(|(name, vm)| json!({"name": name, "vm": essence(vm)}))
        .collect();
    let zvols: Vec<Value> = view
        .zvols
        .iter()
        .map(|(name, zvol)| {
            json!({"name": name, "size": zvol.volsize, "block": zvol.volblocksize,
                "sparse": zvol.sparse,
                "properties": without_what_differs(&json!(zvol.user_properties))})
        })
        .collect();
    json!({"vms": vms, "zvols": zvols})
}

/// Runs every command on one line; gives what stood there after the create and after the apply.
fn everything(line: &str) -> [Value; 2] {
    let lab = lab(line);
    let empty = lab.view();
    let told = |ran: tnvm_suite::Ran, code: i32| {
        assert_eq!(ran.code, code, "{line}: {}", ran.shown());
        ran
    };
    told(lab.config(BEFORE).tnvm(&["create"]), 0);
    lab.settled(&[]);
    let created = state(&lab.view());

    lab.config(AFTER);
    told(lab.plan(&["--restart"]), 2);
    told(lab.apply(&["--restart"]), 0);
    told(lab.plan(&[]), 0);
    lab.settled(&[]);
    let applied = state(&lab.view());

    // Somebody changes something by hand, and it is seen and set back.
    told(lab.tnvm(&["drift"]), 0);
    lab.change(|world| {
        let id = world.vm_named("web01").unwrap();
        let vm = world.vms.get_mut(&id).unwrap();
        vm.config.insert("memory".into(), json!(4096));
    });
    told(lab.tnvm(&["drift"]), 2).says(&["memory"]);
    told(lab.apply(&["--restart"]), 0);
    assert_eq!(state(&lab.view()), applied, "{line}");
    told(lab.tnvm(&["list"]), 0).says(&["web01", "web03"]);

    told(lab.tnvm(&["destroy", "--yes"]), 0);
    assert_eq!(lab.view(), empty, "{line}");
    [created, applied]
}

#[test]
fn every_command_works_on_every_line_and_the_same_config_ends_in_the_same_vms() {
    let found = LINES.map(|line| (line, everything(line)));
    let (reference, [created, applied]) = &found[3];
    for (line, [after_create, after_apply]) in &found {
        for (is, wanted) in [(after_create, created), (after_apply, applied)] {
            let differing = differing(is, wanted);
            assert!(
                differing.is_empty(),
                "{line} is not as {reference}: {differing:#?}"
            );
        }
    }
}

/// Where two values differ, each with both.
fn differing(one: &Value, other: &Value) -> Vec<String> {
    let mut all = Vec::new();
    let mut left = vec![(String::new(), one, other)];
    while let Some((place, one, other)) = left.pop() {
        match (one, other) {
            (Value::Object(ones), Value::Object(others)) => {
                for name in ones.keys().chain(others.keys()) {
                    left.push((format!("{place}/{name}"), &one[name], &other[name]));
                }
            }
            (Value::Array(ones), Value::Array(others)) if ones.len() == others.len() => {
                for (nth, (one, other)) in ones.iter().zip(others).enumerate() {
                    left.push((format!("{place}/{nth}"), one, other));
                }
            }
            _ if one != other => all.push(format!("{place}: {one}, {other}")),
            _ => {}
        }
    }
    all
}

#[test]
fn on_every_line_a_vm_made_by_hand_is_adopted_and_then_changed_like_any_other() {
    for line in LINES {
        let disk = json!({"dtype": "DISK", "path": "/dev/zvol/tank/vms/hand", "type": "AHCI"});
        let nic = json!({"dtype": "NIC", "type": "E1000", "nic_attach": "br0",
            "mac": "00:a0:98:00:00:01"});
        let lab = Lab::on(line.parse().unwrap(), |world| {
            world
                .zvol("tank/vms/hand", 3, &[])
                .vm("hand", 512, &[disk, nic])
                .unwrap()
        });
        let write = ["adopt", "hand", "--group", "lab", "--write", "config.yaml"];
        lab.tnvm(&write).ended(0).says(&["nothing to do"]);
        let _ = lab.tnvm(&["adopt", "--yes", "hand"]).ended(0);
        let _ = lab.plan(&[]).ended(0);
        let config = std::fs::read_to_string(lab.folder().join("config.yaml")).unwrap();
        lab.write("config.yaml", &config.replace("br0", "br1"));
        let _ = lab.apply(&[]).ended(0);
        let vm = lab.view().vms["hand"].clone();
        let mut devices = vm.devices.iter();
        let nic = devices.find(|device| device.attributes["dtype"] == "NIC");
        let attributes = &nic.unwrap().attributes;
        assert_eq!(attributes["nic_attach"], "br1", "{line}");
        // What was not in the change is as it was, also where all attributes are replaced.
        assert_eq!(attributes["mac"], "00:a0:98:00:00:01", "{line}");
        assert_eq!(attributes["type"], "E1000", "{line}");
        let _ = lab.plan(&[]).ended(0);
    }
}

#[test]
fn versions_without_vms_are_refused_with_the_reason_and_what_to_do() {
    for line in ["25.04.0", "25.04.1"] {
        let lab = lab(line);
        let before = lab.view();
        for command in [&["create"][..], &["plan"], &["list"], &["destroy", "--yes"]] {
            lab.example().tnvm(command).ended(3).says(&[
                line,
                "have no virtual machines of this kind",
                "update the server to TrueNAS 25.10 or newer",
            ]);
        }
        assert_eq!((lab.view(), lab.mutations()), (before, 0));
    }
}

/// A line of the VM type, what it needs, and the lines of TrueNAS that lack it.
const NEWER: &[(&str, &str, &[&str])] = &[
    (
        "enable_secure_boot: true",
        "`enable_secure_boot` needs TrueNAS 25.04.2 or newer",
        &["24.10"],
    ),
    (
        "display: {type: VNC, web: false}",
        "has no VNC displays",
        &["24.10", "25.04.2"],
    ),
];

#[test]
fn what_needs_a_newer_version_is_refused_in_its_place_before_the_first_change() {
    for (setting, says, lacking) in NEWER {
        for line in LINES {
            let lab = lab(line);
            lab.config(&format!(
                "web:\n  count: 2\n  memory: 1GiB\n  network: {{lan: br0}}\n  {setting}\n"
            ));
            let ran = lab.tnvm(&["create"]);
            if lacking.contains(&line) {
                ran.ended(2).says(&[says, "config.yaml:6:"]);
                assert_eq!(lab.mutations(), 0, "{line}");
            } else {
                assert_eq!(ran.code, 0, "{line}: {}", ran.shown());
            }
        }
    }
}

#[test]
fn what_says_no_more_than_the_server_does_anyway_is_not_sent() {
    for line in LINES {
        let lab = lab(line);
        lab.config("web: {count: 1, memory: 1GiB, enable_secure_boot: false}\n");
        let _ = lab.tnvm(&["create"]).ended(0);
        lab.settled(&[]);
    }
}

#[test]
fn a_machine_without_kvm_is_refused_before_the_first_change() {
    for line in ["24.10", "25.10", "27"] {
        let lab = lab(line);
        let result = json!({"supported": false,
            "error": "Your CPU does not support KVM extensions"});
        let effect = tnvm_simulator::Effect::Pretend { result };
        lab.inject(tnvm_simulator::Fault::on(
            "vm.virtualization_details",
            effect,
        ));
        lab.example()
            .tnvm(&["create"])
            .ended(2)
            .says(&["cannot run virtual machines", "KVM extensions"]);
        assert_eq!(lab.mutations(), 0, "{line}");
        let _ = lab.tnvm(&["list"]).ended(0);
    }
}

#[test]
fn a_release_that_is_not_known_yet_warns_and_works_like_the_newest() {
    let lab = lab("27");
    let result = json!("TrueNAS-28.04.0");
    for _ in 0..2 {
        let effect = tnvm_simulator::Effect::Pretend {
            result: result.clone(),
        };
        lab.inject(tnvm_simulator::Fault::on("system.version", effect));
    }
    let ran = lab.example().tnvm(&["create"]).ended(0);
    ran.says(&["TrueNAS 28.4.0 is newer than this tnvm, which treats it as 27"]);
    assert_eq!(ran.shown().matches("is newer than this tnvm").count(), 1);
    assert_eq!(lab.view().vms.len(), 4);
}
