//! How to talk to one version of the server: what its release line has, in the terms of calls.
//!
//! Which line has what is not known here; `release` knows.

use serde_json::{Map, Value};

use super::method::Method;
use super::methods::VmState;
use crate::release::{DeleteForce, DeviceUpdate, DtypePlace, Release, SnapshotNamespace};

/// The type of a device, wherever it stands.
const DTYPE: &str = "dtype";

/// How to talk to one version.
#[derive(Clone, Debug)]
pub(super) struct Profile {
    release: Release,
}

impl Profile {
    pub(super) fn new(release: Release) -> Self {
        Self { release }
    }

    pub(super) fn release(&self) -> &Release {
        &self.release
    }

    /// Whether `vm.delete` of a VM in this state wants `force`.
    pub(super) fn delete_needs_force(&self, state: &VmState) -> bool {
        match self.release.facts().delete_force {
            DeleteForce::Unclear => *state == VmState::Error,
            DeleteForce::Active => *state != VmState::Stopped,
        }
    }

    /// Whether `vm.device.update` takes only the attributes that change; otherwise all are sent.
    pub(super) fn updates_device_partially(&self) -> bool {
        self.release.facts().device_update == DeviceUpdate::Merges
    }

    /// Whether `pool.dataset.create` forgets user properties, so that they go into the comment first.
    pub(super) fn forgets_user_properties(&self) -> bool {
        self.release.forgets_user_properties()
    }

    /// Where snapshots are asked for.
    pub(super) fn snapshot_query(&self) -> Method {
        match self.release.facts().snapshots {
            SnapshotNamespace::Zfs => Method::ZfsSnapshotQuery,
            SnapshotNamespace::Pool => Method::SnapshotQuery,
        }
    }

    /// As [`snapshot_query`](Self::snapshot_query).
    pub(super) fn snapshot_delete(&self) -> Method {
        match self.snapshot_query() {
            Method::SnapshotQuery => Method::SnapshotDelete,
            _ => Method::ZfsSnapshotDelete,
        }
    }

    /// Puts the attributes of a new device, with `dtype` among them, into the argument of
    /// `vm.device.create`.
    pub(super) fn new_device(&self, attributes: Map<String, Value>) -> Map<String, Value> {
        let facts = self.release.facts();
        let mut attributes = attributes;
        let is_raw = attributes.get(DTYPE).and_then(Value::as_str) == Some("RAW");
        if is_raw && facts.raw_exists {
            // Left out it means a file to be made, as in every newer line.
            attributes.entry("exists").or_insert(Value::Bool(false));
        }
        self.with_attributes(attributes)
    }

    /// Puts attributes into an argument, with `dtype` where the server has it.
    pub(super) fn with_attributes(&self, mut attributes: Map<String, Value>) -> Map<String, Value> {
        let mut argument = Map::new();
        if self.release.facts().dtype == DtypePlace::Outside
            && let Some(dtype) = attributes.shift_remove(DTYPE)
        {
            argument.insert(DTYPE.into(), dtype);
        }
        argument.insert("attributes".into(), Value::Object(attributes));
        argument
    }
}

/// Brings `dtype` of a device that the server shows to where newer servers have it: among the
/// attributes. The entry itself tells where it stands.
pub(super) fn inside(row: &mut Value) {
    let Some(members) = row.as_object_mut() else {
        return;
    };
    let Some(dtype) = members.shift_remove(DTYPE) else {
        return;
    };
    let attributes = members
        .entry("attributes")
        .or_insert_with(|| Value::Object(Map::new()));
    if let Some(attributes) = attributes.as_object_mut() {
        attributes.entry(DTYPE).or_insert(dtype);
    }
}

