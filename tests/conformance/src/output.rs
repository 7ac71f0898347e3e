//! The only place that prints: the report to standard output, all else to standard error.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "this module is the program's voice"
)]

use std::path::PathBuf;

use tnvm_simulator::conform::{Counts, FrameReport, Replay};

use crate::report::{Report, SessionReport, by_method};

/// The report for people: a table per version, then what differs.
pub(crate) fn text(report: &Report) {
    for (version, replays) in &report.replays {
        println!("TrueNAS {version}: {} transcripts", replays.len());
        table(replays);
        println!();
    }
    for session in &report.sessions {
        sessions(session);
    }
}

/// The same for programs.
pub(crate) fn json(report: &Report) -> serde_json::Result<()> {
    println!("{}", serde_json::to_string_pretty(report)?);
    Ok(())
}

/// Files that were written.
pub(crate) fn recorded(files: &[PathBuf]) {
    for file in files {
        eprintln!("wrote {}", file.display());
    }
}

/// What went wrong.
pub(crate) fn failed(error: &dyn std::error::Error) {
    eprintln!("error: {error}");
}

fn table(replays: &[Replay]) {
    let methods = by_method(replays);
    let width = methods.keys().map(String::len).max().unwrap_or(0).max(6);
    let row = |name: &str, counts: &Counts| {
        let Counts {
            covered,
            differing,
            not_modelled,
            other_words,
        } = counts;
        println!(
            "  {name:width$}  {covered:>7}  {differing:>9}  {not_modelled:>12}  {other_words:>11}"
        );
    };
    println!(
        "  {:width$}  covered  differing  not modelled  other words",
        "method"
    );
    let mut sum = Counts::default();
    for (method, counts) in &methods {
        row(method, counts);
        sum += *counts;
    }
    row("all", &sum);
    for replay in replays {
        for FrameReport {
            frame,
            method,
            differences,
            ..
        } in &replay.frames
        {
            for difference in differences.iter().filter(|found| found.counts()) {
                println!(
                    "  {}, frame {frame}, {method}: {difference}",
                    replay.transcript
                );
            }
        }
    }
}

fn sessions(session: &SessionReport) {
    println!(
        "TrueNAS {}: a session of {} calls to {} methods; {} do not fit the tables of shapes",
        session.version,
        session.calls,
        session.methods,
        session.wrong.len()
    );
    session.wrong.iter().for_each(|what| println!("  {what}"));
    if let Some(schemas) = &session.schemas {
        println!(
            "  schemas {}: {} calls validated, {} not valid; {} methods compared with the tables, {} places disagree",
            schemas.api_version,
            schemas.validated,
            schemas.invalid.len(),
            schemas.compared,
            schemas.disagreeing.len()
        );
        let all = schemas.invalid.iter().chain(&schemas.disagreeing);
        all.for_each(|what| println!("    {what}"));
    }
}
