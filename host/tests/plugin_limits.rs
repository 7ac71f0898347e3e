//! Every limit of the sandbox is crossed here: the error names plugin, call, limit and how to
//! raise it, and the host goes on.

#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "helpers fail as loudly as the tests that call them"
)]

mod plugin_support;

use std::path::Path;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use plugin_support::*;
use serde_json::{Value, json};
use tnvm::plugin::{Limits, PlanError, PluginErrorKind, PluginFile, PluginSet, PluginSources};

/// Small times, so that the tests do not wait for nothing.
fn limits() -> Limits {
    Limits {
        plan: Duration::from_millis(500),
        describe: Duration::from_millis(500),
        ..Limits::default()
    }
}

/// The hostile plugin under the limits that tnvm ships with, but for time.
static HOSTILE: LazyLock<PluginSet> = LazyLock::new(|| hostile(limits()));

/// The same with time to fill its memory, which is slow where many tests do it at once.
static PATIENT: LazyLock<PluginSet> = LazyLock::new(|| {
    // Compiled once for both: an unoptimized compiler takes its time.
    LazyLock::force(&HOSTILE);
    hostile(Limits {
        plan: Duration::from_secs(60),
        ..limits()
    })
});

fn hostile(limits: Limits) -> PluginSet {
    load(PluginSources {
        files: vec![PluginFile {
            origin: "test".into(),
            path: built("hostile"),
            sha256: None,
        }],
        limits,
        cache_dir: Some(Path::new(env!("CARGO_TARGET_TMPDIR")).join("plugin-cache")),
        ..sources()
    })
}

/// Makes it misbehave, expects these words, and then a good call.
#[track_caller]
fn check(config: Value, words: &[&str]) -> PluginErrorKind {
    check_in(&PATIENT, config, words)
}

#[track_caller]
fn check_in(set: &PluginSet, config: Value, words: &[&str]) -> PluginErrorKind {
    let plugin = set.claiming("hostile").unwrap();
    let (text, kind) = failed(plugin.plan(&request(config)));
    for word in ["plugin `hostile`", "`plan`", "VM worker01"]
        .iter()
        .chain(words)
    {
        assert!(text.contains(word), "{text} lacks {word}");
    }
    let good = plugin.plan(&request(json!({"do": "behave"}))).unwrap();
    assert_eq!(good.devices.len(), 1);
    kind
}

#[test]
fn an_endless_loop_is_stopped() {
    let started = Instant::now();
    let kind = check_in(
        &HOSTILE,
        json!({"do": "loop"}),
        &["500ms", "TNVM_PLUGIN_LIMITS=plan=1000ms"],
    );
    assert!(matches!(kind, PluginErrorKind::TimedOut { .. }));
    assert!(started.elapsed() < Duration::from_secs(5));
}

#[test]
fn an_endless_loop_in_normalize_is_stopped() {
    let plugin = HOSTILE.claiming("hostile").unwrap();
    let error = plugin
        .normalize(&object(json!({"dtype": "NIC", "do": "loop"})))
        .unwrap_err();
    assert!(
        error
            .to_string()
            .contains("failed in `normalize`: it ran longer than 500ms")
    );
    let good = object(json!({"dtype": "NIC", "mtu": 1500}));
    assert_eq!(plugin.normalize(&good).unwrap(), good);
}

#[test]
fn memory_beyond_the_limit_is_refused() {
    let kind = check(
        json!({"do": "allocate"}),
        &["128 MiB is the limit", "=memory=268435456"],
    );
    assert!(matches!(kind, PluginErrorKind::Memory { .. }), "{kind:?}");
    check(json!({"do": "allocate-at-once"}), &["128 MiB is the limit"]);
}

#[test]
fn memory_within_the_limit_is_granted() {
    let plugin = PATIENT.claiming("hostile").unwrap();
    let config = json!({"do": "allocate-at-once", "amount": 100 << 20});
    assert!(plugin.plan(&request(config)).is_ok());
}

#[test]
fn endless_recursion_is_told_as_what_it_often_is() {
    let kind = check(json!({"do": "recurse"}), &["stack overflow", "author"]);
    assert!(matches!(kind, PluginErrorKind::Trapped { .. }), "{kind:?}");
}

#[test]
fn a_panic_is_told_with_its_text() {
    check(json!({"do": "panic"}), &["it panicked: ", "told to panic"]);
}

#[test]
fn log_records_beyond_the_budget_fail_the_call() {
    check(
        json!({"do": "spam-log"}),
        &["256 records", "=log-records=512"],
    );
    check(json!({"do": "log-forever"}), &["256 records"]);
}

#[test]
fn log_bytes_beyond_the_budget_fail_the_call() {
    check(
        json!({"do": "spam-log-bytes", "amount": 65537}),
        &["65536 bytes", "=log-bytes=131072"],
    );
}

#[test]
fn a_log_record_too_large_to_be_copied_is_refused() {
    check(
        json!({"do": "spam-log-bytes"}),
        &["more than may be copied at once"],
    );
}

#[test]
fn a_result_beyond_the_limit_is_refused() {
    let kind = check(
        json!({"do": "huge-result", "amount": 1 << 20}),
        &["bytes of text, and 1048576 is the limit", "=result=2097152"],
    );
    assert!(matches!(kind, PluginErrorKind::ResultTooLarge { .. }));
}

#[test]
fn a_result_too_large_to_be_copied_is_refused() {
    let kind = check(
        json!({"do": "huge-result"}),
        &["more than may be copied at once, 1048576 bytes for an answer"],
    );
    assert!(matches!(kind, PluginErrorKind::CopyRefused { .. }));
}

