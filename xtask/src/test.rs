//! `cargo xtask test`: formatting, lints, drift, all tests. What CI runs.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, bail};

use crate::{build_plugins, codegen, paths, say, shell};

/// Check formatting and lints and run all tests
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Run only tests whose name contains this, without formatting and lints
    filter: Option<String>,
}

/// Folders of plugin crates that are workspaces of their own: the examples, as a stranger would
/// write them, and the hostile one that crosses every limit.
const OWN_WORKSPACES: [&str; 2] = ["plugins/examples/rust-usb", "tests/fixtures/hostile-plugin"];

/// Runs everything.
///
/// # Errors
/// At the first step that fails; the tests run to their end.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    shell::step("plugins");
    build_plugins::build_builtin(&build_plugins::builtin_folder())?;
    for folder in OWN_WORKSPACES {
        build_plugins::build(
            &paths::root().join(folder),
            &paths::target().join("plugins/test"),
        )?;
    }
    let mut counts = Counts::default();
    if let Some(filter) = &arguments.filter {
        tests(
            &mut shell::cargo(&["test", "--workspace", filter]),
            &mut counts,
        )?;
        return close(counts);
    }

    shell::step("formatting");
    shell::run(&mut shell::cargo(&["fmt", "--all", "--check"]))?;
    for folder in OWN_WORKSPACES {
        shell::run(in_workspace(shell::cargo(&["fmt", "--check"]), folder).arg("--all"))?;
    }
    shell::step("generated files");
    codegen::run(&codegen::Arguments::check())?;
    shell::step("lints");
    shell::run(&mut shell::cargo(&[
        "clippy",
        "--workspace",
        "--all-targets",
        "--",
        "--deny",
        "warnings",
    ]))?;
    shell::step("tests");
    tests(
        &mut shell::cargo(&["test", "--workspace", "--no-fail-fast"]),
        &mut counts,
    )?;
    for folder in OWN_WORKSPACES {
        let mut command = shell::cargo(&["test", "--target-dir"]);
        command.arg(paths::target().join("plugins/native"));
        tests(&mut in_workspace(command, folder), &mut counts)?;
    }
    close(counts)
}

fn in_workspace(mut command: Command, folder: &str) -> Command {
    command
        .arg("--manifest-path")
        .arg(paths::root().join(folder).join("Cargo.toml"));
    command
}

#[derive(Default)]
struct Counts {
    passed: u64,
    failed: u64,
    skipped: u64,
    /// Commands that failed, perhaps without a test having run.
    failures: Vec<String>,
}

/// Runs a test command, shows its output as it comes, and adds up its closing lines.
fn tests(command: &mut Command, counts: &mut Counts) -> anyhow::Result<()> {
    let mut child = command
        .env("TNVM_TEST_PLUGINS", test_plugins())
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot run {}", shell::shown(command)))?;
    if let Some(stdout) = child.stdout.take() {
        for line in BufReader::new(stdout).lines() {
            let line = line?;
            if let Some(closing) = line.strip_prefix("test result: ") {
                counts.add(closing);
            }
            say::result(&line);
        }
    }
    if !child.wait()?.success() {
        counts.failures.push(shell::shown(command));
    }
    Ok(())
}

fn test_plugins() -> impl AsRef<Path> + AsRef<std::ffi::OsStr> {
    paths::target().join("plugins/test")
}

impl Counts {
    /// `ok. 12 passed; 0 failed; 1 ignored; …`
    fn add(&mut self, closing: &str) {
        let words: Vec<&str> = closing
            .split([' ', ';'])
            .filter(|word| !word.is_empty())
            .collect();
        for pair in words.windows(2) {
            let [number, what] = pair else { continue };
            let Ok(number) = number.parse::<u64>() else {
                continue;
            };
            match *what {
                "passed" => self.passed += number,
                "failed" => self.failed += number,
                "ignored" => self.skipped += number,
                _ => {}
            }
        }
    }
}

fn close(counts: Counts) -> anyhow::Result<()> {
    let Counts {
        passed,
        failed,
        skipped,
        failures,
    } = counts;
    say::result(&format!(
        "{passed} passed, {failed} failed, {skipped} skipped"
    ));
    if !failures.is_empty() {
        bail!("these failed: {}", failures.join("; "));
    }
    if passed == 0 {
        bail!("no test ran");
    }
    Ok(())
}
