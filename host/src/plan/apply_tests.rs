//! `apply` on a server in memory that does what the steps say and what the real one adds to it.

use std::collections::BTreeSet;

use proptest::prelude::*;
use proptest::sample::subsequence;
use serde_json::{Map, Value, json};

use super::observed::zvol_of;
use super::*;
use crate::diagnostic::{Diagnostics, Severity};
use crate::plugin::{Claim, SecretRef, Volume};
use crate::resolve::{Desired, DesiredDevice, DesiredVm};

const GIB: u64 = 1 << 30;

/// What `apply` is allowed in these tests unless said otherwise: everything.
pub(super) fn apply(desired: &Desired, observed: &Observed) -> (Plan, Diagnostics) {
    with(desired, observed, true, &Selection::all())
}

pub(super) fn with(
    desired: &Desired,
    observed: &Observed,
    restart: bool,
    selection: &Selection,
) -> (Plan, Diagnostics) {
    let options = ApplyOptions {
        selection,
        restart,
        with_snapshots: false,
        same_secret: &|_, seen| seen == "hush" || seen == "********",
    };
    plan_apply(desired, observed, &options)
}

pub(super) fn mark(vm_type: &str, vm: &str) -> Mark {
    Mark {
        group: "lab".into(),
        vm_type: vm_type.into(),
        vm: vm.into(),
    }
}

/// A device of a VM in the sketch of a config.
#[derive(Clone, Debug)]
pub(super) enum Part {
    Disk {
        name: &'static str,
        gib: u64,
    },
    Nic {
        name: &'static str,
        bridge: &'static str,
        model: &'static str,
    },
    Display {
        resolution: &'static str,
        port: u16,
    },
    Cdrom {
        path: &'static str,
    },
}

#[derive(Clone, Debug)]
pub(super) struct Sketch {
    pub(super) memory: u64,
    pub(super) protect: bool,
    pub(super) start: bool,
    pub(super) description: &'static str,
    pub(super) parts: Vec<Part>,
}

pub(super) fn object(value: Value) -> Map<String, Value> {
    value.as_object().cloned().unwrap_or_default()
}

fn desired_device(vm: &str, number: usize, disks: &mut usize, part: &Part) -> DesiredDevice {
    let order = u32::try_from(number).unwrap() + 1;
    let mut device = DesiredDevice {
        name: String::new(),
        plugin: String::new(),
        attributes: Map::new(),
        order,
        volume: None,
        secrets: Vec::new(),
        claims: Vec::new(),
        origin: None,
    };
    match part {
        Part::Disk { name, gib } => {
            let dataset = format!("tank/{vm}-disk{disks}");
            *disks += 1;
            device.name = format!("disk.{name}");
            device.attributes = object(
                json!({"dtype": "DISK", "type": "VIRTIO", "path": format!("/dev/zvol/{dataset}")}),
            );
            device.claims.push(Claim {
                kind: "dataset".into(),
                value: dataset.clone(),
                pointer: String::new(),
            });
            device.volume = Some(Volume {
                dataset,
                size: gib * GIB,
                sparse: true,
                block_size: None,
            });
        }
        Part::Nic {
            name,
            bridge,
            model,
        } => {
            device.name = format!("nic.{name}");
            device.attributes = object(json!({"dtype": "NIC", "type": model, "nic_attach": bridge,
                "mac": format!("02:00:00:{:02x}:{:02x}:01", vm.len(), name.len())}));
        }
        Part::Display { resolution, port } => {
            device.name = "display.main".into();
            device.attributes = object(json!({"dtype": "DISPLAY", "resolution": resolution,
                "port": port, "web_port": null}));
            device.claims.push(Claim {
                kind: "tcp-port".into(),
                value: port.to_string(),
                pointer: "/port".into(),
            });
            device.secrets.push(SecretRef {
                pointer: "/password".into(),
                secret: "display-password".into(),
            });
        }
        Part::Cdrom { path } => {
            device.name = "cdrom.main".into();
            device.attributes = object(json!({"dtype": "CDROM", "path": path}));
        }
    }
    device
}

