//! Closed WASI: present for toolchains that need it, and of no use for anything else.

#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "helpers fail as loudly as the tests that call them"
)]

mod plugin_support;

use std::time::{Duration, Instant};

use plugin_support::*;
use serde_json::{Map, Value, json};
use tnvm::plugin::{Plugin, PluginErrorKind, PluginSet};

const PACKAGES: &str = r#"
package wasi:io@0.2.0 {
    interface error { resource error; }
    interface poll { resource pollable { block: func(); } }
    interface streams {
        use error.{error};
        variant stream-error { last-operation-failed(error), closed }
        resource output-stream {
            blocking-write-and-flush: func(contents: list<u8>) -> result<_, stream-error>;
        }
    }
}
package wasi:clocks@0.2.0 {
    interface monotonic-clock {
        use wasi:io/poll@0.2.0.{pollable};
        now: func() -> u64;
        subscribe-duration: func(when: u64) -> pollable;
        subscribe-instant: func(when: u64) -> pollable;
    }
    interface wall-clock {
        record datetime { seconds: u64, nanoseconds: u32 }
        now: func() -> datetime;
    }
}
package wasi:random@0.2.0 {
    interface random { get-random-u64: func() -> u64; get-random-bytes: func(len: u64) -> list<u8>; }
}
package wasi:cli@0.2.0 {
    interface environment {
        get-environment: func() -> list<tuple<string, string>>;
        get-arguments: func() -> list<string>;
    }
    interface exit { exit: func(status: result); }
    interface stdout {
        use wasi:io/streams@0.2.0.{output-stream};
        get-stdout: func() -> output-stream;
    }
}
package wasi:filesystem@0.2.0 {
    interface types { resource descriptor; }
    interface preopens {
        use types.{descriptor};
        get-directories: func() -> list<tuple<descriptor, string>>;
    }
}
"#;

const WORLD: &str = r#"
import wasi:clocks/monotonic-clock@0.2.0;
import wasi:clocks/wall-clock@0.2.0;
import wasi:random/random@0.2.0;
import wasi:cli/environment@0.2.0;
import wasi:cli/exit@0.2.0;
import wasi:cli/stdout@0.2.0;
import wasi:filesystem/preopens@0.2.0;
"#;

const IMPORTS: &str = r#"
(import "wasi:clocks/monotonic-clock@0.2.0" "now" (func $now (result i64)))
(import "wasi:clocks/monotonic-clock@0.2.0" "subscribe-duration" (func $after (param i64) (result i32)))
(import "wasi:clocks/monotonic-clock@0.2.0" "subscribe-instant" (func $at (param i64) (result i32)))
(import "wasi:io/poll@0.2.0" "[method]pollable.block" (func $block (param i32)))
(import "wasi:clocks/wall-clock@0.2.0" "now" (func $wall (param i32)))
(import "wasi:random/random@0.2.0" "get-random-u64" (func $random (result i64)))
(import "wasi:random/random@0.2.0" "get-random-bytes" (func $bytes (param i64 i32)))
(import "wasi:cli/environment@0.2.0" "get-environment" (func $environment (param i32)))
(import "wasi:cli/environment@0.2.0" "get-arguments" (func $arguments (param i32)))
(import "wasi:cli/exit@0.2.0" "exit" (func $exit (param i32)))
(import "wasi:cli/stdout@0.2.0" "get-stdout" (func $stdout (result i32)))
(import "wasi:io/streams@0.2.0" "[method]output-stream.blocking-write-and-flush"
    (func $write (param i32 i32 i32 i32)))
(import "wasi:filesystem/preopens@0.2.0" "get-directories" (func $directories (param i32)))
"#;

/// Writes 16 letters for a number, and the frame of JSON around them.
const MORE: &str = r#"
(func $letters (param $value i64) (param $at i32)
    (local $i i32)
    (loop $next
        (i32.store8 (i32.add (local.get $at) (local.get $i))
            (i32.add (i32.const 97) (i32.wrap_i64 (i64.and (local.get $value) (i64.const 15)))))
        (local.set $value (i64.shr_u (local.get $value) (i64.const 4)))
        (local.set $i (i32.add (local.get $i) (i32.const 1)))
        (br_if $next (i32.lt_u (local.get $i) (i32.const 16)))))
(data (i32.const 600) "{\"random\":\"................\",\"seen\":\"................\"}")
(data (i32.const 700) "a line of output\n")
"#;

