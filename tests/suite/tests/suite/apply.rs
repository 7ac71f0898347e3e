//! `plan`, `apply` and `drift`: consent, saved plans, selection, protection, and what is refused.

use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use serde_json::{Value, json};
use tnvm_simulator::{Effect, Fault, Kind, WorldView};
use tnvm_suite::Lab;

const THREE: &str = "web: {count: 3, cpu: 1, memory: 1GiB, disk: {a: 1}, network: {lan: br0}}\n";

fn created(types: &str) -> Lab {
    let lab = Lab::new();
    let _ = lab.config(types).tnvm(&["create"]).ended(0);
    lab
}

/// Runs what must change nothing.
#[track_caller]
fn check_unchanged(lab: &Lab, arguments: &[&str], code: i32, says: &[&str]) {
    let before: (WorldView, usize) = (lab.view(), lab.mutations());
    lab.tnvm(arguments).ended(code).says(says);
    assert_eq!((lab.view(), lab.mutations()), before);
}

/// Saves a plan for these types, which must have something to do.
#[track_caller]
fn saved(lab: &Lab, types: &str, options: &[&str]) -> String {
    let before = lab.mutations();
    lab.config(types);
    let ran = lab.tnvm(&[&["plan", "--out", "the.plan"], options].concat());
    ran.ended(0).says(&["saved", "tnvm apply the.plan"]);
    assert_eq!(lab.mutations(), before);
    std::fs::read_to_string(lab.folder().join("the.plan")).unwrap()
}

#[test]
fn a_plan_says_by_its_exit_code_whether_there_is_something_to_do() {
    let lab = created(THREE);
    check_unchanged(&lab, &["plan", "--detailed-exitcode"], 0, &["No changes"]);
    lab.config(&THREE.replace("1GiB", "2GiB"));
    check_unchanged(&lab, &["plan", "--detailed-exitcode"], 2, &["web01"]);
    check_unchanged(&lab, &["plan"], 0, &["web01", "memory"]);
    // What is mistaken must not pass for a difference.
    check_unchanged(
        &lab,
        &["plan", "--detailed-exitcode", "--only", "wbe"],
        1,
        &["web"],
    );
    check_unchanged(&lab, &["plan", "--detailed-exitcode", "--no-such"], 1, &[]);
    lab.config("web: {count: -1}\n");
    check_unchanged(&lab, &["plan", "--detailed-exitcode"], 1, &["config.yaml"]);
    check_unchanged(&lab, &["plan"], 2, &["config.yaml"]);
}

#[test]
fn a_plan_without_a_server_needs_none() {
    let mut lab = Lab::new();
    lab.config(THREE);
    lab.unset("TRUENAS_HOST").unset("TRUENAS_API_KEY");
    check_unchanged(&lab, &["plan", "--offline"], 0, &["3 to create"]);
    check_unchanged(
        &lab,
        &["plan", "--offline", "--only", "web02"],
        0,
        &["1 to create"],
    );
}

#[test]
fn what_takes_something_away_asks_and_names_it() {
    let lab = created(THREE);
    lab.config(&THREE.replace("count: 3", "count: 1"));
    let says = ["removes web02, web03", "--yes", "nothing was changed"];
    check_unchanged(&lab, &["apply"], 4, &says);
    check_unchanged(&lab, &["apply", "-o", "json"], 4, &says);
    let _ = lab.apply(&[]).ended(0);
    assert_eq!(lab.view().vm_names(), ["web01"]);
    lab.settled(&[]);

    lab.config(
        &THREE
            .replace("count: 3", "count: 1")
            .replace("1GiB", "2GiB"),
    );
    check_unchanged(&lab, &["apply", "--restart"], 4, &["restarts web01"]);
    // A change that waits takes nothing away.
    let _ = lab.tnvm(&["apply"]).ended(0);
}

#[test]
fn only_what_is_chosen_is_touched() {
    let both = format!("{THREE}db: {{count: 2, cpu: 1, memory: 1GiB, network: {{lan: br0}}}}\n");
    let lab = created(&both);
    lab.config(&both.replace("1GiB", "2GiB"));
    check_unchanged(
        &lab,
        &["apply", "--only", "wbe"],
        2,
        &["--only wbe", "did you mean `web`"],
    );
    let _ = lab
        .tnvm(&["apply", "--only", "web02", "--only", "d*"])
        .ended(0);
    let changed: Vec<String> = lab
        .view()
        .vms
        .into_iter()
        .filter(|(_, vm)| vm.config["memory"] == 2048)
        .map(|(name, _)| name)
        .collect();
    assert_eq!(changed, ["db01", "db02", "web02"]);
    // Nothing to destroy is chosen by a name of another group.
    check_unchanged(
        &lab,
        &["destroy", "--yes", "--only", "other"],
        2,
        &["--only other"],
    );
    let _ = lab.tnvm(&["destroy", "--yes", "--only", "db"]).ended(0);
    assert_eq!(lab.view().vm_names(), ["web01", "web02", "web03"]);
}

