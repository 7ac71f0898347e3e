//! Builds a world: the default one, changed by a world file or by calls in a test.

use std::time::Duration;

use serde_json::{Value, json};

use super::defaults::GIB;
use super::file::{OrName, VmEntry, WorldError, WorldFile, ZvolEntry};
use super::host::{Interface, InterfaceKind};
use super::machine::World;
use super::storage::{Dataset, Kind, parent_of, pool_of};
use crate::json::{Object, text};
use crate::rules::{attributes_model, models};
use crate::schema::Checker;
use crate::version::Version;

/// A world under construction. Start with [`WorldBuilder::example`], chain what differs, hand it to
/// the simulator's options.
#[derive(Debug, Clone)]
pub struct WorldBuilder {
    pub(super) world: World,
}

impl WorldBuilder {
    /// The default world.
    pub fn example(version: Version) -> Self {
        Self {
            world: World::example(version),
        }
    }

    /// A host with an administrator and nothing else.
    pub fn bare(version: Version) -> Self {
        Self {
            world: World::bare(version),
        }
    }

    /// A pool with its root dataset.
    #[must_use]
    pub fn pool(mut self, name: &str, size_gib: u64) -> Self {
        self.world.add_pool(name, size_gib.saturating_mul(GIB));
        self
    }

    /// A filesystem.
    #[must_use]
    pub fn dataset(mut self, name: &str) -> Self {
        self.world
            .datasets
            .insert(name.to_owned(), Dataset::new(name, Kind::Filesystem));
        self
    }

    /// A thick zvol with 16 KiB blocks and these user properties.
    #[must_use]
    pub fn zvol(mut self, name: &str, size_gib: u64, user_properties: &[(&str, &str)]) -> Self {
        let mut dataset = volume(name, size_gib, false);
        dataset.user_properties = user_properties
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect();
        self.world.datasets.insert(name.to_owned(), dataset);
        self
    }

    /// A snapshot, `dataset@name`.
    #[must_use]
    pub fn snapshot(mut self, id: &str) -> Self {
        let (dataset, name) = id.split_once('@').unwrap_or((id, "snapshot"));
        self.world.take_snapshot(dataset, name);
        self
    }

    /// A hold on a snapshot that is there already.
    #[must_use]
    pub fn hold(mut self, id: &str, tag: &str) -> Self {
        if let Some(snapshot) = self.world.snapshots.get_mut(id) {
            snapshot.holds.insert(tag.to_owned());
        }
        self
    }

    /// A zvol of 1 GiB with that snapshot as its origin.
    #[must_use]
    pub fn clone_of(mut self, snapshot: &str, name: &str) -> Self {
        let mut dataset = volume(name, 1, true);
        dataset.origin = Some(snapshot.to_owned());
        self.world.datasets.insert(name.to_owned(), dataset);
        self
    }

    /// Whether deletes keep silent about what ZFS refuses; the default is what the version does.
    #[must_use]
    pub fn swallow_destroy_errors(mut self, on: bool) -> Self {
        self.world.swallow_destroy_errors = on;
        self
    }

    /// A file with its size in bytes.
    #[must_use]
    pub fn file(mut self, path: &str, size: u64) -> Self {
        self.world.files.insert(path.to_owned(), size);
        self
    }

    /// A bridge with these members and static addresses (`address/prefix`).
    #[must_use]
    pub fn bridge(mut self, name: &str, members: &[&str], addresses: &[&str]) -> Self {
        let owned = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect();
        self.put_interface(Interface {
            name: name.to_owned(),
            kind: InterfaceKind::Bridge,
            members: owned(members),
            addresses: owned(addresses),
            dhcp_addresses: Vec::new(),
            description: String::new(),
        });
        self
    }

    /// Physical memory and what is available of it, in GiB; the ARC is left out of the sum.
    #[must_use]
    pub fn memory(mut self, total_gib: u64, available_gib: u64) -> Self {
        self.world.memory = total_gib.saturating_mul(GIB);
        self.world.memory_available = available_gib.saturating_mul(GIB);
        self.world.arc_size = self.world.arc_min;
        self
    }

    /// A foreign VM, taken as it is: `memory` in MiB, devices as their attributes.
    ///
    /// # Errors
    /// When a device is none that the schema knows.
    pub fn vm(mut self, name: &str, memory: u64, devices: &[Value]) -> Result<Self, WorldError> {
        self.put_vm(&VmEntry {
            name: name.to_owned(),
            memory,
            settings: std::collections::BTreeMap::new(),
            running: false,
            ignores_acpi: false,
            fails_to_start: None,
            devices: devices.to_vec(),
        })?;
        Ok(self)
    }

    /// Switches the throttling of unauthenticated calls.
    #[must_use]
    pub fn rate_limit(mut self, on: bool) -> Self {
        self.world.rate_limit = on;
        self
    }

