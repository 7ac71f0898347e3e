//! Every attribute that `apply` can change in place: what is sent for it, and when a running VM has
//! it. One row is one change of one attribute. `TNVM_MATRIX_VERSION=24.10` runs them against another
//! TrueNAS.

use serde_json::{Value, json};
use tnvm::release::{DeviceUpdate, Feature, Release};
use tnvm_simulator::{ActiveConfig, VmView};
use tnvm_suite::{Lab, version};

/// When a change takes effect, as the host's table of effects says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Takes {
    /// The server itself reads it; no start is needed.
    Live,
    /// The domain is made with it at the next start.
    NextStart,
}

use Takes::{Live, NextStart};

/// A change of one attribute.
struct Row {
    /// A line of the VM type before and after.
    from: &'static str,
    to: &'static str,
    takes: Takes,
    sent: Sent,
}

/// The one call that brings it about, and where the value stands then.
#[derive(Clone, Copy)]
enum Sent {
    /// `vm.update` with this field alone.
    Field(&'static str),
    /// `vm.device.update` of the device of this type with this attribute alone.
    Attribute(&'static str, &'static str),
    /// `pool.dataset.update` with `volsize` alone; the value is in GiB.
    Size,
}

use Sent::{Attribute, Field, Size};

const fn row(from: &'static str, to: &'static str, takes: Takes, sent: Sent) -> Row {
    Row {
        from,
        to,
        takes,
        sent,
    }
}

const ROWS: &[Row] = &[
    row("memory: 1GiB", "memory: 2GiB", NextStart, Field("memory")),
    row(
        "min_memory: 512MiB",
        "min_memory: 256MiB",
        NextStart,
        Field("min_memory"),
    ),
    row("cpu: 1", "cpu: 2", NextStart, Field("cores")),
    row(
        "description: one",
        "description: two",
        Live,
        Field("description"),
    ),
    row(
        "autostart: true",
        "autostart: false",
        Live,
        Field("autostart"),
    ),
    row(
        "shutdown_timeout: 60",
        "shutdown_timeout: 30",
        Live,
        Field("shutdown_timeout"),
    ),
    row("time: LOCAL", "time: UTC", NextStart, Field("time")),
    row(
        "bootloader: UEFI",
        "bootloader: UEFI_CSM",
        NextStart,
        Field("bootloader"),
    ),
    row(
        "network: {lan: br0}",
        "network: {lan: br1}",
        NextStart,
        Attribute("NIC", "nic_attach"),
    ),
    row(
        "network: {lan: {bridge: br0, type: VIRTIO}}",
        "network: {lan: {bridge: br0, type: E1000}}",
        NextStart,
        Attribute("NIC", "type"),
    ),
    row(
        "network: {lan: {bridge: br0, mac: '00:a0:98:00:00:01'}}",
        "network: {lan: {bridge: br0, mac: '00:a0:98:00:00:02'}}",
        NextStart,
        Attribute("NIC", "mac"),
    ),
    row(
        "display: {resolution: 1024x768}",
        "display: {resolution: 1920x1080}",
        NextStart,
        Attribute("DISPLAY", "resolution"),
    ),
    row(
        "display: {type: SPICE, web: false}",
        "display: {type: VNC, web: false}",
        NextStart,
        Attribute("DISPLAY", "type"),
    ),
    row(
        "cdrom: /mnt/tank/iso/metal-amd64.iso",
        "cdrom: /mnt/storage/iso/debian-12.iso",
        NextStart,
        Attribute("CDROM", "path"),
    ),
    row(
        "disk: {a: {size: 1, iotype: THREADS}}",
        "disk: {a: {size: 1, iotype: NATIVE}}",
        NextStart,
        Attribute("DISK", "iotype"),
    ),
    row("disk: {a: 1}", "disk: {a: 2}", NextStart, Size),
];

/// `web` with one line of its own over what every row has in common. A row's line comes last: the
/// same key twice is an error, so the common one makes room.
fn config(line: &str, start: bool) -> String {
    let key = line.split(':').next().unwrap_or_default();
    let common = [
        "count: 1",
        "cpu: 1",
        "memory: 1GiB",
        "disk: {a: 1}",
        "network: {lan: br0}",
    ];
    let mut text = format!("web:\n  start: {start}\n");
    for kept in common
        .iter()
        .filter(|kept| !kept.starts_with(&format!("{key}:")))
    {
        text.push_str(&format!("  {kept}\n"));
    }
    text.push_str(&format!("  {line}\n"));
    text
}

fn only_vm(lab: &Lab) -> VmView {
    lab.view().vms.into_values().next().unwrap()
}

/// The value in a configuration and its devices.
fn value<'a>(
    sent: Sent,
    config: &Value,
    devices: impl IntoIterator<Item = &'a tnvm_simulator::DeviceView>,
    size: Option<u64>,
) -> Value {
    match sent {
        Field(name) => config[name].clone(),
        Attribute(dtype, name) => devices
            .into_iter()
            .find(|device| device.attributes["dtype"] == dtype)
            .map(|device| device.attributes[name].clone())
            .unwrap(),
        Size => json!(size),
    }
}