#[test]
fn what_was_changed_by_hand_is_shown_and_set_back() {
    let lab = created(THREE);
    check_unchanged(&lab, &["drift"], 0, &["No changes"]);
    lab.change(|world| {
        let id = world.vm_named("web02").unwrap();
        let vm = world.vms.get_mut(&id).unwrap();
        vm.config.insert("memory".into(), json!(4096));
        let id = world.vm_named("web03").unwrap();
        let devices = world.devices.values_mut();
        for device in devices.filter(|one| one.vm == id && one.attributes["dtype"] == "NIC") {
            device.attributes.insert("nic_attach".into(), json!("br68"));
        }
    });
    let says = ["web02", "memory", "web03", "nic_attach", "br68", "br0"];
    check_unchanged(&lab, &["drift"], 2, &says);
    check_unchanged(&lab, &["drift", "--only", "web01"], 0, &["No changes"]);
    check_unchanged(&lab, &["drift", "--only", "wbe"], 1, &["--only wbe"]);
    let _ = lab.apply(&[]).ended(0);
    check_unchanged(&lab, &["drift"], 0, &["No changes"]);
    // What an apply would refuse to undo is a difference too.
    lab.change(|world| {
        let zvol = world
            .datasets
            .get_mut("tank/kubernetes/web01-disk0")
            .unwrap();
        let Kind::Volume { size, .. } = &mut zvol.kind else {
            panic!("not a zvol");
        };
        *size = 5 << 30;
    });
    check_unchanged(&lab, &["drift"], 2, &["would shrink"]);
    check_unchanged(
        &lab,
        &["apply", "--yes"],
        4,
        &["would shrink", "nothing was changed"],
    );
}

