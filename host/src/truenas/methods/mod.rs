//! Typed methods of [`Client`](super::Client), by what they are about.

mod choices;
mod dataset;
mod device;
mod file;
mod note;
mod pages;
mod query;
mod system;
mod vm;

pub use dataset::{DatasetEntry, VolumeSpec};
pub use device::{DeviceChange, DeviceEntry, MASK};
pub use file::{FileStat, FileSystem};
pub use vm::{VmEntry, VmState, VmStatus};
