//! The device type `display`: a screen over SPICE or VNC, with ports that meet no other VM's.

mod config;
mod plan;
mod ports;

pub use config::{Display, Protocol, Resolution};
pub use plan::DisplayPlugin;

tnvm_plugin::export!(DisplayPlugin);