#[test]
fn a_saved_plan_is_carried_out_as_it_is() {
    let lab = created(THREE);
    let more = THREE
        .replace("count: 3", "count: 4")
        .replace("disk: {a: 1}", "disk: {a: 2}");
    let text = saved(&lab, &more, &[]);
    assert!(!text.contains("VncLab42"), "{text}");
    let file = lab.folder().join("the.plan");
    let mode = std::fs::metadata(&file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    // The config is no matter any more.
    lab.config("other: {count: 9}\n");
    lab.tnvm(&["apply", "the.plan"]).ended(0).says(&["4 of 4"]);
    lab.config(&more);
    lab.settled(&[]);
    // Done is done: the plan is stale now.
    check_unchanged(
        &lab,
        &["apply", "the.plan"],
        4,
        &["the.plan", "no longer as it was", "web04"],
    );
}

#[test]
fn a_saved_plan_with_removals_asks_all_the_same() {
    let lab = created(THREE);
    let _ = saved(&lab, &THREE.replace("count: 3", "count: 2"), &[]);
    check_unchanged(&lab, &["apply", "the.plan"], 4, &["removes web03"]);
    let _ = lab.tnvm(&["apply", "--yes", "the.plan"]).ended(0);
    assert_eq!(lab.view().vm_names(), ["web01", "web02"]);
}

#[test]
fn what_a_saved_plan_does_not_heed_is_refused() {
    let lab = created(THREE);
    let _ = saved(&lab, &THREE.replace("1GiB", "2GiB"), &[]);
    for flag in [
        ["--group", "other"],
        ["--set", "web.count=1"],
        ["--plugins-dir", "."],
    ] {
        let arguments = [&["apply", "the.plan"][..], &flag].concat();
        check_unchanged(&lab, &arguments, 2, &[flag[0], "the.plan"]);
    }
}

#[test]
fn a_saved_plan_of_another_machine_is_refused() {
    let lab = created(THREE);
    let more = THREE.replace("1GiB", "2GiB");
    let text = saved(&lab, &more, &[]);
    let other = created(THREE);
    other.change(|world| world.host_id = "0".repeat(64));
    other.write("the.plan", &text);
    check_unchanged(
        &other,
        &["apply", "the.plan"],
        4,
        &["the.plan", "was made for"],
    );
}

#[test]
fn an_edited_plan_is_refused_before_the_server_is_asked() {
    let lab = created(THREE);
    let text = saved(&lab, &THREE.replace("1GiB", "2GiB"), &[]);
    let calls = lab.journal().calls().len();
    for (text, says) in [
        (
            text.replace("2048", "4096"),
            "was changed after it was made",
        ),
        (
            text.replace("\"version\": 1,", "\"version\": 7,"),
            "newer format",
        ),
        ("web: {count: 3}\n".to_owned(), "not a plan of tnvm"),
        (String::new(), "not a plan of tnvm"),
    ] {
        lab.write("the.plan", &text);
        check_unchanged(&lab, &["apply", "the.plan"], 4, &[says, "help:"]);
    }
    check_unchanged(&lab, &["apply", "no.plan"], 2, &["no.plan"]);
    assert_eq!(lab.journal().calls().len(), calls);
}

#[test]
fn a_plan_is_stale_when_the_server_moved_on() {
    type Happens = fn(&Lab);
    let changes: [(&str, Happens); 4] = [
        ("web02", |lab| {
            lab.change(|world| {
                let id = world.vm_named("web02").unwrap();
                let vm = world.vms.get_mut(&id).unwrap();
                vm.config.insert("shutdown_timeout".into(), json!(7));
            });
        }),
        ("web01", |lab| {
            lab.change(|world| drop(world.take_snapshot("tank/kubernetes/web01-disk0", "daily")));
        }),
        ("web03", |lab| {
            lab.config(THREE);
            let _ = lab.tnvm(&["destroy", "--yes", "--only", "web03"]).ended(0);
        }),
        ("updated", |lab| {
            lab.change(|world| world.version = "25.10.3".parse().unwrap());
        }),
    ];
    for (says, change) in changes {
        let lab = created(THREE);
        let _ = saved(&lab, &THREE.replace("1GiB", "2GiB"), &[]);
        change(&lab);
        check_unchanged(
            &lab,
            &["apply", "the.plan"],
            4,
            &["no longer as it was", says],
        );
    }
}

#[test]
fn what_is_protected_stays_until_it_is_not_protected_any_more() {
    let protected = THREE.replace("cpu: 1", "protect: true, cpu: 1");
    let lab = created(&protected);
    lab.config(&protected.replace("count: 3", "count: 2"));
    check_unchanged(&lab, &["apply", "--yes"], 4, &["web03", "protect"]);
    // Not even without a config that says so.
    lab.config("web: {count: 0}\n");
    check_unchanged(&lab, &["apply", "--yes"], 4, &["web01", "protect"]);
    check_unchanged(&lab, &["destroy", "--yes"], 4, &["web01", "protect"]);
    lab.config(THREE);
    let _ = lab.apply(&[]).ended(0);
    lab.config(&THREE.replace("count: 3", "count: 2"));
    let _ = lab.apply(&[]).ended(0);
    assert_eq!(lab.view().vm_names(), ["web01", "web02"]);
}

#[test]
fn a_snapshot_is_named_and_goes_only_when_that_is_said() {
    for command in [&["apply"][..], &["destroy"]] {
        let lab = created(THREE);
        let _ = lab.change(|world| world.take_snapshot("tank/kubernetes/web03-disk0", "daily"));
        lab.config(&THREE.replace("count: 3", "count: 2"));
        let run = |more: &[&'static str]| [command, &["--yes"], more].concat();
        check_unchanged(
            &lab,
            &run(&[]),
            4,
            &["web03-disk0", "@daily", "--with-snapshots"],
        );
        lab.tnvm(&run(&["--with-snapshots"]))
            .ended(0)
            .says(&["@daily"]);
        assert!(!lab.view().vm_names().contains(&"web03"));
        assert!(lab.view().snapshots.is_empty());
    }
}

#[test]
fn an_apply_rides_out_a_middleware_that_restarts() {
    let lab = created(THREE);
    lab.config(&THREE.replace("br0", "br68"));
    lab.inject(Fault::on("vm.device.update", Effect::HoldBeforeCommit));
    let running = lab.spawn(&["apply", "--yes"]);
    lab.wait_until("a change", |journal| journal.held_call().is_some());
    lab.block_on(lab.server().restart(Duration::from_millis(500)));
    let _ = running.wait().ended(0);
    lab.settled(&[]);
}

#[test]
fn an_apply_on_a_server_that_is_restarting_says_so_and_changes_nothing() {
    let lab = created(THREE);
    lab.config(&THREE.replace("br0", "br68"));
    let before = (lab.view(), lab.mutations());
    std::thread::scope(|scope| {
        let restart = scope.spawn(|| lab.block_on(lab.server().restart(Duration::from_secs(3))));
        std::thread::sleep(Duration::from_millis(200));
        let _ = lab.tnvm(&["apply", "--yes"]).ended(3).says(&["help:"]);
        restart.join().unwrap();
    });
    assert_eq!((lab.view(), lab.mutations()), before);
    let _ = lab.apply(&[]).ended(0);
}

#[test]
fn the_json_of_a_plan_says_what_the_text_says() {
    let lab = created(THREE);
    lab.config(&THREE.replace("1GiB", "2GiB"));
    let plan: Value = lab.tnvm(&["plan", "-o", "json"]).ended(0).json();
    assert_eq!(plan["plan"]["changes"], json!(true));
    assert_eq!(plan["plan"]["kind"], "apply");
    assert_eq!(plan["plan"]["vms"].as_array().unwrap().len(), 3);
}
