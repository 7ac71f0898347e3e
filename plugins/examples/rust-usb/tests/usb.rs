//! The device type `usb`, through the contract's own JSON.

use tnvm_plugin::testing::{TestRequest, attributes};
use tnvm_plugin::{Value, json};
use tnvm_usb::UsbPlugin;

fn usb(config: Value) -> TestRequest {
    TestRequest::new().config(config)
}

fn plugged_in() -> Value {
    json!({
        "usb_1_2": {
            "capability": {"vendor": "Yubico", "vendor_id": "0x1050", "product": "Key", "product_id": "0x0407", "bus": "1", "device": "2"},
            "available": true, "error": null,
        },
        "usb_1_3": {"capability": {"vendor_id": "0x0781", "product_id": "0x5583"}, "available": false, "error": "in use by the system"},
    })
}

fn check_error(request: TestRequest, pointer: &str, words: &str) {
    let errors = request.errors::<UsbPlugin>();
    let text = format!("{} {:?}", errors[0].message, errors[0].help);
    assert_eq!(errors[0].pointer, pointer, "{text}");
    assert!(text.contains(words), "{text}");
}

#[test]
fn a_device_is_named_by_what_it_is_or_by_where_it_is() {
    let devices = usb(json!([{"vendor": "0x1050", "product": "0X0407"}])).devices::<UsbPlugin>();
    assert_eq!(devices[0].name, "usb0");
    assert_eq!(
        attributes(&devices[0]),
        json!({"dtype": "USB", "controller_type": "nec-xhci", "usb": {"vendor_id": "0x1050", "product_id": "0x0407"}})
    );
    assert_eq!(devices[0].claims[0].value, "0x1050:0x0407");
    let config = json!({"token": {"device": "usb_1_2", "controller": "qemu-xhci"}});
    let devices = usb(config).devices::<UsbPlugin>();
    assert_eq!(devices[0].name, "token");
    assert_eq!(
        attributes(&devices[0]),
        json!({"dtype": "USB", "controller_type": "qemu-xhci", "device": "usb_1_2"})
    );
    assert_eq!(devices[0].claims[0].pointer, "/token");
}

#[test]
fn what_is_not_plugged_in_is_refused_when_the_fact_was_granted() {
    let absent = json!({"token": {"device": "usb_9_9"}});
    assert_eq!(usb(absent.clone()).devices::<UsbPlugin>().len(), 1);
    check_error(
        usb(absent).fact("usb-choices", plugged_in()),
        "/token",
        "Yubico",
    );
    let taken = json!([{"vendor": "0x0781", "product": "5583"}]);
    check_error(
        usb(taken).fact("usb-choices", plugged_in()),
        "/0",
        "in use by the system",
    );
    let present = json!([{"vendor": "1050", "product": "0407"}]);
    let request = usb(present).fact("usb-choices", plugged_in());
    assert_eq!(request.devices::<UsbPlugin>().len(), 1);
}

#[test]
fn mistakes_are_found_where_they_are() {
    check_error(usb(json!([{}])), "/0", "`vendor` and `product`");
    check_error(usb(json!({"a": {"vendor": "0x1050"}})), "/a", "lsusb");
    check_error(
        usb(json!([{"vendor": "0x1050", "product": "0x407"}])),
        "/0/product",
        "four",
    );
    check_error(
        usb(json!([{"devise": "usb_1_2"}])),
        "/0/devise",
        "unknown field",
    );
    check_error(
        usb(json!([{"device": "a", "controller": "usb4"}])),
        "/0/controller",
        "usb4",
    );
}

#[test]
fn what_the_server_adds_is_not_drift() {
    let planned = usb(json!([{"device": "usb_1_2"}])).devices::<UsbPlugin>();
    let stored =
        json!({"dtype": "USB", "controller_type": "nec-xhci", "device": "usb_1_2", "usb": null});
    let normal = tnvm_plugin::normalize::<UsbPlugin>(&stored.to_string()).unwrap();
    let normal: Value = tnvm_plugin::serde_json::from_str(&normal).unwrap();
    assert_eq!(normal, attributes(&planned[0]));
}
