//! `cargo xtask bench`: every figure the project claims, measured in one run of release builds.

mod look;
mod plan;
mod plugins;
mod provision;
pub(crate) mod sampled;
mod table;

use std::path::{Path, PathBuf};

use anyhow::Context;
use serde::Serialize;

use crate::{build_plugins, paths, say, shell};

/// Measure, print a table, and write JSON where asked
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// What to measure; without it all
    #[arg(value_enum)]
    what: Vec<What>,
    /// Write the rows there as JSON: an array for one benchmark, an object of arrays for several
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum What {
    /// VMs made on a simulated server, against the bound that the server's limits give
    Provision,
    /// Loading plugins and calling them
    Plugins,
    /// Planning without a server
    Plan,
    /// Making one VM on a server with thousands of others
    Look,
}

/// Where the measured programs are.
pub(crate) struct Programs {
    /// The host.
    pub(crate) tnvm: PathBuf,
    /// The simulator.
    pub(crate) simulator: PathBuf,
    /// The in-process measurements.
    pub(crate) bench_plugins: PathBuf,
    /// A folder of ours to write into.
    pub(crate) folder: PathBuf,
}

/// Runs the benchmarks.
///
/// # Errors
/// When something cannot be built, run or written.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let programs = build()?;
    let all = [What::Provision, What::Plugins, What::Plan, What::Look];
    let chosen: &[What] = if arguments.what.is_empty() {
        &all
    } else {
        &arguments.what
    };
    let mut results = serde_json::Map::new();
    for what in chosen {
        let (name, rows) = match what {
            What::Provision => ("provision", shown("provision", provision::run(&programs)?)?),
            What::Plugins => ("plugins", shown("plugins", plugins::run(&programs)?)?),
            What::Plan => ("plan", shown("plan", plan::run(&programs)?)?),
            What::Look => ("look", shown("look", look::run(&programs)?)?),
        };
        results.insert(name.to_owned(), rows);
    }
    if let Some(file) = &arguments.json {
        let value = match results.len() {
            1 => results
                .into_iter()
                .next()
                .map_or(serde_json::Value::Null, |(_, rows)| rows),
            _ => serde_json::Value::Object(results),
        };
        write(file, &value)?;
    }
    Ok(())
}

fn build() -> anyhow::Result<Programs> {
    shell::step("release builds");
    build_plugins::build_builtin(&build_plugins::builtin_folder())?;
    shell::run(&mut shell::cargo(&[
        "build",
        "--release",
        "--package",
        "tnvm",
        "--package",
        "tnvm-simulator",
        "--package",
        "tnvm-suite",
        "--bins",
    ]))?;
    let release = paths::target().join("release");
    let folder = paths::target().join("bench");
    std::fs::create_dir_all(&folder)?;
    Ok(Programs {
        tnvm: release.join("tnvm"),
        simulator: release.join("tnvm-simulator"),
        bench_plugins: release.join("bench-plugins"),
        folder,
    })
}

/// Prints rows as a table and hands them on as JSON.
fn shown<T: Serialize>(title: &str, rows: Vec<T>) -> anyhow::Result<serde_json::Value> {
    let rows = serde_json::to_value(rows)?;
    say::result(&format!("\n{title}"));
    for line in table::lines(&rows) {
        say::result(&line);
    }
    Ok(rows)
}

fn write(file: &Path, value: &serde_json::Value) -> anyhow::Result<()> {
    let text = serde_json::to_string_pretty(value)?;
    std::fs::write(file, text + "\n").with_context(|| format!("cannot write {}", file.display()))
}
