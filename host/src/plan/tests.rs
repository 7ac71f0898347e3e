//! The planner's rules, each on a world of a few lines.

use serde_json::{Value, json};

use super::*;
use crate::diagnostic::{Diagnostics, Severity};
use crate::plugin::{Claim, Volume};
use crate::resolve::{Desired, DesiredDevice, DesiredVm};

const GIB: u64 = 1 << 30;

fn mark(vm: &str) -> Mark {
    Mark {
        group: "lab".into(),
        vm_type: "worker".into(),
        vm: vm.into(),
    }
}

fn device(name: &str, order: u32, attributes: Value) -> DesiredDevice {
    DesiredDevice {
        name: name.into(),
        plugin: name.split('.').next().unwrap().into(),
        attributes: attributes.as_object().unwrap().clone(),
        order,
        volume: None,
        secrets: Vec::new(),
        claims: Vec::new(),
        origin: None,
    }
}

fn desired_vm(name: &str) -> DesiredVm {
    let dataset = format!("tank/vms/{name}-disk0");
    let mut disk = device(
        "disk.system",
        1,
        json!({"dtype": "DISK", "path": format!("/dev/zvol/{dataset}")}),
    );
    disk.claims.push(Claim {
        kind: "dataset".into(),
        value: dataset.clone(),
        pointer: String::new(),
    });
    disk.volume = Some(Volume {
        dataset,
        size: 10 * GIB,
        sparse: true,
        block_size: None,
    });
    let mut nic = device(
        "nic.lan",
        2,
        json!({"dtype": "NIC", "nic_attach": "br0", "mac": "00:a0:98:00:00:01"}),
    );
    nic.claims.push(Claim {
        kind: "mac".into(),
        value: "00:a0:98:00:00:01".into(),
        pointer: String::new(),
    });
    let fields = json!({"name": name, "memory": 1024, "cores": 2, "description": mark(name).description("", false)});
    DesiredVm {
        name: name.into(),
        vm_type: "worker".into(),
        fields: fields.as_object().unwrap().clone(),
        start: true,
        protect: false,
        devices: vec![disk, nic],
        origin: None,
    }
}

fn desired(names: &[&str]) -> Desired {
    Desired {
        group: "lab".into(),
        vms: names.iter().map(|name| desired_vm(name)).collect(),
    }
}

fn no_options(protected: &[String]) -> DestroyOptions<'_> {
    static ALL: std::sync::LazyLock<Selection> = std::sync::LazyLock::new(Selection::all);
    DestroyOptions {
        selection: &ALL,
        protected,
        with_snapshots: false,
    }
}

/// A server with a parent dataset and nothing else.
fn world() -> Observed {
    let parent = ObservedDataset {
        available: Some(1000 * GIB),
        ..ObservedDataset::default()
    };
    Observed {
        version: "25.10.7".into(),
        datasets: [("tank/vms".to_owned(), parent)].into(),
        nic_choices: Some(vec!["br0".into(), "br1".into()]),
        memory_available: Some(64 * GIB),
        ..Observed::default()
    }
}

/// Adds a VM as `create` would have left it.
fn with_vm(mut world: Observed, vm: &DesiredVm, owner: Option<Mark>) -> Observed {
    let id = world.vms.len() as u64 + 1;
    for device in &vm.devices {
        if let Some(volume) = &device.volume {
            let zvol = ObservedDataset {
                is_volume: true,
                mark: owner.clone(),
                device: Some(device.name.clone()),
                volsize: Some(volume.size),
                ..ObservedDataset::default()
            };
            world.datasets.insert(volume.dataset.clone(), zvol);
        }
    }
    let devices = vm
        .devices
        .iter()
        .enumerate()
        .map(|(number, device)| ObservedDevice {
            id: number as u64,
            attributes: device.attributes.clone(),
            order: Some(device.order),
        });
    world.vms.push(ObservedVm {
        id,
        name: vm.name.clone(),
        mark: owner,
        protected: false,
        state: PowerState::Running,
        fields: vm.fields.clone(),
        devices: devices.collect(),
    });
    world
}

