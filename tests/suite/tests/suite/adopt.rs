//! `adopt`: VMs made by hand or by the original tool become the group's, and nobody else's do.

use serde_json::{Value, json};
use tnvm_simulator::{Effect, Fault, Kind, Version, WorldBuilder, WorldView};
use tnvm_suite::Lab;

fn disk(zvol: &str) -> Value {
    json!({"dtype": "DISK", "path": format!("/dev/zvol/{zvol}"), "type": "AHCI"})
}

/// VMs as people make them: with names, zvols and orders of their own.
fn by_hand(world: WorldBuilder) -> WorldBuilder {
    let nic = |mac: &str| json!({"dtype": "NIC", "type": "E1000", "nic_attach": "br0", "mac": mac});
    let display = json!({"dtype": "DISPLAY", "type": "SPICE", "port": 5950, "web_port": 5951,
        "bind": "0.0.0.0", "resolution": "1280x720", "password": "VncLab42", "web": true, "wait": false});
    let iso = json!({"dtype": "CDROM", "path": "/mnt/tank/iso/metal-amd64.iso"});
    world
        .zvol("tank/vms/files", 20, &[])
        .zvol("tank/vms/old", 3, &[])
        .zvol("storage/mail_data", 7, &[("who:owns", "me")])
        .zvol("tank/vms/theirs", 5, &[])
        .vm(
            "fileserver",
            2048,
            &[
                disk("tank/vms/files"),
                nic("00:a0:98:00:00:01"),
                display,
                iso,
            ],
        )
        .unwrap()
        .vm(
            "mail01",
            512,
            &[disk("storage/mail_data"), disk("tank/vms/old")],
        )
        .unwrap()
        .vm("mail02", 1024, &[nic("00:a0:98:00:00:03")])
        .unwrap()
        .vm("theirs", 512, &[disk("tank/vms/theirs")])
        .unwrap()
        .with(|world| {
            let mut describe = |name: &str, text: &str| {
                let id = world.vm_named(name).unwrap();
                let vm = world.vms.get_mut(&id).unwrap();
                vm.config.insert("description".into(), json!(text));
            };
            describe("fileserver", "holds the [family] photos");
            describe("theirs", "[tnvm:v1:other:theirs:theirs]");
            let id = world.vm_named("fileserver").unwrap();
            let vm = world.vms.get_mut(&id).unwrap();
            for (field, value) in [
                ("shutdown_timeout", json!(30)),
                ("autostart", json!(false)),
                ("cores", json!(2)),
                ("time", json!("UTC")),
            ] {
                vm.config.insert(field.into(), value);
            }
        })
}

#[track_caller]
fn check_unchanged(lab: &Lab, arguments: &[&str], code: i32, says: &[&str]) {
    let before: (WorldView, usize) = (lab.view(), lab.mutations());
    lab.tnvm(arguments).ended(code).says(says);
    assert_eq!((lab.view(), lab.mutations()), before);
}

/// A server with those VMs, and no config.
fn lab() -> Lab {
    Lab::of(by_hand)
}

fn description(lab: &Lab, vm: &str) -> String {
    let description = &lab.view().vms[vm].config["description"];
    description.as_str().unwrap().to_owned()
}

#[test]
fn a_written_config_plans_nothing_once_its_vms_are_adopted() {
    for version in ["25.04.2", "25.10", "26"] {
        let lab = Lab::on(version.parse::<Version>().unwrap(), by_hand);
        let before = lab.view();
        let all = ["fileserver", "mail01", "mail02"];
        let write = [
            &["adopt"][..],
            &all,
            &["--group", "lab", "--write", "config.yaml"],
        ]
        .concat();
        check_unchanged(&lab, &write, 0, &["wrote config.yaml", "nothing to do"]);
        check_unchanged(&lab, &write, 2, &["config.yaml exists"]);
        let yes = [&["adopt", "--yes"][..], &all].concat();
        lab.tnvm(&yes)
            .ended(0)
            .says(&["adopted: fileserver, mail01, mail02"]);
        check_unchanged(&lab, &["plan", "--detailed-exitcode"], 0, &["No changes"]);
        check_unchanged(&lab, &yes, 0, &["0 VMs to adopt, 3 are its own"]);
        assert_eq!(
            description(&lab, "fileserver"),
            "holds the [family] photos [tnvm:v1:lab:fileserver:fileserver]"
        );
        // What is adopted is changed and destroyed like any other; the neighbour stays.
        let config = std::fs::read_to_string(lab.folder().join("config.yaml")).unwrap();
        lab.write("config.yaml", &config.replace("20GiB", "21GiB"));
        let _ = lab.apply(&[]).ended(0);
        assert_eq!(lab.view().zvols["tank/vms/files"].volsize, 21 << 30);
        let _ = lab.tnvm(&["destroy", "--yes"]).ended(0);
        let after = lab.view();
        assert_eq!(after.vm_names(), ["theirs"]);
        assert_eq!(after.zvol_names(), ["tank/vms/theirs"]);
        assert_eq!(after.vms["theirs"], before.vms["theirs"]);
        assert_eq!(after.filesystem_properties, before.filesystem_properties);
    }
}

