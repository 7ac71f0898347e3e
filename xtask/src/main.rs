//! The one entry for everything a developer does: a table of subcommands, one file each.
//! It knows no task itself.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

mod bench;
mod build_plugins;
mod check_component;
mod codegen;
mod conformance;
mod demo;
mod fuzz_frames;
mod paths;
mod say;
mod shell;
mod simulator;
mod test;
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
    Demo(demo::Arguments),
    Test(test::Arguments),
    Bench(bench::Arguments),
    BuildPlugins(build_plugins::Arguments),
    Codegen(codegen::Arguments),
    FuzzFrames(fuzz_frames::Arguments),
    Conformance(conformance::Arguments),
}

fn main() -> ExitCode {
    let done = match Arguments::parse().task {
        Task::Demo(arguments) => demo::run(&arguments),
        Task::Test(arguments) => test::run(&arguments),
        Task::Bench(arguments) => bench::run(&arguments),
        Task::BuildPlugins(arguments) => build_plugins::run(arguments),
        Task::Codegen(arguments) => codegen::run(&arguments),
        Task::FuzzFrames(arguments) => fuzz_frames::run(&arguments),
        Task::Conformance(arguments) => conformance::run(&arguments),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            say::error(&failure);
            ExitCode::FAILURE
        }
    }
}
