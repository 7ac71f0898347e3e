//! The one entry for everything a developer does: a table of subcommands, one file each.
//! It knows no task itself.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

mod build_plugins;
mod check_component;
mod codegen;
mod paths;
mod say;
mod wasm_toolchain;

/// Everything a developer of tnvm does, in one place.
#[derive(Parser)]
#[command(name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    BuildPlugins(build_plugins::Arguments),
    Codegen(codegen::Arguments),
}

fn main() -> ExitCode {
    let done = match Arguments::parse().task {
        Task::BuildPlugins(arguments) => build_plugins::run(arguments),
        Task::Codegen(arguments) => codegen::run(&arguments),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            say::error(&failure);
            ExitCode::FAILURE
        }
    }
}
