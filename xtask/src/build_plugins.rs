//! `cargo xtask build-plugins`: plugin crates to components. It knows nothing of what a plugin
//! does, and the host knows nothing of this.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, bail};
use serde_json::Value;
use sha2::{Digest, Sha256};
use wit_component::ComponentEncoder;

use crate::wasm_toolchain::{self, TARGET};
use crate::{check_component, paths, say};

/// The default set, in the order in which the host lists it.
const BUILTIN: [&str; 4] = ["disk", "nic", "display", "cdrom"];

/// The profile `plugin` of the root Cargo.toml, given on the command line, so that a stranger's
/// workspace need not have it.
const PROFILE: [&str; 6] = [
    r#"profile.plugin.inherits="release""#,
    r#"profile.plugin.opt-level="s""#,
    "profile.plugin.lto=true",
    "profile.plugin.codegen-units=1",
    r#"profile.plugin.panic="abort""#,
    "profile.plugin.strip=true",
];

/// Build plugins to components; without a path the built-in set to target/plugins/builtin
///
/// A component is named after its crate, without a leading `tnvm-`: the crate `tnvm-disk` gives
/// `disk.wasm`. The file is only written when its bytes change.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Folders of plugin crates; each component is put into its crate's folder
    #[arg(value_name = "PATH")]
    crates: Vec<PathBuf>,
    /// Put the components here instead
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// A finished component.
pub(crate) struct Built {
    /// `disk`
    pub(crate) name: String,
    /// Where it was put.
    pub(crate) path: PathBuf,
    /// Its size in bytes.
    pub(crate) size: usize,
    /// SHA-256 of it in hexadecimal.
    pub(crate) sha256: String,
}

/// Builds what the arguments name and prints a line for each component.
///
/// # Errors
/// See [`build`].
pub(crate) fn run(arguments: Arguments) -> anyhow::Result<()> {
    let Arguments { crates, out } = arguments;
    let built = if crates.is_empty() {
        build_builtin(&out.unwrap_or_else(builtin_folder))?
    } else {
        let mut built = Vec::new();
        for folder in crates {
            built.extend(build(&folder, out.as_deref().unwrap_or(&folder))?);
        }
        built
    };
    for Built {
        name,
        path,
        size,
        sha256,
    } in &built
    {
        let kib = size.div_ceil(1024);
        let digest = sha256.get(..12).unwrap_or(sha256);
        say::result(&format!(
            "{name:10} {kib:4} KiB  {digest}  {}",
            path.display()
        ));
    }
    Ok(())
}

/// Where the built-in set is put unless told otherwise, and where the host's build looks for it.
pub(crate) fn builtin_folder() -> PathBuf {
    paths::target().join("plugins/builtin")
}

/// Builds the built-in set into `out`, in one run of cargo.
///
/// # Errors
/// See [`build`].
pub(crate) fn build_builtin(out: &Path) -> anyhow::Result<Vec<Built>> {
    let mut command = cargo(&paths::root().join("Cargo.toml"))?;
    for name in BUILTIN {
        command.args(["--package", &format!("tnvm-{name}")]);
    }
    let mut built = components(command, out, |manifest| {
        manifest.starts_with(paths::root().join("plugins"))
    })?;
    built.sort_by_key(|component| BUILTIN.iter().position(|name| *name == component.name));
    if built.len() != BUILTIN.len() {
        bail!(
            "cargo made {} of {} built-in plugins: each needs crate-type cdylib",
            built.len(),
            BUILTIN.len()
        );
    }
    Ok(built)
}

/// Builds the plugin crate in `folder`, of any workspace, into `out`.
///
/// # Errors
/// When the WebAssembly target cannot be had, cargo fails, the crate makes no plugin, or the
/// component is not one that tnvm can load.
pub(crate) fn build(folder: &Path, out: &Path) -> anyhow::Result<Vec<Built>> {
    let manifest = folder
        .join("Cargo.toml")
        .canonicalize()
        .with_context(|| format!("{} is not the folder of a crate", folder.display()))?;
    let built = components(cargo(&manifest)?, out, |made_by| made_by == manifest)?;
    if built.is_empty() {
        bail!(
            "{} makes no plugin: write `crate-type = [\"cdylib\", \"rlib\"]` under [lib]",
            manifest.display()
        );
    }
    Ok(built)
}

