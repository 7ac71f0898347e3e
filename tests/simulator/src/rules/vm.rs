//! Rules of `vm.create` and `vm.update`, and the entry a VM is answered as.

use serde_json::{Value, json};

use super::platform;
use crate::errors::{Complaint, EEXIST, EINVAL, Failure};
use crate::json::{Object, flag, given, int, text};
use crate::random;
use crate::version::Version;
use crate::world::{Event, Power, Vm, World};

/// Largest product of sockets, cores and threads. Recorded on 25.10.7: `vm.maximum_supported_vcpus`.
pub(crate) const MAX_VCPUS: i64 = 255;

/// Checks a complete row; `id` is the VM's own on update. Order and texts as recorded on 25.10.7 and
/// 26.0.0-BETA.3 (`vm.create`).
pub(crate) fn check_vm(
    world: &World,
    schema: &str,
    config: &Object,
    id: Option<i64>,
) -> Result<(), Failure> {
    let mut complaints: Vec<Complaint> = Vec::new();
    let mut complain = |attribute: &str, text: String, errno: i32| {
        complaints.push((Some(format!("{schema}.{attribute}")), text, errno));
    };
    let vcpus: i64 = ["vcpus", "cores", "threads"]
        .iter()
        .filter_map(|key| int(config, key))
        .product();

    if text(config, "command_line_args")
        .matches(['\'', '"'])
        .count()
        % 2
        == 1
    {
        complain(
            "command_line_args",
            "Parse error: No closing quotation".into(),
            EINVAL,
        );
    }
    if vcpus > MAX_VCPUS {
        complain(
            "vcpus",
            format!(
                "Maximum {MAX_VCPUS} vcpus are supported.Please ensure the product of \"{schema}.vcpus\", \
                 \"{schema}.cores\" and \"{schema}.threads\" is less {} {MAX_VCPUS}.",
                if world.version.has_typos() {
                    "then"
                } else {
                    "than"
                },
            ),
            EINVAL,
        );
    }
    if int(config, "min_memory")
        .is_some_and(|min| int(config, "memory").is_some_and(|memory| min > memory))
    {
        complain(
            "min_memory",
            "Minimum memory should not be greater than defined/maximum memory".into(),
            EINVAL,
        );
    }
    if given(config, "cpu_model") {
        if text(config, "cpu_mode") != "CUSTOM" {
            let why = "This attribute should not be specified when \"cpu_mode\" is not \"CUSTOM\".";
            complain("cpu_model", why.into(), EINVAL);
        } else if !platform::CPU_MODELS.contains(&text(config, "cpu_model")) {
            complain(
                "cpu_model",
                "Please select a valid CPU model.".into(),
                EINVAL,
            );
        }
    }
    platform::check_machine(&world.version, schema, config, &mut complain);
    if text(config, "arch_type") == platform::ARM {
        platform::check_arm(config, &mut complain);
    }
    let firmware_first = world.version.checks_firmware_before_name();
    if firmware_first {
        platform::check_firmware(config, &mut complain);
    }
    let name = text(config, "name");
    if world
        .vms
        .values()
        .any(|vm| vm.name() == name && Some(vm.id) != id)
    {
        complain("name", "This name already exists.".into(), EEXIST);
    } else if name.is_empty()
        || !name
            .chars()
            .all(|letter| letter.is_ascii_alphanumeric() || letter == '_')
    {
        complain(
            "name",
            "Only alphanumeric characters are allowed.".into(),
            EINVAL,
        );
    }
    if flag(config, "pin_vcpus") {
        if !given(config, "cpuset") {
            complain(
                "cpuset",
                format!("Must be specified when \"{schema}.pin_vcpus\" is set."),
                EINVAL,
            );
        } else if set_size(text(config, "cpuset")) != Some(vcpus) {
            let why = format!(
                "Number of cpus in \"{schema}.cpuset\" must be equal to total number {} if pinning is enabled.",
                if world.version.has_typos() {
                    "vpcus"
                } else {
                    "vcpus"
                },
            );
            complain("pin_vcpus", why, EINVAL);
        }
    }
    if flag(config, "enable_secure_boot") {
        platform::check_secure_boot(&world.version, config, &mut complain);
    }
    if !firmware_first {
        platform::check_firmware(config, &mut complain);
    }
    if complaints.is_empty() {
        Ok(())
    } else {
        Err(Failure::validation(complaints))
    }
}