fn kinds(steps: &[Step]) -> Vec<&'static str> {
    steps
        .iter()
        .map(|step| match step {
            Step::CreateVm { .. } => "vm",
            Step::CreateVolume { .. } => "volume",
            Step::CreateDevice { .. } => "device",
            Step::StartVm => "start",
            Step::PowerOffVm => "off",
            Step::DeleteVm => "delete vm",
            Step::DeleteVolume { .. } => "delete volume",
            Step::UpdateVm { .. } => "update vm",
            Step::GrowVolume { .. } => "grow volume",
            Step::UpdateDevice { .. } => "update device",
            Step::StopVm => "stop",
            Step::DeleteDevice { .. } => "delete device",
        })
        .collect()
}

#[track_caller]
fn refuses(problems: &Diagnostics, text: &str) {
    let found = problems.iter().find(|one| one.message.contains(text));
    let found = found.unwrap_or_else(|| panic!("no `{text}` in {problems:#?}"));
    assert!(found.refusal && found.severity == Severity::Error && found.help.is_some());
}

#[test]
fn a_new_vm_is_made_in_phases() {
    let (plan, problems) = plan_create(&desired(&["worker01"]), &world());
    assert!(problems.is_empty(), "{problems:?}");
    assert_eq!(
        kinds(&plan.vms[0].steps),
        ["vm", "volume", "device", "device", "start"]
    );
    assert_eq!(plan.totals.thin_bytes, 10 * GIB);
}

#[test]
fn planning_after_success_plans_nothing() {
    let desired = desired(&["worker01", "worker02"]);
    let world = desired.vms.iter().fold(world(), |world, vm| {
        with_vm(world, vm, Some(mark(&vm.name)))
    });
    let (plan, problems) = plan_create(&desired, &world);
    assert!(
        plan.is_empty() && problems.is_empty(),
        "{plan:#?} {problems:?}"
    );
}

#[test]
fn what_a_killed_run_left_out_is_added() {
    let desired = desired(&["worker01"]);
    let mut world = with_vm(world(), &desired.vms[0], Some(mark("worker01")));
    world.vms[0].devices.pop();
    world.vms[0].state = PowerState::Stopped;
    let (plan, problems) = plan_create(&desired, &world);
    assert!(problems.is_empty(), "{problems:?}");
    assert_eq!(kinds(&plan.vms[0].steps), ["device", "start"]);
}

#[test]
fn a_zvol_left_by_a_killed_run_is_used_again() {
    let desired = desired(&["worker01"]);
    let mut world = with_vm(world(), &desired.vms[0], Some(mark("worker01")));
    world.vms.clear();
    let (plan, problems) = plan_create(&desired, &world);
    assert!(problems.is_empty(), "{problems:?}");
    assert_eq!(
        kinds(&plan.vms[0].steps),
        ["vm", "device", "device", "start"]
    );
}

#[test]
fn a_foreign_vm_of_the_same_name_is_never_touched() {
    let desired = desired(&["worker01"]);
    for owner in [
        None,
        Some(Mark {
            group: "other".into(),
            ..mark("worker01")
        }),
        Some(mark("worker02")),
    ] {
        let (plan, problems) = plan_create(&desired, &with_vm(world(), &desired.vms[0], owner));
        assert!(plan.is_empty());
        refuses(&problems, "a VM named `worker01` exists");
    }
}

#[test]
fn a_foreign_zvol_in_the_way_is_never_touched() {
    let desired = desired(&["worker01"]);
    let mut world = with_vm(world(), &desired.vms[0], None);
    world.vms.clear();
    refuses(
        &plan_create(&desired, &world).1,
        "tank/vms/worker01-disk0 exists",
    );
}

#[test]
fn an_empty_disk_does_not_replace_a_lost_one() {
    let desired = desired(&["worker01"]);
    let mut world = with_vm(world(), &desired.vms[0], Some(mark("worker01")));
    world.datasets.remove("tank/vms/worker01-disk0");
    refuses(
        &plan_create(&desired, &world).1,
        "of an existing disk is gone",
    );
}

#[test]
fn a_mac_of_a_foreign_vm_is_refused() {
    let mut other = desired_vm("other");
    other.devices.remove(0);
    let (_, problems) = plan_create(&desired(&["worker01"]), &with_vm(world(), &other, None));
    refuses(
        &problems,
        "MAC address 00:a0:98:00:00:01 is in use by the VM `other`",
    );
}

