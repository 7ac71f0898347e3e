//! Finds, or gets, what is needed to compile for WebAssembly. It knows nothing of plugins.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail};

use crate::say;

/// Without WASI, so that a plugin imports nothing but what the contract offers; the same code for
/// `wasm32-wasip2` imports 13 interfaces even if it uses none.
pub(crate) const TARGET: &str = "wasm32-unknown-unknown";

/// `cargo build` of a toolchain that can compile for [`TARGET`].
///
/// Three ways are tried: the target is installed; rustup can add it; the toolchain has the
/// sources of the standard library (Debian's `rust-web-src`), which are then built along.
///
/// # Errors
/// When none of them works, with what to install.
pub(crate) fn cargo_build() -> anyhow::Result<Command> {
    let mut command = Command::new(cargo());
    command.arg("build");
    if !installed()? {
        say::note(&format!("installing the target {TARGET}"));
        if !add_by_rustup() || !installed()? {
            build_standard_library(&mut command)?;
        }
    }
    Ok(command)
}

/// The cargo that runs this very program.
fn cargo() -> PathBuf {
    env::var_os("CARGO").map_or_else(|| "cargo".into(), PathBuf::from)
}

fn rustc() -> PathBuf {
    env::var_os("RUSTC").map_or_else(|| "rustc".into(), PathBuf::from)
}

fn installed() -> anyhow::Result<bool> {
    let library = ask_rustc(&["--print", "target-libdir", "--target", TARGET])?;
    Ok(library.is_some_and(|folder| folder.is_dir()))
}

fn add_by_rustup() -> bool {
    Command::new("rustup")
        .args(["target", "add", TARGET])
        .status()
        .is_ok_and(|status| status.success())
}

fn build_standard_library(command: &mut Command) -> anyhow::Result<()> {
    let sysroot = ask_rustc(&["--print", "sysroot"])?.unwrap_or_default();
    let sources = sysroot.join("lib/rustlib/src/rust/library/Cargo.toml");
    let (true, Some(linker)) = (sources.is_file(), linker(&sysroot)) else {
        bail!(
            "Rust cannot compile for {TARGET} here: with rustup, run `rustup target add {TARGET}`; \
             with Debian's Rust, install rustc-web, cargo-web, rust-web-src and lld (LLVM 20 or newer)"
        );
    };
    command
        .arg("-Zbuild-std=std,panic_abort")
        // The flag is unstable; the variable makes a stable toolchain take it.
        .env("RUSTC_BOOTSTRAP", "1")
        .env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", linker);
    Ok(())
}

/// The toolchain's own linker, else the newest `wasm-ld` on the path. Older than LLVM 20 they
/// do not know the features that Rust now switches on.
fn linker(sysroot: &Path) -> Option<PathBuf> {
    let own = sysroot
        .join("lib/rustlib")
        .join(env::consts::ARCH.to_owned() + "-unknown-linux-gnu/bin/rust-lld");
    let folders: Vec<PathBuf> =
        env::split_paths(&env::var_os("PATH").unwrap_or_default()).collect();
    let names = (20..=30).rev().map(|version| format!("wasm-ld-{version}"));
    let on_path = names
        .chain(["wasm-ld".to_owned()])
        .flat_map(|name| folders.iter().map(move |folder| folder.join(&name)));
    std::iter::once(own)
        .chain(on_path)
        .find(|path| path.is_file())
}

fn ask_rustc(arguments: &[&str]) -> anyhow::Result<Option<PathBuf>> {
    let output = Command::new(rustc())
        .args(arguments)
        .output()
        .context("running rustc")?;
    if !output.status.success() {
        return Ok(None);
    }
    let text = String::from_utf8_lossy(&output.stdout);
    Ok(Some(PathBuf::from(text.trim())))
}
