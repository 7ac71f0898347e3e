//! Planning without a server: 100 and 1 000 VMs.

use std::process::Command;

use serde::Serialize;

use super::{Programs, sampled};

/// One size.
#[derive(Serialize)]
pub(super) struct Row {
    vms: u32,
    /// Whole process, from start to end.
    wall_ms: f64,
    /// Per VM, in microseconds.
    us_per_vm: f64,
    peak_mib: f64,
    /// The same process with a single VM: what starting costs.
    start_ms: f64,
}

pub(super) fn run(programs: &Programs) -> anyhow::Result<Vec<Row>> {
    plan(programs, 1)?; // Fills the cache of compiled plugins.
    let start = best_of(programs, 1, 5)?;
    [100, 1000]
        .into_iter()
        .map(|vms| {
            let sample = best_of(programs, vms, 3)?;
            let wall_ms = sample.wall.as_secs_f64() * 1000.0;
            #[expect(clippy::cast_precision_loss, reason = "KiB of a process fit")]
            let peak_mib = sample.peak_kib as f64 / 1024.0;
            Ok(Row {
                vms,
                wall_ms,
                us_per_vm: wall_ms * 1000.0 / f64::from(vms),
                peak_mib,
                start_ms: start.wall.as_secs_f64() * 1000.0,
            })
        })
        .collect()
}

fn best_of(programs: &Programs, vms: u32, runs: u32) -> anyhow::Result<sampled::Sample> {
    let mut best = plan(programs, vms)?;
    for _ in 1..runs {
        let sample = plan(programs, vms)?;
        if sample.wall < best.wall {
            best = sample;
        }
    }
    Ok(best)
}

fn plan(programs: &Programs, vms: u32) -> anyhow::Result<sampled::Sample> {
    let config = programs.folder.join(format!("plan-{vms}.yaml"));
    std::fs::write(&config, super::provision::config(vms))?;
    let mut command = Command::new(&programs.tnvm);
    command
        .args(["create", "--dry-run", "--offline", "-o", "json", "--config"])
        .arg(&config)
        .env("TNVM_CACHE_DIR", programs.folder.join("cache"));
    sampled::run(&mut command)
}
