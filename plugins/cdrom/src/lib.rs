//! The device type `cdrom`: image files on the server as CD-ROM drives.

mod config;
mod plan;

pub use config::{Cdrom, Cdroms};
pub use plan::CdromPlugin;

tnvm_plugin::export!(CdromPlugin);
