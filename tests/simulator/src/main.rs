//! The `tnvm-simulator` program: a rehearsal stage for tnvm, and for anything else that talks to
//! TrueNAS.

mod cli;

use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    cli::run().await
}
