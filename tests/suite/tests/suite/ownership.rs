//! Whose data a zvol holds: found wherever it lies, never paired with another disk, never deleted
//! while somebody has it or gets it.

use serde_json::{Value, json};
use tnvm_simulator::{Fault, WorldBuilder, WorldView};
use tnvm_suite::Lab;

fn disk(zvol: &str) -> Value {
    json!({"dtype": "DISK", "path": format!("/dev/zvol/{zvol}"), "type": "VIRTIO"})
}

/// A VM with these zvols of 7 GiB as its disks, none of them below the config's `pool_path`.
fn mail01(world: WorldBuilder, zvols: &[&str]) -> WorldBuilder {
    let disks: Vec<Value> = zvols.iter().map(|zvol| disk(zvol)).collect();
    let add = |world: WorldBuilder, zvol: &&str| world.zvol(zvol, 7, &[]);
    let world = zvols.iter().fold(world, add);
    world.vm("mail01", 512, &disks).unwrap()
}

fn mail(disks: &str) -> String {
    format!(
        "mail: {{names: [mail01], start: false, memory: 512MiB, disk: {{{disks}}}, cdrom: false, display: false}}\n"
    )
}

/// Fails unless `create` makes nothing, and `apply` comes to its end with these zvols.
#[track_caller]
fn check_kept(lab: &Lab, zvols: &[&str]) {
    let before = lab.view();
    lab.tnvm(&["create"]).ended(0).says(&["No changes"]);
    assert_eq!(lab.view(), before);
    let _ = lab.apply(&[]).ended(0);
    assert_eq!(lab.view().zvol_names(), zvols);
    lab.settled(&[]);
}

/// What each zvol says that it was made for.
fn made_for(lab: &Lab) -> Vec<(String, String)> {
    let property = |properties: &std::collections::BTreeMap<String, String>| {
        properties.get("tnvm:device").cloned().unwrap_or_default()
    };
    let zvols = lab.view().zvols.into_iter();
    zvols
        .map(|(name, zvol)| (name, property(&zvol.user_properties)))
        .collect()
}

#[track_caller]
fn check_unchanged(lab: &Lab, arguments: &[&str], code: i32, says: &[&str]) {
    let before: (WorldView, usize) = (lab.view(), lab.mutations());
    lab.tnvm(arguments).ended(code).says(says);
    assert_eq!((lab.view(), lab.mutations()), before);
}

#[test]
fn a_disk_outside_the_pool_path_is_found_by_create_as_by_plan() {
    let lab = Lab::of(|world| mail01(world, &["storage/mail_data"]));
    lab.config(&mail("disk0: 7"));
    let _ = lab.tnvm(&["adopt", "--yes", "mail01"]).ended(0);
    check_kept(&lab, &["storage/mail_data"]);
    // It grows where it is, as far as there is room.
    let _ = lab.config(&mail("disk0: 8")).apply(&[]).ended(0);
    assert_eq!(lab.view().zvols["storage/mail_data"].volsize, 8 << 30);
    lab.settled(&[]);
    lab.config(&mail("disk0: 90TiB"));
    check_unchanged(&lab, &["apply", "--yes"], 2, &["free in storage"]);
}

#[test]
fn another_pool_path_leaves_the_disks_where_they_are() {
    let lab = Lab::new();
    let vms = "web: {count: 2, memory: 512MiB, disk: {a: 1}}\n";
    let _ = lab.config(vms).tnvm(&["create"]).ended(0);
    let elsewhere = |types: &str| {
        let storage =
            "storage: {pool_path: storage/VMs, cdrom_path: /mnt/tank/iso/metal-amd64.iso}\n";
        lab.write("config.yaml", &format!("{storage}{types}"));
    };
    elsewhere(vms);
    lab.settled(&[]);
    // A disk that is new comes to the new place.
    elsewhere(&vms.replace("{a: 1}", "{a: 1, b: 1}"));
    let _ = lab.tnvm(&["create"]).ended(0);
    assert_eq!(
        lab.view().zvol_names(),
        [
            "storage/VMs/web01-disk1",
            "storage/VMs/web02-disk1",
            "tank/kubernetes/web01-disk0",
            "tank/kubernetes/web02-disk0",
        ]
    );
}

#[test]
fn two_zvols_of_one_disk_are_refused_and_neither_goes() {
    let lab = Lab::new();
    let vms = "web: {count: 1, memory: 512MiB, disk: {a: 1}}\n";
    let _ = lab.config(vms).tnvm(&["create"]).ended(0);
    // As somebody leaves it who sends the disk to another place by `zfs send -p`.
    lab.change(|world| {
        for name in ["storage/VMs/copy", "tank/vms/copy"] {
            let mut copy = world.datasets["tank/kubernetes/web01-disk0"].clone();
            copy.name = name.to_owned();
            world.datasets.insert(name.to_owned(), copy);
        }
    });
    let says = [
        "tank/kubernetes/web01-disk0",
        "storage/VMs/copy",
        "tank/vms/copy",
        "disk.a",
        "tnvm:device",
    ];
    check_unchanged(&lab, &["create"], 4, &says);
    check_unchanged(&lab, &["apply", "--yes"], 4, &says);
}

