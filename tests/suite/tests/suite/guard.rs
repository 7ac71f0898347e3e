//! The guards around changes: read-only, the audit, and the lock of a group.

use std::os::unix::fs::PermissionsExt;

use serde_json::{Value, json};
use tnvm_simulator::{Effect, Fault};
use tnvm_suite::{Background, Lab};

const ONE: &str = "web: {count: 1, cpu: 1, memory: 1GiB, disk: {a: 1}, network: {lan: br0}}\n";

/// The root dataset of the first pool by name.
const ROOT: &str = "storage";

/// The locks on the server.
fn locks(lab: &Lab) -> Vec<Value> {
    lab.change(|world| {
        let properties = &world.datasets[ROOT].user_properties;
        let locks = properties
            .iter()
            .filter(|(key, _)| key.starts_with("tnvm:lock-"));
        locks
            .map(|(_, value)| serde_json::from_str(value).unwrap())
            .collect()
    })
}

/// Seconds since 1970.
fn now() -> u64 {
    let since = std::time::SystemTime::UNIX_EPOCH.elapsed();
    since.unwrap().as_secs()
}

/// Puts a lock of a machine far away on the server.
fn foreign_lock(lab: &Lab, group: &str, expires: u64) {
    let lock = json!({"group": group, "user": "alice", "host": "faraway", "machine": "0", "pid": 1,
        "started": 1, "command": "apply", "since": now() - 10, "expires": expires, "tnvm": "9"});
    lab.change(|world| {
        let root = world.datasets.get_mut(ROOT).unwrap();
        let properties = &mut root.user_properties;
        properties.insert("tnvm:lock-faraway".into(), lock.to_string());
    });
}

/// A create that stands still before its first VM, with its lock taken.
fn held(lab: &Lab, arguments: &[&str]) -> Background {
    lab.inject(Fault::on("vm.create", Effect::Delay { ms: 3_000 }));
    let before = lab.journal().count("vm.create");
    let running = lab.spawn(&[&["create"], arguments].concat());
    lab.wait_until("a VM", |journal| journal.count("vm.create") > before);
    running
}

