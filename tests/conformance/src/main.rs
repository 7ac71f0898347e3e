//! Measures how far the simulator is what a real TrueNAS is: replays transcripts, and checks a session
//! that calls every method against the tables of shapes and, where a person has them, against the
//! server's own schemas. `cargo xtask conformance` runs this.

mod agree;
mod args;
mod output;
mod replays;
mod report;
mod schemas;
mod sessions;

use std::error::Error;
use std::process::ExitCode;

use clap::Parser;

use args::{Args, Output};
use report::Report;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> ExitCode {
    match measure(&Args::parse()).await {
        Ok(report) if report.agrees() => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            output::failed(error.as_ref());
            ExitCode::FAILURE
        }
    }
}

async fn measure(args: &Args) -> Result<Report, Box<dyn Error>> {
    let sessions = sessions::run(args.schemas.as_deref()).await?;
    if args.record {
        let written = sessions::record(&sessions)?;
        output::recorded(&written);
    }
    let report = Report {
        replays: replays::run(args.transcripts.as_deref()).await?,
        sessions: sessions.into_iter().map(|ran| ran.report).collect(),
    };
    match args.output {
        Output::Text => output::text(&report),
        Output::Json => output::json(&report)?,
    }
    Ok(report)
}
