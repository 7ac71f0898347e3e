//! `cargo xtask demo`: everything from nothing to running VMs on a simulated TrueNAS.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::simulator::Simulator;
use crate::{build_plugins, paths, say, shell};

/// Build everything and create the example's VMs on a simulated TrueNAS
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Leave the simulator running and say how to talk to it
    #[arg(long)]
    keep: bool,
}

/// Runs the demo.
///
/// # Errors
/// When anything cannot be built or run.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    shell::step("building the plugins, the host and the simulator");
    build_plugins::build_builtin(&build_plugins::builtin_folder())?;
    shell::run(&mut shell::cargo(&[
        "build",
        "--package",
        "tnvm",
        "--package",
        "tnvm-simulator",
    ]))?;
    let programs = paths::target().join("debug");
    let folder = paths::target().join("demo");
    std::fs::create_dir_all(&folder)?;

    shell::step("starting a simulated TrueNAS 25.10 on loopback");
    // A call to a real server in the same house takes about this long.
    let simulator = Simulator::start(
        &programs.join("tnvm-simulator"),
        &folder,
        &["--latency", "20ms"],
    )?;
    say::note(&format!("it listens on {}", simulator.address));

    let tnvm = Tnvm {
        program: programs.join("tnvm"),
        address: simulator.address.clone(),
    };
    let config = paths::root().join("examples/kubernetes.yaml");
    tnvm.run(&config, &["create"])?;
    tnvm.run(&config, &["list"])?;
    shell::step("the same create once more: it finds everything as it should be");
    tnvm.run(&config, &["create"])?;

    if arguments.keep {
        let address = simulator.address.clone();
        let id = simulator.keep();
        say::result(&format!(
            "\nThe simulator goes on at ws://{address} (process {id}). To talk to it:\n\
             \n  export TRUENAS_HOST=ws://{address} API_USERNAME=truenas_admin API_PASSWORD=secret VNC_PASSWORD=demo\n\
             \n  {program} list\n  {program} destroy --config {config}\n\
             \nTo end it: kill {id}",
            program = tnvm.program.display(),
            config = config.display(),
        ));
    }
    Ok(())
}

/// The real program, pointed at the simulator.
struct Tnvm {
    program: PathBuf,
    address: String,
}

impl Tnvm {
    fn run(&self, config: &Path, arguments: &[&str]) -> anyhow::Result<()> {
        let mut command = Command::new(&self.program);
        command
            .args(arguments)
            .arg("--config")
            .arg(config)
            .env("TRUENAS_HOST", format!("ws://{}", self.address))
            .env("API_USERNAME", "truenas_admin")
            .env("API_PASSWORD", "secret")
            .env("VNC_PASSWORD", "demo")
            // A key of the caller's own would be preferred to the password and is not for this server.
            .env_remove("TRUENAS_API_KEY");
        shell::step(&format!(
            "tnvm {} --config examples/kubernetes.yaml",
            arguments.join(" ")
        ));
        shell::run(&mut command)
    }
}