/// Fills in what the server decides itself. Recorded on 25.10.7: secure boot picks machine and firmware.
pub(crate) fn fill_vm_defaults(version: &Version, config: &mut Object) {
    let secure = flag(config, "enable_secure_boot");
    if secure && !given(config, "machine_type") && !given(config, "arch_type") {
        config.insert("arch_type".into(), json!("x86_64"));
        config.insert("machine_type".into(), json!("pc-q35-6.2"));
    }
    if !given(config, "bootloader_ovmf") {
        let firmware = match (text(config, "arch_type"), secure) {
            (platform::ARM, true) => "AAVMF_CODE.ms.fd",
            (platform::ARM, false) => "AAVMF_CODE.fd",
            _ => version.default_firmware(secure),
        };
        config.insert("bootloader_ovmf".into(), json!(firmware));
    }
    if !given(config, "uuid") {
        config.insert("uuid".into(), json!(random::uuid()));
    }
}

/// `vm.create`: checks, stores and answers the new VM.
pub(crate) fn create(world: &mut World, mut config: Object) -> Result<i64, Failure> {
    fill_vm_defaults(&world.version, &mut config);
    check_vm(world, "vm_create", &config, None)?;
    let id = world.insert_vm(config);
    announce(world, id, "added");
    Ok(id)
}

/// `vm.update`: checks the merged row and stores it. Nothing of a running domain changes.
pub(crate) fn update(world: &mut World, id: i64, changes: Object) -> Result<(), Failure> {
    let version = world.version.clone();
    let vm = find(world, id)?;
    let (old_name, active, ever_started) = (vm.name().to_owned(), vm.is_active(), vm.ever_started);
    let mut config = vm.config.clone();
    config.extend(changes);
    check_vm(world, "vm_update", &config, Some(id))?;
    let new_name = text(&config, "name").to_owned();
    // Recorded on 25.10.7: `vm.update` of a running VM.
    if new_name != old_name && active {
        return Err(Failure::fault(
            "VM name can only be changed when VM is inactive",
        ));
    }
    let loses_nvram =
        new_name != old_name && text(&config, "bootloader") == "UEFI" && !ever_started;
    if let Some(vm) = world.vms.get_mut(&id) {
        vm.config = config;
    }
    announce(world, id, "changed");
    // Recorded on 25.10.7: the new name is stored, then the missing NVRAM file is an error. A VM
    // that never ran has none.
    if loses_nvram && !version.uses_pylibvirt() {
        return Err(Failure::fault(format!(
            "VM name has been updated but nvram file for {old_name} does not exist which can result in \
             {new_name} VM not booting properly."
        )));
    }
    Ok(())
}

/// The VM, or the server's way of saying there is none.
pub(crate) fn find(world: &World, id: i64) -> Result<&Vm, Failure> {
    world
        .vms
        .get(&id)
        .ok_or_else(|| Failure::not_found("VM", &id.to_string()))
}

/// `status` of a VM. Recorded on 25.10.7 and 26.0.0-BETA.3: `vm.status`.
pub(crate) fn status(version: &Version, vm: &Vm) -> Value {
    match vm.power {
        Power::Running { pid } => {
            json!({"state": "RUNNING", "pid": pid, "domain_state": "RUNNING"})
        }
        Power::Suspended { pid } => {
            json!({"state": "SUSPENDED", "pid": pid, "domain_state": "PAUSED"})
        }
        Power::Off if !vm.ever_started && version.domain_state_is_null_before_first_start() => {
            json!({"state": "STOPPED", "pid": null, "domain_state": null})
        }
        Power::Off => json!({"state": "STOPPED", "pid": null, "domain_state": "SHUTOFF"}),
    }
}

/// The entry of `vm.query`. Recorded on 25.10.7, order of members included.
pub(crate) fn entry(world: &World, vm: &Vm, show_secrets: bool) -> Value {
    let devices = world
        .devices_of(vm.id)
        .map(|device| super::device::entry(&world.version, device, show_secrets));
    entry_with(world, vm, devices.collect())
}

/// The same with devices as events carry them.
fn entry_of_event(world: &World, vm: &Vm) -> Value {
    let devices = world
        .devices_of(vm.id)
        .map(|device| super::device::entry_of_event(&world.version, device));
    entry_with(world, vm, devices.collect())
}

fn entry_with(world: &World, vm: &Vm, devices: Vec<Value>) -> Value {
    let shows = world.devices_of(vm.id).any(|device| {
        device.dtype() == "DISPLAY"
            && text(&device.attributes, "type") == "SPICE"
            && flag(&device.attributes, "web")
    });
    let mut entry = vm.config.clone();
    let secure = entry
        .remove("enable_secure_boot")
        .unwrap_or(Value::Bool(false));
    entry.insert("devices".into(), Value::Array(devices));
    entry.insert("display_available".into(), json!(shows));
    entry.insert("id".into(), json!(vm.id));
    entry.insert("status".into(), status(&world.version, vm));
    if world.version.has_secure_boot() {
        entry.insert("enable_secure_boot".into(), secure);
    }
    Value::Object(entry)
}