#[test]
fn what_is_marked_is_shown_first_and_needs_consent() {
    let lab = lab();
    let says = [
        "fileserver",
        "tank/vms/files",
        "disk.disk0",
        "[tnvm:v1:lab:",
    ];
    let ask = ["adopt", "fileserver", "--group", "lab"];
    check_unchanged(&lab, &[&ask[..], &["--dry-run"]].concat(), 0, &says);
    check_unchanged(&lab, &ask, 4, &["--yes", "nothing was changed"]);
    check_unchanged(
        &lab,
        &[&ask[..], &["--yes", "--read-only"]].concat(),
        4,
        &["read-only"],
    );
    check_unchanged(&lab, &["adopt", "--group", "lab"], 2, &["<NAME>"]);
    check_unchanged(&lab, &["adopt", "fileserver"], 2, &["--group"]);
    let shown: Value = lab
        .tnvm(&[&ask[..], &["--dry-run", "-o", "json"]].concat())
        .ended(0)
        .json();
    assert_eq!(shown["vms"][0]["zvols"][0]["dataset"], "tank/vms/files");
}

#[test]
fn a_vm_of_another_group_is_refused_and_nothing_is_marked() {
    let lab = lab();
    let both = ["adopt", "--yes", "--group", "lab", "mail01", "theirs"];
    check_unchanged(&lab, &both, 4, &["theirs", "belongs to the group `other`"]);
    let wrong = ["adopt", "--yes", "--group", "lab", "mial01"];
    check_unchanged(&lab, &wrong, 2, &["mial01", "did you mean `mail01`"]);
}

#[test]
fn a_prefix_takes_all_that_begin_so_and_no_other() {
    let lab = lab();
    let before = lab.view();
    let adopt = [
        "adopt", "--yes", "--group", "lab", "--prefix", "mail", "--type", "post",
    ];
    lab.tnvm(&adopt).ended(0).says(&["adopted: mail01, mail02"]);
    assert_eq!(description(&lab, "mail02"), "[tnvm:v1:lab:post:mail02]");
    let after = lab.view();
    for other in ["fileserver", "theirs"] {
        assert_eq!(after.vms[other], before.vms[other]);
    }
    let zvol = &after.zvols["storage/mail_data"].user_properties;
    assert_eq!(zvol["who:owns"], "me");
    assert_eq!(zvol["tnvm:device"], "disk.disk0");
    assert_eq!(
        after.zvols["tank/vms/files"],
        before.zvols["tank/vms/files"]
    );
}

#[test]
fn a_config_that_is_there_gives_type_and_names_and_a_vm_it_lacks_is_warned_of() {
    let lab = lab();
    lab.config(
        "post: {names: [mail01], memory: 512MiB, disk: {data: 7, old: 3}, display: false}\n",
    );
    let dry = ["adopt", "--dry-run", "mail01", "mail02"];
    let says = [
        "becomes a `post`",
        "disk.data",
        "disk.old",
        "mail02",
        "would remove it",
    ];
    check_unchanged(&lab, &dry, 0, &says);
}

#[test]
fn an_interrupted_adoption_is_finished_by_the_same_command() {
    let lab = lab();
    let adopt = ["adopt", "--yes", "--group", "lab", "mail01"];
    lab.inject(Fault::fail("vm.update", 14, "no luck"));
    lab.tnvm(&adopt)
        .ended(1)
        .says(&["no luck", "marks the rest"]);
    assert_eq!(description(&lab, "mail01"), "");
    let _ = lab.tnvm(&adopt).ended(0);
    assert!(description(&lab, "mail01").contains("tnvm:v1:lab:mail:mail01"));
}

