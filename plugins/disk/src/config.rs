//! What stands under `disk` in a VM type.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tnvm_plugin::{BYTE, FromShort, GIB, IndexMap, Short, Size};

/// Disks by name, the one to boot from first: `disk: {system: 15, storage: 600GiB}`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Disks(pub IndexMap<String, Short<Disk>>);

/// A disk: a new zvol of a certain size, or an existing one.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Disk {
    /// The size of the new zvol.
    #[serde(default)]
    pub size: Option<Size<GIB>>,
    /// Whether the zvol takes space only as the guest writes (the default), or all of it at once.
    #[serde(default)]
    pub sparse: Option<bool>,
    /// The zvol's block size, a power of two from 512 to 128K; the pool's recommended one by
    /// default.
    #[serde(default)]
    pub block_size: Option<Size<BYTE>>,
    /// An existing zvol to use in place of a new one: `tank/vms/golden` or
    /// `/dev/zvol/tank/vms/golden`. tnvm neither changes nor deletes it.
    #[serde(default)]
    pub path: Option<String>,
    /// What the guest sees: VIRTIO (fast, the default) or AHCI (needs no driver).
    #[serde(rename = "type", default)]
    pub bus: Option<Bus>,
    /// How the host reads and writes; THREADS by default.
    #[serde(default)]
    pub iotype: Option<IoType>,
    /// The sector size the guest addresses: 512 or 4096.
    #[serde(default)]
    #[schemars(extend("enum" = [512, 4096, null]))]
    pub logical_sectorsize: Option<u32>,
    /// The sector size the guest is told to align to: 512 or 4096, not less than the logical one.
    #[serde(default)]
    #[schemars(extend("enum" = [512, 4096, null]))]
    pub physical_sectorsize: Option<u32>,
}

impl FromShort for Disk {
    type Short = Size<GIB>;

    fn from_short(size: Size<GIB>) -> Self {
        Self {
            size: Some(size),
            ..Self::default()
        }
    }
}

/// The disk controller that the guest sees.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema, PartialEq)]
#[serde(rename_all = "UPPERCASE")]
pub enum Bus {
    /// Paravirtual: fast, and every current guest has the driver.
    Virtio,
    /// An emulated SATA controller, for guests without the driver.
    Ahci,
}

/// How QEMU reads and writes the zvol.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema, PartialEq)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum IoType {
    /// Linux AIO.
    Native,
    /// A pool of threads.
    Threads,
    /// `io_uring`.
    IoUring,
}

/// What a disk template may set.
#[derive(Debug, Default, Deserialize, Serialize)]
pub(crate) struct TemplateAttributes {
    /// See [`Disk::bus`].
    #[serde(rename = "type")]
    pub(crate) bus: Option<Bus>,
    /// See [`Disk::iotype`].
    pub(crate) iotype: Option<IoType>,
    /// See [`Disk::logical_sectorsize`].
    pub(crate) logical_sectorsize: Option<u32>,
    /// See [`Disk::physical_sectorsize`].
    pub(crate) physical_sectorsize: Option<u32>,
    /// Refused: two VMs on one zvol destroy each other's data.
    pub(crate) path: Option<String>,
}

impl TemplateAttributes {
    /// The keys above, as templates write them.
    pub(crate) const KNOWN: [&'static str; 5] = [
        "type",
        "iotype",
        "logical_sectorsize",
        "physical_sectorsize",
        "path",
    ];

    /// Keys that templates may have and that change nothing. The first three ask the server to
    /// make the zvol, always thick, unmarked, and left behind when the device then fails
    /// (`vm.device.create` of every version); tnvm makes it first, by `pool.dataset.create`. The
    /// serial is the server's own.
    pub(crate) const IGNORED: [&'static str; 4] =
        ["create_zvol", "zvol_name", "zvol_volsize", "serial"];
}
