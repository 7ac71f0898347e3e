//! Where the programs, the plugins and the repository are.

use std::path::{Path, PathBuf};

/// The repository's root.
///
/// # Panics
/// When this crate is not where it belongs.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .nth(2)
        .expect("the suite lies two folders below the root")
        .to_owned()
}

/// The target folder that this test was built into.
pub fn target() -> PathBuf {
    profile()
        .parent()
        .expect("a profile's folder lies in the target folder")
        .to_owned()
}

/// The `tnvm` of the same build: it lies beside the folder of the test programs.
///
/// # Panics
/// When it was not built.
pub(crate) fn program() -> PathBuf {
    let program = profile().join("tnvm");
    assert!(
        program.is_file(),
        "{} is missing: run `cargo build -p tnvm` first; `cargo test --workspace` builds it by itself",
        program.display()
    );
    program
}

/// A component of the tests' own plugins, by its name without `.wasm`.
///
/// # Panics
/// When it was not built.
pub fn plugin(name: &str) -> PathBuf {
    let folder = std::env::var_os("TNVM_TEST_PLUGINS")
        .map_or_else(|| target().join("plugins/test"), PathBuf::from);
    let file = folder.join(format!("{name}.wasm"));
    assert!(
        file.is_file(),
        "{} is missing: `cargo xtask test` builds it",
        file.display()
    );
    file
}

/// `target/debug` of `target/debug/deps/suite-0123456789abcdef`.
fn profile() -> PathBuf {
    let own = std::env::current_exe().expect("the test program has a path");
    own.ancestors()
        .nth(2)
        .expect("the test program lies in target/PROFILE/deps")
        .to_owned()
}