fn stored(lab: &Lab, sent: Sent) -> Value {
    let vm = only_vm(lab);
    let size = lab.view().zvols.values().next().map(|zvol| zvol.volsize);
    value(sent, &vm.config, &vm.devices, size)
}

fn active(lab: &Lab, sent: Sent) -> Value {
    let active: ActiveConfig = only_vm(lab).active.unwrap();
    let size = active.volumes.values().next().copied();
    value(sent, &active.config, &active.devices, size)
}

/// The changing calls of an apply without its lock, which is a user property of the parent dataset.
fn changes(lab: &Lab, from: usize) -> Vec<(String, Vec<Value>)> {
    let mut all = lab.changes_since(from);
    all.retain(|(method, params)| {
        let of_lock = params.get(1).is_some_and(|data| {
            data.as_object()
                .is_some_and(|data| data.keys().all(|key| key == "user_properties_update"))
        });
        !(method == "pool.dataset.update" && of_lock)
    });
    all
}

fn release() -> Release {
    Release::of_text(version().short())
}

/// The rows whose values the version has.
fn rows() -> impl Iterator<Item = &'static Row> {
    let has_vnc = release().has(Feature::Value("DISPLAY", "type", "VNC"));
    ROWS.iter()
        .filter(move |row| has_vnc || !row.to.contains("VNC"))
}

/// Whether an update of a device has to send what does not change as well.
fn sends_all() -> bool {
    release().facts().device_update != DeviceUpdate::Merges
}

/// `before`: the devices before the change.
fn check_sent(row: &Row, calls: &[(String, Vec<Value>)], before: &VmView, context: &str) {
    let (method, key) = match row.sent {
        Field(name) => ("vm.update", name),
        Attribute(_, name) => ("vm.device.update", name),
        Size => ("pool.dataset.update", "volsize"),
    };
    let [(called, params)] = calls else {
        panic!("{context}: one call expected: {calls:#?}");
    };
    assert_eq!(called, method, "{context}");
    let data = match row.sent {
        Attribute(..) => &params[1]["attributes"],
        Field(_) | Size => &params[1],
    };
    let keys: Vec<&str> = data
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        // The type may be repeated; it is no change.
        .filter(|key| *key != "dtype")
        .collect();
    let Attribute(dtype, _) = row.sent else {
        assert_eq!(keys, [key], "{context}");
        return;
    };
    if !sends_all() {
        assert_eq!(keys, [key], "{context}");
        return;
    }
    // All of them, the others as they were.
    let mut devices = before.devices.iter();
    let device = devices
        .find(|one| one.attributes["dtype"] == dtype)
        .unwrap();
    for (name, value) in device.attributes.as_object().unwrap() {
        if name != "dtype" && name != key {
            assert_eq!(data[name], *value, "{context}: {name}");
        }
    }
    assert!(keys.contains(&key), "{context}");
}

