//! Device types of others: granted, pinned, contained.

use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};
use tnvm_suite::{Lab, plugin};

const BASE: &str = "storage: {pool_path: tank/kubernetes}\n";
const VM: &str = "worker: {count: 1, cpu: 1, memory: 1GiB, display: false, disk: {a: 1}";

/// A lab with this plugin in `plugins/`, its config, and the plugin's SHA-256.
fn lab(name: &str, before: &str, key: &str) -> (Lab, String) {
    let lab = Lab::new();
    std::fs::create_dir(lab.folder().join("plugins")).unwrap();
    let copy = lab.folder().join(format!("plugins/{name}.wasm"));
    std::fs::copy(plugin(name), &copy).unwrap();
    let digest = Sha256::digest(std::fs::read(copy).unwrap());
    let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    let before = before.replace("DIGEST", &digest);
    lab.write("config.yaml", &format!("{BASE}{before}{VM}, {key}}}\n"));
    (lab, digest)
}

const FOLDER: [&str; 2] = ["--plugins-dir", "plugins"];
const USB: &str = "usb: [{vendor: '0x1050', product: '0x0407'}]";

fn has_usb(lab: &Lab) -> bool {
    let devices = &lab.view().vms["worker01"].devices;
    devices
        .iter()
        .any(|device| device.attributes["dtype"] == "USB")
}

#[test]
fn a_plugin_from_a_folder_makes_its_device() {
    let (lab, _) = lab("usb", "", USB);
    let _ = lab.tnvm(&["create", "--plugins-dir", "plugins"]).ended(0);
    assert!(has_usb(&lab));
    lab.settled(&FOLDER);
    let listed = lab.tnvm(&["plugin", "list", "--plugins-dir", "plugins"]);
    listed.ended(0).says(&["usb", "disk", "cdrom"]);
}

#[test]
fn a_plugin_in_the_config_is_pinned_and_granted_its_facts() {
    let entry = "plugins: {usb: {path: plugins/usb.wasm, sha256: DIGEST, facts: [usb-choices]}}\n";
    let (lab, _) = lab("usb", entry, USB);
    let _ = lab.tnvm(&["create"]).ended(0);
    assert!(has_usb(&lab));
    lab.settled(&[]);
}

#[test]
fn a_granted_fact_tells_of_a_device_that_is_not_plugged_in() {
    let entry = "plugins: {usb: {path: plugins/usb.wasm, sha256: DIGEST, facts: [usb-choices]}}\n";
    let (lab, _) = lab("usb", entry, "usb: [{vendor: '0x1111', product: '0x2222'}]");
    let ran = lab.tnvm(&["create", "--dry-run"]);
    ran.says(&["1111"]);
    assert_eq!(lab.mutations(), 0);
}

#[test]
fn without_the_plugin_its_key_is_unknown() {
    let (lab, _) = lab("usb", "", USB);
    lab.tnvm(&["create"])
        .ended(2)
        .says(&["`usb`", "help:", "--plugins-dir", "config.yaml:2:"]);
    assert!(lab.is_untouched());
}

#[test]
fn another_file_than_the_pinned_one_is_refused_and_both_digests_are_shown() {
    let wrong = "0123456789abcdef".repeat(4);
    let entry = format!("plugins: {{usb: {{path: plugins/usb.wasm, sha256: {wrong:?}}}}}\n");
    let (lab, digest) = lab("usb", &entry, USB);
    let ran = lab.tnvm(&["create"]).ended(2);
    ran.says(&[&wrong, &digest]);
    assert!(lab.is_untouched());
}

#[test]
fn two_vms_cannot_have_the_same_usb_device() {
    let (lab, _) = lab("usb", "", USB);
    let ran = lab.tnvm(&[
        "create",
        "--plugins-dir",
        "plugins",
        "--set",
        "worker.count=2",
    ]);
    ran.ended(2).says(&["worker01", "worker02", "usb"]);
    assert!(lab.is_untouched());
}

#[test]
fn a_misdeed_of_a_plugin_ends_planning_and_nothing_else() {
    for (misdeed, says) in [
        ("loop", "longer than 2s"),
        ("allocate", "MiB"),
        ("recurse", "stack"),
        ("panic", "told to panic"),
        ("huge-result", "1048576 bytes"),
        ("no-kind", "dtype"),
    ] {
        let (lab, _) = lab("hostile", "", &format!("hostile: {{do: {misdeed}}}"));
        let began = Instant::now();
        let ran = lab.tnvm(&["create", "--plugins-dir", "plugins"]).ended(2);
        assert!(began.elapsed() < Duration::from_secs(30), "{misdeed}");
        ran.says(&["hostile", "worker01", says]);
        ran.hides(&["backtrace"]);
        assert!(lab.is_untouched(), "{misdeed}");
    }
}

#[test]
fn a_plugin_that_failed_for_one_vm_is_not_asked_for_the_others() {
    let (lab, _) = lab("hostile", "", "hostile: {do: panic}");
    let ran = lab
        .tnvm(&[
            "create",
            "--plugins-dir",
            "plugins",
            "--set",
            "worker.count=9",
        ])
        .ended(2);
    ran.says(&["worker01", "1 error; nothing was changed"]);
    ran.hides(&["worker02"]);
}

#[test]
fn a_plugin_that_nobody_asks_does_no_harm() {
    let (lab, _) = lab("hostile", "", "network: {lan: br0}");
    let _ = lab.tnvm(&["create", "--plugins-dir", "plugins"]).ended(0);
    assert!(lab.view().vms["worker01"].running);
    lab.settled(&FOLDER);
}

#[test]
fn a_file_that_is_no_plugin_is_refused() {
    let (lab, _) = lab("usb", "", USB);
    lab.write("plugins/broken.wasm", "no component");
    let ran = lab.tnvm(&["create", "--plugins-dir", "plugins"]).ended(2);
    ran.says(&["broken.wasm"]);
    assert!(lab.is_untouched());
}