/// Answers `{random, seen}`: `seen` adds up clocks, variables, arguments and folders.
const NORMALIZE: &str = r#"
(call $letters (call $random) (i32.const 611))
(call $wall (i32.const 560))
(call $environment (i32.const 576))
(call $arguments (i32.const 584))
(call $directories (i32.const 592))
(call $letters
    (i64.add (i64.add (call $now) (i64.load (i32.const 560)))
        (i64.extend_i32_u (i32.add (i32.load (i32.const 580))
            (i32.add (i32.load (i32.const 588)) (i32.load (i32.const 596))))))
    (i32.const 637))
(local.set 0 (i32.const 600))
(local.set 1 (i32.const 655))
(local.set 1 (i32.sub (local.get 1) (i32.const 600)))
"#;

fn guest() -> Guest {
    Guest {
        imports: IMPORTS,
        more: MORE,
        normalize: NORMALIZE,
        world: WORLD,
        packages: PACKAGES,
        ..Guest::default()
    }
}

fn with(plan: &'static str) -> PluginSet {
    load(builtins(&[Guest { plan, ..guest() }]))
}

fn tiny(set: &PluginSet) -> &Plugin {
    set.claiming("tiny").unwrap()
}

fn seen(of: Value) -> Map<String, Value> {
    let set = with("");
    tiny(&set).normalize(&object(of)).unwrap()
}

#[test]
fn the_clocks_stand_still_and_nothing_of_the_host_is_seen() {
    assert_eq!(seen(json!({}))["seen"], "a".repeat(16));
}

#[test]
fn random_bytes_depend_on_the_request_alone() {
    let random = |of| seen(of)["random"].clone();
    assert_eq!(random(json!({"a": 1})), random(json!({"a": 1})));
    assert_ne!(random(json!({"a": 1})), random(json!({"a": 2})));
}

#[test]
fn waiting_for_an_hour_is_over_at_once() {
    let set = with(
        "(call $block (call $after (i64.const 3600000000000)))
         (call $block (call $at (i64.const 3600000000000)))",
    );
    let started = Instant::now();
    assert!(tiny(&set).plan(&request(json!({}))).is_ok());
    assert!(started.elapsed() < Duration::from_secs(60));
}

#[test]
fn an_exit_is_told_with_its_code() {
    let set = with("(call $exit (i32.const 1))");
    let (text, kind) = failed(tiny(&set).plan(&request(json!({}))));
    assert!(
        matches!(kind, PluginErrorKind::Exited { code: 1 }),
        "{text}"
    );
}

#[test]
fn random_bytes_without_end_are_refused() {
    let set = with("(call $bytes (i64.const 1099511627776) (i32.const 560))");
    let (text, _) = failed(tiny(&set).plan(&request(json!({}))));
    assert!(text.contains("plugin `tiny`"), "{text}");
}

#[test]
fn handles_without_end_are_refused() {
    let set = with("(loop $l (drop (call $after (i64.const 1))) (br $l))");
    let (text, kind) = failed(tiny(&set).plan(&request(json!({}))));
    assert!(matches!(kind, PluginErrorKind::Sandbox { .. }), "{text}");
}

#[test]
fn a_loop_is_stopped_with_wasi_too() {
    let plan = LOOP;
    let mut sources = builtins(&[Guest { plan, ..guest() }]);
    sources.limits.plan = Duration::from_millis(100);
    let set = load(sources);
    let (text, _) = failed(tiny(&set).plan(&request(json!({}))));
    assert!(text.contains("longer than 100ms"), "{text}");
}

#[test]
fn output_goes_to_the_log() {
    let set = with("(call $write (call $stdout) (i32.const 700) (i32.const 17) (i32.const 560))");
    let text = logged(|| assert!(tiny(&set).plan(&request(json!({}))).is_ok()));
    assert!(text.contains("a line of output"), "{text}");
    assert!(
        text.contains(r#"plugin="tiny" vm="worker01" fields="stream=stdout""#),
        "{text}"
    );
    assert!(!text.contains("dropped"), "{text}");
}

#[test]
fn output_beyond_the_budget_is_dropped_and_the_call_goes_on() {
    let set = with(
        "(loop $l
            (call $write (call $stdout) (i32.const 700) (i32.const 17) (i32.const 560))
            (i32.store (i32.const 552) (i32.add (i32.load (i32.const 552)) (i32.const 1)))
            (br_if $l (i32.lt_u (i32.load (i32.const 552)) (i32.const 300))))",
    );
    let text = logged(|| assert!(tiny(&set).plan(&request(json!({}))).is_ok()));
    assert_eq!(text.matches("a line of output").count(), 256, "{text}");
    assert!(
        text.contains("the rest of the output was dropped"),
        "{text}"
    );
}

#[test]
fn a_call_from_an_asynchronous_thread_works() {
    let set = with("(call $block (call $after (i64.const 1)))");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    runtime.block_on(async { assert!(tiny(&set).plan(&request(json!({}))).is_ok()) });
}
