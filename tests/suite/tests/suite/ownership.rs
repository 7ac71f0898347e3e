//! Whose data a zvol holds: found wherever it lies, never paired with another disk, never deleted
//! while somebody has it or gets it.

use serde_json::{Value, json};
use tnvm_simulator::{WorldBuilder, WorldView};
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