/// A `cargo build` that disturbs no other: its own target folder, since other flags would
/// otherwise make cargo build the host again, and the other way round.
fn cargo(manifest: &Path) -> anyhow::Result<Command> {
    let mut command = wasm_toolchain::cargo_build()?;
    command
        .args(["--profile", "plugin", "--target", TARGET])
        .arg("--message-format=json-render-diagnostics")
        .arg("--manifest-path")
        .arg(manifest)
        .arg("--target-dir")
        .arg(paths::target().join("plugins/build"))
        .env("CARGO_ENCODED_RUSTFLAGS", reproducible(manifest))
        .stdout(Stdio::piped());
    for setting in PROFILE {
        command.args(["--config", setting]);
    }
    Ok(command)
}

/// Flags that keep this machine's folders out of panic texts, so that everyone who builds the
/// same sources gets the same bytes, and the same digest in `tnvm.lock`.
fn reproducible(manifest: &Path) -> String {
    let workspace = manifest.parent().unwrap_or(manifest);
    let mut flags = vec![
        format!("--remap-path-prefix={}=/plugin", workspace.display()),
        // Later flags win where both match: the SDK lies in this repository.
        format!("--remap-path-prefix={}=/tnvm", paths::root().display()),
    ];
    if let Some(home) = paths::cargo_home() {
        flags.push(format!("--remap-path-prefix={}=/cargo", home.display()));
    }
    // The separator that cargo defines for this variable.
    flags.join("\u{1f}")
}

fn components(
    mut command: Command,
    out: &Path,
    wanted: impl Fn(&Path) -> bool,
) -> anyhow::Result<Vec<Built>> {
    let output = command
        .spawn()
        .and_then(|child| child.wait_with_output())
        .context("starting cargo")?;
    if !output.status.success() {
        bail!("cargo could not build the plugins, see above");
    }
    fs::create_dir_all(out).with_context(|| format!("making {}", out.display()))?;
    let messages = String::from_utf8_lossy(&output.stdout);
    let mut built = Vec::new();
    for message in messages.lines() {
        // A build script may print to the same pipe; what is no JSON is none of cargo's.
        let Ok(message) = serde_json::from_str::<Value>(message) else {
            continue;
        };
        if let Some((name, module)) = artifact(&message, &wanted) {
            built.push(component(&name, &module, out)?);
        }
    }
    Ok(built)
}

/// The name and core module that one of cargo's messages tells of, if it is a wanted plugin's.
fn artifact(message: &Value, wanted: &impl Fn(&Path) -> bool) -> Option<(String, PathBuf)> {
    if message.get("reason")?.as_str()? != "compiler-artifact"
        || !wanted(Path::new(message.get("manifest_path")?.as_str()?))
    {
        return None;
    }
    let module = message
        .get("filenames")?
        .as_array()?
        .iter()
        .filter_map(Value::as_str)
        .find(|path| path.ends_with(".wasm"))?;
    let name = message.pointer("/target/name")?.as_str()?.replace('_', "-");
    let name = name.strip_prefix("tnvm-").unwrap_or(&name).to_owned();
    Some((name, PathBuf::from(module)))
}

fn component(name: &str, module: &Path, out: &Path) -> anyhow::Result<Built> {
    let core = fs::read(module).with_context(|| format!("reading {}", module.display()))?;
    let bytes = ComponentEncoder::default()
        .validate(true)
        .module(&core)
        .and_then(|mut encoder| encoder.encode())
        .with_context(|| format!("making a component of {}", module.display()))?;
    check_component::check(&bytes).with_context(|| format!("the plugin `{name}`"))?;
    let path = out.join(format!("{name}.wasm"));
    // A newer file of the same bytes would make cargo build the host, which embeds it, again.
    if fs::read(&path).ok().as_deref() != Some(&bytes) {
        fs::write(&path, &bytes).with_context(|| format!("writing {}", path.display()))?;
    }
    Ok(Built {
        name: name.to_owned(),
        path,
        size: bytes.len(),
        sha256: format!("{:x}", Sha256::digest(&bytes)),
    })
}
