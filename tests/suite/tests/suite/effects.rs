//! Every attribute that `apply` can change in place: what is sent for it, and when a running VM has
//! it. One row is one change of one attribute. `TNVM_MATRIX_VERSION=24.10` runs them against another
//! TrueNAS.

use serde_json::{Value, json};
use tnvm::plan::Effect;
use tnvm::plan::effects::{self, Of};
use tnvm::release::{DeviceUpdate, Feature, Release};
use tnvm_simulator::{ActiveConfig, Version, VmView};
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
pub(super) fn config(line: &str, start: bool) -> String {
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

pub(super) fn only_vm(lab: &Lab) -> VmView {
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
pub(super) fn changes(lab: &Lab, from: usize) -> Vec<(String, Vec<Value>)> {
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

pub(super) fn release(version: &Version) -> Release {
    Release::of_text(version.short())
}

/// The rows whose values the version has.
fn rows(version: &Version) -> impl Iterator<Item = &'static Row> {
    let has_vnc = release(version).has(Feature::Value("DISPLAY", "type", "VNC"));
    ROWS.iter()
        .filter(move |row| has_vnc || !row.to.contains("VNC"))
}

/// Whether an update of a device has to send what does not change as well.
fn sends_all(version: &Version) -> bool {
    release(version).facts().device_update != DeviceUpdate::Merges
}

/// What the table says of a cell, on this version, with or without `--restart`.
pub(super) fn said(
    of: &str,
    attribute: &str,
    version: &Version,
    starts: bool,
    restart: bool,
) -> Effect {
    let is_it = |row: &&effects::Row| name_of(row.of) == of && row.attribute == attribute;
    let row = effects::table().iter().find(is_it).unwrap();
    if row.of == Of::Vm && !release(version).has(Feature::Change(row.attribute)) {
        return Effect::Refused;
    }
    match (starts, row.running) {
        (false, _) => row.off,
        (true, Effect::NextStart) if restart => Effect::Restart,
        (true, effect) => effect,
    }
}

fn name_of(of: Of) -> &'static str {
    match of {
        Of::Vm => "VM",
        Of::Device(kind) => kind,
        Of::Whole => "any",
    }
}

/// The cell that a change is in.
fn cell(sent: Sent) -> (&'static str, &'static str) {
    match sent {
        Field(name) => ("VM", name),
        Attribute(kind, name) => (kind, name),
        Size => ("any", "zvol grows"),
    }
}

/// The effect that a plan in JSON shows of a change of an attribute of the only VM.
fn shown(plan: &Value, sent: Sent) -> Effect {
    let vm = &plan["plan"]["vms"][0];
    let (changes, attribute) = match sent {
        Field(name) => (&vm["changes"], name),
        Attribute(kind, name) => (&device(vm, kind)["changes"], name),
        Size => (&device(vm, "DISK")["changes"], "size"),
    };
    let mut changes = changes.as_array().unwrap().iter();
    let change = changes.find(|one| one["attribute"] == attribute);
    let change = change.unwrap_or_else(|| panic!("{attribute} is not shown: {plan:#}"));
    serde_json::from_value(change["effect"].clone()).unwrap()
}

fn device<'a>(vm: &'a Value, kind: &str) -> &'a Value {
    let mut devices = vm["devices"].as_array().unwrap().iter();
    devices
        .find(|one| one["attributes"]["dtype"] == kind)
        .unwrap()
}

/// Fails unless a plan for this shows each of these changes with the effect of its cell.
#[track_caller]
fn check_shown(
    lab: &Lab,
    version: &Version,
    types: &str,
    sent: impl IntoIterator<Item = Sent>,
    (starts, restart): (bool, bool),
) {
    let plan: &[&str] = if restart {
        &["plan", "-o", "json", "--restart"]
    } else {
        &["plan", "-o", "json"]
    };
    let plan = lab.config(types).tnvm(plan).ended(0).json();
    for sent in sent {
        let (of, attribute) = cell(sent);
        let expected = said(of, attribute, version, starts, restart);
        assert_eq!(shown(&plan, sent), expected, "{of} {attribute}: {plan:#}");
    }
}

