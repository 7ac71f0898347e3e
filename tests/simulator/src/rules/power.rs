//! Starting, stopping, pausing, deleting and cloning VMs. Texts recorded on 25.10.7 and
//! 26.0.0-BETA.3 where they were (`vm.start`, `vm.stop`, `vm.poweroff`, `vm.suspend`, `vm.resume`).

use serde_json::{Value, json};

use super::vm::Domain;
use super::{destroy, device, disk, display, memory, vm};
use crate::errors::{EBUSY, ENOMEM, Failure};
use crate::json::{Object, given, text};
use crate::random;
use crate::world::{Dataset, Event, Kind, Power, Vm, World};

/// Whether a VM may start now.
pub(crate) fn check_start(world: &World, id: i64, overcommit: bool) -> Result<(), Failure> {
    let vm = vm::find(world, id)?;
    let name = vm.name().to_owned();
    let by_helper = world.version.uses_pylibvirt();
    match vm.power {
        Power::Running { .. } | Power::Suspended { .. } if by_helper => {
            return Err(Failure::fault(format!("VM '{name}' is already running")));
        }
        Power::Running { .. } => {
            return Err(Failure::fault(format!("'{name}' is already running")));
        }
        Power::Suspended { .. } => {
            let why = format!("'{name}' VM is suspended and can only be resumed/powered off");
            return Err(Failure::fault(why));
        }
        Power::Off if vm.starting => {
            return Err(Failure::fault(format!("'{name}' is already running")));
        }
        Power::Off => {}
    }
    let enough = || {
        if !overcommit && memory::guaranteed(world, id) > memory::available(world, false) {
            return Err(Failure::call(
                ENOMEM,
                format!("Cannot guarantee memory for guest {name}"),
            ));
        }
        Ok(())
    };
    // 25.10 looks at the memory first, 26 at the devices (code reading: `vm.start`).
    if !by_helper {
        enough()?;
    }
    check_devices(world, id)?;
    enough()?;
    if let Some(text) = &vm.fails_to_start {
        // Recorded: libvirt's own text, wrapped on 25.10 and bare on 26.
        return Err(if by_helper {
            Failure::exception("libvirtError", text.clone())
        } else {
            Failure::fault(text.clone())
        });
    }
    Ok(())
}

/// A domain that libvirt refused to start is defined all the same. Recorded on 26.0.0-BETA.3:
/// `vm.status` after it says `SHUTOFF`, not null.
pub(crate) fn note_failed_start(world: &mut World, id: i64) {
    if let Some(vm) = world.vms.get_mut(&id) {
        vm.ever_started |= vm.fails_to_start.is_some();
    }
}

/// Marks a start as under way.
pub(crate) fn begin_start(world: &mut World, id: i64) {
    if let Some(vm) = world.vms.get_mut(&id) {
        vm.starting = true;
    }
}

/// Ends a start: the domain runs, with what is stored at this moment.
pub(crate) fn finish_start(world: &mut World, id: i64) {
    if world.vms.get(&id).is_some_and(|vm| vm.starting) {
        world.begin_domain(id);
        // Recorded up to 25.10.7: a start defines the domain anew.
        if !world.version.uses_pylibvirt() {
            vm::announce_domain(world, id, Domain::Undefined);
            vm::announce_domain(world, id, Domain::Defined);
        }
        vm::announce_domain(world, id, Domain::Started);
    }
}

/// Whether `vm.stop` may go on; it needs a running VM.
pub(crate) fn check_stop(world: &World, id: i64) -> Result<(), Failure> {
    let vm = vm::find(world, id)?;
    match (vm.power, world.version.uses_pylibvirt()) {
        (Power::Running { .. }, _) | (Power::Suspended { .. }, true) => Ok(()),
        (_, false) => Err(Failure::fault("VM state is currently not 'RUNNING'")),
        (_, true) => Err(no_domain(vm.name(), vm.ever_started)),
    }
}

