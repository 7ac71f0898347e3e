//! Which VMs and zvols are taken over, and as what.

use serde_json::{Map, Value, json};

use super::adopt::*;
use super::adopt_disks::disks_of;
use super::{Observed, ObservedDataset, ObservedDevice, ObservedVm, PowerState};
use crate::diagnostic::Diagnostics;
use crate::mark::Mark;
use crate::plugin::Volume;
use crate::resolve::{Desired, DesiredDevice, DesiredVm};

fn vm(id: u64, name: &str, description: &str, zvols: &[&str]) -> ObservedVm {
    let devices = (1..).zip(zvols).map(|(order, zvol)| ObservedDevice {
        id: id * 10 + u64::from(order),
        attributes: object(json!({"dtype": "DISK", "path": format!("/dev/zvol/{zvol}")})),
        order: Some(1000 + order),
    });
    ObservedVm {
        id,
        name: name.into(),
        mark: Mark::in_description(description),
        protected: false,
        state: PowerState::Running,
        fields: object(json!({"description": description})),
        devices: devices.collect(),
    }
}

fn object(value: Value) -> Map<String, Value> {
    value.as_object().cloned().unwrap_or_default()
}

fn world(vms: Vec<ObservedVm>) -> Observed {
    let zvols = vms
        .iter()
        .flat_map(|vm| disks_of(vm).into_iter().map(|(_, zvol)| zvol));
    let zvol = || ObservedDataset {
        is_volume: true,
        ..ObservedDataset::default()
    };
    Observed {
        datasets: zvols.map(|name| (name, zvol())).collect(),
        vms: vms.clone(),
        ..Observed::default()
    }
}

fn plan(observed: &Observed, names: &[&str], prefix: Option<&str>) -> (AdoptPlan, Diagnostics) {
    let names: Vec<String> = names.iter().map(ToString::to_string).collect();
    let request = AdoptRequest {
        group: "lab",
        vm_type: None,
        names: &names,
        prefix,
        reserved: &["storage"],
    };
    plan_adopt(&request, None, observed)
}

fn told(problems: &Diagnostics) -> Vec<&str> {
    problems.iter().map(|one| one.message.as_str()).collect()
}

#[test]
fn zvols_and_description_are_marked_and_then_nothing_is_left() {
    let observed = world(vec![vm(1, "web01", "shop", &["tank/a", "tank/b c"])]);
    let (found, problems) = plan(&observed, &["web01"], None);
    assert!(problems.iter().next().is_none());
    let one = &found.vms[0];
    assert_eq!(
        one.description.as_deref(),
        Some("shop [tnvm:v1:lab:web:web01]")
    );
    let zvols: Vec<_> = one
        .zvols
        .iter()
        .map(|zvol| (zvol.dataset.as_str(), zvol.device.as_str()))
        .collect();
    assert_eq!(
        zvols,
        [("tank/a", "disk.disk0"), ("tank/b c", "disk.disk1")]
    );
    let (again, _) = plan(&adopted(&found, &observed), &["web01"], None);
    assert!(again.is_empty(), "{again:?}");
}

#[test]
fn what_an_interruption_left_is_made_up_for() {
    let observed = world(vec![vm(1, "web01", "", &["tank/a", "tank/b"])]);
    let (found, _) = plan(&observed, &["web01"], None);
    let mut half = found.clone();
    half.vms[0].zvols.pop();
    half.vms[0].description = None;
    let (rest, _) = plan(&adopted(&half, &observed), &[], Some("web"));
    assert_eq!(rest.vms[0].zvols, found.vms[0].zvols[1..]);
    assert_eq!(rest.vms[0].description, found.vms[0].description);
}

#[test]
fn what_is_somebody_elses_is_refused_or_left() {
    let theirs = vm(1, "db01", "[tnvm:v1:other:db:db01]", &[]);
    let mut observed = world(vec![
        theirs,
        vm(2, "web01", "", &["tank/shared", "tank/marked"]),
        vm(3, "web02", "", &["tank/shared"]),
    ]);
    let marked = observed.datasets.get_mut("tank/marked").unwrap();
    marked.mark = Some("tnvm:v1:other:db:db01".parse().unwrap());
    let (found, problems) = plan(&observed, &["db01", "web01", "wbe02"], Some("none"));
    assert_eq!(
        told(&problems),
        [
            "the server has no VM `wbe02`",
            "no VM's name begins with `none`",
            "belongs to the group `other`",
            "tank/shared is not taken over: it is also a disk of the VM `web02`",
            "tank/marked is not taken over: its tnvm:owner says that it is tnvm:v1:other:db:db01",
        ]
    );
    assert!(found.vms[0].zvols.is_empty());
}

#[test]
fn a_copy_of_a_vm_gets_a_mark_of_its_own() {
    let observed = world(vec![vm(1, "copy", "shop [tnvm:v1:lab:web:web01]", &[])]);
    let (found, _) = plan(&observed, &["copy"], None);
    assert_eq!(
        found.vms[0].description.as_deref(),
        Some("shop [tnvm:v1:lab:copy:copy]")
    );
}

#[test]
fn a_type_is_the_name_without_its_number() {
    for (name, expected) in [
        ("web01", "web"),
        ("web_2", "web"),
        ("7", "7"),
        ("nas", "nas"),
    ] {
        assert_eq!(stem(name), expected);
    }
}