fn check(row: &Row, starts: bool, restart: bool) {
    let context = format!(
        "{} → {}, runs: {starts}, --restart: {restart}",
        row.from, row.to
    );
    let lab = Lab::of_any();
    let _ = lab
        .config(&config(row.from, starts))
        .tnvm(&["create"])
        .ended(0);
    let vm = only_vm(&lab);
    let old = stored(&lab, row.sent);
    let from = lab.journal().calls().len();
    let options: &[&str] = if restart { &["--restart"] } else { &[] };
    let ran = lab.converge(&config(row.to, starts), options);
    let new = stored(&lab, row.sent);
    assert_ne!(new, old, "{context}: {}", ran.shown());
    assert_eq!(only_vm(&lab).running, starts, "{context}");
    let mut calls = changes(&lab, from);
    let power = ["vm.start", "vm.stop", "vm.poweroff", "vm.restart"];
    let before = calls.len();
    calls.retain(|(method, _)| !power.contains(&method.as_str()));
    let restarted = calls.len() != before;
    check_sent(row, &calls, &vm, &context);
    let must_restart = starts && restart && row.takes == NextStart;
    assert_eq!(restarted, must_restart, "{context}: {}", ran.shown());
    match (starts, must_restart, row.takes) {
        (true, true, _) => assert_eq!(active(&lab, row.sent), new, "{context}"),
        (true, false, NextStart) => assert_eq!(active(&lab, row.sent), old, "{context}"),
        // What the server reads itself is in force once it is stored.
        (true, false, Live) | (false, ..) => {}
    }
    let _ = lab.plan(&[]).ended(0);
}

#[test]
fn on_a_stopped_vm_only_the_attribute_that_changes_is_sent() {
    for row in rows() {
        check(row, false, false);
    }
}

#[test]
fn a_running_vm_has_a_change_when_the_table_says_so() {
    for row in rows() {
        check(row, true, false);
    }
}

#[test]
fn with_restart_a_running_vm_has_every_change_and_is_restarted_for_it_alone() {
    for row in rows() {
        check(row, true, true);
    }
}

/// What the rows above leave: one VM with all of it, changed at once. The field or attribute by its
/// type, the value before, and after.
const REST: &[(&str, &str, &str, &str, Takes)] = &[
    ("VM", "vcpus", "1", "2", NextStart),
    ("VM", "threads", "1", "2", NextStart),
    ("VM", "cpu_mode", "\"HOST-MODEL\"", "\"CUSTOM\"", NextStart),
    ("VM", "cpu_model", "null", "\"Skylake-Client\"", NextStart),
    ("VM", "cpuset", "\"0-3\"", "\"4-7\"", NextStart),
    ("VM", "nodeset", "\"0\"", "\"0-1\"", NextStart),
    ("VM", "pin_vcpus", "false", "true", NextStart),
    (
        "VM",
        "enable_cpu_topology_extension",
        "false",
        "true",
        NextStart,
    ),
    ("VM", "trusted_platform_module", "false", "true", NextStart),
    ("VM", "machine_type", "\"pc\"", "\"q35\"", NextStart),
    ("VM", "arch_type", "\"i686\"", "\"x86_64\"", NextStart),
    ("VM", "ensure_display_device", "true", "false", NextStart),
    ("VM", "hide_from_msr", "false", "true", NextStart),
    ("VM", "hyperv_enlightenments", "false", "true", NextStart),
    ("VM", "command_line_args", "\"-a\"", "\"-b\"", NextStart),
    ("VM", "suspend_on_snapshot", "false", "true", Live),
    ("DISK", "type", "\"AHCI\"", "\"VIRTIO\"", NextStart),
    ("DISK", "logical_sectorsize", "512", "4096", NextStart),
    ("DISK", "physical_sectorsize", "512", "4096", NextStart),
    ("NIC", "trust_guest_rx_filters", "false", "true", NextStart),
    ("DISPLAY", "port", "5920", "5930", NextStart),
    ("DISPLAY", "web_port", "5921", "5931", NextStart),
    ("DISPLAY", "bind", "\"0.0.0.0\"", "\"127.0.0.1\"", NextStart),
    ("DISPLAY", "web", "true", "false", NextStart),
    ("DISPLAY", "wait", "false", "true", NextStart),
];

