//! The device type `nic`: network interfaces on bridges, each with a MAC address of its own.

mod config;
mod plan;

pub use config::{Network, Networks, NicType};
pub use plan::NicPlugin;

tnvm_plugin::export!(NicPlugin);
