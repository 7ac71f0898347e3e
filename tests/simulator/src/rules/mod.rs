//! What the server allows: models of its parameters and the checks behind them. Everything here is
//! synchronous and works on the [`World`](crate::world::World); nothing knows how it was asked.
//!
//! Where a rule comes from stands beside it: *schema* (the published model), *recorded* (frames of a
//! server), *code reading* (the server's source, not seen on the wire).

mod attributes;
pub(crate) mod cdrom;
pub(crate) mod dataset;
mod dataset_entry;
pub(crate) mod dataset_models;
pub(crate) mod destroy;
pub(crate) mod device;
mod disk;
pub(crate) mod display;
pub(crate) mod lineage;
pub(crate) mod memory;
pub(crate) mod models;
pub(crate) mod nic;
mod old_attributes;
mod passthrough;
pub(crate) mod platform;
pub(crate) mod power;
pub(crate) mod snapshot;
pub(crate) mod snapshot_later;
pub(crate) mod vm;

pub(crate) use attributes::{
    DEVICE_ATTRIBUTES, DEVICE_ATTRIBUTES_25_04, DEVICE_ATTRIBUTES_27, RESOLUTIONS, USB_CONTROLLERS,
    attributes_model,
};
pub(crate) use dataset_entry::dataset_entry;
pub(crate) use destroy::is_running_from;
pub(crate) use device::as_stored;
pub(crate) use disk::zvol_of;
pub(crate) use old_attributes::DTYPES;
pub(crate) use vm::fill_vm_defaults;
