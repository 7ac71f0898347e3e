//! The only place of xtask that prints: results to standard output, all else to standard error.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "the one output module of xtask"
)]

/// A line that the task was asked for.
pub(crate) fn result(line: &str) {
    println!("{line}");
}

/// A line about progress.
pub(crate) fn note(line: &str) {
    eprintln!("{line}");
}

/// The failure with everything that led to it, outermost first.
pub(crate) fn error(failure: &anyhow::Error) {
    eprintln!("error: {failure}");
    for cause in failure.chain().skip(1) {
        eprintln!("  because: {cause}");
    }
}
