//! What a field of a VM is when nobody says anything: the arguments of `vm.create` that are left out.
//!
//! A value that a config said once, or a person set by hand, is taken back to this when no config
//! says it; else two servers with the same config would differ for ever.

use serde_json::{Map, Value};

use crate::release::{Feature, Release};

/// What the server fills in itself when secure boot is on and they are left out (`vm.create` and
/// `vm.update`, 25.04.2 and newer).
const BY_SECURE_BOOT: [&str; 2] = ["arch_type", "machine_type"];

/// What servers choose as the firmware where nobody names one: 24.10 and 25.04.2 the first, 25.10
/// and newer the second (`vm.create`). A VM keeps what it was made with when its server is updated.
const FIRMWARE: [&str; 2] = ["OVMF_CODE.fd", "OVMF_CODE_4M.fd"];

/// The same with secure boot (`vm.create`, 25.10 and newer).
const SECURE_FIRMWARE: &str = "OVMF_CODE_4M.secboot.fd";

/// The fields that should be, with the defaults of those that nobody says and that the server shows.
/// What cannot be changed any more is told all the same: the VM is not as the config would make it.
pub(super) fn with_defaults(
    wanted: &Map<String, Value>,
    found: &Map<String, Value>,
    release: &Release,
) -> Map<String, Value> {
    let mut all = wanted.clone();
    let secure = wanted.get("enable_secure_boot") == Some(&Value::Bool(true));
    let is_open = |name: &str| found.contains_key(name) && !wanted.contains_key(name);
    for (name, default) in release.defaults() {
        let is_filled_in = secure && BY_SECURE_BOOT.contains(&name);
        if is_open(name) && !is_filled_in {
            all.insert(name.to_owned(), default);
        }
    }
    let is_fixed = !release.has(Feature::Change("bootloader_ovmf"));
    if is_fixed
        && is_open("bootloader_ovmf")
        && let Some(firmware) = another_firmware(found, secure)
    {
        all.insert("bootloader_ovmf".to_owned(), firmware.into());
    }
    all
}

/// The firmware that the server would choose, where the VM has one that no server chooses. Known of
/// x86 alone.
fn another_firmware(found: &Map<String, Value>, secure: bool) -> Option<&'static str> {
    let text = |name: &str| found.get(name).and_then(Value::as_str);
    if text("arch_type").is_some_and(|arch| arch != "x86_64" && arch != "i686") {
        return None;
    }
    let is = text("bootloader_ovmf")?;
    let [_, usual] = FIRMWARE;
    let is_chosen = FIRMWARE.contains(&is) || (secure && is == SECURE_FIRMWARE);
    (!is_chosen).then_some(if secure { SECURE_FIRMWARE } else { usual })
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
        // Firmware is fixed from here on, and the server chooses it; what it would not choose is told.
        let all = |suspend: bool| {
            json!({"suspend_on_snapshot": suspend, "enable_secure_boot": false,
                "bootloader_ovmf": "OVMF_CODE_4M.fd"})
        };
        check("25.10.7", json!({}), found.clone(), all(false));
        check("26.0.0", json!({}), found, all(true));
    }

    #[test]
    fn firmware_that_a_server_chose_is_no_difference_after_its_update() {
        for (wanted, firmware, told) in [
            (json!({}), "OVMF_CODE.fd", None),
            (json!({}), "OVMF_CODE_4M.fd", None),
            (
                json!({}),
                "OVMF_CODE_4M.secboot.fd",
                Some("OVMF_CODE_4M.fd"),
            ),
            (
                json!({"enable_secure_boot": true}),
                "OVMF_CODE_4M.secboot.fd",
                None,
            ),
            (json!({"enable_secure_boot": true}), "OVMF_CODE.fd", None),
        ] {
            let found = json!({ "bootloader_ovmf": firmware });
            let mut all = wanted.clone();
            if let Some(told) = told {
                all["bootloader_ovmf"] = json!(told);
            }
            check("26.0.0", wanted, found, all);
        }
        let arm = json!({"bootloader_ovmf": "AAVMF_CODE.fd", "arch_type": "aarch64"});
        check(
            "27.0.0",
            json!({"arch_type": "aarch64"}),
            arm,
            json!({"arch_type": "aarch64"}),
        );
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
