//! Every attribute that `apply` can change in place: what is sent for it, and when a running VM has
//! it. One row is one change of one attribute.

use serde_json::{Value, json};
use tnvm_simulator::{ActiveConfig, VmView};
use tnvm_suite::Lab;

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

fn check_sent(row: &Row, calls: &[(String, Vec<Value>)], context: &str) {
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
    assert_eq!(keys, [key], "{context}");
}

fn check(row: &Row, starts: bool, restart: bool) {
    let context = format!(
        "{} → {}, runs: {starts}, --restart: {restart}",
        row.from, row.to
    );
    let lab = Lab::new();
    let _ = lab
        .config(&config(row.from, starts))
        .tnvm(&["create"])
        .ended(0);
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
    check_sent(row, &calls, &context);
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
    for row in ROWS {
        check(row, false, false);
    }
}

#[test]
fn a_running_vm_has_a_change_when_the_table_says_so() {
    for row in ROWS {
        check(row, true, false);
    }
}

#[test]
fn with_restart_a_running_vm_has_every_change_and_is_restarted_for_it_alone() {
    for row in ROWS {
        check(row, true, true);
    }
}

#[test]
fn every_row_begins_as_a_vm_that_the_server_takes() {
    for row in ROWS {
        let told = [row.from, row.to].map(|line| {
            let lab = Lab::new();
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