/// Whether there is a domain to act on, as 26 and newer look for one.
pub(crate) fn check_running(world: &World, id: i64) -> Result<(), Failure> {
    let vm = vm::find(world, id)?;
    match vm.power {
        Power::Off => Err(no_domain(vm.name(), vm.ever_started)),
        Power::Running { .. } | Power::Suspended { .. } => Ok(()),
    }
}

/// The domain goes away at once.
pub(crate) fn turn_off(world: &mut World, id: i64) {
    if world.vms.get(&id).is_some_and(Vm::is_active) {
        world.end_domain(id);
        vm::announce_domain(world, id, Domain::Stopped);
    }
}

/// The guest shuts down and is off.
pub(crate) fn shut_down(world: &mut World, id: i64) {
    if world.vms.get(&id).is_some_and(Vm::is_active) {
        if !world.version.uses_pylibvirt() {
            vm::announce_domain(world, id, Domain::ShutDown);
        }
        turn_off(world, id);
    }
}

/// The host was off and is back: every domain is gone, and VMs with `autostart` run again. Code
/// reading: one after the other, without overcommit; what does not start stays off (25.10.7).
pub(crate) fn reboot(world: &mut World) {
    world.boot_id = random::uuid();
    let ids: Vec<i64> = world.vms.keys().copied().collect();
    for id in &ids {
        world.end_domain(*id);
    }
    for id in ids {
        let wanted = world
            .vms
            .get(&id)
            .is_some_and(|vm| crate::json::flag(&vm.config, "autostart"));
        if wanted && check_start(world, id, false).is_ok() {
            world.begin_domain(id);
        }
    }
}

/// `vm.poweroff`
pub(crate) fn power_off(world: &mut World, id: i64) -> Result<(), Failure> {
    let vm = vm::find(world, id)?;
    if vm.power == Power::Off {
        return Err(if world.version.uses_pylibvirt() {
            no_domain(vm.name(), vm.ever_started)
        } else {
            Failure::fault("VM state is currently not 'RUNNING / SUSPENDED'")
        });
    }
    turn_off(world, id);
    Ok(())
}

/// `vm.suspend`
pub(crate) fn suspend(world: &mut World, id: i64) -> Result<(), Failure> {
    let vm = vm::find(world, id)?;
    let Power::Running { pid } = vm.power else {
        return Err(if world.version.uses_pylibvirt() {
            no_domain(vm.name(), vm.ever_started)
        } else {
            Failure::fault("VM state is currently not 'RUNNING'")
        });
    };
    set_power(world, id, Power::Suspended { pid });
    Ok(())
}

/// `vm.resume`
pub(crate) fn resume(world: &mut World, id: i64) -> Result<(), Failure> {
    let vm = vm::find(world, id)?;
    let Power::Suspended { pid } = vm.power else {
        return Err(match (world.version.uses_pylibvirt(), vm.power) {
            (false, _) => Failure::fault("VM state is currently not 'SUSPENDED'"),
            (true, Power::Off) => no_domain(vm.name(), vm.ever_started),
            (true, _) => {
                Failure::exception("Error", format!("Domain '{}' is not suspended", vm.name()))
            }
        });
    };
    set_power(world, id, Power::Running { pid });
    Ok(())
}

/// First half of `vm.delete`: refuses, or powers off. Answers whether the VM was active.
/// Code reading: 25.10 powers off whatever `force` says; recorded there too.
pub(crate) fn begin_delete(world: &mut World, id: i64, options: &Object) -> Result<bool, Failure> {
    let vm = vm::find(world, id)?;
    let active = vm.is_active();
    if active && world.version.refuses_to_delete_active_vm() && !crate::json::flag(options, "force")
    {
        let why = format!("VM '{}' is active; stop it first or use force", vm.name());
        return Err(Failure::call(EBUSY, why));
    }
    if active && world.version.destroys_before_stopping() {
        destroy_zvols(world, id, options)?;
    }
    turn_off(world, id);
    if let Some(vm) = world.vms.get_mut(&id) {
        vm.starting = false;
    }
    Ok(active)
}