#[test]
fn a_disk_that_the_config_names_by_its_path_is_not_taken_for_another() {
    let lab = Lab::of(|world| mail01(world, &["tank/golden", "tank/vms/data"]));
    lab.config(&mail("golden: {path: tank/golden}, data: 7"));
    let _ = lab.tnvm(&["adopt", "--yes", "mail01"]).ended(0);
    let expected = [("tank/golden", ""), ("tank/vms/data", "disk.data")];
    assert_eq!(
        made_for(&lab),
        expected.map(|(zvol, device)| (zvol.to_owned(), device.to_owned()))
    );
    check_kept(&lab, &["tank/golden", "tank/vms/data"]);
}

#[test]
fn a_written_config_gives_every_disk_its_own_zvol_beside_a_shared_one() {
    let lab = Lab::of(|world| {
        let world = mail01(world, &["tank/shared", "tank/vms/a", "tank/vms/b"]);
        world.vm("other", 512, &[disk("tank/shared")]).unwrap()
    });
    let write = ["adopt", "mail01", "--group", "lab", "--write"];
    check_unchanged(
        &lab,
        &[&write[..], &["config.yaml"]].concat(),
        0,
        &["nothing to do"],
    );
    let _ = lab.tnvm(&["adopt", "--yes", "mail01"]).ended(0);
    let expected = [
        ("tank/shared", ""),
        ("tank/vms/a", "disk.disk1"),
        ("tank/vms/b", "disk.disk2"),
    ];
    assert_eq!(
        made_for(&lab),
        expected.map(|(zvol, device)| (zvol.to_owned(), device.to_owned()))
    );
    lab.settled(&[]);
}

#[test]
fn a_disk_that_the_config_does_not_have_stays_unmarked() {
    let lab = Lab::of(|world| mail01(world, &["tank/vms/a", "tank/vms/b"]));
    lab.config(&mail("a: 7"));
    let says = [
        "tank/vms/b is not taken over",
        "the config has no disk for it",
    ];
    lab.tnvm(&["adopt", "--yes", "mail01"]).ended(0).says(&says);
    let _ = lab.apply(&[]).ended(0);
    // The device goes, as the config says; the data was never tnvm's.
    assert_eq!(lab.view().zvol_names(), ["tank/vms/a", "tank/vms/b"]);
    lab.settled(&[]);
}

#[test]
fn a_zvol_is_handed_on_to_another_vm_with_its_data() {
    let lab = Lab::new();
    let vms = |count: u32, disks: &str| {
        format!(
            "web: {{count: {count}, memory: 512MiB, disk: {{a: 1}}}}\n\
             db: {{count: 1, memory: 512MiB, disk: {{{disks}}}}}\n"
        )
    };
    let _ = lab.config(&vms(3, "own: 1")).tnvm(&["create"]).ended(0);
    let handed = vms(2, "own: 1, x: {path: tank/kubernetes/web03-disk0}");
    let before = lab.view().zvols["tank/kubernetes/web03-disk0"].clone();
    // Who takes web03 away alone leaves what the config gives to another.
    lab.config(&handed);
    let _ = lab.apply(&["--only", "web"]).ended(0);
    assert_eq!(lab.view().zvols["tank/kubernetes/web03-disk0"], before);
    let _ = lab.apply(&[]).ended(0);
    assert_eq!(lab.view().zvols["tank/kubernetes/web03-disk0"], before);
    lab.settled(&[]);
    // It is the group's, and goes with it.
    check_unchanged(
        &lab,
        &["destroy", "--yes", "--only", "web*"],
        4,
        &["tank/kubernetes/web03-disk0 is also a disk of the VM `db01`"],
    );
    let _ = lab.tnvm(&["destroy", "--yes"]).ended(0);
    assert_eq!(lab.view().zvol_names(), [""; 0]);
}

/// `web02` without its mark, as a person takes it away; its zvol keeps its own.
fn given_back() -> Lab {
    let lab = Lab::new();
    let vms = "web: {count: 2, start: false, memory: 512MiB, disk: {a: 1}, display: false}\n";
    let _ = lab.config(vms).tnvm(&["create"]).ended(0);
    lab.change(|world| {
        let id = world.vm_named("web02").unwrap();
        let vm = world.vms.get_mut(&id).unwrap();
        vm.config.insert("description".into(), json!("mine"));
    });
    lab.config(&vms.replace("count: 2", "count: 1"));
    lab
}

#[test]
fn a_zvol_of_a_vm_that_is_no_longer_ours_is_left_alone() {
    let lab = given_back();
    let says = [
        "tank/kubernetes/web02-disk0 is left alone",
        "web02",
        "--release web02",
    ];
    check_unchanged(&lab, &["apply", "--yes"], 0, &says);
    let before = lab.view();
    lab.tnvm(&["destroy", "--yes"]).ended(0).says(&says);
    let after = lab.view();
    assert_eq!(after.vm_names(), ["web02"]);
    assert_eq!(after.vms["web02"], before.vms["web02"]);
    assert_eq!(after.zvol_names(), ["tank/kubernetes/web02-disk0"]);
}

