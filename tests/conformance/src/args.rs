//! The options of the program.

use std::path::PathBuf;

/// Measure how far the simulator is what a real TrueNAS is
///
/// Prints per version how many recorded frames of each method the simulator covers, answers otherwise,
/// or does not model; and what a session that calls every method shows. Exit code 1 when something
/// differs.
#[derive(Debug, clap::Parser)]
#[command(name = "cargo xtask conformance")]
pub(crate) struct Args {
    /// Replay all transcripts (`*.jsonl`) below this folder, instead of the project's own
    #[arg(long, value_name = "DIR")]
    pub(crate) transcripts: Option<PathBuf>,

    /// Check against the server's own schemas, too: files `v25.10.5.json` and so on
    #[arg(long, value_name = "DIR", env = "TNVM_API_SCHEMAS")]
    pub(crate) schemas: Option<PathBuf>,

    /// Write the project's own transcripts anew
    #[arg(long)]
    pub(crate) record: bool,

    /// How to print
    #[arg(short, long, value_name = "FORMAT", default_value = "text")]
    pub(crate) output: Output,
}

/// How the report is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Output {
    /// For people.
    Text,
    /// For programs.
    Json,
}
