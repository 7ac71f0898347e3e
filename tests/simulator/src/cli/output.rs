//! Everything the program prints. Data goes to stdout, the rest to stderr.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "this module is the program's voice"
)]

use tnvm_simulator::Running;

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

/// What went wrong.
pub(super) fn failed(error: &dyn std::error::Error) {
    eprintln!("error: {error}");
}
