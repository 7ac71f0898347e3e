//! The `tnvm` program: arguments in, exit code out.

use std::process::ExitCode;

fn main() -> ExitCode {
    tnvm::cli::main()
}
