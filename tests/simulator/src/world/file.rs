//! The world file: what a host has beyond, or instead of, the default world. YAML or JSON.
//!
//! Every key is optional; unknown keys are errors. Things are identified by name: a name of the
//! default world is replaced, another is added.
//!
//! ```yaml
//! empty: false            # true: start from a bare host instead of the default world
//! hostname: truenas
//! memory_gib: 128         # physical memory
//! arc_gib: 8              # current ARC; half of it counts as shrinkable
//! rate_limit: true        # throttle unauthenticated calls as a real host does
//! pace: {start_ms: 40, shutdown_ms: 100, settle_ms: 40, second_ms: 1000}
//! pools: [{name: tank, size_gib: 4096, zvol_block_size: 16K, status: ONLINE}]
//! datasets: [tank/vms, {name: tank/secret, locked: true, readonly: false}]
//! zvols: [{name: tank/vms/old, size_gib: 10, sparse: false, user_properties: {"a:b": c}}]
//! snapshots: [tank/vms/old@before]
//! files: [/mnt/tank/iso/x.iso, {path: /mnt/tank/iso/y.iso, size: 1048576}]   # size in bytes
//! interfaces: [{name: br5, kind: bridge, members: [eno4], addresses: [10.0.0.2/24]}]
//! users: [{name: joe, password: p, role: readonly, api_key: 2-…64 characters…}]
//! # More of a user: roles: [VM_READ] instead of role; expired: true; api_key_expired: true;
//! # otp_secret: BASE32, otp_codes: ["424242"], otp_window: 1 (intervals early or late).
//! logins: {scram_iterations: 500000, assurance_level: 1, redirect: [], trust_loopback: true,
//!          session_seconds: 2592000, session_idle_seconds: 1800}
//! usb: [{name: usb_1_3, vendor_id: "0x1", product_id: "0x2", vendor: V, product: P}]
//! pci: [{name: pci_0000_02_00_0, controller_type: T, vendor: V, product: P, available: true}]
//! vms:                    # foreign VMs, taken as they are
//!   - {name: web, memory: 512, settings: {cores: 2}, running: true, ignores_acpi: false,
//!      fails_to_start: null, devices: [{dtype: NIC, type: VIRTIO, nic_attach: br0}]}
//! ```
//!
//! Roles: `full_admin` (default), `readonly`, `nothing` (login refused). Interface kinds:
//! `physical`, `bridge`, `bond`, `vlan`. `memory` of a VM is in MiB; `settings` holds any other
//! field of `vm.create`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::Value;

use super::host::{InterfaceKind, PciDevice, UsbDevice};
use super::roles::Role;

/// A parsed world file.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct WorldFile {
    pub(super) empty: bool,
    pub(super) hostname: Option<String>,
    pub(super) memory_gib: Option<u64>,
    pub(super) arc_gib: Option<u64>,
    pub(super) rate_limit: Option<bool>,
    pub(super) pace: PaceEntry,
    pub(super) pools: Vec<PoolEntry>,
    pub(super) datasets: Vec<OrName<DatasetEntry>>,
    pub(super) zvols: Vec<ZvolEntry>,
    pub(super) snapshots: Vec<String>,
    pub(super) files: Vec<OrName<FileEntry>>,
    pub(super) interfaces: Vec<InterfaceEntry>,
    pub(super) logins: LoginsEntry,
    pub(super) users: Vec<UserEntry>,
    pub(super) usb: Vec<UsbDevice>,
    pub(super) pci: Vec<PciDevice>,
    pub(super) vms: Vec<VmEntry>,
}

/// Why a world cannot be built.
#[derive(Debug, thiserror::Error)]
pub enum WorldError {
    /// The file cannot be read.
    #[error("cannot read the world file {path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file is not what it should be.
    #[error(
        "the world file {path} is wrong: {source}; its format is described in `tnvm-simulator --help`"
    )]
    Parse {
        /// The file.
        path: PathBuf,
        /// Where and why.
        source: serde_yaml::Error,
    },
    /// An entry does not fit the others.
    #[error("the world has a bad entry, {entry}: {why}")]
    Entry {
        /// Which one.
        entry: String,
        /// Why.
        why: String,
    },
}

