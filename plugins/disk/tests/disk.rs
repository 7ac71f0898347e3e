//! The device type `disk`, through the contract's own JSON.

#![expect(clippy::indexing_slicing, reason = "helpers of tests fail loudly too")]

use tnvm_disk::DiskPlugin;
use tnvm_plugin::testing::{TestRequest, attributes};
use tnvm_plugin::{BootOrder, GIB, KIB, Subject, Value, json};

fn disks(config: Value) -> TestRequest {
    TestRequest::new().config(config)
}

/// Expects one error there whose message or help contains `words`.
fn check_error(request: TestRequest, pointer: &str, words: &str) {
    let errors = request.errors::<DiskPlugin>();
    assert_eq!(errors.len(), 1, "{errors:#?}");
    let text = format!("{} {:?}", errors[0].message, errors[0].help);
    assert_eq!(errors[0].pointer, pointer, "{text}");
    assert!(text.contains(words), "{text}");
}

#[test]
fn a_size_alone_makes_a_sparse_zvol_named_by_position() {
    let devices = TestRequest::new()
        .config_text(r#"{"system": 15, "a": "600GiB"}"#)
        .devices::<DiskPlugin>();
    assert_eq!(devices.len(), 2);
    assert_eq!(
        devices[1].name, "a",
        "the order is the user's, not the alphabet's"
    );
    let volume = devices[1].volume.as_ref().unwrap();
    assert_eq!(volume.dataset, "tank/vms/worker01-disk1");
    assert_eq!((volume.size, volume.sparse), (600 * GIB, true));
    assert_eq!(volume.block_size, None);
    assert_eq!(
        attributes(&devices[0]),
        json!({"dtype": "DISK", "type": "VIRTIO", "iotype": "THREADS", "path": "/dev/zvol/tank/vms/worker01-disk0"})
    );
    assert_eq!(devices[0].boot_order, BootOrder::Disk);
    assert_eq!(devices[0].claims[0].kind, "dataset");
    assert_eq!(devices[0].claims[0].pointer, "/system");
}

#[test]
fn everything_can_be_said() {
    let devices = disks(json!({"system": {
        "size": "15G", "sparse": false, "block_size": "64KiB", "type": "AHCI",
        "iotype": "IO_URING", "logical_sectorsize": 512, "physical_sectorsize": 4096,
    }}))
    .devices::<DiskPlugin>();
    let volume = devices[0].volume.as_ref().unwrap();
    assert_eq!(
        (volume.sparse, volume.block_size.as_deref()),
        (false, Some("64K"))
    );
    let attributes = attributes(&devices[0]);
    assert_eq!(attributes["type"], "AHCI");
    assert_eq!(attributes["iotype"], "IO_URING");
    assert_eq!(attributes["physical_sectorsize"], 4096);
}

#[test]
fn a_template_changes_defaults_and_the_config_wins_over_it() {
    let template = json!({
        "vm": null,
        "attributes": {"dtype": "DISK", "type": "AHCI", "create_zvol": true, "zvol_name": null, "zvol_volsize": null},
        "order": 5,
    });
    let devices = disks(json!({"a": 1, "b": {"size": 1, "type": "VIRTIO"}}))
        .template(template)
        .devices::<DiskPlugin>();
    let types: Vec<_> = devices
        .iter()
        .map(|disk| attributes(disk)["type"].clone())
        .collect();
    assert_eq!(types, ["AHCI", "VIRTIO"]);
    assert_eq!(devices[1].boot_order, BootOrder::Fixed(6));
    assert!(
        !devices[0].attributes.contains("zvol_"),
        "tnvm makes the zvol itself"
    );
}

#[test]
fn an_existing_zvol_is_taken_as_it_is() {
    for path in ["tank/my vms/golden", "/dev/zvol/tank/my+vms/golden"] {
        let devices = disks(json!({"system": {"path": path}})).devices::<DiskPlugin>();
        assert_eq!(devices[0].volume, None);
        assert_eq!(
            attributes(&devices[0])["path"],
            "/dev/zvol/tank/my+vms/golden"
        );
        assert_eq!(devices[0].claims[0].value, "tank/my vms/golden");
    }
}

#[test]
fn spaces_in_the_pool_path_are_written_as_the_server_does() {
    let devices = disks(json!({"system": 1}))
        .storage(json!({"pool_path": "tank/my vms/"}))
        .devices::<DiskPlugin>();
    assert_eq!(
        attributes(&devices[0])["path"],
        "/dev/zvol/tank/my+vms/worker01-disk0"
    );
    assert_eq!(
        devices[0].volume.as_ref().unwrap().dataset,
        "tank/my vms/worker01-disk0"
    );
}

#[test]
fn a_size_that_is_no_multiple_is_refused_with_the_next() {
    let config = json!({"a": {"size": "10001KiB", "block_size": "16K"}});
    check_error(disks(config), "/a/size", "10016KiB");
    check_error(disks(json!({"a": "10001KiB"})), "/a", "10112KiB");
    let next = 10112 * KIB;
    let devices = disks(json!({"a": format!("{next}B")})).devices::<DiskPlugin>();
    assert_eq!(devices[0].volume.as_ref().unwrap().size, next);
}

#[test]
fn mistakes_are_found_where_they_are() {
    check_error(disks(json!({"a": {}})), "/a", "no size");
    check_error(
        disks(json!({"a": {"size": 1, "sise": 2}})),
        "/a/sise",
        "unknown field",
    );
    check_error(disks(json!({"a": "big"})), "/a", "not a size");
    check_error(disks(json!({"a": 0})), "/a", "more than 0");
    check_error(disks(json!({"": 1})), "/", "a name");
    check_error(
        disks(json!({"a": {"size": 1, "block_size": "48K"}})),
        "/a/block_size",
        "power of two",
    );
    check_error(
        disks(json!({"a": {"size": 1, "block_size": "256K"}})),
        "/a/block_size",
        "128K",
    );
    check_error(
        disks(json!({"a": {"size": 1, "path": "tank/x"}})),
        "/a/size",
        "exists",
    );
    check_error(
        disks(json!({"a": {"path": "golden"}})),
        "/a/path",
        "POOL/DATASET",
    );
    check_error(
        disks(json!({"a": {"size": 1, "type": "IDE"}})),
        "/a/type",
        "IDE",
    );
    let sectors = json!({"a": {"size": 1, "physical_sectorsize": 4096}});
    check_error(disks(sectors), "/a/physical_sectorsize", "needs");
    let sectors = json!({"a": {"size": 1, "logical_sectorsize": 4096, "physical_sectorsize": 512}});
    check_error(disks(sectors), "/a/physical_sectorsize", "more than");
    let sectors = json!({"a": {"size": 1, "logical_sectorsize": 1024}});
    check_error(disks(sectors), "/a/physical_sectorsize", "512 or 4096");
}

#[test]
fn all_disks_mistakes_are_told_at_once() {
    let request = disks(json!({"a": {}, "b": 1, "c": {"path": "x"}}));
    assert_eq!(request.errors::<DiskPlugin>().len(), 2);
}

#[test]
fn the_pool_path_must_be_a_dataset() {
    let without = |storage| disks(json!({"a": 1})).storage(storage);
    check_error(without(json!({})), "", "storage.pool_path");
    check_error(
        without(json!({"pool_path": "/mnt/tank/vms"})),
        "",
        "without `/mnt/`",
    );
    check_error(
        without(json!({"pool_path": "tank//vms"})),
        "",
        "not the name",
    );
    let long = format!("tank/{}", "x".repeat(190));
    check_error(without(json!({"pool_path": long})), "/a", "200 characters");
}

#[test]
fn a_template_with_unknown_keys_or_a_path_is_refused() {
    for (attributes, pointer) in [
        (
            json!({"dtype": "DISK", "iotyp": "NATIVE"}),
            "/attributes/iotyp",
        ),
        (
            json!({"dtype": "DISK", "iotype": "FAST"}),
            "/attributes/iotype",
        ),
        (
            json!({"dtype": "DISK", "path": "/dev/zvol/tank/x"}),
            "/attributes/path",
        ),
        (json!({"dtype": "NIC"}), "/attributes/dtype"),
    ] {
        let errors = disks(json!({"a": 1}))
            .template(json!({ "attributes": attributes }))
            .errors::<DiskPlugin>();
        assert_eq!(errors[0].pointer, pointer);
        assert_eq!(errors[0].subject, Subject::Template);
    }
}

#[test]
fn what_the_server_adds_is_not_drift() {
    let planned = disks(json!({"a": 1})).devices::<DiskPlugin>();
    let mut stored = attributes(&planned[0]);
    for (key, value) in [
        ("create_zvol", json!(false)),
        ("zvol_name", Value::Null),
        ("zvol_volsize", Value::Null),
        ("logical_sectorsize", Value::Null),
        ("physical_sectorsize", Value::Null),
        ("serial", json!("Ab3dEf9h")),
    ] {
        stored[key] = value;
    }
    let normal = tnvm_plugin::normalize::<DiskPlugin>(&stored.to_string()).unwrap();
    let normal: Value = tnvm_plugin::serde_json::from_str(&normal).unwrap();
    assert_eq!(normal, attributes(&planned[0]));
}

#[test]
fn the_schema_takes_both_forms() {
    let descriptor = tnvm_plugin::describe::<DiskPlugin>();
    assert_eq!(
        (descriptor.key.as_str(), descriptor.applies_by_default),
        ("disk", false)
    );
    let schema: Value = tnvm_plugin::serde_json::from_str(&descriptor.config_schema).unwrap();
    assert_eq!(
        schema["additionalProperties"]["anyOf"][0]["type"],
        json!(["integer", "string"])
    );
}

#[test]
fn the_shipped_template_changes_nothing() {
    let template = include_str!("../../../templates/devices/disk.json");
    let template = tnvm_plugin::serde_json::from_str(template).unwrap();
    let request = TestRequest::new().config(json!({"a": 1}));
    let bare = request.devices::<DiskPlugin>();
    let with_template = request.template(template).devices::<DiskPlugin>();
    assert_eq!(attributes(&with_template[0]), attributes(&bare[0]));
    assert_eq!(with_template[0].boot_order, bare[0].boot_order);
}
