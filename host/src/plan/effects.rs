//! When a change of what exists takes effect: one table for the planner, the documentation and the
//! tests, row by row with what it rests on.
//!
//! Knows what the server does with a change, not how it is sent.

use super::step::Effect;
use crate::release::{Feature, Release};

/// What a row is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Of {
    /// A field of the VM.
    Vm,
    /// An attribute of a device of this type.
    Device(&'static str),
    /// A device or zvol as a whole.
    Whole,
}

/// One row of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// What it is about.
    pub of: Of,
    /// The field or attribute; for [`Of::Whole`] what is done.
    pub attribute: &'static str,
    /// When the change takes effect while the VM is off.
    pub off: Effect,
    /// When it takes effect while the VM runs, without `--restart`.
    pub running: Effect,
    /// Why, and where that is known from.
    pub why: &'static str,
}

const fn row(of: Of, attribute: &'static str, running: Effect, why: &'static str) -> Row {
    let off = match running {
        Effect::NextStart | Effect::Restart => Effect::Live,
        other => other,
    };
    Row {
        of,
        attribute,
        // Of a VM that is off, the next start is the first that counts: nothing is pending.
        off,
        running,
        why,
    }
}

const STORED: &str = "`vm.update` stores it; libvirt sees it at the next start (all versions)";
const DEVICE_STORED: &str =
    "`vm.device.update` stores it; libvirt sees it at the next start (all versions)";
const FIRMWARE: &str = "up to 25.04.2 `vm.update` stores it for the next start; from 25.10 on it is fixed once the VM is made";
const BY_MIDDLEWARE: &str = "only the middleware reads it, when it needs it (all versions)";

use Effect::{Live, NextStart, Refused, Restart};

/// The whole table.
const TABLE: &[Row] = &[
    row(
        Of::Vm,
        "name",
        Refused,
        "a VM is known by its name: another name is another VM",
    ),
    row(Of::Vm, "uuid", Refused, "the guest knows its machine by it"),
    row(Of::Vm, "description", Live, BY_MIDDLEWARE),
    row(
        Of::Vm,
        "autostart",
        Live,
        "read when the host boots (all versions)",
    ),
    row(
        Of::Vm,
        "shutdown_timeout",
        Live,
        "read by `vm.stop` (all versions)",
    ),
    row(
        Of::Vm,
        "suspend_on_snapshot",
        Live,
        "read by periodic snapshot tasks (all versions)",
    ),
    row(Of::Vm, "memory", NextStart, STORED),
    row(Of::Vm, "min_memory", NextStart, STORED),
    row(Of::Vm, "vcpus", NextStart, STORED),
    row(Of::Vm, "cores", NextStart, STORED),
    row(Of::Vm, "threads", NextStart, STORED),
    row(Of::Vm, "cpu_mode", NextStart, STORED),
    row(Of::Vm, "cpu_model", NextStart, STORED),
    row(Of::Vm, "cpuset", NextStart, STORED),
    row(Of::Vm, "nodeset", NextStart, STORED),
    row(Of::Vm, "pin_vcpus", NextStart, STORED),
    row(Of::Vm, "enable_cpu_topology_extension", NextStart, STORED),
    row(Of::Vm, "bootloader", NextStart, STORED),
    row(Of::Vm, "bootloader_ovmf", NextStart, FIRMWARE),
    row(Of::Vm, "enable_secure_boot", NextStart, FIRMWARE),
    row(Of::Vm, "trusted_platform_module", NextStart, STORED),
    row(Of::Vm, "machine_type", NextStart, STORED),
    row(Of::Vm, "arch_type", NextStart, STORED),
    row(Of::Vm, "time", NextStart, STORED),
    row(Of::Vm, "ensure_display_device", NextStart, STORED),
    row(Of::Vm, "hide_from_msr", NextStart, STORED),
    row(Of::Vm, "hyperv_enlightenments", NextStart, STORED),
    row(Of::Vm, "command_line_args", NextStart, STORED),
    row(Of::Device("DISK"), "type", NextStart, DEVICE_STORED),
    row(Of::Device("DISK"), "iotype", NextStart, DEVICE_STORED),
    row(
        Of::Device("DISK"),
        "logical_sectorsize",
        NextStart,
        DEVICE_STORED,
    ),
    row(
        Of::Device("DISK"),
        "physical_sectorsize",
        NextStart,
        DEVICE_STORED,
    ),
    row(Of::Device("NIC"), "type", NextStart, DEVICE_STORED),
    row(Of::Device("NIC"), "nic_attach", NextStart, DEVICE_STORED),
    row(Of::Device("NIC"), "mac", NextStart, DEVICE_STORED),
    row(
        Of::Device("NIC"),
        "trust_guest_rx_filters",
        NextStart,
        DEVICE_STORED,
    ),
    row(Of::Device("DISPLAY"), "type", NextStart, DEVICE_STORED),
    row(
        Of::Device("DISPLAY"),
        "resolution",
        NextStart,
        DEVICE_STORED,
    ),
    row(Of::Device("DISPLAY"), "port", NextStart, DEVICE_STORED),
    row(Of::Device("DISPLAY"), "web_port", NextStart, DEVICE_STORED),
    row(Of::Device("DISPLAY"), "bind", NextStart, DEVICE_STORED),
    row(Of::Device("DISPLAY"), "password", NextStart, DEVICE_STORED),
    row(Of::Device("DISPLAY"), "web", NextStart, DEVICE_STORED),
    row(Of::Device("DISPLAY"), "wait", NextStart, DEVICE_STORED),
    row(Of::Device("CDROM"), "path", NextStart, DEVICE_STORED),
    row(
        Of::Whole,
        "order",
        NextStart,
        "the boot order is made when the VM starts (all versions)",
    ),
    row(
        Of::Whole,
        "zvol grows",
        NextStart,
        "`pool.dataset.update` grows it at once; the guest sees that after a restart at the latest (all versions)",
    ),
    row(
        Of::Whole,
        "zvol shrinks",
        Refused,
        "`pool.dataset.update` refuses it, and the data would be cut off (all versions)",
    ),
    row(
        Of::Whole,
        "device is added",
        NextStart,
        "`vm.device.create` takes it while the VM runs; libvirt sees it at the next start (all versions)",
    ),
    row(
        Of::Whole,
        "device is replaced",
        Effect::Recreate,
        "another file or zvol is another disk: the old one is removed, which needs the VM to be off (all versions)",
    ),
    row(
        Of::Whole,
        "device is removed",
        Restart,
        "`vm.device.delete` refuses it while the VM is active (all versions)",
    ),
];