/// Tells subscribers that a VM's row was added or changed: with the whole entry from 25.10 on, before
/// by its id alone. Up to 25.10 a new VM is also defined at once, which libvirt tells.
pub(crate) fn announce(world: &mut World, id: i64, kind: &'static str) {
    let Some(vm) = world.vms.get(&id) else { return };
    let fields = (!world.version.announces_rows_by_id()).then(|| entry_of_event(world, vm));
    world.emit(Event {
        kind,
        collection: "vm.query",
        id: json!(id),
        fields,
        extra: None,
    });
    if kind == "added" && !world.version.uses_pylibvirt() {
        announce_domain(world, id, Domain::Defined);
    }
}

/// What libvirt tells of a domain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Domain {
    /// Its definition came.
    Defined,
    /// Its definition went.
    Undefined,
    /// It runs.
    Started,
    /// It is paused.
    Suspended,
    /// It runs again.
    Resumed,
    /// Its guest has shut down.
    ShutDown,
    /// It is off.
    Stopped,
}

impl Domain {
    /// `extra.state`: the server takes libvirt's numbers of events for numbers of states. Recorded on
    /// 24.10.2.5, 25.04.2.6 and 25.10.7, but for the two about suspending.
    fn word(self) -> &'static str {
        match self {
            Self::Defined => "NOSTATE",
            Self::Undefined | Self::Resumed => "RUNNING",
            Self::Started => "BLOCKED",
            Self::Suspended => "PAUSED",
            Self::ShutDown => "CRASHED",
            Self::Stopped => "SHUTOFF",
        }
    }
}

/// Tells subscribers what libvirt told. Recorded up to 25.10.7: rows carry no devices, `status.state`
/// has words of its own; 26 sends the whole entry.
pub(crate) fn announce_domain(world: &mut World, id: i64, told: Domain) {
    let Some(vm) = world.vms.get(&id) else { return };
    let mut fields = entry_of_event(world, vm);
    let mut extra = None;
    if !world.version.events_carry_full_entry() {
        if let Some(fields) = fields.as_object_mut() {
            fields.shift_remove("devices");
            let state = match (told, vm.power) {
                (Domain::Undefined, _) => Some("UPDATING CONFIGURATION"),
                (_, Power::Off) => Some("SHUTOFF"),
                _ => None,
            };
            if let (Some(status), Some(state)) = (
                fields.get_mut("status").and_then(Value::as_object_mut),
                state,
            ) {
                status.insert("state".into(), json!(state));
            }
        }
        extra = Some(json!({"state": told.word()}));
    }
    let kind = if told == Domain::Defined {
        "added"
    } else {
        "changed"
    };
    world.emit(Event {
        kind,
        collection: "vm.query",
        id: json!(id),
        fields: Some(fields),
        extra,
    });
}

