//! What a domain was started with. It has its own copy: what is changed afterwards is stored and
//! seen at the next start. Recorded on 25.10.7 and 26.0.0-BETA.3 (`vm.update` and `vm.device.update`
//! of a running VM succeed); that the domain keeps what it had is code reading (the domain's XML is
//! made by `vm.start` alone).

use std::collections::BTreeMap;

use serde_json::Value;

use super::machine::{Power, World};
use super::storage::Kind;
use super::view::DeviceView;
use crate::json::text;

/// Configuration, devices and sizes of zvols as they were at the start.
#[derive(Debug, Clone, PartialEq)]
pub struct ActiveConfig {
    /// The VM's row.
    pub config: Value,
    /// Its devices, in the order of their ids.
    pub devices: Vec<DeviceView>,
    /// Sizes in bytes of the zvols it uses, by name. Whether a guest sees growth earlier is not known
    /// of any version, so the simulated one does not.
    pub volumes: BTreeMap<String, u64>,
}

impl World {
    /// The VM's domain begins to run with what is stored now.
    pub(crate) fn begin_domain(&mut self, id: i64) {
        let pid = self.next_pid();
        let Some(vm) = self.vms.get(&id) else { return };
        let devices: Vec<DeviceView> = self.devices_of(id).map(DeviceView::of).collect();
        let volumes = self
            .devices_of(id)
            .filter_map(|device| crate::rules::zvol_of(text(&device.attributes, "path")))
            .filter_map(|name| match self.datasets.get(&name)?.kind {
                Kind::Volume { size, .. } => Some((name, size)),
                Kind::Filesystem => None,
            });
        let active = ActiveConfig {
            config: Value::Object(vm.config.clone()),
            devices,
            volumes: volumes.collect(),
        };
        if let Some(vm) = self.vms.get_mut(&id) {
            vm.starting = false;
            vm.ever_started = true;
            vm.power = Power::Running { pid };
            vm.active = Some(active);
        }
    }

    /// The VM's domain is gone.
    pub(crate) fn end_domain(&mut self, id: i64) {
        if let Some(vm) = self.vms.get_mut(&id) {
            vm.power = Power::Off;
            vm.active = None;
        }
    }
}
