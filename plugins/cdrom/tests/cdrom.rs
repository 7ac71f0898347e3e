//! The device type `cdrom`, through the contract's own JSON.

#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "helpers of tests fail loudly too"
)]

use tnvm_cdrom::CdromPlugin;
use tnvm_plugin::testing::{TestRequest, attributes};
use tnvm_plugin::{BootOrder, Value, json};

const ISO: &str = "/mnt/tank/iso/talos.iso";

/// Expects these drives: name and path.
fn check(request: TestRequest, expected: &[(&str, &str)]) {
    let devices = request.devices::<CdromPlugin>();
    let drives: Vec<_> = devices
        .iter()
        .map(|device| {
            (
                device.name.clone(),
                attributes(device)["path"].as_str().unwrap().to_owned(),
            )
        })
        .collect();
    let expected: Vec<_> = expected
        .iter()
        .map(|(name, path)| (name.to_string(), path.to_string()))
        .collect();
    assert_eq!(drives, expected);
}

fn check_error(config: Value, pointer: &str, words: &str) {
    let errors = TestRequest::new().config(config).errors::<CdromPlugin>();
    assert_eq!(errors.len(), 1, "{errors:#?}");
    assert_eq!(errors[0].pointer, pointer);
    assert!(errors[0].message.contains(words), "{}", errors[0].message);
}

#[test]
fn without_a_path_anywhere_there_is_no_drive() {
    check(TestRequest::new(), &[]);
    check(
        TestRequest::new().template(json!({"attributes": {"dtype": "CDROM", "path": null}})),
        &[],
    );
}

#[test]
fn the_storage_section_wins_over_the_template_and_the_config_over_both() {
    let template = json!({"vm": null, "attributes": {"dtype": "CDROM", "path": "/mnt/tank/iso/old.iso"}, "order": 1003});
    let request = TestRequest::new().template(template);
    check(request.clone(), &[("cdrom0", "/mnt/tank/iso/old.iso")]);
    let request = request.storage(json!({ "cdrom_path": ISO }));
    check(request.clone(), &[("cdrom0", ISO)]);
    check(
        request.config(json!("/mnt/tank/iso/new.iso")),
        &[("cdrom0", "/mnt/tank/iso/new.iso")],
    );
}

#[test]
fn every_spelling_gives_the_same_drive() {
    for config in [json!(ISO), json!([ISO]), json!({ "path": ISO })] {
        check(TestRequest::new().config(config), &[("cdrom0", ISO)]);
    }
    let named = json!({"installer": ISO, "drivers": {"path": "/mnt/tank/iso/virtio.iso"}});
    let expected = [("installer", ISO), ("drivers", "/mnt/tank/iso/virtio.iso")];
    check(TestRequest::new().config(named), &expected);
    check(TestRequest::new().config(json!([])), &[]);
}

#[test]
fn drives_boot_after_disks_unless_the_template_has_a_number() {
    let two = TestRequest::new().config(json!([ISO, "/mnt/tank/iso/b.iso"]));
    assert_eq!(two.devices::<CdromPlugin>()[0].boot_order, BootOrder::Cdrom);
    let devices = two.template(json!({"order": 7})).devices::<CdromPlugin>();
    assert_eq!(devices[1].boot_order, BootOrder::Fixed(8));
}

#[test]
fn mistakes_are_found_where_they_are() {
    check_error(json!("talos.iso"), "", "not below /mnt/");
    check_error(json!([ISO, "/mnt/tank/iso/{a}.iso"]), "/1", "brace");
    check_error(
        json!({"path": "/mnt/tank/../etc/passwd"}),
        "/path",
        "names no file",
    );
    check_error(
        json!({"a": {"path": "/mnt/tank/"}}),
        "/a/path",
        "names no file",
    );
    check_error(json!({"a": {"file": ISO}}), "/a/file", "unknown field");
    check_error(json!([ISO, ISO]), "/1", "same image");
    check_error(json!(5), "", "a path, a list of paths");
}

#[test]
fn an_image_in_the_pools_root_is_warned_of_where_the_server_refuses_it() {
    let request = TestRequest::new().config(json!("/mnt/tank/talos.iso"));
    let planned = request.plan::<CdromPlugin>().unwrap();
    assert!(planned.warnings[0].message.contains("root dataset"));
    check(
        request.target("25.10.0"),
        &[("cdrom0", "/mnt/tank/talos.iso")],
    );
}

#[test]
fn the_shipped_template_changes_nothing() {
    let template = include_str!("../../../templates/devices/cdrom.json");
    let template = tnvm_plugin::serde_json::from_str(template).unwrap();
    let request = TestRequest::new().config(json!("/mnt/tank/iso/talos.iso"));
    let bare = request.devices::<CdromPlugin>();
    let with_template = request.template(template).devices::<CdromPlugin>();
    assert_eq!(attributes(&with_template[0]), attributes(&bare[0]));
    assert_eq!(with_template[0].boot_order, bare[0].boot_order);
}