/// An entry that may be written as its name alone.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub(super) enum OrName<T> {
    Name(String),
    Entry(T),
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct PaceEntry {
    pub(super) start_ms: Option<u64>,
    pub(super) shutdown_ms: Option<u64>,
    pub(super) settle_ms: Option<u64>,
    pub(super) second_ms: Option<u64>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PoolEntry {
    pub(super) name: String,
    pub(super) size_gib: u64,
    pub(super) zvol_block_size: Option<String>,
    pub(super) status: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DatasetEntry {
    pub(super) name: String,
    #[serde(default)]
    pub(super) locked: bool,
    #[serde(default)]
    pub(super) readonly: bool,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ZvolEntry {
    pub(super) name: String,
    pub(super) size_gib: u64,
    #[serde(default)]
    pub(super) sparse: bool,
    #[serde(default)]
    pub(super) readonly: bool,
    #[serde(default)]
    pub(super) origin: Option<String>,
    #[serde(default)]
    pub(super) user_properties: BTreeMap<String, String>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FileEntry {
    pub(super) path: String,
    pub(super) size: u64,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct InterfaceEntry {
    pub(super) name: String,
    pub(super) kind: InterfaceKind,
    #[serde(default)]
    pub(super) members: Vec<String>,
    #[serde(default)]
    pub(super) addresses: Vec<String>,
    #[serde(default)]
    pub(super) dhcp_addresses: Vec<String>,
    #[serde(default)]
    pub(super) description: String,
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct UserEntry {
    pub(super) name: String,
    pub(super) password: String,
    #[serde(default)]
    pub(super) role: Role,
    #[serde(default)]
    pub(super) roles: Option<Vec<String>>,
    #[serde(default)]
    pub(super) api_key: Option<String>,
    #[serde(default)]
    pub(super) api_key_expired: bool,
    #[serde(default)]
    pub(super) expired: bool,
    #[serde(default)]
    pub(super) otp_secret: Option<String>,
    #[serde(default)]
    pub(super) otp_codes: Vec<String>,
    #[serde(default = "one")]
    pub(super) otp_window: u8,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct LoginsEntry {
    pub(super) scram_iterations: Option<u32>,
    pub(super) assurance_level: Option<u8>,
    pub(super) redirect: Vec<String>,
    pub(super) trust_loopback: Option<bool>,
    pub(super) session_seconds: Option<u64>,
    pub(super) session_idle_seconds: Option<u64>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct VmEntry {
    pub(super) name: String,
    pub(super) memory: u64,
    #[serde(default)]
    pub(super) settings: BTreeMap<String, Value>,
    #[serde(default)]
    pub(super) running: bool,
    #[serde(default)]
    pub(super) ignores_acpi: bool,
    #[serde(default)]
    pub(super) fails_to_start: Option<String>,
    #[serde(default)]
    pub(super) devices: Vec<Value>,
}

fn one() -> u8 {
    1
}

impl std::fmt::Debug for UserEntry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("UserEntry")
            .field("name", &self.name)
            .field("role", &self.role)
            .finish_non_exhaustive()
    }
}

impl WorldFile {
    /// Reads a file.
    ///
    /// # Errors
    /// When it cannot be read, is no YAML, or has unknown keys.
    pub fn read(path: &Path) -> Result<Self, WorldError> {
        let text = std::fs::read_to_string(path).map_err(|source| WorldError::Read {
            path: path.to_owned(),
            source,
        })?;
        Self::parse(&text).map_err(|source| WorldError::Parse {
            path: path.to_owned(),
            source,
        })
    }

    /// Parses YAML, and so JSON too.
    ///
    /// # Errors
    /// When it is no YAML or has unknown keys.
    pub fn parse(text: &str) -> Result<Self, serde_yaml::Error> {
        if text.trim().is_empty() {
            return Ok(Self::default());
        }
        serde_yaml::from_str(text)
    }
}
