//! Single calls: what a plugin logs, answers, and how its traps are told.

#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "helpers fail as loudly as the tests that call them"
)]

mod plugin_support;

use plugin_support::*;
use serde_json::json;
use tnvm::plugin::{PlanError, PluginErrorKind};

const LOG: &str = r#"(import "tnvm:device/log@1.0.0" "log" (func $log (param i32 i32 i32 i32 i32)))
(import "tnvm:device/log@1.0.0" "panicked" (func $panicked (param i32 i32)))"#;

/// The texts, and one field at 40100: `size` is `20G`.
const TEXTS: &str = r#"(data (i32.const 40000) "two\nlines")
(data (i32.const 40020) "size20G")
(data (i32.const 40100) "\54\9c\00\00\04\00\00\00\58\9c\00\00\03\00\00\00")"#;

#[test]
fn log_records_keep_level_fields_plugin_and_vm() {
    let set = load(builtins(&[Guest {
        imports: LOG,
        more: TEXTS,
        plan: "(call $log (i32.const 3)
            (i32.const 40000) (i32.const 9) (i32.const 40100) (i32.const 1))",
        ..Guest::default()
    }]));
    let text = logged(|| {
        set.claiming("tiny")
            .unwrap()
            .plan(&request(json!({})))
            .unwrap();
    });
    assert!(text.contains("WARN tnvm::plugin: two\\nlines"), "{text}");
    assert!(
        text.contains(r#"plugin="tiny" vm="worker01" fields="size=20G""#),
        "{text}"
    );
    assert_eq!(text.lines().count(), 1, "{text}");
}

#[test]
fn a_panic_that_was_told_and_did_not_trap_is_no_failure() {
    let set = load(builtins(&[Guest {
        imports: LOG,
        more: TEXTS,
        plan: "(call $panicked (i32.const 40000) (i32.const 9))",
        ..Guest::default()
    }]));
    assert!(
        set.claiming("tiny")
            .unwrap()
            .plan(&request(json!({})))
            .is_ok()
    );
}

#[test]
fn a_trap_without_words_is_explained() {
    for (plan, words) in [
        ("unreachable", "gave up without saying why"),
        ("(drop (i32.load (i32.const -8)))", "often a stack overflow"),
        (
            "(drop (i32.div_u (i32.const 1) (i32.const 0)))",
            "arithmetic",
        ),
    ] {
        let set = load(builtins(&[Guest {
            plan,
            ..Guest::default()
        }]));
        let (text, kind) = failed(set.claiming("tiny").unwrap().plan(&request(json!({}))));
        assert!(text.contains(words), "{text}");
        assert!(matches!(kind, PluginErrorKind::Trapped { .. }));
    }
}

#[test]
fn every_call_starts_from_the_same_state() {
    // Traps on the second call, were there one in the same memory.
    let set = load(builtins(&[Guest {
        plan: "(if (i32.load (i32.const 900)) (then unreachable))
            (i32.store (i32.const 900) (i32.const 1))",
        ..Guest::default()
    }]));
    for _ in 0..3 {
        assert!(
            set.claiming("tiny")
                .unwrap()
                .plan(&request(json!({})))
                .is_ok()
        );
    }
}

#[test]
fn attributes_pass_through_normalize_unchanged_in_order() {
    let set = load(builtins(&[Guest::default()]));
    let attributes = object(json!({"z": 1, "a": [true, null, "ü"], "m": 1.5}));
    let answer = set
        .claiming("tiny")
        .unwrap()
        .normalize(&attributes)
        .unwrap();
    assert_eq!(
        serde_json::to_string(&answer).unwrap(),
        serde_json::to_string(&attributes).unwrap()
    );
}

#[test]
fn a_request_too_large_for_the_guest_is_its_failure_not_ours() {
    let set = load(builtins(&[Guest::default()]));
    // The guest has 256 KiB and never grows.
    let large = json!({"text": "x".repeat(1 << 20)});
    let result = set.claiming("tiny").unwrap().plan(&request(large));
    assert!(matches!(result, Err(PlanError::Failed(_))));
}
