//! Loading the built-in plugins and calling one, measured in process by `bench-plugins`.

use std::process::Command;

use anyhow::Context;
use serde_json::Value;

use super::{Programs, sampled};

pub(super) fn run(programs: &Programs) -> anyhow::Result<Vec<Value>> {
    let mut command = Command::new(&programs.bench_plugins);
    command.arg(programs.folder.join("plugin-cache"));
    let sample = sampled::run(&mut command)?;
    serde_json::from_slice(&sample.stdout).context("bench-plugins printed no JSON")
}