/// How many numbers a set such as `0-3,5` holds.
fn set_size(set: &str) -> Option<i64> {
    let mut size = 0;
    for part in set.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last): (i64, i64) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
        size += last - first + 1;
    }
    Some(size)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::Bench;

    fn check(settings: Value, attribute: &str, errno: i64) {
        let mut bench = Bench::new("25.10");
        bench.vm("taken");
        let mut data = json!({"name": "fresh", "memory": 512});
        data.as_object_mut()
            .unwrap()
            .extend(settings.as_object().unwrap().clone());
        let (code, found_errno, found, text) = bench.refused("vm.create", json!([data]));
        assert_eq!(
            (code, found.as_str(), found_errno),
            (-32602, attribute, errno),
            "{settings}: {text}"
        );
    }

    #[test]
    fn each_rule_of_a_vm_names_its_attribute() {
        check(json!({"name": "taken"}), "vm_create.name", 17);
        check(json!({"name": "web-1"}), "vm_create.name", 22);
        check(json!({"memory": 19}), "vm_create.memory", 22);
        check(json!({"min_memory": 1024}), "vm_create.min_memory", 22);
        check(json!({"cores": 256}), "vm_create.vcpus", 22);
        check(
            json!({"cpu_mode": "HOST-MODEL", "cpu_model": "EPYC"}),
            "vm_create.cpu_model",
            22,
        );
        check(json!({"pin_vcpus": true}), "vm_create.cpuset", 22);
        check(
            json!({"pin_vcpus": true, "cpuset": "0-3"}),
            "vm_create.pin_vcpus",
            22,
        );
        check(
            json!({"machine_type": "pc-q35-6.2"}),
            "vm_create.arch_type",
            22,
        );
        check(
            json!({"arch_type": "x86_64", "machine_type": "nope"}),
            "vm_create.machine_type",
            22,
        );
        check(
            json!({"bootloader_ovmf": "nope.fd"}),
            "vm_create.bootloader_ovmf",
            22,
        );
        check(
            json!({"enable_secure_boot": true, "bootloader_ovmf": "OVMF_CODE_4M.fd"}),
            "vm_create.bootloader_ovmf",
            22,
        );
        check(json!({"devices": []}), "vm_create.devices", 22);
        check(
            json!({"command_line_args": "'"}),
            "vm_create.command_line_args",
            22,
        );
    }

    #[test]
    fn only_27_runs_aarch64_and_without_what_x86_has() {
        let arm =
            json!([{"name": "a", "memory": 512, "arch_type": "aarch64", "machine_type": "virt"}]);
        assert_eq!(
            Bench::new("26").refused("vm.create", arm.clone()).2,
            "vm_create.arch_type"
        );
        let mut bench = Bench::new("27");
        assert_eq!(
            bench.ok("vm.create", arm)["bootloader_ovmf"],
            "AAVMF_CODE.fd"
        );
        let csm =
            json!([{"name": "b", "memory": 512, "arch_type": "aarch64", "bootloader": "UEFI_CSM"}]);
        assert_eq!(bench.refused("vm.create", csm).2, "vm_create.bootloader");
    }

    #[test]
    fn secure_boot_picks_machine_and_firmware() {
        let mut bench = Bench::new("25.10");
        let vm = bench.ok(
            "vm.create",
            json!([{"name": "a", "memory": 512, "enable_secure_boot": true}]),
        );
        assert_eq!(vm["machine_type"], "pc-q35-6.2");
        assert_eq!(vm["bootloader_ovmf"], "OVMF_CODE_4M.secboot.fd");
    }

    #[test]
    fn a_running_vm_keeps_its_name() {
        let mut bench = Bench::new("25.10");
        let id = bench.vm("a");
        bench.ok("vm.start", json!([id]));
        assert!(
            bench
                .refused("vm.update", json!([id, {"name": "b"}]))
                .3
                .contains("inactive")
        );
        assert_eq!(
            bench.ok("vm.update", json!([id, {"memory": 1024}]))["memory"],
            1024
        );
    }

    #[test]
    fn the_lines_differ_in_defaults_and_first_state() {
        let mut new = Bench::new("26");
        let vm = new.ok("vm.create", json!([{"name": "a", "memory": 512}]));
        assert_eq!(
            (&vm["suspend_on_snapshot"], &vm["status"]["domain_state"]),
            (&json!(true), &Value::Null)
        );
        let mut old = Bench::new("25.10");
        let vm = old.ok("vm.create", json!([{"name": "a", "memory": 512}]));
        assert_eq!(
            (&vm["suspend_on_snapshot"], &vm["status"]["domain_state"]),
            (&json!(false), &json!("SHUTOFF"))
        );
    }

    #[test]
    fn an_update_refuses_what_its_schema_does_not_know() {
        for version in ["25.10", "26"] {
            let mut bench = Bench::new(version);
            let id = bench.vm("a");
            for (field, value) in [
                ("bootloader_ovmf", json!("OVMF_CODE.fd")),
                ("enable_secure_boot", json!(true)),
                ("id", json!(7)),
                ("devices", json!([])),
            ] {
                let (code, errno, attribute, _) =
                    bench.refused("vm.update", json!([id, {field: value}]));
                let told = (code, errno, attribute);
                assert_eq!(
                    told,
                    (-32602, 22, format!("vm_update.{field}")),
                    "{version}"
                );
            }
        }
    }

    #[test]
    fn a_running_or_suspended_vm_keeps_its_name_and_takes_other_changes() {
        for version in ["25.10", "26"] {
            let mut bench = Bench::new(version);
            let id = bench.vm("a");
            bench.ok("vm.start", json!([id]));
            for suspended in [false, true] {
                if suspended {
                    bench.ok("vm.suspend", json!([id]));
                }
                let (code, errno, ..) = bench.refused("vm.update", json!([id, {"name": "b"}]));
                assert_eq!((code, errno), (-32001, 14));
                let row = bench.ok("vm.update", json!([id, {"memory": 1024, "name": "a"}]));
                assert_eq!(row["memory"], 1024);
            }
        }
    }

    #[test]
    fn firmware_and_secure_boot_can_be_changed_on_25_04_alone() {
        let mut bench = Bench::new("25.04.2");
        let id = bench.vm("a");
        let row = bench.ok("vm.get_instance", json!([id]));
        assert_eq!(row["bootloader_ovmf"], "OVMF_CODE.fd");
        let change =
            json!([id, {"bootloader_ovmf": "OVMF_CODE_4M.fd", "enable_secure_boot": false}]);
        assert_eq!(
            bench.ok("vm.update", change)["bootloader_ovmf"],
            "OVMF_CODE_4M.fd"
        );
    }
}
