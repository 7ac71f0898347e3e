//! The device type `disk`: zvols as disks. It names the zvols and says how big they are; the host
//! makes them.

mod config;
mod plan;

pub use config::{Bus, Disk, Disks, IoType};
pub use plan::DiskPlugin;

tnvm_plugin::export!(DiskPlugin);