fn desired_vm(vm_type: &str, name: &str, sketch: &Sketch) -> DesiredVm {
    let mut disks = 0;
    let devices = sketch.parts.iter().enumerate();
    let fields = json!({"name": name, "memory": sketch.memory, "cores": 2,
        "description": mark(vm_type, name).description(sketch.description, sketch.protect)});
    DesiredVm {
        name: name.into(),
        vm_type: vm_type.into(),
        fields: object(fields),
        start: sketch.start,
        protect: sketch.protect,
        devices: devices
            .map(|(number, part)| desired_device(name, number, &mut disks, part))
            .collect(),
        origin: None,
    }
}

pub(super) fn desired(vms: &[(&str, &str, Sketch)]) -> Desired {
    Desired {
        group: "lab".into(),
        vms: vms
            .iter()
            .map(|(vm_type, name, sketch)| desired_vm(vm_type, name, sketch))
            .collect(),
    }
}

pub(super) fn sketch(parts: Vec<Part>) -> Sketch {
    Sketch {
        memory: 1024,
        protect: false,
        start: true,
        description: "",
        parts,
    }
}

pub(super) fn two_disks() -> Vec<Part> {
    vec![
        Part::Disk { name: "a", gib: 1 },
        Part::Disk { name: "b", gib: 2 },
        Part::Nic {
            name: "lan",
            bridge: "br0",
            model: "VIRTIO",
        },
        Part::Display {
            resolution: "1024x768",
            port: 5911,
        },
    ]
}

/// A neighbour, and room.
pub(super) fn world() -> Observed {
    let parent = ObservedDataset {
        available: Some(1000 * GIB),
        ..ObservedDataset::default()
    };
    let foreign = ObservedDataset {
        is_volume: true,
        volsize: Some(GIB),
        ..ObservedDataset::default()
    };
    Observed {
        version: "25.10.7".into(),
        datasets: [
            ("tank".to_owned(), parent),
            ("tank/node-disk0".to_owned(), foreign),
        ]
        .into(),
        nic_choices: Some(vec!["br0".into(), "br1".into()]),
        memory_available: Some(640 * GIB),
        vms: vec![ObservedVm {
            id: 900,
            name: "node".into(),
            mark: None,
            protected: false,
            state: PowerState::Running,
            fields: object(json!({"name": "node", "memory": 512})),
            devices: vec![ObservedDevice {
                id: 900,
                attributes: object(json!({"dtype": "DISK", "path": "/dev/zvol/tank/node-disk0"})),
                order: Some(1001),
            }],
        }],
        ..Observed::default()
    }
}

/// The server: it does a step as the real one would, and adds what that adds.
#[derive(Clone)]
pub(super) struct Server {
    pub(super) world: Observed,
    next: u64,
}

impl Server {
    /// Each VM when all that it waits for are done.
    pub(super) fn execute(&mut self, plan: &Plan) {
        let mut done = BTreeSet::new();
        let mut left: Vec<&VmPlan> = plan.vms.iter().collect();
        while !left.is_empty() {
            let before = left.len();
            left.retain(|vm| {
                let waits = vm.after.iter().any(|one| !done.contains(one));
                if !waits {
                    for step in &vm.steps {
                        self.step(vm, step);
                    }
                    done.insert(vm.name.clone());
                }
                waits
            });
            assert!(left.len() < before, "nobody can begin: {left:#?}");
        }
    }

    /// The server refuses a port that another VM has (`vm.device.create`, `vm.device.update`).
    fn check_ports(&self) {
        let devices = self.world.vms.iter().flat_map(|vm| &vm.devices);
        let mut ports: Vec<_> = devices
            .filter_map(|one| one.attributes.get("port")?.as_u64())
            .collect();
        ports.sort_unstable();
        assert!(!ports.windows(2).any(|two| two[0] == two[1]), "{ports:?}");
    }

    pub(super) fn vm(&mut self, name: &str) -> &mut ObservedVm {
        self.world
            .vms
            .iter_mut()
            .find(|vm| vm.name == name)
            .unwrap()
    }

