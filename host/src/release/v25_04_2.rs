//! TrueNAS 25.04 from 25.04.2 on; 25.04.0 and 25.04.1 have no VMs of this kind. JSON-RPC, the type
//! of a device among its attributes, strict checks. Source: 25.04.2.6.

use super::default::Default::Bool;
use super::facts::{DeviceUpdate, DtypePlace, Facts, Line};
use super::feature::Feature::{Attribute, Field};
use super::v24_10;

pub(super) const FACTS: Facts = Facts {
    line: Line::V25_04,
    name: "25.04.2",
    first: (25, 4, 2),
    adds: &[
        Field("enable_secure_boot"),
        // The server gives it; what is sent is overwritten, and it is never changed.
        Attribute("DISK", "serial"),
        Attribute("RAW", "serial"),
    ],
    drops: &[],
    defaults: &[("enable_secure_boot", Bool(false))],
    dtype: DtypePlace::Inside,
    device_update: DeviceUpdate::Completes,
    raw_exists: false,
    ..v24_10::FACTS
};
