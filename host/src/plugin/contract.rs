//! The values that cross the border to a plugin, in the host's own types.
//!
//! It knows neither wasmtime nor a version of the contract: `abi` converts.

use serde_json::{Map, Value};

/// What a plugin says of itself.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Descriptor {
    /// Short name of the device type: `disk`.
    pub name: String,
    /// The plugin's own version (semver).
    pub version: String,
    /// One line, without a full stop.
    pub summary: String,
    /// The key in a VM type that the plugin claims.
    pub key: String,
    /// Whether a VM without the key gets a call too.
    pub applies_by_default: bool,
    /// JSON Schema (2020-12) of the value under the key.
    pub config_schema: Value,
    /// The kinds (`dtype`) that the plugin may return.
    pub device_kinds: Vec<String>,
    /// The facts of the server that the plugin asks for.
    pub facts: Vec<FactNeed>,
}

/// A fact asked for, with its reason.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct FactNeed {
    /// One of the closed list: `nic-choices`, `bind-choices`, `disk-choices`, `usb-choices`, `pci-choices`.
    pub kind: String,
    /// One sentence for the person who grants it.
    pub reason: String,
}

/// Who the devices are for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VmIdentity {
    /// The VM's name: `worker02`.
    pub name: String,
    /// Its type: `worker`.
    pub vm_type: String,
    /// Position of the type in order of declaration, from 0.
    pub type_index: u32,
    /// Number within the type, from 1.
    pub index: u32,
    /// How many VMs the type has.
    pub count: u32,
    /// The group.
    pub group: String,
}

/// One question to a plugin: the devices of one VM.
#[derive(Clone, Debug, PartialEq)]
pub struct PlanRequest {
    /// Who the devices are for.
    pub vm: VmIdentity,
    /// The value under the plugin's key; `None` when the VM lacks the key.
    pub config: Option<Value>,
    /// The device template, `{}` where there is none.
    pub template: Value,
    /// The `storage` section.
    pub storage: Value,
    /// The server's version: `25.10.1`.
    pub target_version: String,
    /// Granted facts, kind and value.
    pub facts: Vec<(String, Value)>,
    /// An object: `own`, the part of `config` that is said of this VM alone, where there is one;
    /// later minor versions add members.
    pub context: Value,
}

/// The answer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Planned {
    /// The devices, in the plugin's order.
    pub devices: Vec<PlannedDevice>,
    /// What is worth telling.
    pub warnings: Vec<PluginDiagnostic>,
}

/// One device.
#[derive(Clone, Debug, PartialEq)]
pub struct PlannedDevice {
    /// Stable and unique within the VM and plugin.
    pub name: String,
    /// What the server stores (shape of 25.04.2 and newer), with `dtype`, without secrets.
    pub attributes: Map<String, Value>,
    /// Place in the boot order.
    pub boot_order: BootOrder,
    /// A zvol that must exist first.
    pub volume: Option<Volume>,
    /// Places that take a secret at execution.
    pub secrets: Vec<SecretRef>,
    /// What only one device may have.
    pub claims: Vec<Claim>,
}

/// Place in the boot order of the VM as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BootOrder {
    /// With the disks, first.
    Disk,
    /// With the CD-ROMs, after the disks.
    Cdrom,
    /// Does not boot.
    None,
    /// This number, because the user wrote it.
    Fixed(u32),
}

/// A zvol that must exist before its device.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Volume {
    /// Full dataset name.
    pub dataset: String,
    /// Bytes.
    pub size: u64,
    /// No reservation.
    pub sparse: bool,
    /// As the server writes it (`16K`); `None`: the pool's recommended one.
    pub block_size: Option<String>,
}

/// A place in the attributes that takes a secret.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct SecretRef {
    /// JSON pointer into the attributes.
    pub pointer: String,
    /// `display-password`, `env:NAME` or `file:PATH`.
    pub secret: String,
}

impl SecretRef {
    /// The attribute that the secret is in, or a part of: `auth` of `/auth/password`. Such an
    /// attribute is neither compared nor shown.
    #[must_use]
    pub fn attribute(&self) -> String {
        let name = self.pointer.split('/').nth(1).unwrap_or_default();
        name.replace("~1", "/").replace("~0", "~")
    }
}

/// Something of which there is only one.
#[derive(Clone, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct Claim {
    /// `tcp-port`, `mac`, `dataset`, …
    pub kind: String,
    /// Compared as text, case ignored.
    pub value: String,
    /// JSON pointer into the config value.
    pub pointer: String,
}

/// What the pointer of a diagnostic points into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// The value under the plugin's key.
    Config,
    /// The device template.
    Template,
}

/// A plugin's word on its input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PluginDiagnostic {
    /// How bad it is.
    pub severity: crate::diagnostic::Severity,
    /// What `pointer` points into.
    pub subject: Subject,
    /// JSON pointer; empty: the whole value.
    pub pointer: String,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub help: Option<String>,
}