    fn step(&mut self, plan: &VmPlan, step: &Step) {
        self.next += 1;
        let id = self.next;
        match step {
            Step::CreateVm { fields } => {
                assert!(self.world.vms.iter().all(|vm| vm.name != plan.name));
                let mut all = object(json!({"autostart": true, "cpu_model": null, "uuid": "u"}));
                all.extend(fields.clone());
                self.world.vms.push(ObservedVm {
                    id,
                    name: plan.name.clone(),
                    mark: None,
                    protected: false,
                    state: PowerState::Stopped,
                    fields: all,
                    devices: Vec::new(),
                });
                self.read_description(&plan.name);
            }
            Step::UpdateVm { fields, .. } => {
                self.vm(&plan.name).fields.extend(fields.clone());
                self.read_description(&plan.name);
            }
            Step::CreateVolume { volume, device } => {
                let zvol = ObservedDataset {
                    is_volume: true,
                    mark: Some(plan.mark.clone()),
                    device: Some(device.clone()),
                    volsize: Some(volume.size),
                    ..ObservedDataset::default()
                };
                let before = self.world.datasets.insert(volume.dataset.clone(), zvol);
                assert!(before.is_none(), "{}", volume.dataset);
            }
            Step::GrowVolume { dataset, size, .. } => {
                let zvol = self.world.datasets.get_mut(dataset).unwrap();
                assert_eq!(zvol.mark.as_ref(), Some(&plan.mark));
                assert!(zvol.volsize < Some(*size));
                zvol.volsize = Some(*size);
            }
            Step::CreateDevice { device } => {
                let mut attributes = device.attributes.clone();
                self.added_by_server(&mut attributes, id);
                let vm = self.vm(&plan.name);
                vm.devices.push(ObservedDevice {
                    id,
                    attributes,
                    order: None,
                });
                place(vm, id, device.order);
                self.check_ports();
            }
            Step::UpdateDevice {
                id,
                device,
                changed,
                ..
            } => {
                let vm = self.vm(&plan.name);
                let found = vm.devices.iter_mut().find(|one| one.id == *id).unwrap();
                for name in changed.iter().filter(|name| *name != "order") {
                    let value = device.attributes.get(name).cloned();
                    found
                        .attributes
                        .insert(name.clone(), value.unwrap_or("hush".into()));
                }
                if changed.iter().any(|one| one == "order") {
                    place(vm, *id, device.order);
                }
                self.check_ports();
            }
            Step::StopVm | Step::PowerOffVm => self.vm(&plan.name).state = PowerState::Stopped,
            Step::StartVm => self.vm(&plan.name).state = PowerState::Running,
            Step::DeleteDevice { id, .. } => {
                let vm = self.vm(&plan.name);
                assert_eq!(vm.state, PowerState::Stopped);
                vm.devices.retain(|one| one.id != *id);
            }
            Step::DeleteVm => {
                assert_eq!(self.vm(&plan.name).owner(), Some(&plan.mark));
                self.world.vms.retain(|vm| vm.name != plan.name);
            }
            Step::DeleteVolume { dataset, .. } => {
                let path = format!("/dev/zvol/{dataset}");
                let mut devices = self.world.vms.iter().flat_map(|vm| &vm.devices);
                assert!(
                    devices.all(|one| one.text("path") != Some(&path)),
                    "{dataset} is in use"
                );
                let gone = self.world.datasets.remove(dataset).unwrap();
                assert_eq!(gone.mark.as_ref(), Some(&plan.mark));
            }
        }
    }

