//! Is what the simulator answers what the shapes say and what was recorded, in every version?

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a helper that fails fails its test"
)]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::Value;
use tnvm_simulator::conform::shape::Shapes;
use tnvm_simulator::conform::{
    self, DifferenceKind, Replay, Session, Transcript, VERSIONS, Verdict,
};
use tnvm_simulator::{Options, Simulator, Version};

async fn session(version: &Version) -> Session {
    let world = conform::session_world(version.clone()).unwrap();
    let running = Simulator::start(Options::with_world(world)).await.unwrap();
    conform::session(&running, version).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_of_every_version_has_the_shape_of_its_method() {
    let mut wrong = Vec::new();
    for version in VERSIONS {
        let version: Version = version.parse().unwrap();
        let shapes = Shapes::of(&version).unwrap();
        for call in session(&version).await.calls {
            let params = Value::from(call.params.clone());
            let place = format!("{} {}({params})", version.short(), call.method);
            let found = shapes.check_call(&call);
            wrong.extend(found.iter().map(|what| format!("{place}: {what}")));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Methods that never work here: no guest has an agent.
const WITHOUT_SUCCESS: [&str; 1] = ["vm.get_guest_network_interfaces"];

#[tokio::test(flavor = "multi_thread")]
async fn the_session_calls_every_method_and_every_step_ends_as_it_should() {
    let mut wrong = Vec::new();
    for version in VERSIONS {
        let version: Version = version.parse().unwrap();
        let session = session(&version).await;
        let worked: BTreeSet<&str> = session
            .calls
            .iter()
            .filter(|call| call.outcome.is_ok())
            .map(|call| call.method.as_str())
            .collect();
        let missing = conform::methods(&version)
            .into_iter()
            .filter(|name| !WITHOUT_SUCCESS.contains(&name.as_str()))
            .filter(|name| !worked.contains(name.as_str()))
            .map(|name| format!("{name} was not called with success"));
        let found = session.problems.iter().cloned().chain(missing);
        wrong.extend(found.map(|what| format!("{}: {what}", version.short())));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn transcripts() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("transcripts");
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut files: Vec<PathBuf> = entries
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|kind| kind == "jsonl"))
        .collect();
    files.sort();
    files
}

async fn replayed(transcript: &Transcript) -> Replay {
    let world = conform::replay_world(transcript, None).unwrap();
    conform::replay(transcript, world).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_frame_of_our_own_transcripts_is_answered_as_recorded() {
    let mut wrong = Vec::new();
    let files = transcripts();
    assert!(files.len() >= 8, "{files:?}");
    for file in files {
        let replay = replayed(&Transcript::read(&file).unwrap()).await;
        assert!(replay.counts().covered > 4, "{}", replay.transcript);
        for frame in replay.frames {
            if frame.verdict != Verdict::Covered {
                let what = format!("{:?} {:?}", frame.verdict, frame.differences);
                wrong.push(format!("{} {}: {what}", replay.transcript, frame.method));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A session in which one answer is this.
async fn recorded(method: &str, params: &str, answer: &str) -> Replay {
    let login = r#"[{"mechanism": "PASSWORD_PLAIN", "username": "somebody", "password": "(secret)", "login_options": {"user_info": false}}]"#;
    let text = format!(
        r#"{{"dir": "meta", "server": "TrueNAS-25.10.7"}}
{{"i": 1, "dir": "c2s", "conn": "c", "frame": {{"jsonrpc": "2.0", "id": 1, "method": "auth.login_ex", "params": {login}}}}}
{{"i": 2, "dir": "s2c", "conn": "c", "frame": {{"jsonrpc": "2.0", "id": 1, "result": {{"response_type": "SUCCESS", "user_info": null, "authenticator": "LEVEL_1"}}}}}}
{{"i": 3, "dir": "c2s", "conn": "c", "frame": {{"jsonrpc": "2.0", "id": 2, "method": "{method}", "params": {params}}}}}
{{"i": 4, "dir": "s2c", "conn": "c", "frame": {{"jsonrpc": "2.0", "id": 2, {answer}}}}}"#
    );
    replayed(&Transcript::parse("made", &text).unwrap()).await
}

/// The kinds of what differs in that answer; the login must be as recorded.
async fn differing(method: &str, params: &str, answer: &str) -> Vec<DifferenceKind> {
    let replay = recorded(method, params, answer).await;
    assert_eq!(
        replay.frames[0].verdict,
        Verdict::Covered,
        "{:?}",
        replay.frames[0]
    );
    replay.frames[1]
        .differences
        .iter()
        .map(|found| found.kind)
        .collect()
}

#[tokio::test]
async fn whatever_differs_is_told_by_its_kind() {
    use DifferenceKind::{Attributes, Outcome, Shape, Value as Other};
    let known = differing(
        "vm.port_wizard",
        "[]",
        r#""result": {"port": 5900, "web": 5901}"#,
    )
    .await;
    assert_eq!(known, []);
    let other = differing(
        "vm.port_wizard",
        "[]",
        r#""result": {"port": 6789, "web": 5901}"#,
    )
    .await;
    assert_eq!(other, [Other]);
    let other = differing("vm.port_wizard", "[]", r#""result": {"port": "5900"}"#).await;
    assert_eq!(other, [Shape, Shape]);
    let refusal = r#""error": {"code": -32602, "message": "Invalid params", "data": {"error": 22, "errname": "EINVAL",
        "reason": "", "trace": {"class": "ValidationErrors", "frames": [], "formatted": "", "repr": ""}, "extra": [["vm_create.vcpus", "", 22]]}}"#
        .replace('\n', "");
    let other = differing("vm.create", r#"[{"name": "a-b", "memory": 512}]"#, &refusal).await;
    assert!(other.contains(&Attributes), "{other:?}");
    let other = differing("vm.create", r#"[{"name": "ab", "memory": 512}]"#, &refusal).await;
    assert_eq!(other, [Outcome]);
}

#[tokio::test]
async fn a_method_that_is_not_simulated_is_told_apart_from_a_difference() {
    let replay = recorded("alert.list", "[]", r#""result": []"#).await;
    assert_eq!(replay.frames[1].verdict, Verdict::NotModelled);
    assert!(replay.agrees());
    let answer = r#""error": {"code": -32601, "message": "Method does not exist"}"#;
    let replay = recorded("no.such", "[]", answer).await;
    assert_eq!(replay.frames[1].verdict, Verdict::Covered);
}

#[tokio::test]
async fn the_host_is_as_the_recording_shows_it() {
    let pools =
        r#""result": [{"id": 1, "name": "lake", "size": 1099511627776, "status": "ONLINE"}]"#;
    let select = r#"[[], {"select": ["id", "name", "size", "status"]}]"#;
    // Of a filtered list nothing is learned about what is not in it.
    assert!(!recorded("pool.query", select, pools).await.agrees());
    let bridges = r#""result": {"eno9": "eno9", "br9": "br9"}"#;
    assert!(
        recorded("vm.device.nic_attach_choices", "[]", bridges)
            .await
            .agrees()
    );
    let file = r#""result": {"realpath": "/mnt/lake/iso/x.iso", "type": "FILE", "size": 7, "allocation_size": 7, "mode": 33188,
        "mount_id": 1, "uid": 0, "gid": 0, "atime": 1.5, "mtime": 1.5, "ctime": 1.5, "btime": 1.5, "dev": 1, "inode": 2, "nlink": 1,
        "acl": false, "is_mountpoint": false, "is_ctldir": false, "attributes": [], "user": "root", "group": "root"}"#
        .replace('\n', "");
    let replay = recorded("filesystem.stat", r#"["/mnt/lake/iso/x.iso"]"#, &file).await;
    assert!(replay.agrees(), "{:?}", replay.frames);
}
