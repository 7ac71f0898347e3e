//! JSON templates: the defaults of every VM and device, built in and overridden.
//!
//! Knows the shape of a template, and neither the VMs made from one nor any device type.

mod builtin;
mod check;
mod load;
mod set;

pub use set::{DeviceTemplate, Templates, VmTemplate};
