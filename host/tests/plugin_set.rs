//! Which plugin answers for which key, and what is told about the others.

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
use tnvm::diagnostic::Severity;
use tnvm::plugin::{LoadProblem, Origin, PluginSet, PluginSources};

/// Loads, and gives the texts of what is told.
fn told(sources: PluginSources) -> (PluginSet, Vec<(Severity, String)>) {
    let (set, problems) = PluginSet::load(sources);
    let told = problems
        .iter()
        .map(LoadProblem::diagnostic)
        .map(|one| (one.severity, one.message))
        .collect();
    (set, told)
}

#[track_caller]
fn check_told(told: &[(Severity, String)], severity: Severity, words: &[&str]) {
    let [(found, text)] = told else {
        panic!("{told:?}")
    };
    assert_eq!(*found, severity, "{text}");
    for word in words {
        assert!(text.contains(word), "{text} lacks {word}");
    }
}

#[test]
fn plugins_are_found_by_key_and_listed_in_the_order_of_choice() {
    let folder = tempfile::tempdir().unwrap();
    let in_folder = tempfile::tempdir().unwrap();
    file(in_folder.path(), "b.wasm", &Guest::named("b", "b").build());
    file(in_folder.path(), "a.wasm", &Guest::named("a", "a").build());
    std::fs::write(in_folder.path().join("README.md"), "no plugin").unwrap();
    let set = load(PluginSources {
        files: vec![file(
            folder.path(),
            "c.wasm",
            &Guest::named("c", "k").build(),
        )],
        dir: Some(in_folder.path().to_owned()),
        ..builtins(&[Guest::named("z", "z"), Guest::named("y", "y")])
    });
    assert_eq!(set.keys().collect::<Vec<_>>(), ["k", "a", "b", "z", "y"]);
    assert_eq!(set.claiming("k").unwrap().descriptor().name, "c");
    assert!(set.claiming("c").is_none());
    assert_eq!(*set.claiming("z").unwrap().origin(), Origin::Builtin);
}

#[test]
fn a_loaded_plugin_tells_its_digest_and_size() {
    use sha2::Digest as _;
    let folder = tempfile::tempdir().unwrap();
    let bytes = Guest::default().build();
    let digest = format!("{:x}", sha2::Sha256::digest(&bytes));
    let mut named = file(folder.path(), "tiny.wasm", &bytes);
    named.sha256 = Some(digest.to_uppercase());
    let set = load(PluginSources {
        files: vec![named],
        ..sources()
    });
    let plugin = set.claiming("tiny").unwrap();
    let expected = (&*digest, bytes.len());
    assert_eq!((plugin.sha256(), plugin.size()), expected);
    let set = load(builtins(&[Guest::default()]));
    let plugin = set.claiming("tiny").unwrap();
    assert_eq!((plugin.sha256(), plugin.size()), expected);
}

#[test]
fn a_file_with_another_digest_than_the_pinned_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let mut named = file(folder.path(), "tiny.wasm", &Guest::default().build());
    named.sha256 = Some("00ff".into());
    let (set, told) = told(PluginSources {
        files: vec![named],
        ..sources()
    });
    assert!(set.claiming("tiny").is_none());
    check_told(
        &told,
        Severity::Error,
        &["tiny.wasm", "vms.yaml:3:5", "pins sha256 00ff", "has "],
    );
}

