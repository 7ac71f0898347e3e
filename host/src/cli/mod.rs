//! The command line: one file per command, one place that prints.
//!
//! Reads flags and environment and hands plain values on; nothing below it knows a terminal.

mod access;
mod adopt;
mod adopt_write;
mod apply;
mod args;
mod change;
mod create;
mod destroy;
mod drift;
mod exit;
mod fleet;
mod guard;
mod list;
mod logging;
mod login;
mod look;
mod marking;
mod mask;
mod output;
mod plan;
mod plugin;
mod prepare;
mod progress;
mod release;
mod results;
mod run;
mod scope;
mod session;
mod shown;
mod signals;
mod work;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::Parser;

use args::{Cli, Command, PluginCommand};
use exit::{Exit, Failure};
use output::Output;

/// Runs the program: arguments in, exit code out.
#[must_use]
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        // Where 2 says "differences" a slip of the pen must not say the same.
        Err(error) if error.use_stderr() && asks_for_differences(std::env::args_os()) => {
            // Nobody is left to tell when standard error is closed.
            let _ = error.print();
            return ExitCode::FAILURE;
        }
        // clap prints usage errors and exits with 2, the code this program documents for them.
        Err(error) => error.exit(),
    };
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
            match failure.exit() {
                Exit::Usage if asks_for_differences(std::env::args_os()) => ExitCode::FAILURE,
                exit => exit.into(),
            }
        }
    }
}

/// Whether exit code 2 means "there are differences" for these arguments.
fn asks_for_differences(arguments: impl Iterator<Item = OsString>) -> bool {
    let mut arguments = arguments.skip(1);
    arguments.any(|one| one == "drift" || one == "--detailed-exitcode")
}

async fn dispatch(cli: &Cli, output: &Output) -> Result<Exit, Failure> {
    let global = &cli.global;
    match &cli.command {
        Command::Create(args) => create::create(global, args, output).await,
        Command::Plan(args) => plan::plan(global, args, output).await,
        Command::Apply(args) => apply::apply(global, args, output).await,
        Command::Drift(args) => drift::drift(global, args, output).await,
        Command::Adopt(args) => adopt::adopt(global, args, output).await,
        Command::Destroy(args) => destroy::destroy(global, args, output).await,
        Command::Login => login::login(global, output).await,
        Command::List(args) => list::list(global, args, output).await,
        Command::Plugin(PluginCommand::List) => plugin::list(global, output),
    }
}
