//! A picture of the state for tests to look at: names and values, nothing to change.

use std::collections::BTreeMap;

use serde_json::Value;

use super::domain::ActiveConfig;
use super::machine::{Device, Power, World};
use super::storage::Kind;

/// The state at one moment.
#[derive(Debug, Clone, PartialEq)]
pub struct WorldView {
    /// VMs by name.
    pub vms: BTreeMap<String, VmView>,
    /// Zvols by name.
    pub zvols: BTreeMap<String, ZvolView>,
    /// Names of filesystems.
    pub filesystems: Vec<String>,
    /// User properties that were set on filesystems, by the filesystem's name; those without any are
    /// left out.
    pub filesystem_properties: BTreeMap<String, BTreeMap<String, String>>,
    /// Snapshots as `dataset@name`.
    pub snapshots: Vec<String>,
    /// Paths of files.
    pub files: Vec<String>,
}

/// A VM.
#[derive(Debug, Clone, PartialEq)]
pub struct VmView {
    /// Its id.
    pub id: i64,
    /// Its database row.
    pub config: Value,
    /// Its devices, in the order of their ids.
    pub devices: Vec<DeviceView>,
    /// Whether it runs (suspended is not running).
    pub running: bool,
    /// What its domain was started with, while there is one: the stored values above take effect at
    /// the next start.
    pub active: Option<ActiveConfig>,
}

/// A device.
#[derive(Debug, Clone, PartialEq)]
pub struct DeviceView {
    /// Its id.
    pub id: i64,
    /// The order as the server answers it.
    pub order: i64,
    /// Its attributes, `dtype` included.
    pub attributes: Value,
}

/// A zvol.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ZvolView {
    /// Size in bytes.
    pub volsize: u64,
    /// Block size in bytes.
    pub volblocksize: u64,
    /// Without reservation.
    pub sparse: bool,
    /// The snapshot it was cloned from.
    pub origin: Option<String>,
    /// User properties.
    pub user_properties: BTreeMap<String, String>,
}

impl WorldView {
    /// Names of the VMs, sorted.
    pub fn vm_names(&self) -> Vec<&str> {
        self.vms.keys().map(String::as_str).collect()
    }

    /// Names of the zvols, sorted.
    pub fn zvol_names(&self) -> Vec<&str> {
        self.zvols.keys().map(String::as_str).collect()
    }
}

impl DeviceView {
    pub(super) fn of(device: &Device) -> Self {
        Self {
            id: device.id,
            order: device.shown_order(),
            attributes: Value::Object(device.attributes.clone()),
        }
    }
}

impl World {
    /// What there is right now.
    pub fn view(&self) -> WorldView {
        let vms = self.vms.values().map(|vm| {
            let devices = self.devices_of(vm.id).map(DeviceView::of);
            let view = VmView {
                id: vm.id,
                config: Value::Object(vm.config.clone()),
                devices: devices.collect(),
                running: matches!(vm.power, Power::Running { .. }),
                active: vm.active.clone(),
            };
            (vm.name().to_owned(), view)
        });
        let zvols = self
            .datasets
            .values()
            .filter_map(|dataset| match dataset.kind {
                Kind::Filesystem => None,
                Kind::Volume {
                    size,
                    block_size,
                    sparse,
                } => Some((
                    dataset.name.clone(),
                    ZvolView {
                        volsize: size,
                        volblocksize: block_size,
                        sparse,
                        origin: dataset.origin.clone(),
                        user_properties: dataset.user_properties.clone(),
                    },
                )),
            });
        WorldView {
            vms: vms.collect(),
            zvols: zvols.collect(),
            filesystems: self
                .datasets
                .values()
                .filter(|dataset| dataset.kind == Kind::Filesystem)
                .map(|dataset| dataset.name.clone())
                .collect(),
            filesystem_properties: self
                .datasets
                .values()
                .filter(|dataset| !dataset.is_volume() && !dataset.user_properties.is_empty())
                .map(|dataset| (dataset.name.clone(), dataset.user_properties.clone()))
                .collect(),
            snapshots: self.snapshots.keys().cloned().collect(),
            files: self.files.keys().cloned().collect(),
        }
    }
}
