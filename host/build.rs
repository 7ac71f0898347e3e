//! Embeds the built-in plugins: writes a table of the components that `cargo xtask build-plugins`
//! left in `<target>/plugins/builtin`, or in the folder that `TNVM_BUILTIN_PLUGINS` names.

use std::error::Error;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs};

const VARIABLE: &str = "TNVM_BUILTIN_PLUGINS";

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed={VARIABLE}");
    println!("cargo::rerun-if-env-changed=CARGO_TARGET_DIR");

    let out = PathBuf::from(env::var("OUT_DIR")?);
    let folder = folder(&out)?;
    // The folder for files that come and go, each file for what is in it.
    println!("cargo::rerun-if-changed={}", folder.display());
    let mut components = Vec::new();
    for entry in fs::read_dir(&folder)? {
        let path = entry?.path();
        if path
            .extension()
            .is_some_and(|extension| extension == "wasm")
        {
            println!("cargo::rerun-if-changed={}", path.display());
            components.push(path);
        }
    }
    components.sort();
    fs::write(out.join("builtin_plugins.rs"), table(&components)?)?;
    Ok(())
}

/// Where the components are. `OUT_DIR` is `<target>/[<triple>/]<profile>/build/<name>/out`, and the
/// target folder is the one with cargo's tag in it, wherever it was put. A folder that was there
/// before cargo (a volume, a restored cache) has no tag; then the folders are counted.
fn folder(out: &Path) -> Result<PathBuf, Box<dyn Error>> {
    if let Some(folder) = env::var_os(VARIABLE) {
        return fs::canonicalize(&folder)
            .map_err(|error| format!("{VARIABLE} names {}: {error}", folder.display()).into());
    }
    let target = out
        .ancestors()
        .filter(|folder| folder.join("CACHEDIR.TAG").is_file())
        .last()
        .or_else(|| counted(out))
        .ok_or("no target folder above OUT_DIR")?;
    let folder = target.join("plugins").join("builtin");
    // Made here, since cargo would run this again in every build for a path that does not exist,
    // and would miss the folder's making if it were told of nothing.
    fs::create_dir_all(&folder)?;
    Ok(folder)
}

fn counted(out: &Path) -> Option<&Path> {
    let folder = out.ancestors().nth(4)?;
    let is_triple = folder.file_name() == env::var_os("TARGET").as_deref();
    if is_triple {
        folder.parent()
    } else {
        Some(folder)
    }
}

fn table(components: &[PathBuf]) -> Result<String, Box<dyn Error>> {
    let mut table = "/// What `build.rs` found.\nstatic BUILTIN: &[Builtin] = &[\n".to_owned();
    for path in components {
        let name = path
            .file_stem()
            .and_then(|name| name.to_str())
            .ok_or_else(|| format!("{} has no readable name", path.display()))?;
        let path = path
            .to_str()
            .ok_or_else(|| format!("{} has no readable name", path.display()))?;
        writeln!(
            table,
            "    Builtin {{ name: {name:?}, bytes: include_bytes!({path:?}) }},"
        )?;
    }
    table.push_str("];\n");
    Ok(table)
}
