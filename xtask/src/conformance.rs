//! `cargo xtask conformance`: how far the simulator is what a real TrueNAS is. It only hands on to
//! the program that measures it.

use std::ffi::OsString;

use crate::{paths, shell};

/// Measure how far the simulator is what a real TrueNAS is
///
/// `cargo xtask conformance --help` lists the options of the program that does.
#[derive(clap::Args)]
#[command(disable_help_flag = true)]
pub(crate) struct Arguments {
    /// What the program is given
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<OsString>,
}

/// Builds and runs it.
///
/// # Errors
/// When it cannot be built, or when something differs.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let mut command = shell::cargo(&["run", "--quiet", "--package", "tnvm-conformance"]);
    command
        .arg("--manifest-path")
        .arg(paths::root().join("Cargo.toml"))
        // Folders are given as seen from here.
        .current_dir(std::env::current_dir()?);
    shell::run(command.arg("--").args(&arguments.arguments))
}