    fn read_description(&mut self, name: &str) {
        let vm = self.vm(name);
        let text = vm.fields["description"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        vm.mark = Mark::in_description(&text);
        vm.protected = Mark::is_protected(&text);
    }

    /// Defaults, serial numbers, ports that were left open, the secret of a display.
    fn added_by_server(&self, attributes: &mut Map<String, Value>, id: u64) {
        match attributes["dtype"].as_str() {
            Some("DISK") => {
                attributes.insert("serial".into(), format!("s{id}").into());
                attributes.insert("iotype".into(), "THREADS".into());
            }
            Some("NIC") => {
                attributes.insert("trust_guest_rx_filters".into(), false.into());
            }
            Some("DISPLAY") => {
                attributes.insert("password".into(), "hush".into());
                attributes.insert("web_port".into(), (7000 + id).into());
            }
            _ => {}
        }
    }
}

/// Gives a place; whoever has it is pushed upwards, with all behind (`vm.device.create`).
fn place(vm: &mut ObservedVm, id: u64, order: u32) {
    let taken = vm
        .devices
        .iter()
        .any(|one| one.id != id && one.order == Some(order));
    if taken {
        let mut behind: Vec<&mut ObservedDevice> = vm
            .devices
            .iter_mut()
            .filter(|one| one.id != id && one.order >= Some(order))
            .collect();
        behind.sort_by_key(|one| (one.order, one.id));
        for (next, one) in (order + 1..).zip(behind) {
            one.order = Some(next);
        }
    }
    vm.devices
        .iter_mut()
        .find(|one| one.id == id)
        .unwrap()
        .order = Some(order);
}

pub(super) fn errors(problems: &Diagnostics) -> Vec<String> {
    let errors = problems
        .iter()
        .filter(|one| one.severity == Severity::Error);
    errors.map(|one| one.message.clone()).collect()
}

/// A server on which this was applied.
#[track_caller]
pub(super) fn applied(desired: &Desired) -> Server {
    let mut server = Server {
        world: world(),
        next: 0,
    };
    converge(&mut server, desired);
    server
}

/// Applies, then fails unless nothing is left to do and the order of booting is as desired.
#[track_caller]
pub(super) fn converge(server: &mut Server, desired: &Desired) -> Plan {
    let (plan, problems) = apply(desired, &server.world);
    assert_eq!(errors(&problems), [""; 0], "{plan:#?}");
    server.execute(&plan);
    let (again, problems) = apply(desired, &server.world);
    assert_eq!(errors(&problems), [""; 0]);
    assert!(again.is_empty(), "{again:#?}\n{:#?}", server.world);
    let world = server.world.clone();
    for vm in &desired.vms {
        let mut boots: Vec<_> = server
            .vm(&vm.name)
            .devices
            .iter()
            .filter(|one| one.text("path").is_some())
            .collect();
        boots.sort_by_key(|one| (one.order, one.id));
        let boots: Vec<String> = boots.into_iter().map(|one| made_for(one, &world)).collect();
        let wanted: Vec<&str> = vm
            .devices
            .iter()
            .filter(|one| one.attributes.contains_key("path"))
            .map(|one| one.name.as_str())
            .collect();
        assert_eq!(boots, wanted, "{}", vm.name);
    }
    plan
}

/// The desired device that this one is.
fn made_for(device: &ObservedDevice, world: &Observed) -> String {
    let zvol = device.text("path").and_then(zvol_of);
    let made_for = zvol.and_then(|zvol| world.datasets[&zvol].device.clone());
    made_for.unwrap_or_else(|| "cdrom.main".to_owned())
}

/// The steps of a VM, in words.
pub(super) fn words(plan: &Plan, vm: &str) -> Vec<String> {
    let vm = plan.vms.iter().find(|one| one.name == vm).unwrap();
    vm.steps
        .iter()
        .map(|step| match step {
            Step::CreateVm { .. } => "create VM".to_owned(),
            Step::CreateVolume { volume, .. } => format!("create {}", volume.dataset),
            Step::CreateDevice { device } => format!("create {}", device.name),
            Step::UpdateVm { fields, .. } => {
                format!(
                    "change {}",
                    fields.keys().cloned().collect::<Vec<_>>().join(" ")
                )
            }
            Step::GrowVolume { dataset, size, .. } => format!("grow {dataset} to {size}"),
            Step::UpdateDevice {
                device, changed, ..
            } => {
                format!("change {}: {}", device.name, changed.join(" "))
            }
            Step::StopVm => "stop".to_owned(),
            Step::StartVm => "start".to_owned(),
            Step::PowerOffVm => "power off".to_owned(),
            Step::DeleteDevice { name, .. } => {
                format!("delete {}", name.split('#').next().unwrap())
            }
            Step::DeleteVm => "delete VM".to_owned(),
            Step::DeleteVolume { dataset, .. } => format!("delete {dataset}"),
        })
        .collect()
}

/// Applies `first`, then plans `second`, and fails unless it does this to `web01`.
#[track_caller]
fn check(first: Sketch, second: Sketch, restart: bool, expected: &[&str]) {
    let server = applied(&desired(&[("web", "web01", first)]));
    let wanted = desired(&[("web", "web01", second)]);
    let (plan, problems) = with(&wanted, &server.world, restart, &Selection::all());
    assert_eq!(errors(&problems), [""; 0]);
    assert_eq!(words(&plan, "web01"), expected);
}

/// Applies `first`, then fails unless `second` is refused with this.
#[track_caller]
fn check_refused(first: Sketch, second: Sketch, restart: bool, reason: &str) {
    let server = applied(&desired(&[("web", "web01", first)]));
    let wanted = desired(&[("web", "web01", second)]);
    let (_, problems) = with(&wanted, &server.world, restart, &Selection::all());
    let found = problems.iter().find(|one| one.message.contains(reason));
    let found = found.unwrap_or_else(|| panic!("{reason:?} is missing: {problems:?}"));
    assert!(found.refusal && found.help.is_some(), "{found:?}");
}

#[test]
fn only_what_differs_is_sent() {
    let mut second = sketch(two_disks());
    second.memory = 2048;
    second.parts[2] = Part::Nic {
        name: "lan",
        bridge: "br1",
        model: "VIRTIO",
    };
    check(
        sketch(two_disks()),
        second,
        false,
        &["change memory", "change nic.lan: nic_attach"],
    );
}

#[test]
fn a_vm_that_runs_is_restarted_only_when_that_is_allowed_and_needed() {
    let mut memory = sketch(two_disks());
    memory.memory = 2048;
    check(
        sketch(two_disks()),
        memory,
        true,
        &["stop", "change memory", "start"],
    );
    let mut text = sketch(two_disks());
    text.description = "new";
    check(sketch(two_disks()), text, true, &["change description"]);
}

#[test]
fn a_disk_grows_and_never_shrinks() {
    let mut grown = sketch(two_disks());
    grown.parts[1] = Part::Disk { name: "b", gib: 3 };
    check(
        sketch(two_disks()),
        grown.clone(),
        false,
        &["grow tank/web01-disk1 to 3221225472"],
    );
    check_refused(grown, sketch(two_disks()), true, "would shrink");
}

#[test]
fn a_removed_disk_takes_its_own_data_and_not_its_neighbours() {
    let mut second = sketch(two_disks());
    second.parts.remove(0);
    // `b` now derives the name that `a` has.
    check(
        sketch(two_disks()),
        second.clone(),
        true,
        &["stop", "delete disk.a", "delete tank/web01-disk0", "start"],
    );
    check_refused(
        sketch(two_disks()),
        second,
        false,
        "cannot be removed from a VM that runs",
    );
}

#[test]
fn a_new_device_waits_for_the_next_start() {
    let mut second = sketch(two_disks());
    second.parts.push(Part::Cdrom {
        path: "/mnt/tank/iso/a.iso",
    });
    check(sketch(two_disks()), second, false, &["create cdrom.main"]);
}

#[test]
fn what_is_protected_loses_nothing() {
    let mut first = sketch(two_disks());
    first.protect = true;
    let mut second = first.clone();
    second.parts.remove(1);
    check_refused(first.clone(), second, true, "is protected");
    let server = applied(&desired(&[("web", "web01", first)]));
    let (_, problems) = apply(&desired(&[]), &server.world);
    assert_eq!(
        errors(&problems),
        ["is protected by `protect: true`, and it would be removed"]
    );
}

#[test]
fn a_group_shrinks_to_what_is_wanted_and_only_where_chosen() {
    let all = desired(&[
        ("web", "web01", sketch(two_disks())),
        ("web", "web02", sketch(vec![])),
        ("db", "db01", sketch(vec![])),
    ]);
    let server = applied(&all);
    let fewer = desired(&[("web", "web01", sketch(two_disks()))]);
    let (plan, problems) = with(
        &fewer,
        &server.world,
        false,
        &Selection::of(&["web".into()]),
    );
    assert_eq!(errors(&problems), [""; 0]);
    assert_eq!(
        plan.vms
            .iter()
            .map(|vm| vm.name.as_str())
            .collect::<Vec<_>>(),
        ["web01", "web02"]
    );
    assert_eq!(words(&plan, "web02"), ["power off", "delete VM"]);
}

fn with_display(port: u16) -> Sketch {
    sketch(vec![Part::Display {
        resolution: "1024x768",
        port,
    }])
}

#[test]
fn who_gets_a_port_waits_for_who_gives_it_up() {
    let group = |ports: [u16; 3]| {
        desired(&[
            ("web", "web01", with_display(ports[0])),
            ("web", "web02", with_display(ports[1])),
            ("web", "web03", with_display(ports[2])),
        ])
    };
    let mut server = applied(&group([5911, 5912, 5913]));
    let plan = converge(&mut server, &group([5912, 5913, 5914]));
    let after: Vec<Vec<&str>> = plan
        .vms
        .iter()
        .map(|vm| vm.after.iter().map(String::as_str).collect())
        .collect();
    assert_eq!(after, [vec!["web02"], vec!["web03"], vec![]]);
    // A new VM takes the port of one that goes.
    let renamed = desired(&[("node", "node1", with_display(5912))]);
    let plan = converge(&mut server, &renamed);
    assert!(plan.vms[0].after.contains("web01"), "{plan:#?}");
}

#[test]
fn ports_are_not_exchanged_in_a_circle() {
    let group = |one: u16, two: u16| {
        desired(&[
            ("web", "web01", with_display(one)),
            ("web", "web02", with_display(two)),
        ])
    };
    let server = applied(&group(5911, 5912));
    let (_, problems) = apply(&group(5912, 5911), &server.world);
    assert_eq!(
        errors(&problems),
        [
            "web01, web02 exchange ports, MAC addresses or zvols, and none can begin while the others have them"
        ]
    );
}

#[test]
fn firmware_is_fixed_from_25_10_on_and_changes_before() {
    let first = sketch(vec![]);
    let mut server = applied(&desired(&[("web", "web01", first.clone())]));
    server
        .vm("web01")
        .fields
        .insert("bootloader_ovmf".into(), "A".into());
    let mut wanted = desired(&[("web", "web01", first)]);
    wanted.vms[0]
        .fields
        .insert("bootloader_ovmf".into(), "B".into());
    let (_, problems) = apply(&wanted, &server.world);
    assert_eq!(errors(&problems).len(), 1);
    server.world.version = "25.04.2".into();
    let (plan, problems) = apply(&wanted, &server.world);
    assert_eq!(errors(&problems), [""; 0]);
    assert_eq!(
        words(&plan, "web01"),
        ["stop", "change bootloader_ovmf", "start"]
    );
}

#[test]
fn a_secret_that_changed_is_sent_and_not_shown() {
    let mut server = applied(&desired(&[("web", "web01", sketch(two_disks()))]));
    let wanted = desired(&[("web", "web01", sketch(two_disks()))]);
    for (seen, expected) in [
        ("********", vec![]),
        ("old-one", vec!["change display.main: password".to_owned()]),
    ] {
        let display = server
            .vm("web01")
            .devices
            .iter_mut()
            .find(|one| one.kind() == Some("DISPLAY"))
            .unwrap();
        display.attributes.insert("password".into(), seen.into());
        let (plan, _) = with(&wanted, &server.world, false, &Selection::all());
        assert_eq!(words(&plan, "web01"), expected, "{seen}");
        assert!(!serde_json::to_string(&plan).unwrap().contains("old-one"));
    }
}

#[test]
fn a_suspended_vm_is_not_changed() {
    let mut server = applied(&desired(&[("web", "web01", sketch(vec![]))]));
    server.vm("web01").state = PowerState::Suspended;
    let mut second = sketch(vec![]);
    second.memory = 4096;
    let (_, problems) = apply(&desired(&[("web", "web01", second)]), &server.world);
    assert_eq!(
        errors(&problems),
        ["is suspended, so nothing of it is changed"]
    );
}

fn a_part() -> impl Strategy<Value = Vec<Part>> {
    let disks = (
        subsequence(vec!["a", "b", "c"], 0..=3).prop_shuffle(),
        prop::collection::vec(1..5_u64, 3),
    )
        .prop_map(|(names, sizes)| {
            let pairs = names.into_iter().zip(sizes);
            pairs
                .map(|(name, gib)| Part::Disk { name, gib })
                .collect::<Vec<_>>()
        });
    let nics = (
        subsequence(vec!["x", "lan"], 0..=2).prop_shuffle(),
        prop::sample::select(vec!["br0", "br1"]),
        prop::sample::select(vec!["VIRTIO", "E1000"]),
    )
        .prop_map(|(names, bridge, model)| {
            let named = names.into_iter();
            named
                .map(|name| Part::Nic {
                    name,
                    bridge,
                    model,
                })
                .collect::<Vec<_>>()
        });
    let rest = (
        prop::option::of(prop::sample::select(vec!["1024x768", "800x600"])),
        prop::option::of(prop::sample::select(vec![
            "/mnt/tank/iso/a",
            "/mnt/tank/iso/b",
        ])),
    )
        .prop_map(|(display, cdrom)| {
            let display = display.map(|resolution| Part::Display {
                resolution,
                port: 0,
            });
            display
                .into_iter()
                .chain(cdrom.map(|path| Part::Cdrom { path }))
                .collect::<Vec<_>>()
        });
    (disks, nics, rest)
        .prop_map(|(disks, nics, rest)| [disks, nics, rest].concat())
        .prop_shuffle()
}

fn a_sketch() -> impl Strategy<Value = Sketch> {
    (
        prop::sample::select(vec![256_u64, 1024]),
        prop::bool::weighted(0.8),
        prop::sample::select(vec!["", "text"]),
        a_part(),
    )
        .prop_map(|(memory, start, description, parts)| Sketch {
            memory,
            protect: false,
            start,
            description,
            parts,
        })
}

fn a_group() -> impl Strategy<Value = Vec<(&'static str, &'static str, Sketch)>> {
    let names = vec![("web", "web01"), ("web", "web002"), ("db", "db000001")];
    (
        subsequence(names, 0..=3),
        prop::collection::vec(a_sketch(), 3),
        5911..5914_u16,
    )
        .prop_map(|(names, sketches, first_port)| {
            let pairs = names.into_iter().zip(sketches).zip(first_port..);
            pairs
                .map(|(((vm_type, name), mut sketch), free)| {
                    for part in &mut sketch.parts {
                        if let Part::Display { port, .. } = part {
                            *port = free;
                        }
                    }
                    (vm_type, name, sketch)
                })
                .collect()
        })
}

/// No disk of the second is smaller than in the first.
fn grow(first: &[(&str, &str, Sketch)], second: &mut [(&str, &str, Sketch)]) {
    for (_, vm, sketch) in second {
        let before = first.iter().find(|(_, other, _)| other == vm);
        for part in &mut sketch.parts {
            let Part::Disk { name, gib } = part else {
                continue;
            };
            for old in before.iter().flat_map(|(_, _, sketch)| &sketch.parts) {
                if let Part::Disk {
                    name: other,
                    gib: was,
                } = old
                    && other == name
                {
                    *gib = (*gib).max(*was);
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(512) })]

    #[test]
    fn from_any_group_to_any_other_in_one_apply(first in a_group(), mut second in a_group()) {
        grow(&first, &mut second);
        let mut server = applied(&desired(&first));
        converge(&mut server, &desired(&second));
        // A disk is on the zvol that was made for it, whatever was written around it.
        for (_, name, sketch) in &second {
            let disks = sketch.parts.iter().filter(|one| matches!(one, Part::Disk { .. })).count();
            let own = server.world.datasets.values().filter(|one| one.mark.as_ref().is_some_and(|mark| mark.vm == *name));
            prop_assert_eq!(own.count(), disks);
        }
        converge(&mut server, &desired(&[]));
        prop_assert_eq!(server.world, world());
    }
}
