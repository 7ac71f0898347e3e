//! The program itself: what it writes, and what it refuses.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

fn program() -> Command {
    Command::new(env!("CARGO_BIN_EXE_tnvm-simulator"))
}

#[test]
fn the_ready_file_is_complete_when_the_program_says_it_runs() {
    let folder = tempfile::tempdir().unwrap();
    let ready = folder.path().join("ready");
    let mut child = program()
        .args(["--tls", "--ready-file"])
        .arg(&ready)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let said = BufReader::new(child.stdout.take().unwrap())
        .lines()
        .map(Result::unwrap);
    let said: Vec<String> = said
        .take_while(|line| !line.starts_with("Ctrl-C"))
        .collect();
    let written = std::fs::read_to_string(&ready).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();

    let lines: Vec<&str> = written.lines().collect();
    assert!(lines[0].starts_with("127.0.0.1:"), "{written}");
    let value = |key: &str| {
        lines
            .iter()
            .find_map(|line| line.strip_prefix(key))
            .unwrap()
            .trim()
            .to_owned()
    };
    assert!(said.iter().any(|line| line.contains(&value("api_key"))));
    assert!(
        std::fs::read_to_string(value("certificate"))
            .unwrap()
            .contains("BEGIN CERTIFICATE")
    );
    assert_eq!(value("fingerprint").len(), 64);
    assert_eq!(value("pid").parse(), Ok(child.id()));
}

#[test]
fn the_help_names_every_effect_and_a_wrong_script_is_refused() {
    let output = program().arg("--help").output().unwrap();
    let help = String::from_utf8_lossy(&output.stdout).into_owned();
    // The reference of all effects is the enum: its variants, as a script writes them.
    let source = include_str!("../src/faults/effect.rs");
    let (_, variants) = source.split_once("pub enum Effect {").unwrap();
    let (variants, _) = variants.split_once("\n}\n").unwrap();
    let names: Vec<&str> = variants
        .lines()
        .filter_map(|line| line.strip_prefix("    "))
        .filter(|line| line.starts_with(|first: char| first.is_ascii_uppercase()))
        .map(|line| line.split(|c: char| !c.is_alphanumeric()).next().unwrap())
        .collect();
    assert!(names.len() > 20, "{names:?}");
    for name in names {
        let mut word = String::new();
        for letter in name.chars() {
            if letter.is_ascii_uppercase() && !word.is_empty() {
                word.push('_');
            }
            word.push(letter.to_ascii_lowercase());
        }
        assert!(help.contains(&word), "{word} is not in the help");
    }

    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("faults.yaml");
    std::fs::write(&script, "- {method: http, effect: enomem}\n").unwrap();
    let output = program().arg("--faults").arg(&script).output().unwrap();
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("an HTTP request takes"));
}

#[test]
fn a_version_or_world_that_is_not_understood_is_refused_with_a_reason() {
    let output = program().args(["--truenas", "24.04"]).output().unwrap();
    assert!(!output.status.success());
    assert!(
        String::from_utf8_lossy(&output.stderr)
            .contains("use 24.10, 25.04.0, 25.04.1, 25.04.2, 25.10")
    );

    let folder = tempfile::tempdir().unwrap();
    let world = folder.path().join("world.yaml");
    std::fs::write(&world, "polls: []\n").unwrap();
    let output = program().arg("--world").arg(&world).output().unwrap();
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("polls"));
}

#[test]
fn a_recording_is_replayed_and_what_differs_is_printed() {
    let folder = tempfile::tempdir().unwrap();
    let conform = |port: u32| {
        let file = folder.path().join("session.jsonl");
        let lines = [
            r#"{"i": 0, "dir": "meta", "server": "TrueNAS-25.10.7", "api_path": "/api/current"}"#
                .to_owned(),
            r#"{"i": 1, "dir": "c2s", "conn": "c", "frame": {"jsonrpc": "2.0", "id": 1, "method": "auth.login_with_api_key", "params": ["(secret)"]}}"#
                .to_owned(),
            r#"{"i": 2, "dir": "s2c", "conn": "c", "frame": {"jsonrpc": "2.0", "id": 1, "result": true}}"#
                .to_owned(),
            r#"{"i": 3, "dir": "c2s", "conn": "c", "frame": {"jsonrpc": "2.0", "id": 2, "method": "vm.port_wizard", "params": []}}"#
                .to_owned(),
            format!(r#"{{"i": 4, "dir": "s2c", "conn": "c", "frame": {{"jsonrpc": "2.0", "id": 2, "result": {{"port": {port}, "web": 5901}}}}}}"#),
        ];
        std::fs::write(&file, lines.join("\n")).unwrap();
        let output = program().arg("--conform").arg(&file).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        (output.status.code(), said)
    };
    let (code, said) = conform(5900);
    assert_eq!(code, Some(0), "{said}");
    assert!(
        said.contains("session (TrueNAS 25.10.7): 2 covered"),
        "{said}"
    );
    let (code, said) = conform(7777);
    assert_eq!(code, Some(1), "{said}");
    assert!(
        said.contains(
            "session, frame 4, vm.port_wizard: value at port: recorded 7777, simulated 5900"
        ),
        "{said}"
    );
}
