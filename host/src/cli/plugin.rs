//! `tnvm plugin list`: the device types that are loaded, and where each comes from.

use serde::Serialize;

use super::args::Global;
use super::exit::{Exit, Failure};
use super::output::{Output, cell};
use super::prepare::{existing_config, load_plugins};

/// One plugin as `-o json` gives it. Members are added, never renamed.
#[derive(Debug, Serialize)]
struct Row {
    name: String,
    version: String,
    key: String,
    applies_by_default: bool,
    origin: String,
    sha256: String,
    bytes: usize,
    summary: String,
}

/// Runs the command.
pub(super) fn list(global: &Global, output: &Output) -> Result<Exit, Failure> {
    let (config, mut problems) = existing_config(global);
    let (plugins, of_plugins) = load_plugins(global, config.as_ref());
    problems.extend(of_plugins);
    if problems.has_errors() {
        return Err(Failure::Problems(problems));
    }
    output.problems(&problems);
    let rows: Vec<Row> = plugins
        .iter()
        .map(|plugin| {
            let descriptor = plugin.descriptor();
            Row {
                name: descriptor.name.clone(),
                version: descriptor.version.clone(),
                key: descriptor.key.clone(),
                applies_by_default: descriptor.applies_by_default,
                origin: plugin.origin().to_string(),
                sha256: plugin.sha256().to_string(),
                bytes: plugin.size(),
                summary: descriptor.summary.clone(),
            }
        })
        .collect();
    if output.is_json() {
        output.json(&rows);
        return Ok(Exit::Done);
    }
    let cells: Vec<_> = rows
        .iter()
        .map(|row| {
            vec![
                cell(&row.name),
                cell(&row.key),
                cell(&row.version),
                cell(format!("{} KB", row.bytes.div_ceil(1000))),
                cell(&row.origin),
                cell(&row.summary),
            ]
        })
        .collect();
    output.table(
        &["NAME", "KEY", "VERSION", "SIZE", "FROM", "SUMMARY"],
        &cells,
    );
    Ok(Exit::Done)
}
