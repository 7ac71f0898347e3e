//! The templates in the binary.
//!
//! Knows only their names and texts.

/// A template's name and text.
pub(super) type BuiltIn = (&'static str, &'static str);

/// VM templates.
pub(super) const VMS: &[BuiltIn] = &[("vm", include_str!("../../../templates/vms/vm.json"))];

/// Device templates, each named as its plugin.
pub(super) const DEVICES: &[BuiltIn] = &[
    ("disk", include_str!("../../../templates/devices/disk.json")),
    ("nic", include_str!("../../../templates/devices/nic.json")),
    (
        "display",
        include_str!("../../../templates/devices/display.json"),
    ),
    (
        "cdrom",
        include_str!("../../../templates/devices/cdrom.json"),
    ),
];