/// `web01` of a config, with these disks: a name, and the zvol that it names by its path.
fn wanted(disks: &[(&str, Option<&str>)]) -> Desired {
    let device = |(order, (name, path)): (u32, &(&str, Option<&str>))| {
        let derived = format!("tank/web01-disk{order}");
        let path_of = path.unwrap_or(&derived);
        DesiredDevice {
            name: format!("disk.{name}"),
            plugin: "disk".into(),
            attributes: object(
                json!({"dtype": "DISK", "path": format!("/dev/zvol/{}", path_of.replace(' ', "+"))}),
            ),
            order,
            volume: path.is_none().then(|| Volume {
                dataset: derived.clone(),
                size: 1,
                sparse: true,
                block_size: None,
            }),
            secrets: Vec::new(),
            claims: Vec::new(),
            origin: None,
        }
    };
    Desired {
        group: "lab".into(),
        vms: vec![DesiredVm {
            name: "web01".into(),
            vm_type: "web".into(),
            fields: Map::new(),
            start: false,
            protect: false,
            devices: (1..).zip(disks).map(device).collect(),
            origin: None,
        }],
    }
}

/// Fails unless the zvols of `web01` become these disks of this config.
#[track_caller]
fn check_names(observed: &Observed, disks: &[(&str, Option<&str>)], expected: &[(&str, &str)]) {
    let names = ["web01".to_owned()];
    let request = AdoptRequest {
        group: "lab",
        vm_type: None,
        names: &names,
        prefix: None,
        reserved: &[],
    };
    let (found, _) = plan_adopt(&request, Some(&wanted(disks)), observed);
    let zvols: Vec<_> = found.vms[0]
        .zvols
        .iter()
        .map(|zvol| (zvol.dataset.as_str(), zvol.device.as_str()))
        .collect();
    assert_eq!(zvols, expected, "{disks:?}");
}

#[test]
fn a_zvol_becomes_the_disk_that_the_config_means() {
    let observed = world(vec![vm(1, "web01", "", &["tank/a b", "tank/c", "tank/d"])]);
    check_names(
        &observed,
        &[("x", None), ("y", None), ("z", None)],
        &[
            ("tank/a b", "disk.x"),
            ("tank/c", "disk.y"),
            ("tank/d", "disk.z"),
        ],
    );
    // Named by its path, wherever that stands.
    check_names(
        &observed,
        &[("x", None), ("golden", Some("tank/a b")), ("z", None)],
        &[("tank/c", "disk.x"), ("tank/d", "disk.z")],
    );
    // What the config does not have could be deleted once it is marked.
    check_names(&observed, &[("x", None)], &[("tank/a b", "disk.x")]);
}

#[test]
fn what_is_left_to_another_vm_takes_no_disk_of_the_config() {
    let observed = world(vec![
        vm(1, "web01", "", &["tank/shared", "tank/a"]),
        vm(2, "web02", "", &["tank/shared"]),
    ]);
    check_names(
        &observed,
        &[("x", None), ("y", None)],
        &[("tank/a", "disk.x")],
    );
}

#[test]
fn no_two_zvols_become_one_disk() {
    let mut observed = world(vec![vm(1, "web01", "", &["tank/a", "tank/b"])]);
    let marked = observed.datasets.get_mut("tank/a").unwrap();
    marked.mark = Some("tnvm:v1:lab:web:web01".parse().unwrap());
    marked.device = Some("disk.disk1".into());
    let (found, _) = plan(&observed, &["web01"], None);
    assert_eq!(found.vms[0].zvols[0].device, "disk.disk2");
    check_names(
        &observed,
        &[("x", None), ("disk1", None)],
        &[("tank/b", "disk.x")],
    );
}

#[test]
fn a_word_that_a_config_needs_is_no_type() {
    let observed = world(vec![vm(1, "storage01", "", &[])]);
    let (_, problems) = plan(&observed, &["storage01"], None);
    assert_eq!(
        told(&problems),
        ["cannot be of the type `storage`, which is a section of every config"]
    );
}

#[test]
fn a_prefix_may_fit_what_is_named_as_well() {
    let observed = world(vec![vm(1, "web01", "", &[])]);
    let (found, problems) = plan(&observed, &["web01"], Some("web"));
    assert_eq!(told(&problems), [""; 0]);
    assert_eq!(found.vms.len(), 1);
}

#[test]
fn a_vm_of_the_group_gets_another_type_with_all_it_has() {
    let description = "shop [tnvm:protected] [tnvm:v1:lab:web:web01]";
    let mut observed = world(vec![vm(1, "web01", description, &["tank/a"])]);
    observed.vms[0].protected = true;
    let own = ObservedDataset {
        is_volume: true,
        mark: observed.vms[0].mark.clone(),
        device: Some("disk.x".into()),
        ..ObservedDataset::default()
    };
    let left_over = ObservedDataset {
        device: Some("disk.y".into()),
        ..own.clone()
    };
    observed.datasets = [("tank/a".to_owned(), own), ("tank/b".to_owned(), left_over)].into();
    let names = ["web01".to_owned()];
    let request = AdoptRequest {
        group: "lab",
        vm_type: Some("shop"),
        names: &names,
        prefix: None,
        reserved: &[],
    };
    let (found, problems) = plan_adopt(&request, None, &observed);
    assert_eq!(told(&problems), [""; 0]);
    let one = &found.vms[0];
    assert_eq!(
        one.description.as_deref(),
        Some("shop [tnvm:protected] [tnvm:v1:lab:shop:web01]")
    );
    let zvols: Vec<_> = one
        .zvols
        .iter()
        .map(|zvol| (zvol.dataset.as_str(), zvol.device.as_str()))
        .collect();
    assert_eq!(zvols, [("tank/a", "disk.x"), ("tank/b", "disk.y")]);
    let after = adopted(&found, &observed);
    assert!(plan_adopt(&request, None, &after).0.is_empty());
    // Half of it done, the rest follows.
    let mut half = observed.clone();
    half.datasets.clone_from(&after.datasets);
    let (rest, _) = plan_adopt(&request, None, &half);
    assert!(rest.vms[0].zvols.is_empty() && rest.vms[0].description == one.description);
}
