//! The device type `display`, through the contract's own JSON.

#![expect(clippy::indexing_slicing, reason = "helpers of tests fail loudly too")]

use tnvm_display::DisplayPlugin;
use tnvm_plugin::testing::{TestRequest, attributes};
use tnvm_plugin::{BootOrder, Subject, Value, json};

fn display(config: Value) -> TestRequest {
    TestRequest::new().config(config)
}

fn check_error(request: TestRequest, pointer: &str, words: &str) {
    let errors = request.errors::<DisplayPlugin>();
    assert_eq!(errors.len(), 1, "{errors:#?}");
    assert_eq!(errors[0].pointer, pointer);
    assert!(errors[0].message.contains(words), "{}", errors[0].message);
}

#[test]
fn without_a_word_there_is_one_with_ports_of_its_own() {
    for request in [
        TestRequest::new(),
        display(json!(true)),
        display(Value::Null),
    ] {
        let devices = request.devices::<DisplayPlugin>();
        assert_eq!(devices.len(), 1);
        let device = &devices[0];
        assert_eq!(
            attributes(device),
            json!({
                "dtype": "DISPLAY", "type": "SPICE", "resolution": "1024x768", "bind": "0.0.0.0",
                "web": true, "wait": false, "port": 5921, "web_port": 6921,
            })
        );
        assert_eq!(device.boot_order, BootOrder::None);
        assert_eq!(device.secrets[0].pointer, "/password");
        assert_eq!(device.secrets[0].secret, "display-password");
        let claims: Vec<_> = device
            .claims
            .iter()
            .map(|claim| claim.value.as_str())
            .collect();
        assert_eq!(claims, ["5921", "6921"]);
    }
}

#[test]
fn a_chosen_port_is_the_first_vms() {
    let devices = display(json!({"port": 7000, "web_port": 7500}))
        .position(0, 3)
        .devices::<DisplayPlugin>();
    assert_eq!(attributes(&devices[0])["port"], 7002);
    assert_eq!(attributes(&devices[0])["web_port"], 7502);
    assert_eq!(devices[0].claims[0].pointer, "/port");
}

#[test]
fn a_port_of_one_vms_own_is_exactly_that() {
    let check = |config: Value, own: Value, expected: [u64; 2]| {
        let request = display(config).own(own).position(0, 2);
        let attributes = attributes(&request.devices::<DisplayPlugin>()[0]);
        assert_eq!(attributes["port"], expected[0]);
        assert_eq!(attributes["web_port"], expected[1]);
    };
    check(json!({"port": 6200}), json!({"port": 6200}), [6200, 7200]);
    check(
        json!({"port": 6200, "web_port": 8000}),
        json!({"port": 6200}),
        [6200, 8001],
    );
    check(
        json!({"port": 6200, "web_port": 8000}),
        json!({"web_port": 8000}),
        [6201, 8000],
    );
    check(
        json!({"port": 6200, "wait": true}),
        json!({"wait": true, "port": null}),
        [6201, 7201],
    );
    check_error(
        display(json!({"port": 6000})).own(json!({"port": 6000})),
        "/port",
        "6000",
    );
}

#[test]
fn the_config_wins_over_the_template_and_that_over_defaults() {
    let template = json!({
        "vm": null,
        "attributes": {"dtype": "DISPLAY", "type": "SPICE", "resolution": "800x600", "bind": "192.168.69.2", "port": null, "password": null},
        "order": 1002,
    });
    let devices = display(json!({"resolution": "1920x1080"}))
        .template(template)
        .devices::<DisplayPlugin>();
    let attributes = attributes(&devices[0]);
    assert_eq!(attributes["resolution"], "1920x1080");
    assert_eq!(attributes["bind"], "192.168.69.2");
    assert_eq!(attributes["port"], 5921);
    assert_eq!(attributes.get("password"), None);
    assert_eq!(devices[0].boot_order, BootOrder::Fixed(1002));
}