#[test]
fn preflight_names_every_obstacle_at_once() {
    let mut desired = desired(&["worker01"]);
    desired.vms[0].devices[1].attributes["nic_attach"] = json!("br00");
    desired.vms[0].devices.push(device(
        "cdrom.iso",
        3,
        json!({"dtype": "CDROM", "path": "/mnt/tank/a.iso"}),
    ));
    let mut world = world();
    world.datasets.clear();
    let (_, problems) = plan_create(&desired, &world);
    let text: Vec<&str> = problems.iter().map(|one| one.message.as_str()).collect();
    assert_eq!(text.len(), 3, "{text:#?}");
    assert!(
        problems
            .iter()
            .any(|one| one.help.as_ref().unwrap().contains("did you mean `br0`"))
    );
}

#[test]
fn create_tells_of_drift_and_changes_nothing() {
    let mut desired = desired(&["worker01"]);
    let world = with_vm(world(), &desired.vms[0], Some(mark("worker01")));
    desired.vms[0].fields["memory"] = json!(2048);
    desired.vms[0].devices[1].attributes["nic_attach"] = json!("br1");
    let (plan, problems) = plan_create(&desired, &world);
    assert!(plan.is_empty() && !problems.has_errors());
    assert_eq!(problems.iter().count(), 2);
}

#[test]
fn destroy_takes_what_is_marked_and_nothing_that_merely_looks_alike() {
    let ours = desired_vm("worker01");
    let world = with_vm(world(), &ours, Some(mark("worker01")));
    let world = with_vm(world, &desired_vm("worker_foo"), None);
    let world = with_vm(
        world,
        &desired_vm("worker01_clone0"),
        Some(mark("worker01")),
    );
    let other = Mark {
        group: "lab2".into(),
        ..mark("worker03")
    };
    let mut world = with_vm(world, &desired_vm("worker03"), Some(other));
    // A copy's zvol has no mark of its own.
    world
        .datasets
        .get_mut("tank/vms/worker01_clone0-disk0")
        .unwrap()
        .mark = None;
    let (plan, problems) = plan_destroy("lab", &no_options(&[]), &world);
    assert!(!problems.has_errors());
    assert_eq!(plan.vms.len(), 1);
    assert_eq!(
        kinds(&plan.vms[0].steps),
        ["off", "delete vm", "delete volume"]
    );
    assert_eq!(plan.vms[0].name, "worker01");
}

#[test]
fn destroy_finds_zvols_whose_vm_is_gone() {
    let ours = desired_vm("worker01");
    let mut world = with_vm(world(), &ours, Some(mark("worker01")));
    world.vms.clear();
    let (plan, _) = plan_destroy("lab", &no_options(&[]), &world);
    assert_eq!(kinds(&plan.vms[0].steps), ["delete volume"]);
}

#[test]
fn destroy_refuses_what_would_take_others_along() {
    let ours = desired_vm("worker01");
    let mut world = with_vm(world(), &ours, Some(mark("worker01")));
    world
        .datasets
        .get_mut("tank/vms/worker01-disk0")
        .unwrap()
        .snapshots = ["a", "b"]
        .map(|name| format!("tank/vms/worker01-disk0@{name}"))
        .to_vec();
    let mut thief = ours.clone();
    thief.name = "thief".into();
    thief.devices.truncate(1);
    let mut stolen = with_vm(world.clone(), &thief, None);
    // Adding the thief must not have changed whose zvol it is.
    stolen.datasets.clone_from(&world.datasets);
    let protected = ["worker01".to_owned()];
    let (_, problems) = plan_destroy("lab", &no_options(&protected), &world);
    refuses(&problems, "has 2 snapshots @a, @b");
    refuses(&problems, "is protected");
    // What a stranger has is not even looked at: it stays.
    let (plan, problems) = plan_destroy("lab", &no_options(&[]), &stolen);
    assert_eq!(kinds(&plan.vms[0].steps), ["off", "delete vm"]);
    let told: Vec<_> = problems.iter().map(|one| one.message.as_str()).collect();
    assert_eq!(
        told,
        [
            "tank/vms/worker01-disk0 is left alone: the VM `thief`, which is not the group's, has it as a disk"
        ]
    );
    // One of the group that stays keeps its disk from going.
    stolen.vms[1].mark = Some(mark("thief"));
    let only = Selection::of(&["worker01".to_owned()]);
    let options = DestroyOptions {
        selection: &only,
        ..no_options(&[])
    };
    let (_, problems) = plan_destroy("lab", &options, &stolen);
    refuses(&problems, "is also a disk of the VM `thief`");
}

