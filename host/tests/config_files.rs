//! Loads every file of `config_samples` and compares what comes out with the file beside it.
//!
//! A sample's lines `#! --set …` and `#! --group …` are its flags.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that fails should fail loudly and where it stands"
)]

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use tnvm::config::{Config, LoadOptions, Node, load};
use tnvm::diagnostic::{Diagnostics, Severity};

fn samples(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new("tests/config_samples").join(folder);
    let mut found: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|end| end == "yaml"))
        .collect();
    found.sort();
    assert!(!found.is_empty());
    found
}

fn options(path: &Path) -> LoadOptions {
    let text = String::from_utf8_lossy(&fs::read(path).unwrap()).into_owned();
    let flags = |name: &str| {
        let prefix = format!("#! {name} ");
        let lines = text
            .lines()
            .filter_map(|line| line.strip_prefix(&prefix).map(str::to_owned));
        lines.collect::<Vec<String>>()
    };
    LoadOptions {
        path: path.to_path_buf(),
        group: flags("--group").pop(),
        set: flags("--set"),
    }
}

fn render_problems(problems: &Diagnostics) -> String {
    let mut out = String::new();
    for one in problems.iter() {
        let severity = match one.severity {
            Severity::Warning => "warning",
            Severity::Error => "error",
        };
        if let Some(at) = &one.location {
            let (line, column) = at.line_column();
            let file = at.file.name.rsplit('/').next().unwrap();
            let shown = at.file.text.get(at.span.clone()).unwrap();
            write!(out, "{file}:{line}:{column} [{shown}]: ").unwrap();
        }
        let message = one.message.replace("tests/config_samples/invalid/", "");
        writeln!(out, "{severity}: {message}").unwrap();
        writeln!(
            out,
            "  help: {}",
            one.help.as_deref().expect("every problem has help")
        )
        .unwrap();
    }
    out
}

fn line(node: &Node) -> String {
    let at = node
        .origin
        .as_ref()
        .expect("everything a config sets was written somewhere");
    format!(
        "{} @{}:{}",
        node.to_json(),
        at.file.name.rsplit('/').next().unwrap(),
        at.line_column().0
    )
}

fn render(config: &Config) -> String {
    let mut out = String::new();
    writeln!(out, "group {}", config.group).unwrap();
    writeln!(out, "storage {}", config.storage.node.to_json()).unwrap();
    for host in &config.hosts {
        if let Some(name) = &host.name {
            let storage = host.storage.as_ref().map(|one| one.node.to_json());
            writeln!(out, "host {name} {:?} {storage:?}", host.login).unwrap();
        }
        if host.section != Default::default() {
            writeln!(out, "{:?}", host.section).unwrap();
        }
    }
    for one in &config.plugins {
        writeln!(
            out,
            "plugin {} {:?} {:?} {:?}",
            one.name, one.path, one.sha256, one.facts
        )
        .unwrap();
    }
    for one in &config.types {
        writeln!(out, "type {} {} x{}", one.index, one.name, one.count).unwrap();
    }
    for vm in &config.vms {
        writeln!(
            out,
            "{}: {} #{}, {}/{}, template {}, start {}, protect {}",
            vm.name,
            vm.vm_type,
            vm.type_index,
            vm.index,
            vm.count,
            vm.template,
            vm.start,
            vm.protect
        )
        .unwrap();
        if let Some(host) = &vm.host {
            writeln!(out, "  on {host}").unwrap();
        }
        for (name, node) in &vm.fields {
            writeln!(out, "  {name} = {}", line(node)).unwrap();
        }
        for one in &vm.device_keys {
            writeln!(out, "  {}: {}", one.key, line(&one.node)).unwrap();
        }
    }
    out
}

fn check(folder: &str, path: &Path, text: &str) {
    let name = path.file_stem().unwrap().to_string_lossy().into_owned();
    insta::with_settings!({
        snapshot_path => format!("config_samples/{folder}"),
        prepend_module_to_snapshot => false,
        omit_expression => true,
    }, { insta::assert_snapshot!(name, text) });
}