impl Row {
    /// The release line from which on it is fixed once the VM is made, if there is one.
    #[must_use]
    pub fn fixed_from(&self) -> Option<&'static str> {
        let gone = match self.of {
            Of::Vm => Feature::Change(self.attribute).went_with(),
            Of::Device(_) | Of::Whole => None,
        };
        gone.map(|facts| facts.name)
    }

    /// The first release line that has it; none for what is done to a whole.
    #[must_use]
    pub fn since(&self) -> Option<&'static str> {
        let came = match self.of {
            Of::Vm => Feature::Field(self.attribute).came_with(),
            Of::Device(kind) => Feature::Attribute(kind, self.attribute).came_with(),
            Of::Whole => None,
        };
        came.map(|facts| facts.name)
    }
}

/// The whole table, in the order it is shown in.
#[must_use]
pub const fn table() -> &'static [Row] {
    TABLE
}

/// When a change takes effect. What the table does not know, such as the attributes of a
/// third-party device type, is seen at the next start.
#[must_use]
pub(super) fn effect(of: Of, attribute: &str, is_off: bool, release: &Release) -> Effect {
    let found = TABLE
        .iter()
        .find(|row| row.attribute == attribute && same(row.of, of));
    match found {
        Some(_) if of == Of::Vm && !release.has(Feature::Change(attribute)) => Refused,
        Some(row) if is_off => row.off,
        Some(row) => row.running,
        None if is_off => Live,
        None => NextStart,
    }
}

fn same(one: Of, other: Of) -> bool {
    one == other
}

/// The table as Markdown, for `docs/changes.md`.
#[must_use]
pub fn markdown() -> String {
    let mut text = String::from(
        "| of | changes | from | VM is off | VM runs | why |\n|---|---|---|---|---|---|\n",
    );
    for row in TABLE {
        let of = match row.of {
            Of::Vm => "VM",
            Of::Device(kind) => kind,
            Of::Whole => "any",
        };
        let cell = |effect: Effect| match row.fixed_from() {
            Some(name) => format!("{}; refused from {name} on", words(effect)),
            None => words(effect).to_owned(),
        };
        let line = format!(
            "| {of} | `{}` | {} | {} | {} | {} |\n",
            row.attribute,
            row.since().unwrap_or_default(),
            cell(row.off),
            cell(row.running),
            row.why
        );
        text.push_str(&line);
    }
    text
}

/// An effect in the words of plans and documents.
#[must_use]
pub const fn words(effect: Effect) -> &'static str {
    match effect {
        Live => "at once",
        NextStart => "at next start",
        Restart => "restart now",
        Effect::Recreate => "made anew",
        Refused => "refused",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `docs/changes.md` holds the table between two marks. `UPDATE_DOCS=1` writes it there.
    #[test]
    fn the_documents_hold_the_table_as_it_is() {
        const BEGIN: &str = "<!-- begin of the table: made from host/src/plan/effects.rs -->\n";
        const END: &str = "<!-- end of the table -->";
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/changes.md");
        let document = std::fs::read_to_string(path).unwrap();
        let (before, rest) = document.split_once(BEGIN).unwrap();
        let (_, after) = rest.split_once(END).unwrap();
        let wanted = format!("{before}{BEGIN}{}{END}{after}", markdown());
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::write(path, &wanted).unwrap();
        } else {
            assert!(
                document == wanted,
                "run UPDATE_DOCS=1 cargo test -p tnvm --lib effects"
            );
        }
    }

    #[test]
    fn no_cell_is_there_twice() {
        for (nth, row) in TABLE.iter().enumerate() {
            let same_cell = |other: &&Row| (other.of, other.attribute) == (row.of, row.attribute);
            assert!(
                !TABLE.iter().skip(nth + 1).any(|other| same_cell(&other)),
                "{row:?}"
            );
        }
    }
}