/// Second half of `vm.delete`: zvols, devices, the row.
pub(crate) fn finish_delete(
    world: &mut World,
    id: i64,
    options: &Object,
    was_active: bool,
) -> Result<Value, Failure> {
    vm::find(world, id)?;
    if !(was_active && world.version.destroys_before_stopping()) {
        destroy_zvols(world, id, options)?;
    }
    let devices: Vec<i64> = world.devices_of(id).map(|device| device.id).collect();
    // Recorded up to 25.10.7: the definition goes first.
    if !world.version.uses_pylibvirt() {
        vm::announce_domain(world, id, Domain::Undefined);
    }
    for device in devices {
        device::drop_device(world, device);
    }
    world.vms.remove(&id);
    world.emit(Event {
        kind: "removed",
        collection: "vm.query",
        id: json!(id),
        fields: None,
        extra: None,
    });
    Ok(if world.version.delete_answers_null() {
        Value::Null
    } else {
        json!(true)
    })
}

/// With `zvols`, all zvols of a VM and their snapshots. 26 does not look at the result; 25.10
/// only forgives with `force` (recorded).
fn destroy_zvols(world: &mut World, id: i64, options: &Object) -> Result<(), Failure> {
    if !crate::json::flag(options, "zvols") {
        return Ok(());
    }
    let zvols: Vec<String> = world
        .devices_of(id)
        .filter(|device| device.dtype() == "DISK")
        .filter_map(|device| disk::zvol_of(text(&device.attributes, "path")))
        .collect();
    for zvol in zvols {
        let destroyed = destroy::destroy(world, &zvol, true);
        if !crate::json::flag(options, "force") && !world.swallow_destroy_errors {
            destroyed?;
        }
    }
    Ok(())
}

/// `vm.clone`. Recorded on 25.10.7: names of zvols and snapshots; RAW devices are skipped and a display
/// without password stops the clone (code reading).
pub(crate) fn clone(world: &mut World, id: i64, name: Option<&str>) -> Result<Value, Failure> {
    let source = vm::find(world, id)?.clone();
    let name = name.map_or_else(|| free_clone_name(world, source.name()), str::to_owned);
    let mut config = source.config.clone();
    config.insert("name".into(), json!(name));
    config.insert("uuid".into(), Value::Null);
    let new = vm::create(world, config)?;
    let devices: Vec<_> = world.devices_of(id).cloned().collect();
    for device in devices {
        let mut attributes = device.attributes.clone();
        match device.dtype() {
            "RAW" => continue,
            "DISK" => clone_disk(world, &name, &mut attributes)?,
            "NIC" => {
                attributes.insert("mac".into(), Value::Null);
            }
            "DISPLAY" => {
                attributes.insert("port".into(), Value::Null);
                attributes.insert("web_port".into(), Value::Null);
                display::fill_ports(world, None, &mut attributes);
                if !given(&attributes, "password") {
                    return Err(Failure::invalid(
                        "attributes.password",
                        "Password is required for display devices",
                    ));
                }
            }
            _ => {}
        }
        // Recorded on 25.10.7: the answered order is given explicitly, so equal ones push each other.
        device::create(world, new, Some(device.shown_order()), attributes)?;
    }
    Ok(json!(true))
}

fn clone_disk(world: &mut World, name: &str, attributes: &mut Object) -> Result<(), Failure> {
    let Some(zvol) = disk::zvol_of(text(attributes, "path")) else {
        return Ok(());
    };
    let Some(Kind::Volume {
        size, block_size, ..
    }) = world.datasets.get(&zvol).map(|dataset| dataset.kind)
    else {
        return Err(Failure::fault(format!(
            "Failed to snapshot {zvol}: dataset does not exist"
        )));
    };
    let target = format!("{zvol}_{name}");
    if world.datasets.contains_key(&target) {
        return Err(Failure::fault(format!(
            "Failed to clone snapshot: {target} already exists"
        )));
    }
    let snapshot = world.take_snapshot(&zvol, name);
    let mut copy = Dataset::new(
        &target,
        Kind::Volume {
            size,
            block_size,
            sparse: true,
        },
    );
    copy.origin = Some(snapshot);
    world.datasets.insert(target.clone(), copy);
    attributes.insert(
        "path".into(),
        json!(format!("/dev/zvol/{}", target.replace(' ', "+"))),
    );
    Ok(())
}