/// Names of interfaces: a map from name to label up to 25.10, from 26 two lists under `BRIDGE` and
/// `MACVLAN`. The shape itself tells; an interface cannot have a list for a label.
pub(super) fn nic_choices(answer: &Value) -> Option<Vec<String>> {
    let map = answer.as_object()?;
    let lists = ["BRIDGE", "MACVLAN"]
        .iter()
        .filter_map(|kind| map.get(*kind)?.as_array())
        .collect::<Vec<_>>();
    if lists.is_empty() {
        return Some(map.keys().cloned().collect());
    }
    let name = |name: &Value| name.as_str().map(str::to_owned);
    Some(lists.into_iter().flatten().filter_map(name).collect())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn profile(version: &str) -> Profile {
        Profile::new(Release::of_text(version))
    }

    fn object(value: Value) -> Map<String, Value> {
        value.as_object().expect("an object").clone()
    }

    #[test]
    fn both_shapes_of_nic_choices_are_read() {
        let old = nic_choices(&json!({"br0": "br0", "enp1s0": "enp1s0"}));
        assert_eq!(old, Some(vec!["br0".into(), "enp1s0".into()]));
        let new = nic_choices(&json!({"BRIDGE": ["br0"], "MACVLAN": ["enp1s0"]}));
        assert_eq!(new, Some(vec!["br0".into(), "enp1s0".into()]));
    }

    #[test]
    fn force_is_used_only_where_the_version_wants_it() {
        for version in ["24.10.2", "25.10.7"] {
            let old = profile(version);
            assert!(!old.delete_needs_force(&VmState::Running));
            assert!(old.delete_needs_force(&VmState::Error));
        }
        let new = profile("26.0.0-BETA.3");
        assert!(new.delete_needs_force(&VmState::Running));
        assert!(!new.delete_needs_force(&VmState::Stopped));
    }

    #[test]
    fn snapshots_moved_in_25_10() {
        assert_eq!(
            profile("25.04.2").snapshot_query(),
            Method::ZfsSnapshotQuery
        );
        assert_eq!(
            profile("25.10.0-RC.1").snapshot_query(),
            Method::SnapshotQuery
        );
    }

    #[test]
    fn the_type_of_a_device_is_sent_where_the_version_has_it() {
        let cdrom = || object(json!({"dtype": "CDROM", "path": "/mnt/tank/x.iso"}));
        let sent = |version: &str| Value::from(profile(version).new_device(cdrom()));
        assert_eq!(
            sent("24.10.2"),
            json!({"dtype": "CDROM", "attributes": {"path": "/mnt/tank/x.iso"}})
        );
        assert_eq!(
            sent("25.04.2"),
            json!({"attributes": {"dtype": "CDROM", "path": "/mnt/tank/x.iso"}})
        );
    }

    #[test]
    fn a_file_that_nobody_says_to_exist_is_made_everywhere() {
        let raw = |version: &str, attributes: Value| {
            let sent = profile(version).new_device(object(attributes));
            sent.get("attributes")
                .and_then(|sent| sent.get("exists"))
                .cloned()
        };
        let new = json!({"dtype": "RAW", "path": "/mnt/tank/x", "size": 512});
        assert_eq!(raw("24.10.2", new.clone()), Some(json!(false)));
        assert_eq!(raw("25.10.7", new), None);
        let old = json!({"dtype": "RAW", "path": "/mnt/tank/x", "exists": true});
        assert_eq!(raw("24.10.2", old), Some(json!(true)));
    }

    #[test]
    fn the_type_of_a_device_is_read_wherever_it_stands() {
        let read = |mut row: Value| {
            inside(&mut row);
            row
        };
        let wanted = json!({"id": 1, "attributes": {"path": "x", "dtype": "CDROM"}});
        let outside = json!({"id": 1, "dtype": "CDROM", "attributes": {"path": "x"}});
        assert_eq!(read(outside), wanted);
        assert_eq!(read(wanted.clone()), wanted);
        assert_eq!(
            read(json!({"id": 1, "dtype": "NIC"})),
            json!({"id": 1, "attributes": {"dtype": "NIC"}})
        );
        for odd in [json!(5), json!({"dtype": "NIC", "attributes": 5})] {
            read(odd);
        }
    }
}