#[test]
fn answers_that_break_the_contract_are_refused() {
    for (misdeed, word) in [
        ("bad-json", "`attributes` of device `good` is not JSON"),
        ("no-object", "not an object"),
        ("no-kind", "no string `dtype`"),
        (
            "wrong-kind",
            "has dtype `PCI`, and the plugin may only return NIC",
        ),
        ("unknown-secret", "`env:TRUENAS_API_KEY`"),
        (
            "secret-elsewhere",
            "`/no/such/place` leads out of the attributes",
        ),
        ("twice-the-same", "two devices are named `good`"),
        (
            "unknown-extension",
            "members this tnvm does not know and must not ignore: run",
        ),
        ("no-diagnostics", "without saying why"),
    ] {
        let kind = check(json!({"do": misdeed}), &[word, "breaks the contract"]);
        assert!(
            matches!(kind, PluginErrorKind::BadAnswer { .. }),
            "{kind:?}"
        );
    }
    check(
        json!({"do": "internal"}),
        &["it reports: told to blame itself"],
    );
}

#[test]
fn texts_for_a_person_cannot_steer_the_terminal() {
    let plugin = HOSTILE.claiming("hostile").unwrap();
    let Err(PlanError::Invalid(diagnostics)) =
        plugin.plan(&request(json!({"do": "terminal-escape"})))
    else {
        panic!("it was to refuse its input");
    };
    let [one] = &diagnostics[..] else {
        panic!("{diagnostics:?}")
    };
    assert!(!one.message.contains(char::is_control), "{one:?}");
    assert!(one.message.contains("all is well"));
}

#[test]
fn a_pointer_that_is_none_points_at_the_whole() {
    let plugin = HOSTILE.claiming("hostile").unwrap();
    let Err(PlanError::Invalid(diagnostics)) = plugin.plan(&request(json!({"do": "bad-pointer"})))
    else {
        panic!("it was to refuse its input");
    };
    assert_eq!(diagnostics[0].pointer, "");
}

#[track_caller]
fn check_refusal(guest: Guest, words: &[&str]) {
    let text = refusal(&guest, limits()).to_string();
    for word in words {
        assert!(text.contains(word), "{text} lacks {word}");
    }
}

#[test]
fn a_loop_in_describe_in_start_or_in_realloc_is_stopped() {
    let describe = LOOP;
    check_refusal(
        Guest {
            describe,
            ..Guest::default()
        },
        &["`describe`", "500ms"],
    );
    let more = "(func $start (loop $l (br $l))) (start $start)";
    check_refusal(
        Guest {
            more,
            ..Guest::default()
        },
        &["`describe`", "500ms"],
    );

    let realloc = LOOP;
    let mut sources = builtins(&[Guest {
        realloc,
        ..Guest::default()
    }]);
    sources.limits = limits();
    let set = load(sources);
    let (text, _) = failed(set.claiming("tiny").unwrap().plan(&request(json!({}))));
    assert!(text.contains("500ms"), "{text}");
}

#[test]
fn memory_at_the_start_counts_and_is_summed() {
    let pages = 2049;
    check_refusal(
        Guest {
            pages,
            ..Guest::default()
        },
        &["134283264 bytes", "128 MiB"],
    );
    let guest = Guest {
        pages: 1024,
        more: "(memory $second 1025)",
        ..Guest::default()
    };
    check_refusal(guest, &["134283264 bytes", "128 MiB"]);
}

#[test]
fn exactly_the_memory_limit_is_granted() {
    let pages = 2048;
    load(builtins(&[Guest {
        pages,
        ..Guest::default()
    }]));
}

#[test]
fn a_table_beyond_the_limit_is_refused() {
    let more = "(table 32769 funcref)";
    check_refusal(
        Guest {
            more,
            ..Guest::default()
        },
        &["32769 elements", "32768"],
    );
    let guest = Guest {
        more: "(table $t 1 funcref)",
        describe: "(drop (table.grow $t (ref.null func) (i32.const 32768)))",
        ..Guest::default()
    };
    check_refusal(guest, &["32769 elements", "32768"]);
}

#[test]
fn tables_memories_and_instances_beyond_the_limits_are_refused() {
    const TABLES: &str = "(table 1 funcref)(table 1 funcref)(table 1 funcref)(table 1 funcref)";
    let sixteen = format!("{TABLES}{TABLES}{TABLES}{TABLES}");
    let more = format!("{sixteen}(table 1 funcref)").leak();
    check_refusal(
        Guest {
            more,
            ..Guest::default()
        },
        &["table count too high"],
    );
    let more = "(memory 1)".repeat(8).leak();
    check_refusal(
        Guest {
            more,
            ..Guest::default()
        },
        &["memory count too high"],
    );

    let mut limits = limits();
    limits.instances = 0;
    let error = refusal(&Guest::default(), limits).to_string();
    assert!(error.contains("instance count too high"), "{error}");
}

#[test]
fn a_file_beyond_the_limit_is_not_even_read() {
    let folder = tempfile::tempdir().unwrap();
    let (set, problems) = PluginSet::load(PluginSources {
        files: vec![file(folder.path(), "tiny.wasm", &Guest::default().build())],
        limits: Limits {
            component_file: 100,
            ..limits()
        },
        ..sources()
    });
    assert_eq!(set.iter().count(), 0);
    let text = problems[0].diagnostic().message;
    assert!(
        text.contains("tiny.wasm") && text.contains("100 is the limit"),
        "{text}"
    );
}
