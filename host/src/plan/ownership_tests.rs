//! Zvols that somebody has or gets: what a plan may delete, and when.

use serde_json::json;

use super::apply_tests::{
    Part, Server, Sketch, applied, apply, converge, desired, errors, mark, object, sketch, with,
    words,
};
use super::*;
use crate::diagnostic::Diagnostics;
use crate::plugin::Claim;
use crate::resolve::{Desired, DesiredDevice};

fn one_disk() -> Sketch {
    sketch(vec![Part::Disk { name: "a", gib: 1 }])
}

/// A disk on a zvol that the config names by its path.
fn by_path(name: &str, zvol: &str, order: u32) -> DesiredDevice {
    let path = format!("/dev/zvol/{zvol}");
    DesiredDevice {
        name: format!("disk.{name}"),
        plugin: "disk".into(),
        attributes: object(json!({"dtype": "DISK", "type": "VIRTIO", "path": path})),
        order,
        volume: None,
        secrets: Vec::new(),
        claims: vec![Claim {
            kind: "dataset".into(),
            value: zvol.into(),
            pointer: String::new(),
        }],
        origin: None,
    }
}

/// `web01`, and `db01` which gets the disk of `web02` or `web02` with its own.
fn handing(handed: bool) -> Desired {
    let mut vms = vec![("web", "web01", one_disk()), ("db", "db01", one_disk())];
    if !handed {
        vms.push(("web", "web02", one_disk()));
    }
    let mut wanted = desired(&vms);
    if handed {
        wanted.vms[1]
            .devices
            .push(by_path("x", "tank/web02-disk0", 2));
    }
    wanted
}

fn warnings(problems: &Diagnostics) -> Vec<String> {
    problems.iter().map(|one| one.message.clone()).collect()
}

fn destroy(server: &Server, only: &[&str]) -> (Plan, Diagnostics) {
    let only: Vec<String> = only.iter().map(ToString::to_string).collect();
    let options = DestroyOptions {
        selection: &Selection::of(&only),
        protected: &[],
        with_snapshots: false,
    };
    plan_destroy("lab", &options, &server.world)
}

#[test]
fn a_zvol_that_the_config_gives_to_another_vm_outlives_its_own() {
    let mut server = applied(&handing(false));
    let (plan, problems) = apply(&handing(true), &server.world);
    assert_eq!(words(&plan, "web02"), ["power off", "delete VM"]);
    let stays = "tank/web02-disk0 stays with all data on it: the config gives it to `db01`";
    assert_eq!(warnings(&problems), [stays]);
    // Whichever VMs are chosen.
    let only = Selection::of(&["web".to_owned()]);
    let (plan, _) = with(&handing(true), &server.world, true, &only);
    assert_eq!(words(&plan, "web02"), ["power off", "delete VM"]);

    server.execute(&apply(&handing(true), &server.world).0);
    assert!(server.world.datasets.contains_key("tank/web02-disk0"));
    let (again, problems) = apply(&handing(true), &server.world);
    assert!(
        again.is_empty() && problems.is_empty(),
        "{again:#?} {problems:?}"
    );
}

#[test]
fn a_disk_that_a_vm_gives_up_for_another_keeps_its_data() {
    let two = || {
        sketch(vec![
            Part::Disk { name: "a", gib: 1 },
            Part::Disk { name: "b", gib: 1 },
        ])
    };
    let before = desired(&[("web", "web01", two()), ("db", "db01", one_disk())]);
    let mut after = desired(&[("web", "web01", one_disk()), ("db", "db01", one_disk())]);
    after.vms[1]
        .devices
        .push(by_path("x", "tank/web01-disk1", 2));
    let mut server = applied(&before);
    let (plan, problems) = apply(&after, &server.world);
    assert_eq!(errors(&problems), [""; 0]);
    assert!(!words(&plan, "web01").contains(&"delete tank/web01-disk1".to_owned()));
    server.execute(&plan);
    assert!(apply(&after, &server.world).0.is_empty());
}

#[test]
fn a_zvol_that_was_handed_on_goes_after_the_vm_that_has_it() {
    let mut server = applied(&handing(false));
    let plan = apply(&handing(true), &server.world).0;
    server.execute(&plan);
    let (_, problems) = destroy(&server, &["web*"]);
    let has = "tank/web02-disk0 is also a disk of the VM `db01`";
    assert_eq!(errors(&problems), [has]);
    let (plan, problems) = destroy(&server, &[]);
    assert_eq!(errors(&problems), [""; 0]);
    let orphan = plan.vms.iter().find(|vm| vm.name == "web02").unwrap();
    assert!(orphan.after.contains("db01"), "{orphan:#?}");
    server.execute(&plan);
    assert!(server.world.marks("lab").is_empty());
    // The same when the config wants neither.
    let mut server = applied(&handing(false));
    server.execute(&apply(&handing(true), &server.world).0);
    converge(&mut server, &desired(&[("web", "web01", one_disk())]));
    assert!(!server.world.datasets.contains_key("tank/web02-disk0"));
}

#[test]
fn vms_that_have_each_others_zvols_do_not_wait_for_ever() {
    let mut server = applied(&handing(false));
    for (vm, zvol) in [("web01", "web02"), ("web02", "web01")] {
        let path = format!("/dev/zvol/tank/{zvol}-disk0");
        let mut device = server.vm(vm).devices[0].clone();
        device.id += 100;
        device.attributes.insert("path".into(), path.into());
        server.vm(vm).devices.push(device);
    }
    let (_, problems) = destroy(&server, &[]);
    assert!(
        errors(&problems)[0].starts_with("web01, web02 exchange"),
        "{problems:?}"
    );
}

#[test]
fn a_zvol_of_a_vm_that_lost_its_mark_is_left_alone() {
    let two = desired(&[("web", "web01", one_disk()), ("web", "web02", one_disk())]);
    let one = desired(&[("web", "web01", one_disk())]);
    let mut server = applied(&two);
    server.vm("web02").mark = None;
    for (plan, problems) in [apply(&one, &server.world), destroy(&server, &[])] {
        assert_eq!(errors(&problems), [""; 0]);
        assert!(warnings(&problems)[0].starts_with("tank/web02-disk0 is left alone"));
        assert!(plan.vms.iter().all(|vm| vm.name != "web02"), "{plan:#?}");
    }
    // A stranger with a disk of ours keeps it too, and the rest goes.
    let mut server = applied(&two);
    let mut thief = server.vm("web02").clone();
    thief.name = "thief".into();
    thief.id = 77;
    server.world.vms.push(thief);
    let (plan, problems) = apply(&one, &server.world);
    assert_eq!(errors(&problems), [""; 0]);
    assert_eq!(words(&plan, "web02"), ["power off", "delete VM"]);
    let owners: Vec<_> = server.world.marks("lab").into_iter().cloned().collect();
    assert_eq!(owners, [mark("web", "web01"), mark("web", "web02")]);
}
