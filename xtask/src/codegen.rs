//! `cargo xtask codegen`: writes the SDK's bindings from the contract in WIT. It knows nothing of
//! plugins.
//!
//! The bindings are committed, because the macro that would make them in every build costs more
//! to compile than all else in a plugin together.

use std::fs;
use std::path::Path;

use anyhow::{Context, bail};
use wit_bindgen_core::Files;
use wit_parser::Resolve;

use crate::{paths, say};

/// The contract and what is generated from it, relative to the root of the repository.
const CONTRACT: &str = "wit/v1";
const BINDINGS: &str = "plugins/sdk/src/bindings.rs";

/// Write the SDK's bindings from `wit/v1`
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Write nothing; fail if the committed bindings are not what the contract gives
    #[arg(long)]
    check: bool,
}

impl Arguments {
    /// Compares and writes nothing.
    pub(crate) const fn check() -> Self {
        Self { check: true }
    }
}

/// Writes the bindings, or compares them.
///
/// # Errors
/// When the contract does not parse, a file cannot be read or written, or, with `--check`, when
/// the committed bindings differ.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let bindings = generate(&paths::root().join(CONTRACT))?;
    let path = paths::root().join(BINDINGS);
    let committed = fs::read_to_string(&path).unwrap_or_default();
    if committed == bindings {
        say::note(&format!("{BINDINGS} is up to date"));
        return Ok(());
    }
    if arguments.check {
        bail!("{BINDINGS} is not what {CONTRACT} gives: run `cargo xtask codegen` and commit");
    }
    fs::write(&path, bindings).with_context(|| format!("writing {}", path.display()))?;
    say::result(&format!("wrote {BINDINGS}"));
    Ok(())
}

fn generate(contract: &Path) -> anyhow::Result<String> {
    let mut resolve = Resolve::default();
    let (package, _) = resolve
        .push_path(contract)
        .with_context(|| format!("reading the contract in {}", contract.display()))?;
    let world = resolve.select_world(&[package], Some("device-plugin"))?;
    let options = wit_bindgen_rust::Opts {
        format: true,
        // Records that the plugin builds are compared in tests.
        additional_derive_attributes: vec!["PartialEq".to_owned()],
        // The macro is used from plugins, through `tnvm_plugin::export!`.
        pub_export_macro: true,
        export_macro_name: Some("__export_component".to_owned()),
        default_bindings_module: Some("tnvm_plugin::bindings".to_owned()),
        runtime_path: Some("::wit_bindgen::rt".to_owned()),
        generate_all: true,
        ..Default::default()
    };
    let mut files = Files::default();
    let mut generator = options.build();
    wit_bindgen_core::WorldGenerator::generate(&mut generator, &mut resolve, world, &mut files)?;
    let (_, bytes) = files.iter().next().context("the generator wrote no file")?;
    Ok(String::from_utf8(bytes.to_vec())?)
}