#[test]
fn a_vm_is_given_back_as_it_is() {
    let lab = Lab::new();
    let vms = "web: {count: 2, start: false, protect: true, memory: 512MiB, description: mine, disk: {a: 1}, display: false}\n";
    let _ = lab.config(vms).tnvm(&["create"]).ended(0);
    let release = ["adopt", "--release", "web02"];
    let says = [
        "web02 (id",
        "description: mine",
        "tank/kubernetes/web02-disk0",
    ];
    check_unchanged(&lab, &[&release[..], &["--dry-run"]].concat(), 0, &says);
    check_unchanged(&lab, &release, 4, &["--yes", "nothing was changed"]);
    check_unchanged(
        &lab,
        &[&release[..], &["--yes", "--read-only"]].concat(),
        4,
        &["read-only"],
    );
    check_unchanged(
        &lab,
        &["adopt", "--release", "wbe02"],
        2,
        &["did you mean `web0"],
    );
    let mut expected = lab.view();
    let yes = [&release[..], &["--yes"]].concat();
    lab.tnvm(&yes)
        .ended(0)
        .says(&["given back: web02", "the config still has it"]);
    let vm = expected.vms.get_mut("web02").unwrap();
    vm.config["description"] = json!("mine");
    let zvol = expected
        .zvols
        .get_mut("tank/kubernetes/web02-disk0")
        .unwrap();
    zvol.user_properties.clear();
    assert_eq!(lab.view(), expected);
    check_unchanged(&lab, &yes, 0, &["0 VMs to give back"]);
    // Its name is in the way as long as the config says it; then it is nobody's business.
    check_unchanged(&lab, &["apply", "--yes"], 4, &["a VM named `web02` exists"]);
    lab.config(&vms.replace("count: 2", "count: 1"));
    lab.settled(&[]);
}

#[test]
fn a_release_that_is_interrupted_leaves_nothing_that_would_be_deleted() {
    let lab = Lab::new();
    let vms = "web: {count: 2, start: false, memory: 512MiB, disk: {a: 1}, display: false}\n";
    let _ = lab.config(vms).tnvm(&["create"]).ended(0);
    lab.config(&vms.replace("count: 2", "count: 1"));
    lab.inject(Fault {
        params_contain: Some("tnvm:owner".to_owned()),
        ..Fault::fail("pool.dataset.update", 14, "no luck")
    });
    let release = ["adopt", "--release", "--yes", "web02"];
    lab.tnvm(&release)
        .ended(1)
        .says(&["no luck", "takes off the rest"]);
    let half = lab.view();
    lab.tnvm(&["apply", "--yes"])
        .ended(0)
        .says(&["tank/kubernetes/web02-disk0 is left alone"]);
    assert_eq!(lab.view(), half);
    let _ = lab.tnvm(&release).ended(0);
    lab.settled(&[]);
    lab.tnvm(&["apply", "--yes"])
        .ended(0)
        .hides(&["left alone"]);
}

#[test]
fn a_replica_of_a_zvol_is_nobodys() {
    let lab = Lab::new();
    let vms = "web: {count: 1, start: false, memory: 512MiB, disk: {a: 1}, display: false}\n";
    let _ = lab.config(vms).tnvm(&["create"]).ended(0);
    // As `zfs receive` of a stream with properties leaves it.
    lab.change(|world| {
        let mut copy = world.datasets["tank/kubernetes/web01-disk0"].clone();
        copy.name = "storage/VMs/replica".to_owned();
        copy.received_properties = std::mem::take(&mut copy.user_properties);
        world.datasets.insert(copy.name.clone(), copy);
    });
    lab.settled(&[]);
    let _ = lab.tnvm(&["destroy", "--yes"]).ended(0);
    assert_eq!(lab.view().zvol_names(), ["storage/VMs/replica"]);
}

#[test]
fn a_vm_moves_to_another_type_with_its_disks() {
    let lab = Lab::new();
    let vms = "web: {names: [shop1], start: false, memory: 512MiB, disk: {a: 1}, display: false}\n";
    let _ = lab.config(vms).tnvm(&["create"]).ended(0);
    lab.config(&vms.replace("web:", "shop:"));
    let says = ["of the type `web`", "tnvm adopt shop1 --type shop"];
    check_unchanged(&lab, &["apply", "--yes"], 4, &says);
    let _ = lab
        .tnvm(&["adopt", "shop1", "--type", "shop", "--yes"])
        .ended(0);
    lab.settled(&[]);
    let zvol = &lab.view().zvols["tank/kubernetes/shop1-disk0"];
    assert_eq!(zvol.user_properties["tnvm:owner"], "tnvm:v1:lab:shop:shop1");
    assert_eq!(zvol.user_properties["tnvm:device"], "disk.a");
}
