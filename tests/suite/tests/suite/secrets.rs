//! No secret in any output. Every run of every test is searched for the lab's own secrets; here the
//! runs are made as talkative as they can be.

use serde_json::json;
use tnvm_simulator::{Fault, TwoFactor, WorldBuilder};
use tnvm_suite::{HttpProxy, Lab};

/// A server that lets in as often as one likes: these are more logins than fit into a minute.
fn unlimited(line: &str, change: impl FnOnce(WorldBuilder) -> WorldBuilder) -> Lab {
    Lab::on(line.parse().unwrap(), |world| {
        change(world).rate_limit(false)
    })
}

/// Runs every command, failing ones too, in both formats and with everything logged.
fn check(lab: &Lab) {
    check_with(lab, &[]);
}

/// The same, with further options.
fn check_with(lab: &Lab, further: &[&str]) {
    lab.example();
    for output in ["table", "json"] {
        for format in ["text", "json"] {
            let options = ["--log-level", "trace", "--log-format", format, "-o", output];
            let run = |command: &[&str]| lab.tnvm(&[command, &options, further].concat());
            // The server repeats what it was given, as validation errors do.
            lab.inject(Fault::fail("vm.device.create", 22, "bad password").containing("5922"));
            let failing = run(&["create"]).ended(1);
            assert!(
                failing.stderr.contains("vm.device.create"),
                "{}",
                failing.shown()
            );
            let _ = run(&["create"]).ended(0);
            let _ = run(&["create", "--dry-run"]).ended(0);
            let _ = run(&["list"]).ended(0);
            let _ = run(&["login"]).ended(0);
            let _ = run(&["destroy", "--yes"]).ended(0);
        }
    }
}

#[test]
fn no_output_shows_the_password_or_the_displays_password() {
    check(&unlimited("25.10", |world| world));
}

#[test]
fn no_output_shows_the_api_key() {
    let mut lab = unlimited("25.10", |world| world);
    let key = lab.server().api_key().to_owned();
    lab.unset("API_PASSWORD").set("TRUENAS_API_KEY", &key);
    check(&lab);
}

#[test]
fn no_output_shows_a_key_that_is_proved_and_not_sent() {
    let mut lab = unlimited("26", |world| world);
    let key = lab.server().api_key().to_owned();
    lab.unset("API_PASSWORD").set("TRUENAS_API_KEY", &key);
    check(&lab);
}

#[test]
fn no_output_shows_a_one_time_code_or_the_password_of_a_proxy() {
    let code = "918273645";
    let mut lab = unlimited("26", |world| {
        world.two_factor("truenas_admin", TwoFactor::with_code(code))
    });
    let proxy = HttpProxy::start();
    let url = format!("http://joe:pr0xy%2Dpassw0rd@{}", proxy.address());
    lab.secret(code).set("TRUENAS_OTP", code);
    lab.secret("pr0xy-passw0rd").secret("pr0xy%2Dpassw0rd");
    // `joe:pr0xy-passw0rd` in base64.
    lab.secret("am9lOnByMHh5LXBhc3N3MHJk")
        .set("TNVM_PROXY", &url);
    // Behind a proxy nothing counts as this machine.
    check_with(&lab, &["--allow-plaintext"]);
    assert!(!proxy.asked().is_empty());
}

#[test]
fn the_search_for_secrets_finds_one() {
    let mut lab = Lab::new();
    lab.example();
    lab.secret("worker03");
    let found = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        lab.tnvm(&["create", "--dry-run"])
    }));
    assert!(found.is_err());
}

#[test]
fn the_displays_password_reaches_the_server_and_only_there() {
    let lab = Lab::new();
    let _ = lab.example().tnvm(&["create"]).ended(0);
    let displays = lab.view().vms.into_values().flat_map(|vm| vm.devices);
    let mut displays = displays.filter(|device| device.attributes["dtype"] == "DISPLAY");
    let password = lab.environment()["VNC_PASSWORD"].clone();
    assert!(displays.all(|device| device.attributes["password"] == json!(password)));
    let rows = lab.tnvm(&["list", "-o", "json"]).ended(0);
    assert!(rows.stdout.contains("(secret)"));
}

#[test]
fn a_password_that_the_server_refuses_is_told_before_the_first_change() {
    const VNC: &str =
        "web: {count: 1, memory: 512MiB, start: false, display: {type: VNC, web: false}}\n";
    for (password, says) in [
        ("NineChars", "longer than the 8 characters"),
        ("   ", "blank"),
    ] {
        let mut lab = Lab::new();
        lab.config(VNC);
        lab.set("VNC_PASSWORD", password);
        if password != "   " {
            lab.secret(password);
        }
        for command in [&["create"][..], &["apply", "--yes"], &["plan"]] {
            let ran = lab.tnvm(command).ended(2);
            ran.says(&[says, "display.display", "config.yaml"]);
        }
        assert_eq!(lab.mutations(), 0);
    }
    // SPICE takes it.
    let mut lab = Lab::new();
    lab.config(&VNC.replace("VNC, web: false", "SPICE"));
    lab.set("VNC_PASSWORD", "NineChars").secret("NineChars");
    let _ = lab.tnvm(&["create"]).ended(0);
}
