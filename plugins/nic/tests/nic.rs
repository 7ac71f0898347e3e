//! The device type `nic`, through the contract's own JSON.

#![expect(clippy::indexing_slicing, reason = "helpers of tests fail loudly too")]

use tnvm_nic::NicPlugin;
use tnvm_plugin::testing::{TestRequest, attributes};
use tnvm_plugin::{BootOrder, Subject, Value, json};

fn nics(config: Value) -> TestRequest {
    TestRequest::new().config(config)
}

fn check_error(config: Value, pointer: &str, words: &str) {
    let errors = nics(config).errors::<NicPlugin>();
    assert_eq!(errors.len(), 1, "{errors:#?}");
    assert_eq!(errors[0].pointer, pointer);
    assert!(errors[0].message.contains(words), "{}", errors[0].message);
}

#[test]
fn a_bridge_alone_gives_a_virtio_nic_with_a_derived_mac() {
    let devices = nics(json!({"system": "br68"})).devices::<NicPlugin>();
    let mac = "02:1f:f1:df:f6:5a";
    assert_eq!(
        attributes(&devices[0]),
        json!({"dtype": "NIC", "type": "VIRTIO", "trust_guest_rx_filters": false, "nic_attach": "br68", "mac": mac})
    );
    assert_eq!(devices[0].boot_order, BootOrder::None);
    assert_eq!(
        (
            devices[0].claims[0].kind.as_str(),
            devices[0].claims[0].value.as_str()
        ),
        ("mac", mac)
    );
    assert_eq!(devices[0].claims[0].pointer, "/system");
}

#[test]
fn each_nic_of_each_vm_has_its_own_mac_whatever_the_bridge() {
    let mac = |vm: &str, nic: &str, bridge: &str| {
        let devices = nics(json!({ nic: bridge })).vm(vm).devices::<NicPlugin>();
        attributes(&devices[0])["mac"].clone()
    };
    assert_eq!(
        mac("worker01", "system", "br68"),
        mac("worker01", "system", "br110")
    );
    assert_ne!(
        mac("worker01", "system", "br68"),
        mac("worker01", "storage", "br68")
    );
    assert_ne!(
        mac("worker01", "system", "br68"),
        mac("worker02", "system", "br68")
    );
}

#[test]
fn a_chosen_mac_is_brought_to_the_servers_spelling() {
    let config =
        json!({"storage": {"bridge": "br110", "mac": "00-A0-98-12-34-56", "type": "E1000"}});
    let devices = nics(config).devices::<NicPlugin>();
    assert_eq!(attributes(&devices[0])["mac"], "00:a0:98:12:34:56");
    assert_eq!(attributes(&devices[0])["type"], "E1000");
    assert_eq!(devices[0].claims[0].pointer, "/storage/mac");
}

#[test]
fn a_mac_that_is_left_to_the_server_is_neither_sent_nor_claimed() {
    let config = json!({"lan": {"bridge": "br0", "mac": "server"}});
    let devices = nics(config).devices::<NicPlugin>();
    assert_eq!(
        attributes(&devices[0]),
        json!({"dtype": "NIC", "type": "VIRTIO", "trust_guest_rx_filters": false, "nic_attach": "br0"})
    );
    assert!(devices[0].claims.is_empty());
}

#[test]
fn mistakes_are_found_where_they_are() {
    check_error(json!({"a": ""}), "/a", "no bridge");
    check_error(json!({"a": {"bridge": " "}}), "/a/bridge", "no bridge");
    check_error(json!({"a": {}}), "/a", "missing field `bridge`");
    check_error(json!({"": "br0"}), "/", "a name");
    check_error(
        json!({"a": {"bridge": "br0", "mac": "00a098112233"}}),
        "/a/mac",
        "not a MAC",
    );
    check_error(
        json!({"a": {"bridge": "br0", "mac": "ff:ff:ff:ff:ff:ff"}}),
        "/a/mac",
        "group address",
    );
    let filters = json!({"a": {"bridge": "br0", "type": "E1000", "trust_guest_rx_filters": true}});
    check_error(filters, "/a/trust_guest_rx_filters", "VIRTIO");
}

#[test]
fn a_template_changes_defaults_but_holds_no_mac() {
    let template = |attributes: Value| {
        nics(json!({"a": "br0"})).template(json!({"vm": null, "attributes": attributes}))
    };
    let original = json!({"dtype": "NIC", "type": "VIRTIO", "nic_attach": null, "trust_guest_rx_filters": false});
    assert_eq!(template(original).devices::<NicPlugin>().len(), 1);
    let devices = template(json!({"type": "E1000"})).devices::<NicPlugin>();
    assert_eq!(attributes(&devices[0])["type"], "E1000");
    let errors = template(json!({"mac": "00:a0:98:00:00:01"})).errors::<NicPlugin>();
    assert_eq!(errors[0].subject, Subject::Template);
    let planned = template(json!({"nic_attach": "br9"}))
        .plan::<NicPlugin>()
        .unwrap();
    assert_eq!(planned.warnings.len(), 1);
    assert_eq!(attributes(&planned.devices[0])["nic_attach"], "br0");
}

#[test]
fn what_the_server_adds_is_not_drift() {
    let planned =
        nics(json!({"a": {"bridge": "br0", "mac": "00:a0:98:aa:bb:cc"}})).devices::<NicPlugin>();
    let stored = json!({
        "dtype": "NIC", "type": "VIRTIO", "trust_guest_rx_filters": false,
        "nic_attach": "br0", "mac": "00:A0:98:AA:BB:CC", "pci_address": null,
    });
    let normal = tnvm_plugin::normalize::<NicPlugin>(&stored.to_string()).unwrap();
    let normal: Value = tnvm_plugin::serde_json::from_str(&normal).unwrap();
    assert_eq!(normal, attributes(&planned[0]));
}

#[test]
fn a_mac_nobody_can_read_is_left_as_it_is() {
    let normal =
        tnvm_plugin::normalize::<NicPlugin>(r#"{"dtype": "NIC", "mac": "00a098112233"}"#).unwrap();
    assert!(normal.contains("00a098112233"));
}

#[test]
fn the_shipped_template_changes_nothing() {
    let template = include_str!("../../../templates/devices/nic.json");
    let template = tnvm_plugin::serde_json::from_str(template).unwrap();
    let request = TestRequest::new().config(json!({"a": "br0"}));
    let bare = request.devices::<NicPlugin>();
    let with_template = request.template(template).devices::<NicPlugin>();
    assert_eq!(attributes(&with_template[0]), attributes(&bare[0]));
    assert_eq!(with_template[0].boot_order, bare[0].boot_order);
}