/// The lines of the audit in its usual place.
fn audit(lab: &Lab) -> Vec<Value> {
    let file = lab.folder().join("../.local/state/tnvm/audit.jsonl");
    let text = std::fs::read_to_string(file).unwrap_or_default();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn methods(lab: &Lab) -> Vec<String> {
    let journal = lab.journal();
    journal.mutating().iter().map(ToString::to_string).collect()
}

#[test]
fn read_only_shows_the_plan_refuses_and_sends_no_change() {
    let mut lab = Lab::new();
    lab.config(ONE);
    let _ = lab.tnvm(&["create"]).ended(0);
    let before = (lab.view(), lab.mutations(), audit(&lab).len());
    let _ = lab.tnvm(&["create", "--read-only"]).ended(0);
    let refused = lab.tnvm(&["destroy", "--yes", "--read-only"]).ended(4);
    refused.says(&[
        "web01",
        "nothing was changed",
        "read-only",
        "TNVM_READ_ONLY",
    ]);
    lab.config(&ONE.replace("count: 1", "count: 2"));
    for value in ["1", "true", "yes"] {
        lab.set("TNVM_READ_ONLY", value);
        lab.tnvm(&["create"]).ended(4).says(&["web02", "read-only"]);
    }
    assert_eq!((lab.view(), lab.mutations(), audit(&lab).len()), before);
    lab.set("TNVM_READ_ONLY", "0");
    let _ = lab.tnvm(&["create"]).ended(0);
}

#[test]
fn dry_runs_and_lists_send_no_change_and_write_no_audit() {
    let lab = Lab::new();
    lab.config(ONE);
    for arguments in [
        &["create", "--dry-run"][..],
        &["destroy", "--dry-run"],
        &["list"],
    ] {
        let _ = lab.tnvm(arguments).ended(0);
    }
    assert_eq!(lab.mutations(), 0);
    assert!(!lab.folder().join("../.local/state").exists());
}

#[test]
fn every_change_is_one_line_of_the_audit_and_no_line_holds_a_secret() {
    let lab = Lab::new();
    lab.inject(Fault::fail("vm.device.create", 22, "bad password").containing("5922"));
    let _ = lab.example().tnvm(&["create"]).ended(1);
    let _ = lab.tnvm(&["destroy", "--yes"]).ended(0);
    let lines = audit(&lab);
    let mut written: Vec<String> = lines
        .iter()
        .map(|line| line["method"].as_str().unwrap().to_owned())
        .collect();
    let mut called = methods(&lab);
    written.sort();
    called.sort();
    assert_eq!(written, called);
    for line in &lines {
        let shown = line.to_string();
        for secret in ["API_PASSWORD", "VNC_PASSWORD"] {
            assert!(!shown.contains(&lab.environment()[secret]), "{shown}");
        }
        assert_eq!(
            (&line["group"], &line["login"]),
            (&json!("lab"), &json!("truenas_admin"))
        );
        for member in [
            "time", "run", "user", "machine", "endpoint", "hostname", "method",
        ] {
            assert!(
                line[member].as_str().is_some_and(|text| !text.is_empty()),
                "{member}: {shown}"
            );
        }
        assert!(
            line["pid"].is_u64() && line["duration_ms"].is_u64(),
            "{shown}"
        );
    }
    let of = |method: &'static str| lines.iter().filter(move |line| line["method"] == method);
    assert!(of("vm.create").all(|line| line["plan"].is_string() && line["command"] == "create"));
    assert!(of("vm.delete").any(|line| line["command"] == "destroy"));
    let failed: Vec<_> = lines.iter().filter(|line| line["result"] != "ok").collect();
    assert_eq!(failed.len(), 1);
    assert_eq!(failed[0]["errno"], 22);
    let displays = lines
        .iter()
        .filter(|line| line.to_string().contains("\"DISPLAY\""));
    let passwords: Vec<_> = displays
        .map(|line| line["params"][0]["attributes"]["password"].clone())
        .collect();
    assert_eq!(passwords, vec![json!("(secret)"); 4]);
}

#[test]
fn a_lost_answer_is_written_down_as_lost() {
    let lab = Lab::new();
    lab.config(ONE)
        .inject(Fault::on("vm.create", Effect::DropAfterCommit));
    let _ = lab.tnvm(&["create"]);
    let lines = audit(&lab);
    let mut made = lines.iter().filter(|line| line["method"] == "vm.create");
    assert_eq!(made.next().unwrap()["result"], "lost");
}

#[test]
fn the_audit_goes_where_the_user_says_or_the_run_does_not_begin() {
    let mut lab = Lab::new();
    lab.config(ONE);
    let folder = lab.folder();
    let refused = lab.tnvm(&["create", "--audit-log", Lab::text(&folder)]);
    refused.ended(2).says(&["audit", "--audit-log"]);
    assert!(lab.is_untouched());
    lab.set("TNVM_AUDIT_LOG", "log/of/all.jsonl");
    let _ = lab.tnvm(&["create"]).ended(0);
    let file = folder.join("log/of/all.jsonl");
    let text = std::fs::read_to_string(&file).unwrap();
    assert_eq!(text.lines().count(), lab.mutations());
    let mode = std::fs::metadata(&file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(audit(&lab), Vec::<Value>::new());
}

#[test]
fn without_the_usual_place_for_the_audit_the_run_warns_and_goes_on() {
    let lab = Lab::new();
    std::fs::write(lab.folder().join("../.local"), "in the way").unwrap();
    lab.config(ONE)
        .tnvm(&["create"])
        .ended(0)
        .says(&["warning: changes are not written down"]);
}

#[test]
fn of_two_runs_on_one_group_the_second_is_refused_and_told_whose_it_is() {
    let lab = Lab::new();
    lab.config(ONE);
    let first = held(&lab, &[]);
    let before = lab.mutations();
    lab.tnvm(&["create"]).ended(4).says(&[
        "group lab is held by",
        "with `tnvm create`",
        "since 20",
        "expires at",
        "--force-unlock",
    ]);
    assert_eq!(lab.mutations(), before);
    assert_eq!(locks(&lab).len(), 1);
    let _ = first.wait().ended(0);
    assert_eq!(locks(&lab), Vec::<Value>::new());
    lab.settled(&[]);
}

#[test]
fn another_group_is_not_hindered() {
    let lab = Lab::new();
    lab.config(ONE);
    let first = held(&lab, &[]);
    let other = ONE
        .replace("web", "db")
        .replace("cpu: 1,", "cpu: 1, display: {port: 6100},");
    lab.write("other/config.yaml", &format!("storage: {{pool_path: tank/kubernetes, cdrom_path: /mnt/tank/iso/metal-amd64.iso}}\n{other}"));
    let _ = lab
        .tnvm(&[
            "create",
            "--config",
            "other/config.yaml",
            "--group",
            "other",
        ])
        .ended(0);
    assert_eq!(locks(&lab).len(), 1);
    let _ = first.wait().ended(0);
    assert_eq!(lab.view().vm_names(), ["db01", "web01"]);
    assert_eq!(locks(&lab), Vec::<Value>::new());
}

#[test]
fn the_lock_of_a_killed_run_is_taken_over_at_once() {
    let lab = Lab::new();
    lab.config(ONE);
    let first = held(&lab, &[]);
    first.kill();
    let _ = first.wait();
    assert_eq!(locks(&lab).len(), 1);
    let again = lab.tnvm(&["create"]).ended(0);
    again.hides(&["--force-unlock", "warning"]);
    assert_eq!(locks(&lab), Vec::<Value>::new());
}

#[test]
fn another_machines_lock_is_respected_until_it_expires() {
    let lab = Lab::new();
    lab.config(ONE);
    foreign_lock(&lab, "lab", now() + 60);
    lab.tnvm(&["create"])
        .ended(4)
        .says(&["alice on faraway", "tnvm apply"]);
    assert_eq!((lab.mutations(), locks(&lab).len()), (0, 1));
    foreign_lock(&lab, "lab", now() - 1);
    let _ = lab.tnvm(&["create"]).ended(0);
    assert_eq!(locks(&lab), Vec::<Value>::new());
}

#[test]
fn a_lock_is_forced_open_only_when_asked_and_its_holder_is_told() {
    let lab = Lab::new();
    lab.config(ONE);
    foreign_lock(&lab, "lab", now() + 60);
    let ran = lab.tnvm(&["create", "--force-unlock"]).ended(0);
    ran.says(&["removing the lock of group lab", "alice on faraway"]);
    assert_eq!(locks(&lab), Vec::<Value>::new());
    foreign_lock(&lab, "other", now() + 60);
    let _ = lab.tnvm(&["destroy", "--yes", "--force-unlock"]).ended(0);
    assert_eq!(
        locks(&lab).len(),
        1,
        "another group's lock is not ours to remove"
    );
}

#[test]
fn no_lock_is_left_after_any_kind_of_end() {
    let lab = Lab::new();
    lab.config(ONE)
        .inject(Fault::fail("vm.start", 14, "no luck"));
    let _ = lab.tnvm(&["create"]).ended(1);
    assert_eq!(locks(&lab), Vec::<Value>::new());
    let running = held(&lab, &[]);
    assert_eq!(locks(&lab).len(), 1);
    running.interrupt();
    let _ = running.wait().ended(130);
    assert_eq!(locks(&lab), Vec::<Value>::new());
    let _ = lab.tnvm(&["create"]).ended(0);
    let _ = lab.tnvm(&["destroy", "--yes"]).ended(0);
    assert_eq!(locks(&lab), Vec::<Value>::new());
}

#[test]
fn a_run_cut_off_in_the_middle_leaves_its_lock_and_the_next_on_this_machine_takes_it_over() {
    let lab = Lab::new();
    let running = held(lab.config(ONE), &[]);
    // Two of one kind would be one, until the first is heard.
    running.interrupt();
    running.terminate();
    let ran = running.wait().ended(130);
    ran.says(&["the lock of the group is left"]);
    assert_eq!(locks(&lab).len(), 1);
    let lost = audit(&lab)
        .into_iter()
        .filter(|line| line["result"] == "lost");
    assert_eq!(lost.count(), 1, "what was in flight is written down");
    let _ = lab.tnvm(&["create"]).ended(0);
    assert_eq!(locks(&lab), Vec::<Value>::new());
}

#[test]
fn an_account_that_may_not_lock_is_warned_and_goes_on() {
    let lab = Lab::new();
    lab.config(ONE);
    lab.inject(Fault::fail("pool.dataset.update", 13, "Not authorized").every());
    let ran = lab.tnvm(&["create"]).ended(0);
    ran.says(&["warning: group lab is not locked", "Not authorized"]);
}

#[test]
fn what_changed_before_the_lock_was_taken_is_not_destroyed_unseen() {
    let lab = Lab::new();
    let _ = lab.config(ONE).tnvm(&["create"]).ended(0);
    lab.inject(Fault::on("pool.dataset.update", Effect::Delay { ms: 3_000 }).nth(3));
    let locks_before = lab.journal().count("pool.dataset.update");
    let running = lab.spawn(&["destroy", "--yes"]);
    lab.wait_until("the lock", |journal| {
        journal.count("pool.dataset.update") > locks_before
    });
    lab.change(|world| {
        let id = world.vm_named("web01").unwrap();
        let device = world
            .devices
            .iter()
            .find(|(_, device)| device.vm == id && device.attributes["dtype"] == "NIC");
        let device = *device.unwrap().0;
        world.devices.remove(&device);
        let vm = world.vms.get_mut(&id).unwrap();
        vm.power = tnvm_simulator::Power::Off;
    });
    running.wait().ended(4).says(&["no longer as it was"]);
    assert_eq!(lab.view().vm_names(), ["web01"]);
    assert_eq!(locks(&lab), Vec::<Value>::new());
}

#[test]
fn interrupted_while_it_takes_the_lock_a_run_leaves_none_and_begins_nothing() {
    let lab = Lab::new();
    lab.config(ONE);
    lab.inject(Fault::on(
        "pool.dataset.update",
        Effect::Delay { ms: 2_000 },
    ));
    let running = lab.spawn(&["create"]);
    lab.wait_until("the lock", |journal| {
        journal.count("pool.dataset.update") > 0
    });
    running.interrupt();
    running
        .wait()
        .ended(130)
        .says(&["interrupted; nothing was changed"]);
    assert_eq!(locks(&lab), Vec::<Value>::new());
    assert_eq!(lab.journal().count("vm.create"), 0);
}