/// The config of the VM with all the rest.
fn rest(starts: bool, after: bool) -> String {
    let pick =
        |row: &(&str, &str, &'static str, &'static str, Takes)| if after { row.3 } else { row.2 };
    let of = |kind: &str| {
        let rows = REST.iter().filter(|row| row.0 == kind);
        rows.filter(|row| pick(row) != "null")
            .map(|row| format!("{}: {}", row.1, pick(row)))
            .collect::<Vec<_>>()
    };
    let in_topology = |line: &String| line.starts_with("vcpus:") || line.starts_with("threads:");
    let (topology, fields): (Vec<String>, Vec<String>) =
        of("VM").into_iter().partition(in_topology);
    let topology = topology.join(", ").replace("vcpus", "sockets");
    format!(
        "web:\n  count: 1\n  start: {starts}\n  memory: 1GiB\n  topology: {{{topology}, cores: 1}}\n  {}\n\
         \x20 disk: {{a: {{size: 1, {}}}}}\n  network: {{lan: {{bridge: eno1, {}}}}}\n  display: {{{}}}\n",
        fields.join("\n  "),
        of("DISK").join(", "),
        of("NIC").join(", "),
        of("DISPLAY").join(", "),
    )
}

fn parsed(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

/// All of it at once, and back.
fn check_rest(starts: bool, restart: bool) {
    let lab = Lab::of_any();
    let _ = lab.config(&rest(starts, false)).tnvm(&["create"]).ended(0);
    check_all(&lab, starts, restart, true);
    if !starts {
        check_all(&lab, starts, restart, false);
    }
}

fn check_all(lab: &Lab, starts: bool, restart: bool, forth: bool) {
    let from = lab.journal().calls().len();
    let options: &[&str] = if restart { &["--restart"] } else { &[] };
    let _ = lab.converge(&rest(starts, forth), options);
    let restarted = changes(lab, from)
        .iter()
        .any(|(method, _)| method == "vm.stop");
    assert_eq!(restarted, starts && restart);
    for (kind, name, before, after, takes) in REST {
        let (before, after) = if forth {
            (before, after)
        } else {
            (after, before)
        };
        let sent = match *kind {
            "VM" => Field(name),
            _ => Attribute(kind, name),
        };
        assert_eq!(stored(lab, sent), parsed(after), "{kind} {name}");
        if !starts {
            continue;
        }
        let in_force = if restarted { after } else { before };
        if restarted || *takes == NextStart {
            assert_eq!(active(lab, sent), parsed(in_force), "{kind} {name}");
        }
    }
    // Nothing but what changes is sent.
    for (method, params) in changes(lab, from) {
        let (kind, sent) = match method.as_str() {
            "vm.update" => ("VM", &params[1]),
            "vm.device.update" => {
                if sends_all() {
                    continue;
                }
                let dtype = params[1]["attributes"]["dtype"].as_str();
                (dtype.unwrap_or("any"), &params[1]["attributes"])
            }
            _ => continue,
        };
        for name in sent
            .as_object()
            .unwrap()
            .keys()
            .filter(|name| *name != "dtype")
        {
            let named = REST
                .iter()
                .any(|row| (kind == "any" || row.0 == kind) && row.1 == name);
            assert!(named, "{method}: {name} was sent");
        }
    }
    let _ = lab.plan(&[]).ended(0);
}

#[test]
fn every_other_attribute_changes_in_place_as_the_table_says() {
    for (starts, restart) in [(false, false), (true, false), (true, true)] {
        check_rest(starts, restart);
    }
}

#[test]
fn firmware_changes_up_to_25_04_and_is_fixed_from_25_10_on() {
    let lines = [
        (
            "bootloader_ovmf: OVMF_CODE_4M.fd",
            "bootloader_ovmf: OVMF_CODE_4M.secboot.fd",
        ),
        ("enable_secure_boot: false", "enable_secure_boot: true"),
    ];
    for (from, to) in lines {
        for (version, code) in [("25.04.2", 0), ("25.10", 4), ("26", 4)] {
            let lab = Lab::on(version.parse().unwrap(), |world| world);
            // Secure boot wants this machine type (`vm.update`, all versions).
            let config = |line: &str| {
                format!(
                    "{}  arch_type: x86_64\n  machine_type: q35\n",
                    config(line, false)
                )
            };
            let _ = lab.config(&config(from)).tnvm(&["create"]).ended(0);
            let before = lab.mutations();
            let ran = lab.config(&config(to)).apply(&[]).ended(code);
            if code == 4 {
                ran.says(&["cannot be changed once the VM is made"]);
                assert_eq!(lab.mutations(), before);
            } else {
                let _ = lab.plan(&[]).ended(0);
            }
        }
    }
}

#[test]
fn the_boot_order_changes_in_place() {
    let lab = Lab::of_any();
    let _ = lab
        .config(&config("boot: [disk]", true))
        .tnvm(&["create"])
        .ended(0);
    let boots = |lab: &Lab| {
        let mut devices = only_vm(lab).devices;
        devices.retain(|one| one.attributes.get("path").is_some());
        devices.sort_by_key(|one| one.order);
        let kinds = devices.iter().map(|one| one.attributes["dtype"].clone());
        kinds.collect::<Vec<_>>()
    };
    assert_eq!(boots(&lab), ["DISK", "CDROM"]);
    let ran = lab.converge(&config("boot: [cdrom, disk.a]", true), &[]);
    ran.says(&["order: "]);
    assert_eq!(boots(&lab), ["CDROM", "DISK"]);
    let _ = lab.plan(&[]).ended(0);
    let wrong = lab
        .config(&config("boot: [network]", true))
        .plan(&[])
        .ended(1);
    wrong.says(&["it has no `network` to boot from"]);
}

#[test]
fn a_changed_password_is_sent_and_shown_to_nobody() {
    let mut lab = Lab::of_any();
    lab.secret("NewLab43");
    let _ = lab
        .config(&config("cpu: 1", true))
        .tnvm(&["create"])
        .ended(0);
    lab.set("VNC_PASSWORD", "NewLab43");
    let ran = lab.apply(&[]).ended(0);
    ran.says(&["password: (secret) → another (secret)"]);
    assert_eq!(
        stored(&lab, Attribute("DISPLAY", "password")),
        json!("NewLab43")
    );
    let _ = lab.plan(&[]).ended(0);
}

/// Cells that other tests here look at, by what they do: whole devices and zvols, and what is refused.
const ELSEWHERE: &[(&str, &str)] = &[
    ("VM", "name"),
    ("VM", "uuid"),
    ("VM", "bootloader_ovmf"),
    ("VM", "enable_secure_boot"),
    ("DISPLAY", "password"),
    ("any", "order"),
    ("any", "zvol shrinks"),
    ("any", "device is added"),
    ("any", "device is removed"),
    ("any", "device is replaced"),
];

#[test]
fn no_cell_of_the_table_is_without_a_test_and_all_say_the_same() {
    use tnvm::plan::Effect;
    use tnvm::plan::effects::{Of, table};
    for cell in table() {
        let of = match cell.of {
            Of::Vm => "VM",
            Of::Device(kind) => kind,
            Of::Whole => "any",
        };
        let name = cell.attribute;
        let of_row = ROWS.iter().find(|row| match row.sent {
            Field(field) => of == "VM" && field == name,
            Attribute(kind, attribute) => of == kind && attribute == name,
            Size => of == "any" && name == "zvol grows",
        });
        let of_rest = REST.iter().find(|row| row.0 == of && row.1 == name);
        let takes = of_row.map(|row| row.takes).or(of_rest.map(|row| row.4));
        let said = match cell.running {
            Effect::Live => Some(Live),
            Effect::NextStart => Some(NextStart),
            _ => None,
        };
        match takes {
            Some(takes) => assert_eq!(said, Some(takes), "{of} {name}"),
            None => assert!(ELSEWHERE.contains(&(of, name)), "{of} {name} has no test"),
        }
    }
}

#[test]
fn every_row_begins_as_a_vm_that_the_server_takes() {
    for row in rows() {
        let told = [row.from, row.to].map(|line| {
            let lab = Lab::of_any();
            let ran = lab.config(&config(line, true)).tnvm(&["create"]);
            assert_eq!(ran.code, 0, "{line}: {}", ran.shown());
            assert_eq!(active(&lab, row.sent), stored(&lab, row.sent), "{line}");
            stored(&lab, row.sent)
        });
        assert!(
            told[0] != told[1] && told[1] != Value::Null,
            "{} → {}: {told:?}",
            row.from,
            row.to
        );
    }
}
