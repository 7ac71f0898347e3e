//! Whatever a server sends, in either protocol: nobody panics, and nothing grows without bound.
//!
//! A few thousand inputs in every test run; `cargo xtask fuzz-frames` takes a million.

use std::sync::{Arc, Mutex};

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use serde_json::{Map, Value, json};
use tokio::io::AsyncWriteExt;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};

use super::connection::Connection;
use super::error::{self, CallError};
use super::frame::{Frame, LONGEST_REASON, Protocol};
use super::jobs::Job;
use super::limits;
use super::method::Method;
use super::methods::{DeviceChange, VolumeSpec};
use super::nas::{Act, CONNECT, Nas};
use super::options::ConnectOptions;
use super::refusal::LoginRefusal;
use super::wire::{Direction, WireObserver};
use crate::record::Recorder;
use crate::release::Version;

/// Inputs per test run, unless `TNVM_FUZZ_CASES` says otherwise.
const CASES: u32 = 2000;

/// Frames as servers send them, both protocols.
const VALID: [&str; 14] = [
    r#"{"jsonrpc": "2.0", "id": 1, "result": {"response_type": "SUCCESS", "user_info": null, "authenticator": "LEVEL_1"}}"#,
    r#"{"jsonrpc": "2.0", "id": 2, "result": [{"id": 3, "name": "web01", "description": "x [tnvm:v1:lab:web:web01]", "memory": 512, "devices": [{"id": 7, "vm": 3, "order": 1001, "attributes": {"dtype": "DISK", "path": "/dev/zvol/tank/a"}}], "status": {"state": "RUNNING", "pid": 12, "domain_state": "RUNNING"}}]}"#,
    r#"{"jsonrpc": "2.0", "id": 3, "error": {"code": -32602, "message": "Invalid params", "data": {"error": 22, "errname": "EINVAL", "reason": "[EINVAL] vm_create.name: bad\n", "trace": {"class": "ValidationErrors"}, "extra": [["vm_create.name", "bad", 22], [null, "odd", 17]]}}}"#,
    r#"{"jsonrpc": "2.0", "id": 4, "error": {"code": -32001, "message": "Method call error", "data": {"error": 14, "errname": "EFAULT", "reason": "[EFAULT] no", "trace": null, "extra": null}}}"#,
    r#"{"jsonrpc": "2.0", "method": "collection_update", "params": {"msg": "changed", "collection": "core.get_jobs", "id": 4, "fields": {"id": 4, "method": "vm.stop", "arguments": [1, {"force": false}], "state": "FAILED", "error": "[EFAULT] x", "exc_info": {"type": "VALIDATION", "errno": null, "extra": [["a", "b", 22]]}, "time_started": {"$date": 1795381780000}}}}"#,
    r#"{"jsonrpc": "2.0", "method": "notify_unsubscribed", "params": {"collection": "core.get_jobs", "error": null}}"#,
    r#"{"jsonrpc": "2.0", "id": null, "error": {"code": -32700, "message": "Parse error"}}"#,
    r#"{"jsonrpc": "2.0", "id": 5, "result": [{"id": "tank/a", "type": "VOLUME", "encrypted": false, "locked": false, "volsize": {"parsed": 1024, "rawvalue": "1024"}, "available": {"parsed": null, "rawvalue": "77"}, "readonly": {"parsed": true, "rawvalue": "on"}, "origin": {"rawvalue": "tank/b@s"}, "user_properties": {"tnvm:owner": {"value": "m", "rawvalue": "m", "source": "LOCAL"}}, "snapshot_count": 0}]}"#,
    r#"{"msg": "connected", "session": "a5e0b503-33e5-4e69-9507-f659d4dee42a"}"#,
    r#"{"msg": "result", "id": "1", "result": true}"#,
    r#"{"msg": "result", "id": "3", "error": {"error": 11, "errname": "EAGAIN", "type": "VALIDATION", "reason": "[EINVAL] vm_create.x: Field was not expected\n", "trace": {"class": "ValidationErrors"}, "extra": [["vm_create.x", "Field was not expected", 22]]}}"#,
    r#"{"msg": "added", "collection": "core.get_jobs", "id": 6, "fields": {"id": 6, "method": "vm.stop", "state": "SUCCESS", "result": null}}"#,
    r#"{"msg": "ready", "subs": ["2"]}"#,
    r#"{"msg": "nosub", "collection": "core.get_jobs", "error": null}"#,
];

