//! Pools, datasets, zvols and snapshots, and the space they take.

use std::collections::{BTreeMap, BTreeSet};

use super::machine::World;

/// An imported pool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pool {
    /// Its id.
    pub id: i64,
    /// Its name.
    pub name: String,
    /// Raw size in bytes.
    pub size: u64,
    /// What `pool.dataset.recommended_zvol_blocksize` answers, e.g. `16K`.
    pub zvol_block_size: String,
    /// `ONLINE`, `DEGRADED`, …
    pub status: String,
}

/// A dataset or a zvol.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dataset {
    /// Its full name.
    pub name: String,
    /// Filesystem or zvol.
    pub kind: Kind,
    /// Properties that were set here, by ZFS name and raw value.
    pub properties: BTreeMap<String, String>,
    /// User properties, by name.
    pub user_properties: BTreeMap<String, String>,
    /// User properties that a replication brought along; one that is set here hides them.
    pub received_properties: BTreeMap<String, String>,
    /// The snapshot it was cloned from.
    pub origin: Option<String>,
    /// Bytes its own data takes.
    pub used: u64,
    /// When it was made, in seconds since 1970.
    pub created: i64,
    /// Encrypted and not unlocked.
    pub locked: bool,
}

/// What a dataset is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A filesystem.
    Filesystem,
    /// A zvol.
    Volume {
        /// Size in bytes.
        size: u64,
        /// Block size in bytes.
        block_size: u64,
        /// Without reservation.
        sparse: bool,
    },
}

/// A snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// The dataset.
    pub dataset: String,
    /// The part behind `@`.
    pub name: String,
    /// Grows with every snapshot.
    pub txg: u64,
    /// When it was taken, in seconds since 1970.
    pub created: i64,
    /// Tags that forbid its destruction.
    pub holds: BTreeSet<String>,
}

/// What a filesystem occupies when it is empty. Recorded on 25.10.7: 96 KiB.
const EMPTY_FILESYSTEM: u64 = 98_304;
/// What a zvol occupies when it is empty. Recorded on 25.10.7: 56 KiB.
const EMPTY_VOLUME: u64 = 57_344;

impl Dataset {
    /// An empty dataset or zvol.
    pub fn new(name: &str, kind: Kind) -> Self {
        Self {
            name: name.to_owned(),
            kind,
            properties: BTreeMap::new(),
            user_properties: BTreeMap::new(),
            received_properties: BTreeMap::new(),
            origin: None,
            used: if kind == Kind::Filesystem {
                EMPTY_FILESYSTEM
            } else {
                EMPTY_VOLUME
            },
            created: super::machine::now_seconds(),
            locked: false,
        }
    }

    /// Whether it is a zvol.
    pub fn is_volume(&self) -> bool {
        matches!(self.kind, Kind::Volume { .. })
    }

    /// Bytes it takes from its pool, reservation included.
    pub fn charged(&self) -> u64 {
        match self.kind {
            Kind::Volume {
                size,
                sparse: false,
                ..
            } => size.max(self.used),
            _ => self.used,
        }
    }

    /// Where a filesystem is mounted.
    pub fn mountpoint(&self) -> Option<String> {
        (self.kind == Kind::Filesystem).then(|| format!("/mnt/{}", self.name))
    }
}

impl Snapshot {
    /// `dataset@name`
    pub fn id(&self) -> String {
        format!("{}@{}", self.dataset, self.name)
    }
}

impl World {
    /// The pool of that name.
    pub fn pool(&self, name: &str) -> Option<&Pool> {
        self.pools.iter().find(|pool| pool.name == name)
    }

    /// Usable bytes left in a pool: 96 % of its raw size (recorded on 25.10.7) less what is charged.
    pub fn available(&self, pool: &str) -> u64 {
        let Some(pool) = self.pool(pool) else {
            return 0;
        };
        let usable = u64::try_from(u128::from(pool.size) * 96 / 100).unwrap_or(u64::MAX);
        let charged = self
            .datasets_of(&pool.name)
            .map(Dataset::charged)
            .fold(0_u64, u64::saturating_add);
        usable.saturating_sub(charged)
    }

