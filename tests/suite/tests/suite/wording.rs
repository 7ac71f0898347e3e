//! What people see, word for word. Change the wording, look at the difference, and accept it with
//! `INSTA_UPDATE=always cargo test -p tnvm-suite wording`; CI never accepts one by itself.

use tnvm_simulator::Fault;
use tnvm_suite::Lab;

/// One call at a time, so that ids and lines come in one order.
fn check(name: &str, lab: &Lab, arguments: &[&str]) {
    let ran = lab.tnvm(&[arguments, &["--concurrency", "1"]].concat());
    let settings = {
        let mut settings = insta::Settings::clone_current();
        settings.add_filter(r"\d+\.\d s\b", "[time]");
        settings.add_filter(r"\d{4}-\d\d-\d\dT[\d:.]+Z", "[now]");
        settings.add_filter(r"127\.0\.0\.1:\d{5}", "127.0.0.1:[port]");
        settings.set_prepend_module_to_snapshot(false);
        settings
    };
    settings.bind(|| insta::assert_snapshot!(name, ran.shown()));
}

#[test]
fn of_a_create_its_repetition_and_a_destroy() {
    let lab = Lab::new();
    lab.example();
    check("create_dry_run", &lab, &["create", "--dry-run"]);
    check("create", &lab, &["create"]);
    check("create_again", &lab, &["create"]);
    check("destroy_unconfirmed", &lab, &["destroy"]);
    check("destroy", &lab, &["destroy", "--yes"]);
    check("destroy_again", &lab, &["destroy", "--yes"]);
}

#[test]
fn of_a_failing_create() {
    let lab = Lab::new();
    lab.inject(Fault::fail("vm.device.create", 14, "no luck").containing("5922"));
    lab.example();
    check("create_failing", &lab, &["create"]);
}

#[test]
fn of_mistakes_in_a_config() {
    let lab = Lab::new();
    lab.config("worker:\n  count: -1\n  memroy: 3\n  disk: 15\nweb-node: {count: 1}\n");
    check("create_mistaken", &lab, &["create"]);
}