#[test]
fn an_answer_that_is_lost_is_looked_for() {
    let lost: [fn() -> Effect; 2] = [|| Effect::DropBeforeCommit, || Effect::DropAfterCommit];
    for effect in lost {
        let lab = lab();
        lab.inject(Fault::on("vm.update", effect()));
        let _ = lab
            .tnvm(&["adopt", "--yes", "--group", "lab", "mail01"])
            .ended(0);
        assert!(description(&lab, "mail01").contains("tnvm:v1:lab:mail:mail01"));
    }
}

#[test]
fn what_no_device_type_can_say_is_told() {
    let lab = Lab::of(|world| {
        let raw = json!({"dtype": "RAW", "path": "/mnt/tank/vms/disk.img", "size": null});
        by_hand(world)
            .with(|world| {
                world.files.insert("/mnt/tank/vms/disk.img".into(), 1 << 20);
            })
            .vm("raw01", 512, &[raw])
            .unwrap()
    });
    let write = ["adopt", "raw01", "--group", "lab", "--write", "-"];
    check_unchanged(
        &lab,
        &write,
        1,
        &["RAW", "would remove it", "would still change"],
    );
}

#[test]
fn vms_of_the_original_tool_are_taken_over_as_they_are() {
    // Its zvols are `{vm}-disk{n}`, thick, made by the server with the device.
    let lab = Lab::on("25.10.7".parse::<Version>().unwrap(), |world| {
        let mut world = world;
        for name in ["worker01", "worker02"] {
            let zvols = [
                format!("tank/kubernetes/{name}-disk0"),
                format!("tank/kubernetes/{name}-disk1"),
            ];
            let port = if name == "worker01" { 5921 } else { 5922 };
            world = world.zvol(&zvols[0], 15, &[]).zvol(&zvols[1], 60, &[]);
            let devices = [
                json!({"dtype": "DISK", "path": format!("/dev/zvol/{}", zvols[0]), "type": "VIRTIO", "iotype": "THREADS"}),
                json!({"dtype": "DISK", "path": format!("/dev/zvol/{}", zvols[1]), "type": "VIRTIO", "iotype": "THREADS"}),
                // It sent null, and up to 25.10 the server keeps that.
                json!({"dtype": "NIC", "type": "VIRTIO", "nic_attach": "br68", "mac": null}),
                json!({"dtype": "DISPLAY", "type": "SPICE", "port": port, "web_port": port + 1000, "bind": "0.0.0.0",
                    "resolution": "1024x768", "password": "VncLab42", "web": true, "wait": false}),
            ];
            world = world.vm(name, 8192, &devices).unwrap();
        }
        world
    });
    let write = [
        "adopt",
        "--prefix",
        "worker",
        "--group",
        "lab",
        "--write",
        "config.yaml",
    ];
    check_unchanged(&lab, &write, 0, &["nothing to do"]);
    let config = std::fs::read_to_string(lab.folder().join("config.yaml")).unwrap();
    assert!(config.contains("count: 2"), "{config}");
    let _ = lab.tnvm(&["adopt", "--prefix", "worker", "--yes"]).ended(0);
    lab.settled(&[]);
    let macs = |lab: &Lab| {
        let vms = lab.view().vms.into_values();
        let devices = vms.flat_map(|vm| vm.devices);
        let nics = devices.filter(|device| device.attributes["dtype"] == "NIC");
        nics.map(|device| device.attributes["mac"].clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(macs(&lab), [Value::Null, Value::Null]);
    // Who wants addresses that stay leaves `mac` out.
    lab.write("config.yaml", &config.replace("mac: server", ""));
    let ran = lab.plan(&[]).ended(2);
    ran.says(&["mac: none → 02:"]);
}

#[test]
fn a_protected_vm_and_odd_sizes_are_written_as_they_are() {
    let lab = Lab::of(|world| {
        by_hand(world).with(|world| {
            let zvol = world.datasets.get_mut("tank/vms/files").unwrap();
            if let Kind::Volume { size, .. } = &mut zvol.kind {
                *size += 16 << 10;
            }
        })
    });
    let write = [
        "adopt",
        "fileserver",
        "--group",
        "lab",
        "--write",
        "config.yaml",
    ];
    check_unchanged(&lab, &write, 0, &["nothing to do"]);
    let config = std::fs::read_to_string(lab.folder().join("config.yaml")).unwrap();
    assert!(config.contains("size: 20971536KiB"), "{config}");
    assert!(config.contains("block_size: 16KiB"), "{config}");
    let _ = lab.tnvm(&["adopt", "--yes", "fileserver"]).ended(0);
    lab.write("config.yaml", &format!("{config}  protect: true\n"));
    let _ = lab.apply(&[]).ended(0);
    assert!(description(&lab, "fileserver").contains("[tnvm:protected]"));
    let again = ["adopt", "fileserver", "--group", "lab", "--write", "-"];
    let ran = lab.tnvm(&again).ended(0);
    ran.says(&["protect: true", "nothing to do"]);
    ran.hides(&["[tnvm:protected]"]);
}

#[test]
fn a_name_that_begins_like_a_section_wants_a_type_of_its_own() {
    let lab = Lab::of(|world| world.vm("storage", 512, &[]).unwrap());
    let adopt = ["adopt", "storage", "--group", "lab", "--yes"];
    check_unchanged(&lab, &adopt, 4, &["`storage`", "--type"]);
    let _ = lab
        .tnvm(&[&adopt[..], &["--type", "box"]].concat())
        .ended(0);
    assert_eq!(description(&lab, "storage"), "[tnvm:v1:lab:box:storage]");
}

#[test]
fn what_a_config_cannot_say_is_written_all_the_same_and_told_per_vm() {
    let lab = Lab::of(|world| {
        let nic = json!({"dtype": "NIC", "type": "E1000", "nic_attach": null, "mac": "00:a0:98:00:00:09"});
        by_hand(world)
            .vm("loose", 512, &[nic])
            .unwrap()
            .with(|world| {
                let id = world.vm_named("loose").unwrap();
                let vm = world.vms.get_mut(&id).unwrap();
                vm.config.insert("shutdown_timeout".into(), json!(33));
            })
    });
    let write = [
        "adopt",
        "fileserver",
        "loose",
        "--group",
        "lab",
        "--write",
        "written.yaml",
    ];
    let says = [
        "loose: its NIC",
        "network.nic0.bridge",
        "wrote written.yaml",
        "cannot be used before this is put right",
        "written.yaml:",
    ];
    check_unchanged(&lab, &write, 1, &says);
    // Only what was told is missing.
    let config = std::fs::read_to_string(lab.folder().join("written.yaml")).unwrap();
    assert!(config.contains("shutdown_timeout: 33"), "{config}");
    lab.write("config.yaml", &config.replace("bridge: ''", "bridge: br0"));
    let _ = lab
        .tnvm(&["adopt", "--yes", "fileserver", "loose"])
        .ended(0);
    let ran = lab.plan(&[]).ended(2);
    ran.says(&["nic_attach: none → br0", "1 to change"]);
}

#[test]
fn vms_that_share_a_zvol_are_written_and_the_clash_is_told() {
    let lab = Lab::of(|world| {
        by_hand(world)
            .vm("twin", 512, &[disk("storage/mail_data")])
            .unwrap()
    });
    let write = [
        "adopt",
        "mail01",
        "twin",
        "--group",
        "lab",
        "--write",
        "written.yaml",
    ];
    let says = ["storage/mail_data is claimed twice", "wrote written.yaml"];
    check_unchanged(&lab, &write, 1, &says);
    let config = std::fs::read_to_string(lab.folder().join("written.yaml")).unwrap();
    assert!(
        config.contains("twin:") && config.contains("mail:"),
        "{config}"
    );
}

#[test]
fn secure_boot_comes_to_rest_and_is_written_and_missed() {
    for version in ["25.04.2", "25.10", "26"] {
        let lab = Lab::on(version.parse::<Version>().unwrap(), |world| world);
        let plain = "web: {names: [web], start: false, memory: 512MiB, display: false}\n";
        let secure = plain.replace("start:", "enable_secure_boot: true, start:");
        let _ = lab.config(&secure).tnvm(&["create"]).ended(0);
        lab.settled(&[]);
        let write = ["adopt", "web", "--write", "written.yaml"];
        check_unchanged(&lab, &write, 0, &["nothing to do"]);
        let config = std::fs::read_to_string(lab.folder().join("written.yaml")).unwrap();
        assert!(config.contains("enable_secure_boot: true"), "{config}");
        // Said no more, it is a difference.
        let ran = lab.config(plain).tnvm(&["plan"]);
        ran.says(&["enable_secure_boot: true → false"]);
        assert_eq!(ran.code, if version == "25.04.2" { 0 } else { 4 });
    }
}
