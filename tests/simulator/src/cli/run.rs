//! From options to a running simulator and back.

use std::error::Error;
use std::process::ExitCode;

use clap::Parser;
use tnvm_simulator::{Fault, Options, SCRAM_ITERATIONS, Simulator, WorldBuilder, WorldFile};
use tracing_subscriber::EnvFilter;

use super::args::Args;
use super::{conform, output, ready};

/// Runs until Ctrl-C.
pub(crate) async fn run() -> ExitCode {
    let args = Args::parse();
    // RUST_LOG chooses what is logged; without it only warnings are.
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .init();
    let done = if args.conform.is_empty() {
        serve(args).await.map(|()| true)
    } else {
        conform::run(&args).await
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            output::failed(error.as_ref());
            ExitCode::FAILURE
        }
    }
}

async fn serve(args: Args) -> Result<(), Box<dyn Error>> {
    let options = options(&args)?;
    let version = args.truenas.short().to_owned();
    let running = Simulator::start(options).await?;
    let certificate = match running.certificate() {
        Some(made) => Some(ready::write_certificate(made, args.ready_file.as_deref())?),
        None => None,
    };
    if let Some(path) = &args.ready_file {
        ready::write_ready(path, &running, certificate.as_deref())?;
    }
    output::started(&running, &version, certificate.as_deref());
    tokio::signal::ctrl_c().await?;
    running.stop().await;
    Ok(())
}

fn options(args: &Args) -> Result<Options, Box<dyn Error>> {
    // As a real host stores its keys; a world file may ask for less.
    let mut builder = WorldBuilder::example(args.truenas.clone())
        .logins(|logins| logins.scram_iterations = SCRAM_ITERATIONS);
    if let Some(path) = &args.world {
        builder = builder.file_applied(&WorldFile::read(path)?)?;
    }
    if let Some(key) = &args.api_key {
        builder = builder.api_key(key)?;
    }
    let mut options = Options::with_world(builder.build());
    options.listen = args.listen;
    options.latency = args.latency;
    options.tls = args.tls;
    if let Some(path) = &args.faults {
        options.faults = Fault::read_all(path)?;
    }
    Ok(options)
}
