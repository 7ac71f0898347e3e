//! The whole machine, its VMs and their devices, and the events that changes leave behind.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::Value;

use super::domain::ActiveConfig;
use super::host::{Interface, PciDevice, UsbDevice};
use super::logins::Logins;
use super::storage::{Dataset, Pool, Snapshot};
use super::users::{ApiKey, Token, User};
use crate::json::{Object, int, text};
use crate::version::Version;

/// Everything a TrueNAS host knows, as far as the simulated methods show it.
#[derive(Debug, Clone)]
pub struct World {
    /// Which TrueNAS this is.
    pub version: Version,
    /// Name of the host.
    pub hostname: String,
    /// Physical memory in bytes.
    pub memory: u64,
    /// What the kernel calls available when no VM runs, in bytes.
    pub memory_available: u64,
    /// Current size of the ARC in bytes; what lies above `arc_min` counts as available.
    pub arc_size: u64,
    /// Smallest size of the ARC in bytes.
    pub arc_min: u64,
    /// Logical CPUs.
    pub cores: u32,
    /// Changes at every boot.
    pub boot_id: String,
    /// Stays with the machine.
    pub host_id: String,
    /// Imported pools, by id in order.
    pub pools: Vec<Pool>,
    /// Datasets and zvols by name.
    pub datasets: BTreeMap<String, Dataset>,
    /// Snapshots by `dataset@name`.
    pub snapshots: BTreeMap<String, Snapshot>,
    /// Files by absolute path, with their size in bytes.
    pub files: BTreeMap<String, u64>,
    /// Network interfaces in the server's order.
    pub interfaces: Vec<Interface>,
    /// USB devices that may be passed through.
    pub usb: Vec<UsbDevice>,
    /// PCI devices.
    pub pci: Vec<PciDevice>,
    /// VMs by id.
    pub vms: BTreeMap<i64, Vm>,
    /// Devices by id.
    pub devices: BTreeMap<i64, Device>,
    /// How the host lets people in.
    pub logins: Logins,
    /// Accounts.
    pub users: Vec<User>,
    /// API keys.
    pub api_keys: Vec<ApiKey>,
    /// Login tokens by their text.
    pub tokens: BTreeMap<String, Token>,
    /// How long things take.
    pub pace: Pace,
    /// Whether deletes keep silent about what ZFS refuses: busy zvols, holds, clones. So does 26.
    pub swallow_destroy_errors: bool,
    /// Whether unauthenticated calls are throttled as on a real host.
    pub rate_limit: bool,
    /// What happened since somebody last looked; the async layer sends these to subscribers.
    pub events: Vec<Event>,
    pub(crate) last_vm: i64,
    pub(crate) last_device: i64,
    pub(crate) last_pid: i64,
    pub(crate) last_txg: u64,
}

/// A VM: its database row, and what its domain does right now.
#[derive(Debug, Clone, PartialEq)]
pub struct Vm {
    /// Its id.
    pub id: i64,
    /// The row, by field name, complete.
    pub config: Object,
    /// The domain's state.
    pub power: Power,
    /// What its domain was started with, while there is one.
    pub active: Option<ActiveConfig>,
    /// A start has been asked for and is under way.
    pub starting: bool,
    /// Whether the domain ever ran; 26 answers a null `domain_state` until then.
    pub ever_started: bool,
    /// The guest does not react to ACPI: a graceful stop runs into its timeout.
    pub ignores_acpi: bool,
    /// libvirt refuses to start it with this text.
    pub fails_to_start: Option<String>,
}

/// What a VM's domain does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Power {
    /// Not running.
    Off,
    /// Running as a process.
    Running {
        /// Its process id.
        pid: i64,
    },
    /// Paused.
    Suspended {
        /// Its process id.
        pid: i64,
    },
}

