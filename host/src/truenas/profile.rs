//! What differs between versions of the server: the only place that knows.

use serde_json::Value;

use super::method::Method;
use super::methods::VmState;
use super::version::Version;

/// The oldest version with VMs and the JSON-RPC API.
pub(super) const OLDEST: Version = Version::new(25, 4, 2);

/// How to talk to one version.
#[derive(Clone, Debug)]
pub(super) struct Profile {
    line: Version,
}

impl Profile {
    /// For a version; a pre-release speaks like the release it leads to.
    pub(super) fn new(version: &Version) -> Self {
        Self {
            line: version.line(),
        }
    }

    /// Whether `vm.delete` of a VM in this state wants `force`. 25.10 and older power off a
    /// running VM without it and want it for a state they could not read; 26 refuses an active VM
    /// without it (errno 16).
    pub(super) fn delete_needs_force(&self, state: &VmState) -> bool {
        if self.line.at_least(26, 0, 0) {
            *state != VmState::Stopped
        } else {
            *state == VmState::Error
        }
    }

    /// Whether `vm.device.update` takes only the attributes that change and merges them key by key
    /// (25.10 and newer: `attributes` is an untyped object there). 25.04.2 wants a complete object
    /// with `dtype`, and resets every attribute that is left out to its default.
    pub(super) fn updates_device_partially(&self) -> bool {
        self.line.at_least(25, 10, 0)
    }

    /// Snapshots moved to `pool.snapshot` in 25.10.
    pub(super) fn snapshot_query(&self) -> Method {
        if self.line.at_least(25, 10, 0) {
            Method::SnapshotQuery
        } else {
            Method::ZfsSnapshotQuery
        }
    }

    /// As [`snapshot_query`](Self::snapshot_query).
    pub(super) fn snapshot_delete(&self) -> Method {
        if self.line.at_least(25, 10, 0) {
            Method::SnapshotDelete
        } else {
            Method::ZfsSnapshotDelete
        }
    }

    /// Names of interfaces: a map from name to label up to 25.10, from 26 two lists under `BRIDGE`
    /// and `MACVLAN`. The shape itself tells; an interface cannot have a list for a label.
    #[expect(
        clippy::unused_self,
        reason = "what differs per version is asked of the profile"
    )]
    pub(super) fn nic_choices(&self, answer: &Value) -> Option<Vec<String>> {
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
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn profile(version: &str) -> Profile {
        Profile::new(&Version::parse(version).expect("a version"))
    }

    #[test]
    fn both_shapes_of_nic_choices_are_read() {
        let old = profile("25.10.7").nic_choices(&json!({"br0": "br0", "enp1s0": "enp1s0"}));
        assert_eq!(old, Some(vec!["br0".into(), "enp1s0".into()]));
        let new = profile("26.0.0").nic_choices(&json!({"BRIDGE": ["br0"], "MACVLAN": ["enp1s0"]}));
        assert_eq!(new, Some(vec!["br0".into(), "enp1s0".into()]));
    }

    #[test]
    fn force_is_used_only_where_the_version_wants_it() {
        let old = profile("25.10.7");
        assert!(!old.delete_needs_force(&VmState::Running));
        assert!(old.delete_needs_force(&VmState::Error));
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
}