    /// Bytes really written in a pool.
    pub fn allocated(&self, pool: &str) -> u64 {
        self.datasets_of(pool)
            .map(|dataset| dataset.used)
            .fold(0_u64, u64::saturating_add)
    }

    /// Datasets and zvols directly below another.
    pub fn children_of<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Dataset> {
        self.datasets
            .values()
            .filter(move |dataset| parent_of(&dataset.name) == Some(name))
    }

    /// A dataset with everything below it, deepest first.
    pub fn tree_of(&self, name: &str) -> Vec<String> {
        let below = format!("{name}/");
        let mut names: Vec<String> = self
            .datasets
            .keys()
            .filter(|other| *other == name || other.starts_with(&below))
            .cloned()
            .collect();
        names.reverse();
        names
    }

    /// Snapshots of a dataset, oldest first.
    pub fn snapshots_of<'a>(&'a self, dataset: &'a str) -> impl Iterator<Item = &'a Snapshot> {
        self.snapshots
            .values()
            .filter(move |snapshot| snapshot.dataset == dataset)
    }

    /// Datasets cloned from a snapshot.
    pub fn clones_of(&self, snapshot: &str) -> Vec<String> {
        self.datasets
            .values()
            .filter(|dataset| dataset.origin.as_deref() == Some(snapshot))
            .map(|dataset| dataset.name.clone())
            .collect()
    }

    /// Takes a snapshot and answers its id.
    pub fn take_snapshot(&mut self, dataset: &str, name: &str) -> String {
        self.last_txg += 1;
        let snapshot = Snapshot {
            dataset: dataset.to_owned(),
            name: name.to_owned(),
            txg: self.last_txg,
            created: super::machine::now_seconds(),
            holds: BTreeSet::new(),
        };
        let id = snapshot.id();
        self.snapshots.insert(id.clone(), snapshot);
        id
    }

    /// Whether a path is a directory: a mountpoint, or something a known file lies in.
    pub fn is_directory(&self, path: &str) -> bool {
        let path = path.trim_end_matches('/');
        let below = format!("{path}/");
        path == "/mnt"
            || self
                .datasets
                .values()
                .any(|dataset| dataset.mountpoint().as_deref() == Some(path))
            || self.files.keys().any(|file| file.starts_with(&below))
    }

    /// The filesystem that holds a path.
    pub fn filesystem_of(&self, path: &str) -> Option<&Dataset> {
        self.datasets
            .values()
            .filter(|dataset| {
                dataset
                    .mountpoint()
                    .is_some_and(|mount| path == mount || path.starts_with(&format!("{mount}/")))
            })
            .max_by_key(|dataset| dataset.name.len())
    }

    /// Names of the entries directly in a directory.
    pub fn entries_in(&self, directory: &str) -> BTreeSet<String> {
        let below = format!("{}/", directory.trim_end_matches('/'));
        self.files
            .keys()
            .cloned()
            .chain(self.datasets.values().filter_map(Dataset::mountpoint))
            .filter_map(|path| path.strip_prefix(&below).map(str::to_owned))
            .filter_map(|rest| rest.split('/').next().map(str::to_owned))
            .collect()
    }

    fn datasets_of<'a>(&'a self, pool: &'a str) -> impl Iterator<Item = &'a Dataset> {
        self.datasets
            .values()
            .filter(move |dataset| pool_of(&dataset.name) == pool)
    }
}

/// The pool's name in front of a dataset's.
pub(crate) fn pool_of(name: &str) -> &str {
    name.split('/').next().unwrap_or(name)
}

/// The dataset above, if any.
pub(crate) fn parent_of(name: &str) -> Option<&str> {
    name.rsplit_once('/').map(|(parent, _)| parent)
}