#[test]
fn valid_configs_load() {
    for path in samples("valid") {
        let (config, problems) = load(&options(&path));
        assert!(
            !problems.has_errors(),
            "{path:?}\n{}",
            render_problems(&problems)
        );
        let text = render(&config.unwrap()) + &render_problems(&problems);
        check("valid", &path, &text);
    }
}

#[test]
fn invalid_configs_are_refused_with_place_and_help() {
    for path in samples("invalid") {
        let (_, problems) = load(&options(&path));
        assert!(problems.has_errors(), "{path:?} loads");
        check("invalid", &path, &render_problems(&problems));
    }
}

#[test]
fn a_file_that_is_not_there_is_one_problem() {
    let options = LoadOptions {
        path: "no/such/config.yaml".into(),
        ..LoadOptions::default()
    };
    let (config, problems) = load(&options);
    assert!(config.is_none());
    assert!(
        render_problems(&problems)
            .starts_with("error: the config `no/such/config.yaml` cannot be read")
    );
}

fn load_text(text: &str) -> Diagnostics {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.yaml");
    fs::write(&path, text).unwrap();
    let options = LoadOptions {
        path,
        ..LoadOptions::default()
    };
    load(&options).1
}

#[test]
fn hundreds_of_mistakes_are_not_all_reported() {
    let mut text = "storage: {}\n".to_owned();
    for index in 0..1000 {
        writeln!(text, "vm{index:04}: {{memory: 1}}").unwrap();
    }
    let problems = load_text(&text);
    assert_eq!(problems.iter().len(), 201);
    assert!(render_problems(&problems).contains("there may be more problems"));
}