#[test]
fn a_builtin_may_be_replaced_by_name_or_by_key_and_it_is_said() {
    for builtin in [
        Guest::named("tiny", "old-key"),
        Guest::named("old-name", "tiny"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let (set, told) = told(PluginSources {
            files: vec![file(folder.path(), "mine.wasm", &Guest::default().build())],
            ..builtins(std::slice::from_ref(&builtin))
        });
        assert_eq!(set.keys().collect::<Vec<_>>(), ["tiny"]);
        assert_ne!(*set.claiming("tiny").unwrap().origin(), Origin::Builtin);
        let replaced = format!("instead of plugin `{}` (built-in)", builtin.name);
        check_told(&told, Severity::Warning, &["mine.wasm", &replaced]);
    }
}

#[test]
fn the_config_goes_before_the_folder() {
    let (folder, dir) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let second = Guest {
        version: "9.9.9".into(),
        ..Guest::default()
    };
    file(dir.path(), "tiny.wasm", &second.build());
    let (set, told) = told(PluginSources {
        files: vec![file(folder.path(), "mine.wasm", &Guest::default().build())],
        dir: Some(dir.path().to_owned()),
        ..sources()
    });
    assert_eq!(set.claiming("tiny").unwrap().descriptor().version, "0.1.0");
    check_told(
        &told,
        Severity::Warning,
        &["mine.wasm", "is used instead of"],
    );
}

#[test]
fn two_plugins_of_the_user_with_one_key_are_an_error() {
    let dir = tempfile::tempdir().unwrap();
    file(dir.path(), "a.wasm", &Guest::named("a", "gpu").build());
    file(dir.path(), "b.wasm", &Guest::named("b", "gpu").build());
    let (_, told) = told(PluginSources {
        dir: Some(dir.path().to_owned()),
        ..sources()
    });
    check_told(
        &told,
        Severity::Error,
        &["`b`", "b.wasm", "key `gpu`", "`a`", "a.wasm"],
    );
}

#[test]
fn a_key_of_the_host_cannot_be_claimed() {
    let (set, told) = told(PluginSources {
        reserved_keys: vec!["memory".into()],
        ..builtins(&[Guest::named("greedy", "memory")])
    });
    assert_eq!(set.iter().count(), 0);
    check_told(
        &told,
        Severity::Error,
        &["`greedy`", "key `memory`", "belongs to tnvm"],
    );
}

#[test]
fn a_damaged_file_is_named_and_the_others_are_loaded() {
    let dir = tempfile::tempdir().unwrap();
    let good = Guest::default().build();
    file(dir.path(), "broken.wasm", &good[..good.len() / 2]);
    let (set, told) = told(PluginSources {
        dir: Some(dir.path().to_owned()),
        ..builtins(&[Guest::default()])
    });
    assert_eq!(set.keys().collect::<Vec<_>>(), ["tiny"]);
    check_told(
        &told,
        Severity::Error,
        &["broken.wasm", "--plugins-dir", "damaged"],
    );
}

#[test]
fn a_flipped_byte_anywhere_never_crashes_the_loader() {
    let good = Guest::default().build();
    for at in (0..good.len()).step_by(37) {
        let mut bytes = good.clone();
        bytes[at] ^= 0xff;
        let dir = tempfile::tempdir().unwrap();
        file(dir.path(), "flipped.wasm", &bytes);
        // Many bytes are names or data, whose change still leaves a plugin.
        let (set, problems) = PluginSet::load(PluginSources {
            dir: Some(dir.path().to_owned()),
            ..sources()
        });
        assert_eq!(
            set.iter().count() + problems.len(),
            1,
            "byte {at}: {problems:?}"
        );
    }
}

#[test]
fn files_and_folders_that_are_missing_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let mut named = file(folder.path(), "gone.wasm", b"");
    std::fs::remove_file(&named.path).unwrap();
    named.origin = "vms.yaml:9:1".into();
    let (_, told_of_file) = told(PluginSources {
        files: vec![named],
        ..sources()
    });
    check_told(
        &told_of_file,
        Severity::Error,
        &["gone.wasm", "vms.yaml:9:1", "cannot be read"],
    );
    let (_, told_of_folder) = told(PluginSources {
        dir: Some(folder.path().join("nowhere")),
        ..sources()
    });
    check_told(
        &told_of_folder,
        Severity::Error,
        &["nowhere", "cannot be read", "--plugins-dir"],
    );
}

#[test]
fn another_version_of_the_contract_is_refused_before_compiling() {
    let guest = Guest {
        contract: "1.3.0",
        ..Guest::default()
    };
    let text = refusal(&guest, Default::default()).to_string();
    assert!(
        text.contains("built for tnvm:device 1.3.0, and this tnvm speaks tnvm:device 1.0"),
        "{text}"
    );
}

#[test]
fn a_plugin_of_the_right_version_with_another_form_is_told_the_whole_cause() {
    // A `plugin` without functions.
    let hollow = r#"(component (instance $i) (export "tnvm:device/plugin@1.0.0" (instance $i)))"#;
    let error = refused_bytes(wat::parse_str(hollow).unwrap(), Default::default()).to_string();
    assert!(error.contains("says tnvm:device 1.0.0"), "{error}");
    assert!(error.contains("describe"), "{error}");
}

#[test]
fn descriptors_that_break_the_contract_are_refused() {
    for (guest, words) in [
        (Guest::named("no name", "key"), "the name `no name`"),
        (Guest::named("name", "a/b"), "the key `a/b`"),
        (
            Guest {
                schema: "{".into(),
                ..Guest::default()
            },
            "`config-schema` is not JSON",
        ),
        (
            Guest {
                schema: r#"{"type": 1}"#.into(),
                ..Guest::default()
            },
            "not a JSON Schema",
        ),
    ] {
        let text = refusal(&guest, Default::default()).to_string();
        assert!(text.contains(words), "{text} lacks {words}");
    }
}

#[test]
fn plans_run_on_many_threads_at_once() {
    let set = load(builtins(&[Guest::default()]));
    let plugin = set.claiming("tiny").unwrap();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..50 {
                    assert!(plugin.plan(&request(json!({}))).is_ok());
                }
            });
        }
    });
}

#[test]
fn a_config_is_checked_without_running_the_plugin() {
    let guest = Guest {
        schema: r#"{"type": "object", "properties": {"size": {"type": "string"}},
            "additionalProperties": false}"#
            .into(),
        ..Guest::default()
    };
    let set = load(builtins(&[guest]));
    let found = set
        .claiming("tiny")
        .unwrap()
        .check_config(&json!({"sise": 1}));
    let [one] = &found[..] else {
        panic!("{found:?}")
    };
    assert_eq!(one.pointer, "/sise");
    assert_eq!(one.help.as_deref(), Some("did you mean `size`?"));
}

#[test]
fn the_builtin_plugins_load_and_claim_their_keys() {
    let builtin = tnvm::plugin::builtin();
    assert!(
        !builtin.is_empty(),
        "this build has no built-in plugins: run `cargo xtask build-plugins`"
    );
    let set = load(PluginSources {
        builtin,
        reserved_keys: vec!["memory".into()],
        // An unoptimized compiler takes seconds for each, so what it made is kept between runs.
        cache_dir: Some(std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("plugin-cache")),
        ..sources()
    });
    let mut keys: Vec<&str> = set.keys().collect();
    keys.sort_unstable();
    assert_eq!(keys, ["cdrom", "disk", "display", "network"]);
}
