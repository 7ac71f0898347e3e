//! The arguments of `vm.create` that a person may write, and what each takes.
//!
//! Source: schemas of `vm.create`, TrueNAS 24.10 to 27. Whether one server has a field is not
//! known here; the version profiles know.

use super::node::{Node, NodeValue};
use crate::diagnostic::Diagnostic;

/// One argument of `vm.create`.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    /// The server's name for it, and the config's.
    pub name: &'static str,
    /// What it takes.
    pub kind: FieldKind,
    /// Whether a VM type may set it under this very name. The others have a friendlier key
    /// (`cpu`, `memory` with units) or are tnvm's own business (`name`).
    pub in_config: bool,
}

/// What a field takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldKind {
    /// `true` or `false`.
    Bool,
    /// A text.
    Text,
    /// One of these texts.
    Choice(&'static [&'static str]),
    /// A whole number, both ends included.
    Whole(u64, u64),
}

/// The least memory the server takes, in MiB (`vm.create`, all versions).
pub(super) const MIN_MEMORY: u64 = 20;
/// The most virtual CPUs: sockets × cores × threads (`vm.create`, all versions).
pub(super) const MAX_VCPUS: u64 = 255;
/// The server sets no upper bound for memory; this is the largest number JSON keeps exact.
pub(super) const MAX_MEMORY: u64 = (1 << 53) - 1;

/// All of them.
pub const FIELDS: &[Field] = &[
    other("name", FieldKind::Text),
    set("description", FieldKind::Text),
    other("vcpus", FieldKind::Whole(1, MAX_VCPUS)),
    other("cores", FieldKind::Whole(1, MAX_VCPUS)),
    other("threads", FieldKind::Whole(1, MAX_VCPUS)),
    other("memory", FieldKind::Whole(MIN_MEMORY, MAX_MEMORY)),
    other("min_memory", FieldKind::Whole(MIN_MEMORY, MAX_MEMORY)),
    set(
        "cpu_mode",
        FieldKind::Choice(&["CUSTOM", "HOST-MODEL", "HOST-PASSTHROUGH"]),
    ),
    set("cpu_model", FieldKind::Text),
    set("cpuset", FieldKind::Text),
    set("nodeset", FieldKind::Text),
    set("pin_vcpus", FieldKind::Bool),
    set("enable_cpu_topology_extension", FieldKind::Bool),
    set("bootloader", FieldKind::Choice(&["UEFI", "UEFI_CSM"])),
    set("bootloader_ovmf", FieldKind::Text),
    set("enable_secure_boot", FieldKind::Bool),
    set("trusted_platform_module", FieldKind::Bool),
    set("machine_type", FieldKind::Text),
    set("arch_type", FieldKind::Text),
    set("time", FieldKind::Choice(&["LOCAL", "UTC"])),
    set("autostart", FieldKind::Bool),
    // Seconds; the server refuses others (`vm.create`, all versions).
    set("shutdown_timeout", FieldKind::Whole(5, 300)),
    set("suspend_on_snapshot", FieldKind::Bool),
    set("ensure_display_device", FieldKind::Bool),
    set("hide_from_msr", FieldKind::Bool),
    set("hyperv_enlightenments", FieldKind::Bool),
    set("command_line_args", FieldKind::Text),
    other("uuid", FieldKind::Text),
];

const fn set(name: &'static str, kind: FieldKind) -> Field {
    Field {
        name,
        kind,
        in_config: true,
    }
}

const fn other(name: &'static str, kind: FieldKind) -> Field {
    Field {
        name,
        kind,
        in_config: false,
    }
}

impl FieldKind {
    /// What is wrong with a value, if anything. `key` names it in the sentence.
    pub(crate) fn check(self, key: &str, node: &Node) -> Option<Diagnostic> {
        let (expected, help) = match (self, &node.value) {
            (Self::Bool, NodeValue::Bool(_)) | (Self::Text, NodeValue::String(_)) => return None,
            (Self::Choice(all), NodeValue::String(one)) if all.contains(&one.as_str()) => {
                return None;
            }
            (Self::Whole(least, most), NodeValue::Number(one))
                if one
                    .as_u64()
                    .is_some_and(|one| (least..=most).contains(&one)) =>
            {
                return None;
            }
            (Self::Bool, _) => (
                "`true` or `false`".to_owned(),
                "write `true` or `false` without quotes; `yes` and `no` are texts".to_owned(),
            ),
            (Self::Text, _) => (
                "a text".to_owned(),
                "put the value in quotes if it looks like a number".to_owned(),
            ),
            (Self::Choice(all), _) => {
                let all: Vec<String> = all.iter().map(|one| format!("`{one}`")).collect();
                let all = all.join(", ");
                (format!("one of {all}"), format!("write one of {all}"))
            }
            (Self::Whole(least, most), _) => {
                let range = if most >= MAX_MEMORY {
                    format!("a whole number of at least {least}")
                } else {
                    format!("a whole number from {least} to {most}")
                };
                let help = format!("write {range} without quotes or a unit");
                (range, help)
            }
        };
        let message = format!("`{key}` must be {expected}, not {}", node.describe());
        Some(
            Diagnostic::error(message)
                .help(help)
                .at(node.origin.clone()),
        )
    }
}
