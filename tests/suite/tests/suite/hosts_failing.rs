//! Several servers of which one fails, is locked or is gone: it stops none of the others.

use serde_json::{Value, json};
use tnvm_simulator::{Effect, Fault};
use tnvm_suite::Hosts;

use super::hosts::{SPREAD, created};

#[test]
fn a_host_that_is_down_stops_none_of_the_others() {
    let mut hosts = Hosts::new(3);
    hosts.config(SPREAD);
    let world = hosts.stop(2);
    let says = [
        "nas2 could not be asked",
        "Host nas2 could not be asked",
        "Host nas3",
    ];
    hosts.unchanged(&["plan"], 3, &says);
    hosts.unchanged(&["plan", "--detailed-exitcode"], 3, &says);
    hosts.unchanged(&["drift"], 3, &says);
    hosts.unchanged(&["plan", "--out", "the.plan"], 3, &["not every host"]);
    assert!(!hosts.lab.folder().join("the.plan").exists());
    let ran = hosts.tnvm(&["create"]).ended(1);
    ran.says(&[
        "nas2 web02 not begun",
        "was not begun: nas2 could not be asked",
        "3 of 5 VMs as planned",
        "Not asked: nas2",
        // Nobody knows whether it is on nas2 already.
        "nas2 was not asked whether it is there already",
    ]);
    assert_eq!(hosts.vms(), [vec!["web01", "web04"], vec!["web03"]]);
    // When there is nothing else to do, that is told all the same.
    hosts.unchanged(&["create"], 1, &["nas2 web02 not begun"]);
    let json = hosts.json(&["apply", "--yes"], 1);
    assert_eq!(json["hosts"][1]["plan"], Value::Null);
    assert_eq!(json["hosts"][1]["vms"][0]["outcome"], "skipped");
    assert!(json["hosts"][1]["error"]["message"].is_string());
    assert_eq!(json["summary"]["success"], false);
    hosts.start(2, world);
    let _ = hosts.tnvm(&["create"]).ended(0);
    assert_eq!(hosts.vms()[1], ["web02", "web05"]);
    hosts.settled();
}

#[test]
fn where_no_host_answers_each_says_why() {
    let mut hosts = Hosts::new(3);
    hosts.config(SPREAD);
    hosts.stop(2);
    hosts.stop(3);
    hosts.unchanged(
        &["create", "--host", "nas2"],
        3,
        &["nas2 could not be asked"],
    );
    hosts.config(&SPREAD.replace("spread", "[nas2, nas3]"));
    hosts.lab.set("API_PASSWORD_NAS1", "wrong");
    hosts.lab.secret("wrong-one");
    let says = [
        "nas1 could not be asked",
        "nas2 could not be asked",
        "nas3 could not be asked",
    ];
    hosts.unchanged(&["create"], 3, &says);
}

#[test]
fn a_vm_that_fails_on_one_host_is_rolled_back_there_and_the_others_go_on() {
    let hosts = Hosts::new(2);
    hosts.config(SPREAD);
    let fault = Fault::fail("vm.device.create", 22, "no such luck").every();
    hosts.server(2).inject(fault);
    let ran = hosts.tnvm(&["create"]).ended(1);
    ran.says(&[
        "nas2 web02 failed, rolled back",
        "nas1 web01 created",
        "3 of 5 VMs",
    ]);
    assert_eq!(hosts.vms(), [vec!["web01", "web03", "web05"], vec![]]);
    assert!(hosts.server(2).view().zvols.is_empty());
}

#[test]
fn a_host_that_is_lost_midway_stops_none_of_the_others() {
    let hosts = Hosts::new(2);
    hosts.config(SPREAD);
    // It closes the connection, and lets nobody in again.
    hosts
        .server(2)
        .inject(Fault::on("vm.create", Effect::DropBeforeCommit));
    hosts
        .server(2)
        .inject(Fault::fail("auth.login_ex", 16, "gone").onwards_from(2));
    let ran = hosts.tnvm(&["create"]).ended(1);
    ran.says(&["nas1 web05 created", "nas2 web04"]);
    assert_eq!(hosts.vms()[0], ["web01", "web03", "web05"]);
}

