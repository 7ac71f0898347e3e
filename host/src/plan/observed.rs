//! What is: the server's VMs, zvols and limits, as values.
//!
//! Filled by `execute::observe`; knows nothing of calls.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::{Map, Value};

use crate::mark::Mark;

/// The server at one moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Observed {
    /// Version as `25.10.7`.
    pub version: String,
    /// The host name the server gives itself.
    pub hostname: String,
    /// All VMs, foreign ones included.
    pub vms: Vec<ObservedVm>,
    /// Zvols, by full name, wherever they are; filesystems as far as they were asked for.
    pub datasets: BTreeMap<String, ObservedDataset>,
    /// Interfaces a NIC may attach to; `None` when it was not asked for.
    pub nic_choices: Option<Vec<String>>,
    /// Addresses a display may bind; `None` when it was not asked for.
    pub bind_choices: Option<Vec<String>>,
    /// Bytes of memory that a start without overcommit may use.
    pub memory_available: Option<u64>,
    /// Why the machine can run no VMs; `None` where it can, or when it was not asked for.
    pub missing_virtualization: Option<String>,
    /// Files that were asked for (ISO images), by path: whether they exist.
    pub files: BTreeMap<String, bool>,
}

/// A VM on the server.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ObservedVm {
    /// The server's id.
    pub id: u64,
    /// Name.
    pub name: String,
    /// Whose it is; `None`: foreign.
    pub mark: Option<Mark>,
    /// Whether its description says that it is protected.
    pub protected: bool,
    /// Power state.
    pub state: PowerState,
    /// All fields of the entry, `devices` and `status` excepted.
    pub fields: Map<String, Value>,
    /// Its devices.
    pub devices: Vec<ObservedDevice>,
}

/// Power state of a VM (`status.state` of `vm.query`, all versions).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum PowerState {
    /// Runs.
    Running,
    /// Off.
    Stopped,
    /// Paused.
    Suspended,
    /// The server could not tell (25.10 and older).
    Error,
}

impl Observed {
    /// The marks of a group on VMs and zvols, each once.
    #[must_use]
    pub fn marks(&self, group: &str) -> BTreeSet<&Mark> {
        let vms = self.vms.iter().filter_map(ObservedVm::owner);
        let zvols = self.datasets.values().filter(|one| one.is_volume);
        vms.chain(zvols.filter_map(|one| one.mark.as_ref()))
            .filter(|mark| mark.group == group)
            .collect()
    }
}

impl ObservedVm {
    /// Whether tnvm made this VM under this very name. A copy made with `vm.clone` carries the
    /// description of its source and with it the mark, but another name: that one is foreign.
    #[must_use]
    pub fn owner(&self) -> Option<&Mark> {
        self.mark.as_ref().filter(|mark| mark.vm == self.name)
    }

    /// An integer field of the entry.
    #[must_use]
    pub fn number(&self, field: &str) -> Option<u64> {
        self.fields.get(field).and_then(Value::as_u64)
    }
}

impl ObservedDevice {
    /// A text attribute.
    #[must_use]
    pub fn text(&self, attribute: &str) -> Option<&str> {
        self.attributes.get(attribute).and_then(Value::as_str)
    }

    /// The type: `DISK`, `NIC`, …
    #[must_use]
    pub fn kind(&self) -> Option<&str> {
        self.text("dtype")
    }

    /// The zvol behind a DISK. The server writes a space of the name as `+`.
    #[must_use]
    pub fn zvol(&self) -> Option<String> {
        zvol_of(self.text("path")?)
    }
}

/// The zvol behind a path of the server, which writes a space of the name as `+`.
pub(super) fn zvol_of(path: &str) -> Option<String> {
    Some(path.strip_prefix("/dev/zvol/")?.replace('+', " "))
}

/// A device on the server.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ObservedDevice {
    /// The server's id.
    pub id: u64,
    /// Attributes with `dtype`, as the server gives them. May hold a password: never print it whole.
    pub attributes: Map<String, Value>,
    /// Order, where known.
    pub order: Option<u32>,
}

/// A dataset or zvol.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ObservedDataset {
    /// Whether it is a zvol.
    pub is_volume: bool,
    /// Whose it is; `None`: foreign.
    pub mark: Option<Mark>,
    /// The device of its VM that it was made for, where it says so: `disk.system`.
    pub device: Option<String>,
    /// Size of a zvol in bytes.
    pub volsize: Option<u64>,
    /// Bytes free below it.
    pub available: Option<u64>,
    /// Encrypted and locked.
    pub locked: bool,
    /// Read-only.
    pub read_only: bool,
    /// The full names (`tank/vms/web01-disk0@daily`) of the snapshots of a zvol with a mark, where
    /// all zvols were asked for.
    pub snapshots: Vec<String>,
    /// The snapshot it was cloned from: `tank/golden@v1`.
    pub origin: Option<String>,
}
