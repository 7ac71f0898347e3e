//! VMs made by the real program on a simulated server, against what the server's limits allow.

use std::path::Path;
use std::process::Command;

use anyhow::Context;
use serde::Serialize;
use serde_json::Value;

use super::{Programs, sampled};
use crate::simulator::Simulator;

/// Calls of a connection that the server runs at once (all versions).
const RUNNING_CALLS: f64 = 10.0;
/// Round trips that depend on each other around the work: login, version, one round of reading
/// (its calls run side by side), logout.
const ROUNDS_AROUND: f64 = 4.0;
/// What a start takes at the simulated server beside the latency of its call, in milliseconds; it
/// occupies one of the ten slots all that time. As a VM of the default world has it.
const START_MS: f64 = 40.0;

/// One measurement. The names are an interface.
#[derive(Serialize)]
pub(super) struct Row {
    vms: u32,
    latency_ms: u32,
    connections: u32,
    /// Whole process, from start to end.
    wall_ms: f64,
    /// The least that the server's limits and the dependencies between calls allow.
    bound_ms: f64,
    ratio_to_bound: f64,
    /// Against the same with `--concurrency 1`.
    speedup_vs_serial: f64,
    /// Calls of the whole process.
    calls: u64,
    calls_per_vm: f64,
    peak_mib: f64,
}

pub(super) fn run(programs: &Programs) -> anyhow::Result<Vec<Row>> {
    // Fills the cache of compiled plugins, which is not what is measured here.
    create(programs, 1, &How::at(0))?;
    let mut rows = Vec::new();
    for (vms, latency_ms, connections) in [
        (1, 20, 1),
        (4, 20, 1),
        (16, 20, 1),
        (64, 20, 1),
        (64, 5, 1),
        (64, 20, 4),
        (64, 100, 1),
        (64, 100, 4),
    ] {
        rows.push(measure(programs, vms, latency_ms, connections)?);
    }
    Ok(rows)
}

fn measure(
    programs: &Programs,
    vms: u32,
    latency_ms: u32,
    connections: u32,
) -> anyhow::Result<Row> {
    let how = How::at(latency_ms);
    let fast = create(programs, vms, &How { connections, ..how })?;
    let serial = create(
        programs,
        vms,
        &How {
            concurrency: Some(1),
            ..how
        },
    )?;
    let latency = f64::from(latency_ms);
    #[expect(clippy::cast_precision_loss, reason = "some thousands of calls")]
    let (mutating, all) = (fast.mutating as f64, fast.calls as f64);
    // Every VM: create, start, status after start; zvols side by side, devices side by side.
    let chain = 5.0 * latency + START_MS;
    let slots = (mutating + f64::from(vms)) * latency + f64::from(vms) * START_MS;
    let bound_ms =
        ROUNDS_AROUND * latency + (slots / (RUNNING_CALLS * f64::from(connections))).max(chain);
    Ok(Row {
        vms,
        latency_ms,
        connections,
        wall_ms: fast.wall_ms,
        bound_ms,
        ratio_to_bound: fast.wall_ms / bound_ms,
        speedup_vs_serial: serial.wall_ms / fast.wall_ms,
        calls: fast.calls,
        calls_per_vm: all / f64::from(vms),
        peak_mib: fast.peak_mib,
    })
}

/// How VMs are made.
#[derive(Clone, Copy)]
pub(super) struct How<'a> {
    pub(super) latency_ms: u32,
    pub(super) concurrency: Option<u16>,
    pub(super) connections: u32,
    /// What is there before; the simulator's default world if none.
    pub(super) world: Option<&'a Path>,
}

impl How<'_> {
    /// Over one connection.
    pub(super) fn at(latency_ms: u32) -> Self {
        Self {
            latency_ms,
            concurrency: None,
            connections: 1,
            world: None,
        }
    }
}

/// What a run took.
pub(super) struct Created {
    pub(super) wall_ms: f64,
    pub(super) calls: u64,
    pub(super) mutating: u64,
    pub(super) bytes_received: u64,
    pub(super) peak_mib: f64,
}

/// Makes VMs on a simulated server of their own.
pub(super) fn create(programs: &Programs, vms: u32, how: &How<'_>) -> anyhow::Result<Created> {
    let config_file = programs.folder.join(format!("provision-{vms}.yaml"));
    std::fs::write(&config_file, config(vms))?;
    let latency = format!("{}ms", how.latency_ms);
    let world = how.world.map(|file| file.display().to_string());
    let mut arguments = vec!["--latency", latency.as_str()];
    if let Some(world) = &world {
        arguments.extend(["--world", world.as_str()]);
    }
    let simulator = Simulator::start(&programs.simulator, &programs.folder, &arguments)?;
    let mut command = Command::new(&programs.tnvm);
    command
        .args(["create", "-o", "json", "--config"])
        .arg(&config_file)
        .env("TRUENAS_HOST", format!("ws://{}", simulator.address))
        .env("API_USERNAME", "truenas_admin")
        .env("API_PASSWORD", "secret")
        .env("VNC_PASSWORD", "bench")
        .env("TNVM_CACHE_DIR", programs.folder.join("cache"))
        .env_remove("TRUENAS_API_KEY");
    if how.connections > 1 {
        command.args(["--connections", &how.connections.to_string()]);
    }
    if let Some(concurrency) = how.concurrency {
        command.args(["--concurrency", &concurrency.to_string()]);
    }
    let sample = sampled::run(&mut command)?;
    let printed: Value = serde_json::from_slice(&sample.stdout).context("tnvm printed no JSON")?;
    let number = |name: &str| {
        let pointer = format!("/summary/{name}");
        printed
            .pointer(&pointer)
            .and_then(Value::as_u64)
            .unwrap_or(0)
    };
    let mutating = number("mutating_calls");
    #[expect(clippy::cast_precision_loss, reason = "KiB of a process fit")]
    let peak_mib = sample.peak_kib as f64 / 1024.0;
    Ok(Created {
        wall_ms: sample.wall.as_secs_f64() * 1000.0,
        calls: number("reading_calls") + mutating,
        mutating,
        bytes_received: number("bytes_received"),
        peak_mib,
    })
}

/// VMs of five devices each: two disks, a NIC, a display, a CD-ROM. Small, so that many fit.
pub(super) fn config(vms: u32) -> String {
    format!(
        "storage:\n  pool_path: tank/kubernetes\n  cdrom_path: /mnt/tank/iso/metal-amd64.iso\n\
         node:\n  count: {vms}\n  cpu: 1\n  memory: 256MiB\n  disk: {{system: 1GiB, data: 1GiB}}\n  network: {{lan: br0}}\n"
    )
}