/// How many inputs, a fraction for those that cost more each.
fn cases(fraction: u32) -> u32 {
    let wanted = std::env::var("TNVM_FUZZ_CASES").ok();
    let wanted = wanted.and_then(|text| text.parse().ok()).unwrap_or(CASES);
    (wanted / fraction).max(20)
}

/// Runs a test over inputs; the same ones every time, so that a failure is met again.
fn over<S: Strategy>(fraction: u32, strategy: S, test: impl Fn(S::Value)) {
    let cases = cases(fraction);
    let mut runner = TestRunner::deterministic();
    for _ in 0..cases {
        test(strategy.new_tree(&mut runner).unwrap().current());
    }
    // Whole pages of it; the other tests of the process count too.
    let peak = peak_mib();
    println!("{cases} inputs, {peak} MiB at most");
    assert!(peak < 1024, "{peak} MiB");
}

/// The most memory that this process had, where the system tells.
fn peak_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok());
    kib.unwrap_or(0) / 1024
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(|number| json!(number)),
        any_word().prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 40, 6, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..6).prop_map(Value::from),
            vec((any_word(), inner), 0..6)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

/// Words of the protocols, and others.
fn any_word() -> impl Strategy<Value = String> {
    let known: &'static [&'static str] = &[
        "jsonrpc",
        "id",
        "result",
        "error",
        "method",
        "params",
        "msg",
        "collection",
        "fields",
        "subs",
        "code",
        "message",
        "data",
        "reason",
        "extra",
        "trace",
        "class",
        "errno",
        "state",
        "arguments",
        "time_started",
        "exc_info",
        "core.get_jobs",
        "collection_update",
        "SUCCESS",
        "FAILED",
        "vm.stop",
        "name",
        "devices",
        "attributes",
        "dtype",
        "status",
        "order",
        "vm",
        "type",
        "user_properties",
        "rawvalue",
        "parsed",
        "response_type",
        "BRIDGE",
        "MACVLAN",
        "$date",
    ];
    prop_oneof![
        4 => proptest::sample::select(known).prop_map(str::to_owned),
        1 => ".{0,12}",
    ]
}

