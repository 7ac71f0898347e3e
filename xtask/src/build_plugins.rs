//! placeholder while codegen is compiled first
#[derive(clap::Args)]
pub(crate) struct Arguments {}
pub(crate) fn run(_: Arguments) -> anyhow::Result<()> { Ok(()) }