fn check_devices(world: &World, id: i64) -> Result<(), Failure> {
    let missing: Vec<(i64, String)> = world
        .devices_of(id)
        .filter_map(|found| device::unavailable(world, found).map(|label| (found.id, label)))
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    Err(Failure::fault(if world.version.uses_pylibvirt() {
        let lines: Vec<String> = missing
            .into_iter()
            .map(|(id, _)| format!("Device {id} is not available"))
            .collect();
        lines.join("\n")
    } else {
        let labels: Vec<String> = missing.into_iter().map(|(_, label)| label).collect();
        format!(
            "VM will not start as {} device(s) are not available.",
            labels.join(", ")
        )
    }))
}

fn set_power(world: &mut World, id: i64, power: Power) {
    if let Some(vm) = world.vms.get_mut(&id) {
        vm.power = power;
    }
    let told = match power {
        Power::Suspended { .. } => Domain::Suspended,
        Power::Running { .. } => Domain::Resumed,
        Power::Off => Domain::Stopped,
    };
    vm::announce_domain(world, id, told);
}

fn no_domain(name: &str, ever_started: bool) -> Failure {
    if ever_started {
        Failure::exception("Error", format!("Domain '{name}' is not active"))
    } else {
        Failure::exception(
            "DomainDoesNotExistError",
            format!("Domain '{name}' does not exist"),
        )
    }
}