    /// Whatever has no method of its own.
    #[must_use]
    pub fn with(mut self, change: impl FnOnce(&mut World)) -> Self {
        change(&mut self.world);
        self
    }

    /// Applies a world file. With `empty: true` it starts again from a bare host.
    ///
    /// # Errors
    /// When an entry does not fit: a dataset without its pool, a bad VM setting or key.
    pub fn file_applied(mut self, file: &WorldFile) -> Result<Self, WorldError> {
        if file.empty {
            let logins = self.world.logins.clone();
            self.world = World::bare(self.world.version.clone());
            self.world.logins = logins;
        }
        let world = &mut self.world;
        if let Some(name) = &file.hostname {
            world.hostname.clone_from(name);
        }
        if let Some(gib) = file.memory_gib {
            world.memory = gib.saturating_mul(GIB);
            world.memory_available = world.memory / 100 * 90;
        }
        if let Some(gib) = file.arc_gib {
            world.arc_size = gib.saturating_mul(GIB);
            world.arc_min = world.arc_size / 2;
        }
        world.rate_limit = file.rate_limit.unwrap_or(world.rate_limit);
        for (given, pace) in [
            (file.pace.start_ms, &mut world.pace.start),
            (file.pace.shutdown_ms, &mut world.pace.shutdown),
            (file.pace.settle_ms, &mut world.pace.settle),
            (file.pace.second_ms, &mut world.pace.second),
        ] {
            if let Some(ms) = given {
                *pace = Duration::from_millis(ms);
            }
        }
        self.put_storage(file)?;
        for entry in &file.interfaces {
            self.put_interface(Interface {
                name: entry.name.clone(),
                kind: entry.kind,
                members: entry.members.clone(),
                addresses: entry.addresses.clone(),
                dhcp_addresses: entry.dhcp_addresses.clone(),
                description: entry.description.clone(),
            });
        }
        self.put_logins(&file.logins)?;
        for entry in &file.users {
            self.put_user(entry)?;
        }
        for device in &file.usb {
            self.world.usb.retain(|other| other.name != device.name);
            self.world.usb.push(device.clone());
        }
        for device in &file.pci {
            self.world.pci.retain(|other| other.name != device.name);
            self.world.pci.push(device.clone());
        }
        for entry in &file.vms {
            self.put_vm(entry)?;
        }
        Ok(self)
    }

    /// The finished world.
    pub fn build(self) -> World {
        self.world
    }

    fn put_storage(&mut self, file: &WorldFile) -> Result<(), WorldError> {
        let world = &mut self.world;
        for entry in &file.pools {
            world.add_pool(&entry.name, entry.size_gib.saturating_mul(GIB));
            if let Some(pool) = world.pools.iter_mut().find(|pool| pool.name == entry.name) {
                if let Some(size) = &entry.zvol_block_size {
                    pool.zvol_block_size.clone_from(size);
                }
                if let Some(status) = &entry.status {
                    pool.status.clone_from(status);
                }
            }
        }
        for entry in &file.datasets {
            let (name, locked, readonly) = match entry {
                OrName::Name(name) => (name, false, false),
                OrName::Entry(entry) => (&entry.name, entry.locked, entry.readonly),
            };
            let mut dataset = Dataset::new(name, Kind::Filesystem);
            dataset.locked = locked;
            put_dataset(world, dataset, readonly)?;
        }
        for entry in &file.zvols {
            put_dataset(world, zvol_of(entry), entry.readonly)?;
        }
        for id in &file.snapshots {
            match id.split_once('@') {
                Some((dataset, name)) if world.datasets.contains_key(dataset) => {
                    world.take_snapshot(dataset, name);
                }
                _ => {
                    return Err(bad(
                        &format!("snapshot {id}"),
                        "it must be `dataset@name` of a known dataset",
                    ));
                }
            }
        }
        for entry in &file.files {
            let (path, size) = match entry {
                OrName::Name(path) => (path, 120 << 20),
                OrName::Entry(entry) => (&entry.path, entry.size),
            };
            world.files.insert(path.clone(), size);
        }
        Ok(())
    }

    fn put_interface(&mut self, interface: Interface) {
        self.world
            .interfaces
            .retain(|other| other.name != interface.name);
        self.world.interfaces.push(interface);
    }

