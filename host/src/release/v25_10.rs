//! TrueNAS 25.10: VNC displays, updates of devices by what changes, firmware fixed once a VM is made.
//! Source: 25.10.0 to 25.10.7.

use super::default::Default::Chosen;
use super::facts::{DeviceUpdate, Facts, Line, SnapshotNamespace};
use super::feature::Feature::{Change, Value};
use super::v25_04_2;

pub(super) const FACTS: Facts = Facts {
    line: Line::V25_10,
    name: "25.10",
    first: (25, 10, 0),
    adds: &[Value("DISPLAY", "type", "VNC")],
    // The arguments of `vm.update` have no place for them any more.
    drops: &[Change("bootloader_ovmf"), Change("enable_secure_boot")],
    // One firmware or the other, by `enable_secure_boot`.
    defaults: &[("bootloader_ovmf", Chosen)],
    device_update: DeviceUpdate::Merges,
    snapshots: SnapshotNamespace::Pool,
    cdrom_below_root_from: Some((25, 10, 1)),
    ..v25_04_2::FACTS
};