#[test]
fn a_shown_plan_reads_as_a_diff_and_holds_no_secret() {
    let mut desired = desired(&["worker01"]);
    let mut display = device(
        "display.display",
        3,
        json!({"dtype": "DISPLAY", "type": "SPICE", "bind": "0.0.0.0", "port": 5911, "web_port": 6911}),
    );
    display.secrets.push(crate::plugin::SecretRef {
        pointer: "/password".into(),
        secret: "env:HUSH".into(),
    });
    desired.vms[0].devices.push(display);
    let (plan, _) = plan_create(&desired, &world());
    let text: Vec<String> = render(&PlanView::from(&plan))
        .into_iter()
        .map(|line| line.text)
        .collect();
    assert_eq!(
        text.join("\n"),
        "  + worker01: 2 vCPUs, 1 GiB, started
      + disk.system      tank/vms/worker01-disk0, 10 GiB thin  [disk]
      + nic.lan          - on br0, 00:a0:98:00:00:01  [nic]
      + display.display  SPICE at 0.0.0.0:5911, web 6911, password (secret)  [display]
Plan for group `lab`: 1 to create.
Totals: devices: 3 made; memory: 1 GiB; zvols: 10 GiB thin."
    );
}

#[test]
fn a_disk_written_before_another_does_not_take_its_zvol() {
    let old = desired_vm("worker01");
    let world = with_vm(world(), &old, Some(mark("worker01")));
    // What the plugin derives when `fast` is written before `system`.
    let mut wanted = desired_vm("worker01");
    let mut system = wanted.devices.remove(0);
    let mut fast = system.clone();
    fast.name = "disk.fast".into();
    let moved = "tank/vms/worker01-disk1";
    system.order = 3;
    system.volume.as_mut().unwrap().dataset = moved.into();
    system.claims[0].value = moved.into();
    let path = json!(format!("/dev/zvol/{moved}"));
    system.attributes.insert("path".into(), path);
    wanted.devices.extend([fast, system]);
    let desired = Desired {
        group: "lab".into(),
        vms: vec![wanted],
    };
    let (plan, problems) = plan_create(&desired, &world);
    let errors: Vec<_> = problems
        .iter()
        .filter(|one| one.severity == Severity::Error)
        .collect();
    assert!(errors.is_empty(), "{errors:?}");
    let made: Vec<_> = plan.vms[0]
        .steps
        .iter()
        .map(|step| match step {
            Step::CreateVolume { volume, device } => format!("{device} on {}", volume.dataset),
            Step::CreateDevice { device } => {
                format!("{} at {}", device.name, device.attributes["path"])
            }
            other => format!("{other:?}"),
        })
        .collect();
    assert_eq!(
        made[..2],
        [
            "disk.fast on tank/vms/worker01-disk2",
            "disk.fast at \"/dev/zvol/tank/vms/worker01-disk2\"",
        ]
    );
}

#[test]
fn without_kvm_nothing_is_made_and_the_reason_is_told() {
    let no_kvm = |world: Observed| Observed {
        missing_virtualization: Some("your CPU does not support KVM extensions".into()),
        ..world
    };
    let wanted = desired(&["worker01"]);
    let (_, problems) = plan_create(&wanted, &no_kvm(world()));
    let said = format!("{problems:?}");
    assert!(
        problems.has_errors() && said.contains("KVM extensions"),
        "{said}"
    );
    // Where all VMs are there already it is nobody's concern.
    let vm = &wanted.vms[0];
    let there = with_vm(world(), vm, Some(mark("worker01")));
    let (_, problems) = plan_create(&wanted, &no_kvm(there));
    assert!(!problems.has_errors(), "{problems:?}");
}
