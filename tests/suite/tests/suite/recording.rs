//! `TNVM_RECORD`: a session as its frames, that can be shown to others.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use serde_json::{Value, json};
use tnvm_simulator::Fault;
use tnvm_suite::Lab;

fn lines(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// Records a run; gives its lines, after looking for everything that must not be there.
#[track_caller]
fn record(lab: &mut Lab, name: &str, command: &[&str], code: i32) -> Vec<Value> {
    let path = lab.folder().join(name);
    lab.set("TNVM_RECORD", name);
    let _ = lab.tnvm(command).ended(code);
    lab.unset("TNVM_RECORD");
    let text = std::fs::read_to_string(&path).unwrap();
    let key = lab.server().api_key().to_owned();
    let known = ["API_PASSWORD", "VNC_PASSWORD"].map(|name| lab.environment().get(name).cloned());
    for secret in known.into_iter().flatten().chain([key]) {
        assert!(!text.contains(&secret), "{name} shows {secret}");
    }
    // The addresses and the id of the simulated host.
    for own in ["192.168.69.2", "alice"] {
        assert!(!text.contains(own), "{name} shows {own}");
    }
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    lines(&path)
}

fn methods(lines: &[Value]) -> Vec<&str> {
    let sent = lines.iter().filter(|line| line["dir"] == "c2s");
    sent.filter_map(|line| line["frame"]["method"].as_str())
        .collect()
}

#[test]
fn a_recording_has_every_frame_of_every_connection_and_no_secret() {
    let mut lab = Lab::new();
    lab.example();
    // The server repeats what it was given, as validation errors do.
    let password = lab.environment()["VNC_PASSWORD"].clone();
    let repeating = format!("bad password: {password}");
    lab.inject(Fault::fail("vm.device.create", 22, &repeating).containing("5922"));
    let failing = record(&mut lab, "failing.jsonl", &["create"], 1);
    assert_eq!(failing[0]["server"], "TrueNAS-25.10.7", "{}", failing[0]);
    assert_eq!(failing[0]["api_path"], "/api/current");
    assert!(failing.iter().any(|line| {
        line["frame"]["error"]["data"]["reason"]
            .as_str()
            .is_some_and(|reason| reason.contains("bad password: (secret)"))
    }));
    let before = lab.journal().calls().len();
    let found = record(&mut lab, "rest.jsonl", &["create", "--connections", "2"], 0);
    let journal = lab.journal();
    let called: Vec<&str> = journal.calls()[before..]
        .iter()
        .map(|call| call.method.as_str())
        .collect();
    let (mut called, mut recorded) = (called, methods(&found));
    called.sort_unstable();
    recorded.sort_unstable();
    assert_eq!(recorded, called);
    // Numbered, in time, each answer on the connection of its question.
    for (nth, line) in found.iter().enumerate() {
        assert_eq!(line["i"], json!(nth));
    }
    assert!(found.is_sorted_by_key(|line| line["ms"].as_u64().unwrap()));
    let of = |line: &&Value| (line["conn"].clone(), line["frame"]["id"].clone());
    let asked = found.iter().filter(|line| line["dir"] == "c2s");
    let answered: Vec<_> = found
        .iter()
        .filter(|line| line["dir"] == "s2c")
        .map(|line| of(&line))
        .collect();
    for question in asked.filter(|line| line["frame"]["method"] != "auth.logout") {
        assert!(answered.contains(&of(&question)), "{question}");
    }
    let login = &found
        .iter()
        .find(|line| line["frame"]["method"] == "auth.login_ex");
    assert_eq!(login.unwrap()["frame"]["params"][0]["password"], "(secret)");
    lab.settled(&[]);
}

#[test]
fn other_users_and_other_ways_to_log_in_are_hidden_too() {
    let mut lab =
        Lab::of(|world| world.user("alice", "Wonderland-7", tnvm_simulator::Role::FullAdmin));
    // The lab gives every administrator its own password.
    lab.set("API_USERNAME", "alice");
    let found = record(&mut lab, "password.jsonl", &["list"], 0);
    assert!(
        found
            .iter()
            .any(|line| line["frame"]["params"][0]["username"] == "user-1")
    );
    let key = lab.server().api_key().to_owned();
    lab.set("API_USERNAME", "truenas_admin")
        .unset("API_PASSWORD")
        .set("TRUENAS_API_KEY", &key);
    let found = record(&mut lab, "key.jsonl", &["list"], 0);
    assert!(found.len() > 10);
}

#[test]
fn a_file_that_is_there_is_not_touched_and_nothing_is_done() {
    let mut lab = Lab::new();
    lab.example();
    let path = lab.write("nas.jsonl", "precious");
    lab.set("TNVM_RECORD", "nas.jsonl");
    lab.tnvm(&["create"])
        .ended(2)
        .says(&["cannot make the recording nas.jsonl", "never overwritten"]);
    assert!(lab.is_untouched());
    assert_eq!(std::fs::read_to_string(path).unwrap(), "precious");
}