/// A valid frame with some bytes changed, gone, doubled or from elsewhere.
fn mutated() -> impl Strategy<Value = String> {
    let change = (any::<Index>(), any::<Index>(), any::<u8>(), 0..4_u8);
    (any::<Index>(), vec(change, 0..12)).prop_map(|(which, changes)| {
        let mut bytes = VALID[which.index(VALID.len())].as_bytes().to_vec();
        for (at, to, byte, kind) in changes {
            if bytes.is_empty() {
                break;
            }
            let (at, to) = (at.index(bytes.len()), to.index(bytes.len()));
            let span = at.min(to)..at.max(to);
            match kind {
                0 => bytes[at] = byte,
                1 => bytes.insert(at, byte),
                2 => drop(bytes.drain(span)),
                _ => {
                    let copy = bytes[span].to_vec();
                    bytes.splice(at..at, copy);
                    bytes.truncate(8192);
                }
            }
        }
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

/// A valid frame with one of its values replaced by anything.
fn grafted() -> impl Strategy<Value = String> {
    (any::<Index>(), any::<Index>(), any_json()).prop_map(|(which, at, graft)| {
        let mut frame: Value = serde_json::from_str(VALID[which.index(VALID.len())]).unwrap();
        let count = count(&frame);
        let mut number = at.index(count);
        replace(&mut frame, &mut number, &graft);
        frame.to_string()
    })
}

fn count(value: &Value) -> usize {
    1 + match value {
        Value::Array(items) => items.iter().map(count).sum(),
        Value::Object(members) => members.values().map(count).sum::<usize>(),
        _ => 0,
    }
}

fn replace(value: &mut Value, number: &mut usize, graft: &Value) {
    if *number == 0 {
        *value = graft.clone();
    }
    *number = number.wrapping_sub(1);
    match value {
        Value::Array(items) => items
            .iter_mut()
            .for_each(|item| replace(item, number, graft)),
        Value::Object(members) => members
            .values_mut()
            .for_each(|member| replace(member, number, graft)),
        _ => {}
    }
}

fn any_frame() -> impl Strategy<Value = String> {
    prop_oneof![
        1 => vec(any::<u8>(), 0..300).prop_map(|bytes| String::from_utf8_lossy(&bytes).into_owned()),
        2 => any_json().prop_map(|value| value.to_string()),
        4 => mutated(),
        4 => grafted(),
    ]
}

/// All that a frame goes through before a method reads it.
fn take_in(text: &str) {
    for protocol in [Protocol::JsonRpc, Protocol::Legacy] {
        match protocol.classify(text) {
            Frame::Reply {
                outcome: Err(error),
                ..
            } => {
                for method in [Method::VmCreate, Method::VmQuery] {
                    let error = error::classify(method, &error);
                    let _ = (error.to_string(), error.help(), error.may_have_run());
                }
            }
            Frame::Reply {
                outcome: Ok(result),
                ..
            } => {
                let _ = LoginRefusal::in_answer(&result);
                let _ = result.as_str().and_then(Version::parse);
                rows(&result);
            }
            Frame::Event { fields, .. } => job(&fields),
            Frame::Unsubscribed { .. } => {}
            Frame::Garbage(reason) => assert!(reason.chars().count() <= LONGEST_REASON, "{reason}"),
        }
    }
}

fn rows(result: &Value) {
    for row in result.as_array().into_iter().flatten() {
        if let Value::Object(row) = row {
            job(row);
        }
    }
}

fn job(row: &Map<String, Value>) {
    let arguments = [json!(1), json!({"force": false})];
    let mut job = Job::new(Method::VmStop, 4, &arguments);
    let _ = job
        .outcome(row)
        .map(|outcome| outcome.map_err(|error| error.to_string()));
    let _ = job.outcome(row);
}

#[test]
fn no_frame_of_a_server_makes_the_client_panic() {
    over(1, any_frame(), |text| take_in(&text));
}

#[test]
fn no_nesting_and_no_length_is_too_much() {
    for open in ["[", "{\"a\":", "[{\"params\":"] {
        take_in(&open.repeat(100_000));
    }
    take_in(&format!(
        "{{\"jsonrpc\":\"2.0\",\"method\":\"{}\",\"params\":{{}}}}",
        "x".repeat(1 << 20)
    ));
    take_in(&format!("{{\"msg\":\"{}\"}}", "é".repeat(1 << 20)));
}

#[test]
fn no_frame_makes_a_recording_panic() {
    let folder = tempfile::tempdir().unwrap();
    let recorder = Recorder::create(&folder.path().join("nas.jsonl")).unwrap();
    let connection = recorder.opened("/api/current");
    over(4, any_frame(), |text| {
        recorder.frame(connection, Direction::ToServer, &text);
        recorder.frame(connection, Direction::FromServer, &text);
    });
}

#[test]
fn no_result_makes_a_method_panic() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .unwrap();
    let results = Arc::new(Mutex::new(Value::Null));
    let current = Arc::clone(&results);
    let nas = Nas::new(move |_, method| {
        let logs_in = method.starts_with("auth.") || method.starts_with("system.");
        (!logs_in && method != CONNECT && method != "core.subscribe")
            .then(|| Act::Say(current.lock().unwrap().clone()))
    });
    let client = runtime.block_on(nas.client());
    let result = prop_oneof![
        any_json(),
        grafted().prop_map(|text| {
            let mut frame: Value = serde_json::from_str(&text).unwrap();
            frame
                .as_object_mut()
                .and_then(|frame| frame.shift_remove("result"))
                .unwrap_or_default()
        }),
    ];
    over(40, result, |result| {
        nas.forget();
        *results.lock().unwrap() = result;
        runtime.block_on(async {
            let volume = VolumeSpec {
                dataset: "tank/a".into(),
                size: 1,
                sparse: true,
                block_size: None,
                user_properties: Vec::new(),
            };
            let names = ["tank/a".to_owned()];
            let told: [Result<(), CallError>; 18] = [
                client.query_vms().await.map(drop),
                client.vm_opt(1).await.map(drop),
                client.vm_by_name("a").await.map(drop),
                client.create_vm(Map::new()).await.map(drop),
                client.vm_status(1).await.map(drop),
                client.stop_vm(1, true).await,
                client.delete_vm(1).await,
                client.create_device(1, Map::new(), 1).await.map(drop),
                client.update_device(1, DeviceChange::default()).await,
                client.query_datasets(&names).await.map(drop),
                client.query_volumes().await.map(drop),
                client.dataset_opt("tank/a").await.map(drop),
                client.create_volume(&volume).await,
                client.snapshots_of("tank/a").await.map(drop),
                client.nic_choices().await.map(drop),
                client.bind_choices().await.map(drop),
                client.file_stat_opt("/mnt/a").await.map(drop),
                client.available_memory().await.map(drop),
            ];
            for error in told.into_iter().filter_map(Result::err) {
                let _ = (error.to_string(), error.help());
            }
        });
    });
}

#[test]
fn no_bytes_on_the_socket_make_the_connection_panic_or_hang() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .unwrap();
    // A header that says how long the frame is, truthfully or not, and something after it.
    let header = prop_oneof![
        vec(any::<u8>(), 0..20),
        (any::<u8>(), any::<u64>()).prop_map(|(first, length)| {
            let mut bytes = vec![first, 127];
            bytes.extend(length.to_be_bytes());
            bytes
        }),
        (any::<u8>(), 0..126_u8).prop_map(|(first, length)| vec![first, length]),
    ];
    let bytes =
        (header, vec(any::<u8>(), 0..200), any_frame()).prop_map(|(header, noise, frame)| {
            let valid = [0x81, u8::try_from(frame.len().min(125)).unwrap()];
            let frame = frame.into_bytes();
            let frame = &frame[..frame.len().min(125)];
            [&valid, frame, &header, &noise].concat()
        });
    over(20, bytes, |bytes| {
        runtime.block_on(async {
            let (ours, mut theirs) = tokio::io::duplex(1 << 16);
            let config = WebSocketConfig::default()
                .max_message_size(Some(limits::INCOMING))
                .max_frame_size(Some(limits::INCOMING));
            let socket = WebSocketStream::from_raw_socket(ours, Role::Client, Some(config)).await;
            let options = ConnectOptions::default();
            let connection = Connection::start(socket, Protocol::JsonRpc, &options, Arc::default());
            let call = connection.call(Method::VmQuery, &[]);
            let server = async {
                let _ = theirs.write_all(&bytes).await;
                drop(theirs);
            };
            let (answer, ()) = tokio::join!(call, server);
            drop(answer);
            connection.close().await;
            assert!(connection.call(Method::VmQuery, &[]).await.is_err());
        });
    });
}

#[test]
fn the_search_is_worth_something() {
    // Of the inputs a good part must be frames that are understood, or nothing behind is reached.
    let mut runner = TestRunner::deterministic();
    let (mut replies, mut errors, mut events) = (0, 0, 0);
    let frames = any_frame();
    for _ in 0..2000 {
        let text = frames.new_tree(&mut runner).unwrap().current();
        for protocol in [Protocol::JsonRpc, Protocol::Legacy] {
            match protocol.classify(&text) {
                Frame::Reply { outcome: Ok(_), .. } => replies += 1,
                Frame::Reply {
                    outcome: Err(_), ..
                } => errors += 1,
                Frame::Event { .. } => events += 1,
                Frame::Unsubscribed { .. } | Frame::Garbage(_) => {}
            }
        }
    }
    assert!(
        replies > 100 && errors > 100 && events > 50,
        "{replies} {errors} {events}"
    );
}