#[test]
fn a_lock_that_another_holds_on_one_host_keeps_the_run_from_all() {
    let hosts = Hosts::new(3);
    hosts.config(SPREAD);
    let far = json!({"group": "lab", "user": "alice", "host": "faraway", "machine": "0", "pid": 1,
        "started": 1, "command": "apply", "since": 1, "expires": 99_999_999_999_u64, "tnvm": "9"});
    let properties = |number: usize| {
        hosts
            .server(number)
            .change(|world| world.datasets["storage"].user_properties.clone())
    };
    hosts.server(2).change(|world| {
        let root = world.datasets.get_mut("storage").unwrap();
        let properties = &mut root.user_properties;
        properties.insert("tnvm:lock-faraway".into(), far.to_string());
    });
    let ran = hosts.tnvm(&["create"]).ended(4);
    ran.says(&["nas2: nothing was changed", "alice", "faraway"]);
    assert_eq!(hosts.vms(), [vec![""; 0], vec![], vec![]]);
    // What was taken on the way is given back.
    assert!(properties(1).is_empty() && properties(3).is_empty());
    let ran = hosts.tnvm(&["create", "--force-unlock"]).ended(0);
    ran.says(&["nas2: removing the lock of group lab"]);
    assert!((1..=3).all(|number| properties(number).is_empty()));
    hosts.settled();
}

#[test]
fn restarts_take_turns_over_all_hosts() {
    let hosts = created(2, SPREAD);
    hosts.config(&SPREAD.replace("1GiB", "2GiB"));
    let says = ["restarts web01, web03, web05, web02, web04"];
    hosts.unchanged(&["apply", "--restart"], 4, &says);
    // One does not come back: none is begun after it, on whichever host.
    hosts
        .server(1)
        .inject(Fault::fail("vm.start", 14, "no luck").every());
    let ran = hosts.tnvm(&["apply", "--restart", "--yes"]).ended(1);
    ran.says(&["nas2", "not begun"]);
    let restarted = hosts.server(2).journal().count("vm.stop");
    assert!(restarted < 2, "{}", ran.shown());
}

#[test]
fn ctrl_c_ends_the_work_on_all_hosts_and_the_same_command_goes_on() {
    let hosts = Hosts::new(2);
    hosts.config(SPREAD);
    for number in [1, 2] {
        let delay = Effect::Delay { ms: 400 };
        hosts
            .server(number)
            .inject(Fault::on("vm.create", delay).every());
    }
    let running = hosts.lab.spawn(&["create", "--concurrency", "1"]);
    hosts
        .lab
        .wait_until("a VM", |journal| journal.count("vm.create") > 0);
    running.interrupt();
    running
        .wait()
        .ended(130)
        .says(&["Interrupted", "not begun"]);
    assert!(hosts.vms().concat().len() < 5);
    for number in [1, 2] {
        let left = hosts.server(number).change(|world| {
            let root = &world.datasets["storage"];
            root.user_properties.len()
        });
        assert_eq!(left, 0);
    }
    let _ = hosts.tnvm(&["create"]).ended(0);
    hosts.settled();
}

#[test]
fn a_refusal_on_one_host_is_told_with_its_name_before_any_change() {
    let hosts = Hosts::new(2);
    hosts.config(SPREAD);
    hosts
        .server(2)
        .change(|world| world.interfaces.retain(|one| one.name != "br0"));
    hosts.unchanged(&["create"], 2, &["nas2: web02 and web04", "br0"]);
    hosts.config(&SPREAD.replace("br0", "br68"));
    let _ = hosts.tnvm(&["create"]).ended(0);
}