/// `before`: the devices before the change.
fn check_sent(
    row: &Row,
    calls: &[(String, Vec<Value>)],
    before: &VmView,
    version: &Version,
    context: &str,
) {
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
    if !sends_all(version) {
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

fn check(row: &Row, version: &Version, starts: bool, restart: bool) {
    let context = format!(
        "{}: {} → {}, runs: {starts}, --restart: {restart}",
        version.short(),
        row.from,
        row.to
    );
    let lab = Lab::on(version.clone(), |world| world);
    let _ = lab
        .config(&config(row.from, starts))
        .tnvm(&["create"])
        .ended(0);
    let vm = only_vm(&lab);
    let old = stored(&lab, row.sent);
    let types = config(row.to, starts);
    check_shown(&lab, version, &types, [row.sent], (starts, restart));
    let from = lab.journal().calls().len();
    let options: &[&str] = if restart { &["--restart"] } else { &[] };
    let ran = lab.converge(&types, options);
    let new = stored(&lab, row.sent);
    assert_ne!(new, old, "{context}: {}", ran.shown());
    assert_eq!(only_vm(&lab).running, starts, "{context}");
    let mut calls = changes(&lab, from);
    let power = ["vm.start", "vm.stop", "vm.poweroff", "vm.restart"];
    let before = calls.len();
    calls.retain(|(method, _)| !power.contains(&method.as_str()));
    let restarted = calls.len() != before;
    check_sent(row, &calls, &vm, version, &context);
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
    let version = version();
    for row in rows(&version) {
        check(row, &version, false, false);
    }
}

#[test]
fn a_running_vm_has_a_change_when_the_table_says_so() {
    let version = version();
    for row in rows(&version) {
        check(row, &version, true, false);
    }
}

#[test]
fn with_restart_a_running_vm_has_every_change_and_is_restarted_for_it_alone() {
    let version = version();
    for row in rows(&version) {
        check(row, &version, true, true);
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
fn check_rest(version: &Version, starts: bool, restart: bool) {
    let lab = Lab::on(version.clone(), |world| world);
    let _ = lab.config(&rest(starts, false)).tnvm(&["create"]).ended(0);
    check_all(&lab, version, starts, restart, true);
    if !starts {
        check_all(&lab, version, starts, restart, false);
    }
}

fn check_all(lab: &Lab, version: &Version, starts: bool, restart: bool, forth: bool) {
    let sent = REST.iter().map(|(kind, name, ..)| match *kind {
        "VM" => Field(name),
        _ => Attribute(kind, name),
    });
    check_shown(lab, version, &rest(starts, forth), sent, (starts, restart));
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
                if sends_all(version) {
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
        check_rest(&version(), starts, restart);
    }
}

/// Lines whose updates of devices, of fields or of both are unlike those of the default version.
const OTHER_LINES: [&str; 2] = ["25.04.2", "26"];

#[test]
fn on_other_lines_a_running_vm_has_a_change_when_the_table_says_so() {
    for line in OTHER_LINES {
        let version: Version = line.parse().unwrap();
        for row in rows(&version) {
            check(row, &version, true, false);
        }
    }
}

#[test]
fn on_other_lines_every_other_attribute_changes_in_place_as_the_table_says() {
    for line in OTHER_LINES {
        let version: Version = line.parse().unwrap();
        for (starts, restart) in [(false, false), (true, false), (true, true)] {
            check_rest(&version, starts, restart);
        }
    }
}

#[test]
fn every_row_begins_as_a_vm_that_the_server_takes() {
    for row in rows(&version()) {
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

/// Whether one of the tables above has the cell, and what they say of it.
pub(super) fn takes(of: &str, attribute: &str) -> Option<Effect> {
    let of_row = ROWS.iter().find(|row| cell(row.sent) == (of, attribute));
    let of_rest = REST.iter().find(|row| (row.0, row.1) == (of, attribute));
    let takes = of_row.map(|row| row.takes).or(of_rest.map(|row| row.4))?;
    Some(match takes {
        Live => Effect::Live,
        NextStart => Effect::NextStart,
    })
}
