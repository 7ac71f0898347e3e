//! `--connections`: the same VMs over several connections, and what happens when they are lost.

use std::time::Duration;

use tnvm_simulator::{Effect, Fault};
use tnvm_suite::Lab;

/// Enough work for more than one connection.
const VMS: &str = "web: {count: 12, cpu: 1, memory: 256MiB, disk: {system: 1GiB, data: 1GiB}, network: {lan: br0}}\n";

fn slow(latency_ms: u64) -> Lab {
    let lab = Lab::slow(Duration::from_millis(latency_ms));
    lab.config(VMS);
    lab
}

#[test]
fn several_connections_make_what_one_makes() {
    let lab = slow(20);
    let ran = lab
        .tnvm(&["create", "--connections", "4", "-o", "json"])
        .ended(0);
    let journal = lab.journal();
    assert_eq!(journal.connections().len(), 4, "{}", ran.shown());
    assert!(
        journal
            .connections()
            .values()
            .all(|one| one.logins == 1 && one.calls > 20),
        "{:?}",
        journal.connections()
    );
    assert!(journal.peak_in_flight() <= 14);
    // The calls of all of them are counted, logouts apart.
    let summary = &ran.json()["summary"];
    let counted = ["reading_calls", "mutating_calls"].map(|name| summary[name].as_u64().unwrap());
    let logouts = journal.count("auth.logout");
    assert_eq!(
        usize::try_from(counted.iter().sum::<u64>()).unwrap(),
        journal.calls().len() - logouts
    );
    assert_eq!(logouts, 4);
    assert_eq!(lab.view().vms.len(), 12);
    lab.settled(&["--connections", "4"]);
    let _ = lab
        .tnvm(&["destroy", "--yes", "--connections", "4"])
        .ended(0);
    assert!(lab.view().vms.is_empty());
}

#[test]
fn what_little_there_is_to_do_needs_one_login() {
    let lab = slow(0);
    for command in [
        &["create", "--dry-run"] as &[&str],
        &["plan"],
        &["list"],
        &["create", "--only", "web01"],
        &["create", "--concurrency", "1", "--only", "web02"],
    ] {
        let before = lab.journal().logins();
        let _ = lab
            .tnvm(&[command, &["--connections", "8"]].concat())
            .ended(0);
        assert_eq!(lab.journal().logins(), before + 1, "{command:?}");
    }
}

#[test]
fn a_server_that_lets_no_further_connection_in_gets_the_work_over_one() {
    let lab = slow(20);
    for nth in 2..=4 {
        let refused = Effect::Pretend {
            result: serde_json::json!({"response_type": "DENIED"}),
        };
        lab.inject(Fault::on("auth.login_ex", refused).nth(nth));
    }
    let ran = lab.tnvm(&["create", "--connections", "4"]).ended(0);
    ran.says(&["no further connection can be opened"]);
    assert_eq!(ran.stderr.matches("no further connection").count(), 1);
    assert_eq!(lab.journal().logins(), 1);
    assert_eq!(lab.view().vms.len(), 12);
}

#[test]
fn a_run_over_many_connections_rides_out_a_restart_without_too_many_logins() {
    let lab = slow(20);
    let running = lab.spawn(&["create", "--connections", "8"]);
    lab.wait_until("all connections", |journal| {
        journal.connections().len() == 8
    });
    lab.wait_until("a device", |journal| journal.count("vm.device.create") > 9);
    lab.block_on(lab.server().restart(Duration::from_millis(300)));
    let _ = running.wait().ended(0);
    let logins = lab.journal().count("auth.login_ex");
    assert!((9..=16).contains(&logins), "{logins}");
    lab.settled(&[]);
}

#[test]
fn how_many_connections_there_may_be_is_limited() {
    let lab = slow(0);
    for wrong in ["0", "9"] {
        lab.tnvm(&["create", "--connections", wrong])
            .ended(2)
            .says(&["1..=8"]);
    }
    assert!(lab.is_untouched());
}
