//! `cargo xtask fuzz-frames`: the fuzzers of the server's frames over many inputs, with their time
//! and memory. The same tests take a few thousand inputs in every test run.

use std::process::{Command, Stdio};

use anyhow::{Context, bail};
use serde_json::Value;

use crate::bench::sampled;
use crate::{say, shell};

/// Search for a frame of a server that makes the client panic or eat memory
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// How many frames; those that cost more each get a part of it
    #[arg(default_value_t = 1_000_000)]
    inputs: u32,
}

/// Runs the fuzzers.
///
/// # Errors
/// When they cannot be built, or find something.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let program = build()?;
    let sample = sampled::run(
        Command::new(program)
            .args(["truenas::fuzz", "--nocapture"])
            .env("TNVM_FUZZ_CASES", arguments.inputs.to_string()),
    )?;
    for line in String::from_utf8_lossy(&sample.stdout).lines() {
        say::result(line);
    }
    say::result(&format!(
        "{} inputs in {:.0} s, {} MiB at most",
        arguments.inputs,
        sample.wall.as_secs_f64(),
        sample.peak_kib / 1024
    ));
    Ok(())
}

/// Builds the library's tests and gives the program.
fn build() -> anyhow::Result<String> {
    let mut command = shell::cargo(&[
        "test",
        "--package",
        "tnvm",
        "--lib",
        "--no-run",
        "--message-format",
        "json-render-diagnostics",
    ]);
    shell::step("the library's tests");
    let output = command
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("cannot run {}", shell::shown(&command)))?;
    if !output.status.success() {
        bail!("{} failed", shell::shown(&command));
    }
    let text = String::from_utf8_lossy(&output.stdout);
    let mut programs = text.lines().rev().filter_map(|line| {
        let message: Value = serde_json::from_str(line).ok()?;
        let ours = message.pointer("/target/name")? == "tnvm";
        let program = message.get("executable")?.as_str()?;
        ours.then(|| program.to_owned())
    });
    programs.next().context("cargo named no test program")
}
