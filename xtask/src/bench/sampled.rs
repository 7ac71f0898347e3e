//! A program's run with its wall time and peak memory.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

use crate::shell;

/// What a run took.
pub(crate) struct Sample {
    /// From start to end.
    pub(crate) wall: Duration,
    /// The most resident memory seen, in KiB; 0 where the system does not tell (not Linux).
    pub(crate) peak_kib: u64,
    /// Standard output.
    pub(crate) stdout: Vec<u8>,
}

/// Runs a command to its end and samples it.
///
/// # Errors
/// When it cannot be run or fails.
pub(crate) fn run(command: &mut Command) -> anyhow::Result<Sample> {
    let began = Instant::now();
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot run {}", shell::shown(command)))?;
    let status_file = format!("/proc/{}/status", child.id());
    let (stop, stopped) = std::sync::mpsc::channel::<()>();
    let watcher = std::thread::spawn(move || {
        let mut peak = 0;
        // VmHWM only grows, so the last look before the end counts; a millisecond apart is fine.
        while stopped.recv_timeout(Duration::from_millis(1)).is_err() {
            peak = peak_kib(&status_file).unwrap_or(peak);
        }
        peak
    });
    let output = child_output(&mut child)?;
    let wall = began.elapsed();
    let _ = stop.send(());
    let peak_kib = watcher.join().unwrap_or(0);
    let status = child.wait()?;
    if !status.success() {
        bail!(
            "{} failed ({status}): {}",
            shell::shown(command),
            String::from_utf8_lossy(&output.1)
        );
    }
    Ok(Sample {
        wall,
        peak_kib,
        stdout: output.0,
    })
}

/// Reads both streams to their end, side by side, so that neither pipe fills up.
fn child_output(child: &mut std::process::Child) -> anyhow::Result<(Vec<u8>, Vec<u8>)> {
    use std::io::Read;
    let mut stderr = child.stderr.take().context("no standard error")?;
    let errors = std::thread::spawn(move || {
        let mut text = Vec::new();
        let _ = stderr.read_to_end(&mut text);
        text
    });
    let mut stdout = Vec::new();
    child
        .stdout
        .take()
        .context("no standard output")?
        .read_to_end(&mut stdout)?;
    Ok((stdout, errors.join().unwrap_or_default()))
}

fn peak_kib(status_file: &str) -> Option<u64> {
    let text = std::fs::read_to_string(status_file).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok()
}
