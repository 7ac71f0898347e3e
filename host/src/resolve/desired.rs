//! What should be: every VM and device, complete, with no choice left open.
//!
//! Values only; knows neither the server nor how it gets there.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::diagnostic::Location;
use crate::plugin::{Claim, SecretRef, Volume};

/// The whole group as it should be.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Desired {
    /// The group's name.
    pub group: String,
    /// The VMs, types in order of declaration, numbers ascending.
    pub vms: Vec<DesiredVm>,
}

/// One VM.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DesiredVm {
    /// `worker02`
    pub name: String,
    /// `worker`
    pub vm_type: String,
    /// Arguments of `vm.create`, `name` and `description` with the ownership mark included.
    pub fields: Map<String, Value>,
    /// Whether to start it.
    pub start: bool,
    /// Whether neither it nor anything of it may be removed.
    #[serde(default)]
    pub protect: bool,
    /// Its devices, in the order of creation.
    pub devices: Vec<DesiredDevice>,
    /// The type's place in the config.
    #[serde(skip)]
    pub origin: Option<Location>,
}

/// One device.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DesiredDevice {
    /// `disk.system`: plugin, dot, the plugin's name for it. Unique within the VM.
    pub name: String,
    /// The plugin that made it.
    pub plugin: String,
    /// What the server stores, with `dtype`, without secrets.
    pub attributes: Map<String, Value>,
    /// Place in the VM's order; every device of a VM has another one.
    pub order: u32,
    /// A zvol that must exist first.
    pub volume: Option<Volume>,
    /// Where secrets go at execution.
    pub secrets: Vec<SecretRef>,
    /// What only this device may have, on the whole server.
    pub claims: Vec<Claim>,
    /// The config value that caused it.
    #[serde(skip)]
    pub origin: Option<Location>,
}
