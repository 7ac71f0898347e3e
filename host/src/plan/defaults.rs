//! What a field of a VM is when nobody says anything: the arguments of `vm.create` that are left out.
//!
//! A value that a config said once, or a person set by hand, is taken back to this when no config
//! says it; else two servers with the same config would differ for ever.

use serde_json::{Map, Value};

use crate::release::{Feature, Release};

/// What the server fills in itself when secure boot is on and they are left out (`vm.create` and
/// `vm.update`, 25.04.2 and newer).
const BY_SECURE_BOOT: [&str; 2] = ["arch_type", "machine_type"];

/// The fields that should be, with the defaults of those that nobody says, that the server shows,
/// and that can be changed.
pub(super) fn with_defaults(
    wanted: &Map<String, Value>,
    found: &Map<String, Value>,
    release: &Release,
) -> Map<String, Value> {
    let mut all = wanted.clone();
    let secure = wanted.get("enable_secure_boot") == Some(&Value::Bool(true));
    for (name, default) in release.defaults() {
        let is_open = found.contains_key(name) && !all.contains_key(name);
        let is_filled_in = secure && BY_SECURE_BOOT.contains(&name);
        if is_open && !is_filled_in && release.has(Feature::Change(name)) {
            all.insert(name.to_owned(), default);
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(version: &str, wanted: Value, found: Value, all: Value) {
        let object = |value: Value| value.as_object().cloned().unwrap_or_default();
        let release = Release::of_text(version);
        let found = with_defaults(&object(wanted), &object(found), &release);
        assert_eq!(Value::from(found), all, "{version}");
    }

    #[test]
    fn what_nobody_says_is_as_it_would_be_made() {
        check(
            "25.10.7",
            json!({"memory": 1, "cpuset": "0-1"}),
            json!({"memory": 2, "cpuset": "0-3", "nodeset": "0", "uuid": "u",
                "pin_vcpus": true, "command_line_args": "-a"}),
            json!({"memory": 1, "cpuset": "0-1", "nodeset": null, "pin_vcpus": false,
                "command_line_args": ""}),
        );
    }

    #[test]
    fn what_one_version_fills_in_and_another_does_not_is_told_apart() {
        let found = json!({"suspend_on_snapshot": true, "bootloader_ovmf": "x",
            "enable_secure_boot": true});
        let firmware = json!({"suspend_on_snapshot": false, "bootloader_ovmf": "OVMF_CODE.fd"});
        check("24.10.2", json!({}), found.clone(), firmware);
        // Firmware is fixed from here on, and the server chooses it.
        let snapshots = |suspend: bool| json!({"suspend_on_snapshot": suspend});
        check("25.10.7", json!({}), found.clone(), snapshots(false));
        check("26.0.0", json!({}), found, snapshots(true));
    }

    #[test]
    fn the_machine_that_secure_boot_needs_is_left_alone() {
        let found = json!({"arch_type": "x86_64", "machine_type": "pc-q35-6.2"});
        let secure = json!({"enable_secure_boot": true});
        check("25.10.7", secure.clone(), found.clone(), secure);
        let taken_back = json!({"arch_type": null, "machine_type": null});
        check("25.10.7", json!({}), found, taken_back);
    }
}
