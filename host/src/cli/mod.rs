//! The command line: one file per command, one place that prints.
//!
//! Reads flags and environment and hands plain values on; nothing below it knows a terminal.

mod args;
mod create;
mod destroy;
mod exit;
mod guard;
mod list;
mod logging;
mod mask;
mod output;
mod plugin;
mod prepare;
mod progress;
mod run;
mod session;

use std::process::ExitCode;

use clap::Parser;

use args::{Cli, Command, PluginCommand};
use exit::{Exit, Failure};
use output::Output;

/// Runs the program: arguments in, exit code out.
#[must_use]
pub fn main() -> ExitCode {
    // clap prints its own usage errors and exits with 2, the code this program documents for them.
    let cli = Cli::parse();
    let output = Output::new(&cli.global);
    if let Err(message) = logging::init(&cli.global, output.colours_stderr()) {
        output.error(&message);
        return Exit::Usage.into();
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        // One for the socket and the calls, one for drawing: more would sleep.
        .worker_threads(2)
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(cause) => {
            output.error(&format!("could not start the runtime: {cause}"));
            return Exit::Failed.into();
        }
    };
    match runtime.block_on(dispatch(&cli, &output)) {
        Ok(exit) => exit.into(),
        Err(failure) => {
            output.failure(&failure);
            failure.exit().into()
        }
    }
}

async fn dispatch(cli: &Cli, output: &Output) -> Result<Exit, Failure> {
    let global = &cli.global;
    match &cli.command {
        Command::Create(args) => create::create(global, args, output).await,
        Command::Destroy(args) => destroy::destroy(global, args, output).await,
        Command::List(args) => list::list(global, args, output).await,
        Command::Plugin(PluginCommand::List) => plugin::list(global, output),
    }
}
