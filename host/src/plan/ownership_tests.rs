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

/// `web01` with the disks a and b, taken away by hand: both zvols are left.
fn left_over() -> Server {
    let parts = [("a", 1), ("b", 2)].map(|(name, gib)| Part::Disk { name, gib });
    let mut server = applied(&desired(&[("web", "web01", sketch(parts.to_vec()))]));
    server.world.vms.retain(|vm| vm.name != "web01");
    server
}

#[test]
fn what_an_earlier_vm_left_goes_with_the_apply_that_makes_it_again() {
    let mut server = left_over();
    let plan = converge(&mut server, &desired(&[("web", "web01", one_disk())]));
    assert_eq!(
        words(&plan, "web01"),
        [
            "create VM",
            "create disk.a",
            "delete tank/web01-disk1",
            "start"
        ]
    );
    let mut wanted = one_disk();
    wanted.protect = true;
    let (_, problems) = apply(&desired(&[("web", "web01", wanted)]), &left_over().world);
    assert!(
        errors(&problems)[0].starts_with("is protected"),
        "{problems:?}"
    );
}

#[test]
fn a_left_over_zvol_grows_and_one_that_is_too_large_is_named_with_what_to_do() {
    let wanted = |gib| desired(&[("web", "web01", sketch(vec![Part::Disk { name: "b", gib }]))]);
    let mut server = left_over();
    server.world.datasets.remove("tank/web01-disk0");
    let plan = converge(&mut server.clone(), &wanted(3));
    assert_eq!(
        words(&plan, "web01"),
        [
            "create VM",
            "grow tank/web01-disk1 to 3221225472",
            "create disk.b",
            "start"
        ]
    );
    let helps = |problems: &Diagnostics| {
        let errors = problems.iter().filter(|one| one.refusal);
        errors
            .map(|one| one.help.clone().unwrap())
            .collect::<Vec<_>>()
    };
    let (_, problems) = apply(&wanted(1), &server.world);
    assert!(
        helps(&problems)[0].contains("`zfs destroy tank/web01-disk1`"),
        "{problems:?}"
    );
    // `create` changes nothing that is there.
    let (_, problems) = plan_create(&wanted(3), &server.world);
    assert!(
        helps(&problems)[0].starts_with("`tnvm apply` makes it larger"),
        "{problems:?}"
    );
}

#[test]
fn a_vm_of_another_type_or_group_is_told_with_what_its_mark_says() {
    let group = |group: &str, vm_type: &str| {
        let mut wanted = desired(&[(vm_type, "web01", one_disk())]);
        group.clone_into(&mut wanted.group);
        wanted
    };
    let server = applied(&group("lab", "web"));
    for (wanted, says, help) in [
        (
            group("lab", "shop"),
            "its mark says that it is of the type `web`",
            "`tnvm adopt web01 --type shop`",
        ),
        (
            group("home", "web"),
            "its mark says that it is of the group `lab`",
            "`--group lab`",
        ),
    ] {
        for problems in [
            apply(&wanted, &server.world).1,
            plan_create(&wanted, &server.world).1,
        ] {
            let found = problems.iter().find(|one| one.message.contains(says));
            let found = found.unwrap_or_else(|| panic!("{problems:?}"));
            assert!(
                found.refusal && found.help.as_ref().unwrap().contains(help),
                "{found:?}"
            );
        }
    }
}