    fn put_vm(&mut self, entry: &VmEntry) -> Result<(), WorldError> {
        let name = format!("VM {}", entry.name);
        let mut config: Object = entry
            .settings
            .iter()
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect();
        config.insert("name".into(), json!(entry.name));
        config.insert("memory".into(), json!(entry.memory));
        let checker = Checker::of(&self.world.version);
        let mut config = checker
            .object(
                models::vm_create(&self.world.version),
                &Value::Object(config),
                "settings",
            )
            .map_err(|failure| bad(&name, failure.reason().trim()))?;
        crate::rules::fill_vm_defaults(&self.world.version, &mut config);
        let id = self.world.insert_vm(config);
        for given in &entry.devices {
            let dtype = given
                .get("dtype")
                .and_then(Value::as_str)
                .unwrap_or_default();
            let Some(model) = attributes_model(&self.world.version, dtype) else {
                return Err(bad(&name, &format!("no device type {dtype:?}")));
            };
            // World files name devices alike for every version.
            let attributes = Checker::Models
                .object(model, given, "devices")
                .map_err(|failure| bad(&name, failure.reason().trim()))?;
            let attributes = crate::rules::as_stored(&self.world.version, attributes);
            self.world.insert_device(id, None, attributes);
        }
        if let Some(vm) = self.world.vms.get_mut(&id) {
            vm.ignores_acpi = entry.ignores_acpi;
            vm.fails_to_start.clone_from(&entry.fails_to_start);
        }
        if entry.running {
            self.world.begin_domain(id);
        }
        Ok(())
    }
}

fn put_dataset(world: &mut World, mut dataset: Dataset, readonly: bool) -> Result<(), WorldError> {
    let name = dataset.name.clone();
    if world.pool(pool_of(&name)).is_none() {
        return Err(bad(
            &name,
            "its pool is not in the world; add it to `pools`",
        ));
    }
    if readonly {
        dataset.properties.insert("readonly".into(), "on".into());
    }
    let mut above = parent_of(&name);
    while let Some(parent) = above {
        world
            .datasets
            .entry(parent.to_owned())
            .or_insert_with(|| Dataset::new(parent, Kind::Filesystem));
        above = parent_of(parent);
    }
    world.datasets.insert(name, dataset);
    Ok(())
}

fn volume(name: &str, size_gib: u64, sparse: bool) -> Dataset {
    Dataset::new(
        name,
        Kind::Volume {
            size: size_gib.saturating_mul(GIB),
            block_size: 16 << 10,
            sparse,
        },
    )
}

fn zvol_of(entry: &ZvolEntry) -> Dataset {
    let mut dataset = volume(&entry.name, entry.size_gib, entry.sparse);
    dataset.user_properties.clone_from(&entry.user_properties);
    dataset.origin.clone_from(&entry.origin);
    dataset
}

pub(super) fn bad(entry: &str, why: &str) -> WorldError {
    WorldError::Entry {
        entry: entry.to_owned(),
        why: why.to_owned(),
    }
}

impl World {
    /// The id of the VM with that name.
    pub fn vm_named(&self, name: &str) -> Option<i64> {
        self.vms
            .values()
            .find(|vm| text(&vm.config, "name") == name)
            .map(|vm| vm.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn build(yaml: &str) -> Result<World, String> {
        let file = WorldFile::parse(yaml).map_err(|error| error.to_string())?;
        let builder = WorldBuilder::example(Version::default());
        Ok(builder
            .file_applied(&file)
            .map_err(|error| error.to_string())?
            .build())
    }

    #[test]
    fn a_world_file_adds_and_replaces_by_name() {
        let world = build(
            "memory_gib: 16\npools: [{name: fast, size_gib: 100}]\ndatasets: [fast/a/b]\n\
             zvols: [{name: fast/a/z, size_gib: 1, user_properties: {'o:x': y}}]\nsnapshots: [fast/a/z@s]\n\
             files: [/mnt/fast/a/x.iso]\ninterfaces: [{name: br0, kind: bridge, addresses: [10.0.0.1/8]}]\n\
             vms: [{name: old, memory: 512, running: true, ignores_acpi: true, devices: [{dtype: NIC}]}]",
        )
        .unwrap();
        assert_eq!(world.memory, 16 << 30);
        assert!(world.datasets.contains_key("fast/a"));
        assert!(world.snapshots.contains_key("fast/a/z@s"));
        assert_eq!(
            world
                .interfaces
                .iter()
                .filter(|interface| interface.name == "br0")
                .count(),
            1
        );
        let vm = &world.vms[&world.vm_named("old").unwrap()];
        assert!(vm.is_active() && vm.ignores_acpi);
        assert_eq!(world.devices_of(vm.id).count(), 1);
    }

    #[test]
    fn an_unknown_key_is_an_error() {
        assert!(build("pols: []").unwrap_err().contains("pols"));
        assert!(
            build("zvols: [{name: tank/a, size: 1}]")
                .unwrap_err()
                .contains("size")
        );
        assert!(
            build("vms: [{name: a, memory: 512, settings: {bogus: 1}}]")
                .unwrap_err()
                .contains("bogus")
        );
    }

    #[test]
    fn a_dataset_needs_its_pool() {
        assert!(
            build("datasets: [nopool/a]")
                .unwrap_err()
                .contains("add it to `pools`")
        );
    }

    #[test]
    fn a_bad_key_is_refused_without_showing_it() {
        let error = build("users: [{name: joe, password: p, api_key: 7-short}]").unwrap_err();
        assert!(!error.contains("short"), "{error}");
    }
}