#[test]
fn the_password_is_a_reference_wherever_it_stands() {
    let devices = display(json!({"password": "env:SCREEN"})).devices::<DisplayPlugin>();
    assert_eq!(devices[0].secrets[0].secret, "env:SCREEN");
    let template = json!({"attributes": {"password": "file:/run/screen"}});
    let devices = TestRequest::new()
        .template(template)
        .devices::<DisplayPlugin>();
    assert_eq!(devices[0].secrets[0].secret, "file:/run/screen");
    assert!(!devices[0].attributes.contains("screen"));
}

#[test]
fn a_password_in_clear_is_refused_and_not_repeated() {
    let template = TestRequest::new().template(json!({"attributes": {"password": "hunter2"}}));
    for (request, pointer, subject) in [
        (
            display(json!({"password": "hunter2"})),
            "/password",
            Subject::Config,
        ),
        (template, "/attributes/password", Subject::Template),
    ] {
        let errors = request.errors::<DisplayPlugin>();
        assert_eq!(
            (errors[0].pointer.as_str(), errors[0].subject),
            (pointer, subject)
        );
        assert!(!format!("{errors:?}").contains("hunter2"));
    }
}

#[test]
fn vnc_has_no_web_and_needs_25_10() {
    let vnc = || display(json!({"type": "VNC"}));
    let devices = vnc().devices::<DisplayPlugin>();
    assert_eq!(attributes(&devices[0])["web"], false);
    check_error(vnc().target("25.04.2"), "/type", "no VNC");
    check_error(
        display(json!({"type": "VNC", "web": true})),
        "/web",
        "browser",
    );
    let template = json!({"attributes": {"web": true}});
    check_error(vnc().template(template), "/attributes/web", "browser");
}

#[test]
fn mistakes_are_found_where_they_are() {
    check_error(display(json!({"port": 6000})), "/port", "refuses port 6000");
    check_error(display(json!({"port": 80})), "/port", "5900");
    check_error(
        display(json!({"port": 65535})).position(0, 2),
        "/port",
        "65536",
    );
    check_error(display(json!({"port": 65000})), "/port", "web port");
    check_error(
        display(json!({"port": 7000, "web_port": 7000})),
        "/web_port",
        "both 7000",
    );
    check_error(TestRequest::new().position(9999, 1), "", "65535");
    check_error(display(json!({"resolution": "1x1"})), "/resolution", "1x1");
    check_error(display(json!({"bind": "eth0"})), "/bind", "not an address");
    check_error(display(json!({"prot": 1})), "/prot", "unknown field");
    let template = json!({"attributes": {"resolutoin": "800x600"}});
    check_error(
        TestRequest::new().template(template),
        "/attributes/resolutoin",
        "not an attribute",
    );
}

#[test]
fn what_the_server_adds_is_not_drift() {
    let planned = TestRequest::new().devices::<DisplayPlugin>();
    let mut stored = attributes(&planned[0]);
    stored["password"] = json!("********");
    let normal = tnvm_plugin::normalize::<DisplayPlugin>(&stored.to_string()).unwrap();
    let normal: Value = tnvm_plugin::serde_json::from_str(&normal).unwrap();
    assert_eq!(normal, attributes(&planned[0]));
}

#[test]
fn the_schema_lets_it_be_switched_on_aloud() {
    let descriptor = tnvm_plugin::describe::<DisplayPlugin>();
    let schema: Value = tnvm_plugin::serde_json::from_str(&descriptor.config_schema).unwrap();
    assert_eq!(schema["anyOf"][0]["enum"], json!([true, null]));
    assert!(
        schema["$defs"]["Resolution"].is_object(),
        "references still resolve"
    );
}

#[test]
fn the_shipped_template_changes_nothing() {
    let template = include_str!("../../../templates/devices/display.json");
    let template = tnvm_plugin::serde_json::from_str(template).unwrap();
    let request = TestRequest::new().config(json!(true));
    let bare = request.devices::<DisplayPlugin>();
    let with_template = request.template(template).devices::<DisplayPlugin>();
    assert_eq!(attributes(&with_template[0]), attributes(&bare[0]));
    assert_eq!(with_template[0].boot_order, bare[0].boot_order);
}