/// A device of a VM.
#[derive(Debug, Clone, PartialEq)]
pub struct Device {
    /// Its id.
    pub id: i64,
    /// The VM's id.
    pub vm: i64,
    /// The stored order; null is answered as a default by type.
    pub order: Option<i64>,
    /// What it is, `dtype` included.
    pub attributes: Object,
}

/// How long things take. A real host takes seconds; rehearsals need not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// From `vm.start` until the domain runs.
    pub start: Duration,
    /// From an ACPI shutdown until a guest that obeys is off.
    pub shutdown: Duration,
    /// How long `vm.delete` waits after powering off (7 s on a real host).
    pub settle: Duration,
    /// How long a second of `shutdown_timeout` takes.
    pub second: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            start: Duration::from_millis(40),
            shutdown: Duration::from_millis(100),
            settle: Duration::from_millis(40),
            second: Duration::from_secs(1),
        }
    }
}

/// A change that subscribers hear of.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// `added`, `changed` or `removed`.
    pub kind: &'static str,
    /// The collection, e.g. `vm.query`.
    pub collection: &'static str,
    /// The row's id.
    pub id: Value,
    /// The row, unless it was removed.
    pub fields: Option<Value>,
    /// What the sender attached.
    pub extra: Option<Value>,
}

impl Vm {
    /// The VM's name.
    pub fn name(&self) -> &str {
        text(&self.config, "name")
    }

    /// Whether a domain exists (a paused one does).
    pub fn is_active(&self) -> bool {
        self.power != Power::Off
    }

    /// Guaranteed memory in MiB: `min_memory` if set, else `memory`.
    pub fn guaranteed_mib(&self) -> i64 {
        int(&self.config, "min_memory")
            .or_else(|| int(&self.config, "memory"))
            .unwrap_or_default()
    }
}

impl Device {
    /// The device's type.
    pub fn dtype(&self) -> &str {
        text(&self.attributes, "dtype")
    }

    /// The order as it is answered. Code reading: VM device extend, 24.10 to 27; recorded on 25.10.7.
    /// A stored 0 counts as none.
    pub fn shown_order(&self) -> i64 {
        match (self.order, self.dtype()) {
            (Some(order), _) if order != 0 => order,
            (_, "CDROM") => 1000,
            (_, "DISK" | "RAW") => 1001,
            _ => 1002,
        }
    }
}

impl World {
    /// Devices of a VM, in the order of their ids.
    pub fn devices_of(&self, vm: i64) -> impl Iterator<Item = &Device> {
        self.devices.values().filter(move |device| device.vm == vm)
    }

    /// Adds a VM row and answers its id.
    pub fn insert_vm(&mut self, config: Object) -> i64 {
        self.last_vm += 1;
        let id = self.last_vm;
        let vm = Vm {
            id,
            config,
            power: Power::Off,
            active: None,
            starting: false,
            ever_started: false,
            ignores_acpi: false,
            fails_to_start: None,
        };
        self.vms.insert(id, vm);
        id
    }

    /// Adds a device row and answers its id.
    pub fn insert_device(&mut self, vm: i64, order: Option<i64>, attributes: Object) -> i64 {
        self.last_device += 1;
        let id = self.last_device;
        self.devices.insert(
            id,
            Device {
                id,
                vm,
                order,
                attributes,
            },
        );
        id
    }

    /// A process id that was not used before.
    pub fn next_pid(&mut self) -> i64 {
        self.last_pid += 1;
        self.last_pid
    }

    /// Leaves an event for the subscribers.
    pub fn emit(&mut self, event: Event) {
        self.events.push(event);
    }
}

/// Seconds since 1970.
pub(crate) fn now_seconds() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .ok()
        .and_then(|since| i64::try_from(since.as_secs()).ok())
        .unwrap_or_default()
}

/// The moment as the server writes one: `{"$date": milliseconds}`.
pub(crate) fn date(seconds: i64) -> Value {
    serde_json::json!({"$date": seconds.saturating_mul(1000)})
}
