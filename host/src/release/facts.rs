//! The shape of what is known about one line.

use super::default::Default;
use super::feature::Feature;

/// Major, minor and patch of a version: what a constant can hold.
pub type Numbers = (u32, u32, u32);

/// A release line: versions that speak alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Line {
    /// 24.10.
    V24_10,
    /// 25.04 from 25.04.2 on.
    V25_04,
    /// 25.10.
    V25_10,
    /// 26.
    V26,
    /// 27.
    V27,
}

/// What is known about one line.
#[derive(Clone, Copy, Debug)]
pub struct Facts {
    /// Which.
    pub line: Line,
    /// Its name for people: of its first version, without zeros that say nothing.
    pub name: &'static str,
    /// Its first version that tnvm can work with.
    pub first: Numbers,
    /// What it has and the line before it has not.
    pub adds: &'static [Feature<'static>],
    /// What the line before it has and it has no more.
    pub drops: &'static [Feature<'static>],
    /// What `vm.create` fills in for fields that are left out, where that is not what the line
    /// before it fills in.
    pub defaults: &'static [(&'static str, Default)],
    /// Where the type of a device stands.
    pub dtype: DtypePlace,
    /// What `vm.device.update` does with `attributes`.
    pub device_update: DeviceUpdate,
    /// What `exists` of a RAW device means where it is left out of `vm.device.create`.
    pub raw_exists: bool,
    /// Whether `pool.dataset.create` of its pre-releases forgets the user properties it is given, and
    /// keeps the comment.
    pub previews_forget_user_properties: bool,
    /// Where snapshots are asked for.
    pub snapshots: SnapshotNamespace,
    /// When `vm.delete` wants `force`.
    pub delete_force: DeleteForce,
    /// The shape of `vm.device.nic_attach_choices`.
    pub nic_choices: NicChoices,
    /// The first version, if any, that refuses a CD-ROM image in the root dataset of a pool
    /// (`vm.device.create`).
    pub cdrom_below_root_from: Option<Numbers>,
}

/// Where the type of a device stands in calls and entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DtypePlace {
    /// Beside `attributes`.
    Outside,
    /// Within `attributes`.
    Inside,
}

/// What `vm.device.update` does with `attributes`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeviceUpdate {
    /// Stores them in place of the old ones.
    Replaces,
    /// Wants a whole object, and resets to its default what is left out.
    Completes,
    /// Takes those that change and leaves the others.
    Merges,
}

/// Under which name snapshots are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SnapshotNamespace {
    /// `zfs.snapshot`.
    Zfs,
    /// `pool.snapshot`.
    Pool,
}

/// When `vm.delete` wants `force`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeleteForce {
    /// For a VM whose state it cannot tell; one that runs it powers off without.
    Unclear,
    /// For every VM that is not stopped (errno 16 otherwise).
    Active,
}

/// The shape of `vm.device.nic_attach_choices`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NicChoices {
    /// A map from name to label.
    Map,
    /// Lists of names under `BRIDGE` and `MACVLAN`.
    Lists,
}