#[test]
fn what_is_said_of_one_vm_alone_is_known_as_its_own() {
    let check = |set: &[&str], own: [Option<&str>; 2]| {
        let text = "storage: {pool_path: tank/vms}\n\
            worker:\n  count: 2\n  memory: 1024\n  display: {port: 6000}\n  \
            vms: {worker02: {display: {port: 6200, wait: true}}}\n";
        let set = set.iter().map(ToString::to_string).collect();
        let (config, problems) = load_with(text, set);
        assert!(problems.is_empty(), "{}", render_problems(&problems));
        let vms = config.unwrap().vms;
        let found = vms.iter().map(|vm| {
            let display = vm.own.as_ref()?.get("display")?;
            Some(display.to_json().to_string())
        });
        assert_eq!(
            found.collect::<Vec<_>>(),
            own.map(|one| one.map(str::to_owned))
        );
    };
    check(&[], [None, Some(r#"{"port":6200,"wait":true}"#)]);
    // A flag for the whole type goes before the file's entry for one VM, and is not its own.
    check(
        &["worker.display.port=7000"],
        [None, Some(r#"{"wait":true}"#)],
    );
    check(&["worker.display=true"], [None, None]);
    check(
        &[
            "worker.vms.worker01.display.port=8000",
            "worker.display.port=7000",
        ],
        [Some(r#"{"port":8000}"#), Some(r#"{"wait":true}"#)],
    );
    check(&["worker.vms.worker02.display=null"], [None, None]);
}

#[test]
fn a_file_of_more_than_a_mebibyte_is_not_read() {
    let problems = load_text(&" ".repeat((1 << 20) + 1));
    assert!(render_problems(&problems).contains("is longer than 1 MiB"));
    assert!(!render_problems(&load_text(&" ".repeat(1 << 20))).contains("1 MiB"));
}

#[test]
fn a_file_made_to_be_slow_is_not() {
    // Each takes about a second unoptimized; comparing all with all would need minutes.
    let many = |piece: &str| piece.repeat((1 << 20) / piece.len() - 10);
    for text in [
        many("["),
        many("{"),
        many("- "),
        many("a: "),
        many("? "),
        many("!"),
        many("&a "),
        many("'"),
        many("a: &a b\n"),
        many("\n"),
        many("\t"),
        format!("a: {}", many("x ")),
        format!("a: [{}]", "1,".repeat(100_000)),
        format!(
            "a: {{{}}}",
            (0..20_000)
                .map(|one| format!("k{one}: 1,"))
                .collect::<String>()
        ),
        (0..40_000).map(|one| format!("t{one}: {{}}\n")).collect(),
        (1..3_000)
            .map(|one| format!("t{one}: {{extends: t{}}}\n", one - 1))
            .collect(),
        (0..20_000).map(|one| format!("t-{one}: {{}}\n")).collect(),
        format!(
            "storage: {{{}}}",
            (0..20_000)
                .map(|one| format!("k{one}: 1,"))
                .collect::<String>()
        ),
        format!(
            "plugins: {{{}}}",
            (0..20_000)
                .map(|one| format!("k{one}: 1,"))
                .collect::<String>()
        ),
        format!(
            "a: {{vms: {{{}}}}}",
            (0..20_000)
                .map(|one| format!("k{one}: 1,"))
                .collect::<String>()
        ),
        format!(
            "a: {{topology: {{{}}}}}",
            (0..20_000)
                .map(|one| format!("k{one}: 1,"))
                .collect::<String>()
        ),
        format!("plugins: {{a: {{facts: [{}]}}}}", "x,".repeat(20_000)),
    ] {
        let start = std::time::Instant::now();
        let problems = load_text(&text);
        assert!(problems.has_errors());
        let took = start.elapsed();
        assert!(took.as_secs() < 30, "{took:?} for {}", &text[..40]);
    }
}

fn load_with(text: &str, set: Vec<String>) -> (Option<Config>, Diagnostics) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.yaml");
    fs::write(&path, text).unwrap();
    let group = None;
    load(&LoadOptions { path, group, set })
}

/// Pieces of configs, wrong ones among them.
fn value() -> impl Strategy<Value = String> {
    let leaf = prop::sample::select(vec![
        "1",
        "-1",
        "0",
        "3",
        "1.5",
        "16GiB",
        "999999999999",
        "true",
        "false",
        "null",
        "x",
        "a",
        "b",
        "vm",
        "\"\"",
        "tank/vms",
        "/mnt/tank",
        "[]",
        "{}",
        "1000",
    ])
    .prop_map(str::to_owned);
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3)
                .prop_map(|all| format!("[{}]", all.join(", "))),
            prop::collection::hash_map(key(), inner, 0..4).prop_map(|all| {
                let all: Vec<String> = all
                    .iter()
                    .map(|(key, value)| format!("{key}: {value}"))
                    .collect();
                format!("{{{}}}", all.join(", "))
            }),
        ]
    })
}

fn key() -> impl Strategy<Value = String> {
    let keys = vec![
        "a",
        "b",
        "vm",
        "a01",
        "b02",
        "vms",
        "extends",
        "count",
        "cpu",
        "topology",
        "memory",
        "min_memory",
        "template",
        "start",
        "storage",
        "truenas",
        "hosts",
        "host",
        "defaults",
        "plugins",
        "group",
        "path",
        "facts",
        "sockets",
        "cores",
        "disk",
        "pool_path",
        "a-b",
        "autostart",
        "name",
    ];
    prop::sample::select(keys).prop_map(str::to_owned)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_file_and_no_flag_make_loading_panic(text in any::<String>(), set in any::<String>()) {
        load_with(&text, vec![set]);
    }

    #[test]
    fn no_config_makes_loading_panic_and_every_problem_has_help(
        all in prop::collection::hash_map(key(), value(), 0..6),
        set in prop::collection::vec((prop::collection::vec(key(), 1..4), value()), 0..3),
    ) {
        let text: String = all.iter().map(|(key, value)| format!("{key}: {value}\n")).collect();
        let set = set.iter().map(|(path, value)| format!("{}={value}", path.join("."))).collect();
        let (config, problems) = load_with(&text, set);
        render_problems(&problems);
        if let Some(config) = config && !problems.has_errors() {
            let names: std::collections::HashSet<&str> = config.vms.iter().map(|vm| vm.name.as_str()).collect();
            prop_assert_eq!(names.len(), config.vms.len());
            let counted: u32 = config.types.iter().map(|one| one.count).sum();
            prop_assert_eq!(counted as usize, config.vms.len());
            render(&config);
        }
    }
}