fn free_clone_name(world: &World, name: &str) -> String {
    let taken = |candidate: &String| world.vms.values().any(|vm| vm.name() == candidate);
    (0_u32..)
        .map(|number| format!("{name}_clone{number}"))
        .find(|candidate| !taken(candidate))
        .unwrap_or_else(|| format!("{name}_clone"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::Bench;
    use crate::version::Version;
    use crate::world::WorldBuilder;

    fn with_disk(bench: &mut Bench, name: &str) -> i64 {
        let id = bench.vm(name);
        let zvol = format!("tank/{name}-disk0");
        bench.device(id, json!({"dtype": "DISK", "create_zvol": true, "zvol_name": zvol, "zvol_volsize": 1 << 30}));
        id
    }

    #[test]
    fn wrong_states_are_refused() {
        let mut bench = Bench::new("25.10");
        let id = bench.vm("a");
        for method in ["vm.poweroff", "vm.suspend", "vm.resume", "vm.stop"] {
            let (code, errno, ..) = bench.refused(method, json!([id]));
            assert_eq!((code, errno), (-32001, 14), "{method}");
        }
        bench.ok("vm.start", json!([id]));
        assert!(
            bench
                .refused("vm.start", json!([id]))
                .3
                .contains("already running")
        );
        bench.ok("vm.suspend", json!([id]));
        assert!(
            bench
                .refused("vm.start", json!([id]))
                .3
                .contains("suspended")
        );
    }

    #[test]
    fn memory_that_was_promised_is_not_given_again_without_overcommit() {
        let world = WorldBuilder::example(Version::default())
            .memory(8, 4)
            .build();
        let mut bench = Bench::in_world(world);
        for name in ["a", "b"] {
            bench.ok("vm.create", json!([{"name": name, "memory": 2500}]));
        }
        bench.ok("vm.start", json!([1]));
        let (code, errno, _, text) = bench.refused("vm.start", json!([2]));
        assert_eq!((code, errno), (-32001, 12), "{text}");
        bench.ok("vm.start", json!([2, {"overcommit": true}]));
    }

    #[test]
    fn a_vm_does_not_start_without_its_zvol() {
        let mut bench = Bench::new("25.10");
        let id = with_disk(&mut bench, "a");
        bench.ok("pool.dataset.delete", json!(["tank/a-disk0"]));
        assert!(
            bench
                .refused("vm.start", json!([id]))
                .3
                .contains("DISK Device: /dev/zvol/tank/a-disk0")
        );
    }

    #[test]
    fn deleting_a_running_vm_differs_between_the_lines() {
        let mut old = Bench::new("25.10");
        let id = with_disk(&mut old, "a");
        old.ok("vm.start", json!([id]));
        assert_eq!(old.ok("vm.delete", json!([id])), json!(true));
        assert_eq!(old.state.world.view().zvol_names(), ["tank/a-disk0"]);

        let mut new = Bench::new("26");
        let id = with_disk(&mut new, "a");
        new.ok("vm.start", json!([id]));
        assert_eq!(new.refused("vm.delete", json!([id])).1, 16);
        assert_eq!(
            new.ok("vm.delete", json!([id, {"force": true, "zvols": true}])),
            Value::Null
        );
        assert!(new.state.world.view().zvols.is_empty());
    }

    #[test]
    fn a_zvol_that_is_gone_stops_a_delete_without_force() {
        let mut bench = Bench::new("25.10");
        let id = with_disk(&mut bench, "a");
        bench.ok("pool.dataset.delete", json!(["tank/a-disk0"]));
        assert_eq!(
            bench.refused("vm.delete", json!([id, {"zvols": true}])).1,
            14
        );
        assert_eq!(bench.state.world.view().vm_names(), ["a"]);
        bench.ok("vm.delete", json!([id, {"zvols": true, "force": true}]));
    }

    #[test]
    fn a_clone_hangs_on_its_source_which_then_stays() {
        let mut bench = Bench::new("25.10");
        let id = with_disk(&mut bench, "a");
        bench.device(id, json!({"dtype": "NIC", "mac": "00:a0:98:00:00:01"}));
        bench.ok("vm.clone", json!([id]));
        let view = bench.state.world.view();
        assert_eq!(
            view.zvols["tank/a-disk0_a_clone0"].origin.as_deref(),
            Some("tank/a-disk0@a_clone0")
        );
        assert_eq!(
            view.vms["a_clone0"].devices[1].attributes["mac"],
            Value::Null
        );
        assert!(
            bench
                .refused("vm.delete", json!([id, {"zvols": true}]))
                .3
                .contains("clones")
        );
    }

    #[test]
    fn a_guest_that_ignores_acpi_survives_a_stop() {
        let mut bench = Bench::new("25.10");
        let id = bench.vm("a");
        bench.state.world.vms.get_mut(&id).unwrap().ignores_acpi = true;
        bench.ok("vm.start", json!([id]));
        bench.ok("vm.stop", json!([id]));
        assert!(bench.state.world.view().vms["a"].running);
        bench.ok("vm.stop", json!([id, {"force_after_timeout": true}]));
        assert!(!bench.state.world.view().vms["a"].running);
    }

    #[test]
    fn a_running_vm_keeps_what_it_was_started_with_until_the_next_start() {
        let mut bench = Bench::new("25.10");
        let id = with_disk(&mut bench, "a");
        let nic = bench.device(id, json!({"dtype": "NIC", "nic_attach": "br0"}));
        assert_eq!(bench.state.world.view().vms["a"].active, None);
        bench.ok("vm.start", json!([id]));
        bench.ok("vm.update", json!([id, {"memory": 1024}]));
        let attach =
            json!([nic, {"attributes": {"trust_guest_rx_filters": false, "type": "VIRTIO"}}]);
        bench.ok("vm.device.update", attach);
        let grow = json!(["tank/a-disk0", {"volsize": 2_u64 << 30}]);
        bench.ok("pool.dataset.update", grow);
        let seen = |bench: &Bench| {
            let active = bench.state.world.view().vms["a"].active.clone().unwrap();
            let kind = active.devices[1].attributes["type"].clone();
            (
                active.config["memory"].clone(),
                kind,
                active.volumes["tank/a-disk0"],
            )
        };
        assert_eq!(seen(&bench), (json!(512), json!("E1000"), 1 << 30));
        assert_eq!(bench.state.world.view().vms["a"].config["memory"], 1024);
        bench.ok("vm.stop", json!([id, {"force": true}]));
        assert_eq!(bench.state.world.view().vms["a"].active, None);
        bench.ok("vm.start", json!([id]));
        assert_eq!(seen(&bench), (json!(1024), json!("VIRTIO"), 2 << 30));
    }
}
