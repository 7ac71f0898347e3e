//! Everything the program prints. Data goes to stdout, the rest to stderr.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "this module is the program's voice"
)]

use tnvm_simulator::Running;
use tnvm_simulator::conform::{FrameReport, Replay};

/// How to talk to the simulator.
pub(super) fn started(running: &Running, version: &str, certificate: Option<&std::path::Path>) {
    println!("Simulated TrueNAS {version} at {}", running.url());
    println!("  user      truenas_admin, password secret (in the default world)");
    println!("  API key   {}", running.api_key());
    if let (Some(path), Some(made)) = (certificate, running.certificate()) {
        println!("  CA file   {}", path.display());
        println!("  SHA-256   {}", made.fingerprint);
    }
    println!("Ctrl-C stops it.");
}

/// What replays came to, for people: the differences, then a line per transcript.
pub(super) fn replays(replays: &[Replay]) {
    for replay in replays {
        for frame in &replay.frames {
            for difference in frame.differences.iter().filter(|found| found.counts()) {
                let FrameReport { frame, method, .. } = frame;
                println!(
                    "{}, frame {frame}, {method}: {difference}",
                    replay.transcript
                );
            }
        }
    }
    for replay in replays {
        let counts = replay.counts();
        println!(
            "{} (TrueNAS {}): {} covered ({} in other words), {} differing, {} not modelled",
            replay.transcript,
            replay.version,
            counts.covered,
            counts.other_words,
            counts.differing,
            counts.not_modelled
        );
    }
}

/// The same for programs.
pub(super) fn replays_json(replays: &[Replay]) -> serde_json::Result<()> {
    println!("{}", serde_json::to_string_pretty(replays)?);
    Ok(())
}

/// What went wrong.
pub(super) fn failed(error: &dyn std::error::Error) {
    eprintln!("error: {error}");
}
