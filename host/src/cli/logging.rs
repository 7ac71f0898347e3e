//! Structured logs on standard error.

use tracing_subscriber::EnvFilter;

use super::args::{Global, LogFormat};

/// Installs the subscriber. Fails when the level is neither a level nor a filter.
pub(super) fn init(global: &Global, ansi: bool) -> Result<(), String> {
    let filter = EnvFilter::try_new(&global.log_level).map_err(|cause| {
        format!(
            "`{}` is not a log level: {cause}; use error, warn, info, debug, trace or a filter such as tnvm::plugin=debug",
            global.log_level
        )
    })?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(ansi);
    // A second subscriber can only be met in a test that runs two commands in one process.
    let _ = match global.log_format {
        LogFormat::Text => builder.try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
    Ok(())
}
