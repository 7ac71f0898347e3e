//! Where plugins come from, and the reading of their files.
//!
//! It knows nothing of what is in a file; `inspect` does.

use std::borrow::Cow;
use std::fmt;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use super::error::{Call, PluginError, PluginErrorKind};
use super::limits::Limits;

/// A plugin that is part of this program.
#[derive(Clone, Copy, Debug)]
pub struct Builtin {
    /// The file's name without `.wasm`.
    pub name: &'static str,
    /// The component.
    pub bytes: &'static [u8],
}

include!(concat!(env!("OUT_DIR"), "/builtin_plugins.rs"));

/// The plugins that are part of this program, sorted by name.
///
/// Empty in a build made before `cargo xtask build-plugins` had put them where `build.rs` looks.
#[must_use]
pub fn builtin() -> &'static [Builtin] {
    BUILTIN
}

/// A file that the config names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PluginFile {
    /// What named it, for messages: `vms.yaml:3:5`.
    pub origin: String,
    /// The file.
    pub path: PathBuf,
    /// The SHA-256 it must have, in hex digits, if the config pins one.
    pub sha256: Option<String>,
}

/// All plugins that a run may use, and under which limits.
#[derive(Clone, Debug, Default)]
pub struct PluginSources {
    /// Part of this program; see [`builtin`].
    pub builtin: &'static [Builtin],
    /// Named by the config: first choice.
    pub files: Vec<PluginFile>,
    /// The folder of `--plugins-dir`, every `*.wasm` directly in it: second choice.
    pub dir: Option<PathBuf>,
    /// What each call may use.
    pub limits: Limits,
    /// Where compiled code is kept; `None`: nowhere.
    pub cache_dir: Option<PathBuf>,
    /// Keys of a VM type that belong to the host and that no plugin may claim.
    pub reserved_keys: Vec<String>,
}

/// Where a plugin comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Part of this program.
    Builtin,
    /// A file.
    File {
        /// The file.
        path: PathBuf,
        /// What named it: a place in the config, or `--plugins-dir`.
        named_by: String,
    },
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Builtin => f.write_str("built-in"),
            Self::File { path, named_by } => write!(f, "{}, named by {named_by}", path.display()),
        }
    }
}

/// Something to load.
#[derive(Clone, Debug)]
pub(super) struct Candidate {
    /// Where from.
    pub(super) origin: Origin,
    bytes: Bytes,
    sha256: Option<String>,
}

#[derive(Clone, Debug)]
enum Bytes {
    Static(Builtin),
    File(PathBuf),
}

/// A component's bytes, whose digest is right where one is pinned. Only this is loaded.
#[derive(Debug)]
pub(super) struct Verified {
    /// The component.
    pub(super) bytes: Cow<'static, [u8]>,
    /// SHA-256 in hex digits; `None` for a part of this program, where it waits until asked for:
    /// hashing the built-in set at every start would take a good part of the start.
    pub(super) sha256: Option<String>,
}

/// The error of loading something.
pub(super) fn load_error(plugin: impl fmt::Display, kind: PluginErrorKind) -> PluginError {
    PluginError {
        plugin: plugin.to_string(),
        call: Call::Load,
        vm: None,
        kind: Box::new(kind),
    }
}

impl Candidate {
    /// How to name it before its own name is known.
    pub(super) fn label(&self) -> String {
        match &self.bytes {
            Bytes::Static(builtin) => format!("{} ({})", builtin.name, self.origin),
            Bytes::File(_) => self.origin.to_string(),
        }
    }

    /// Reads and checks the bytes.
    pub(super) fn read(&self, limits: &Limits) -> Result<Verified, PluginErrorKind> {
        let path = match &self.bytes {
            Bytes::Static(builtin) => {
                return Ok(Verified {
                    bytes: Cow::Borrowed(builtin.bytes),
                    sha256: None,
                });
            }
            Bytes::File(path) => path,
        };
        let bytes = Cow::Owned(read(path, limits.component_file)?);
        let actual = sha256(&bytes);
        match &self.sha256 {
            Some(expected) if !expected.trim().eq_ignore_ascii_case(&actual) => {
                Err(PluginErrorKind::Digest {
                    expected: expected.trim().to_owned(),
                    actual,
                })
            }
            _ => Ok(Verified {
                bytes,
                sha256: Some(actual),
            }),
        }
    }
}

/// Everything to load, first choice first, and what is wrong with the folder if it cannot be read.
pub(super) fn candidates(sources: &PluginSources) -> (Vec<Candidate>, Option<PluginError>) {
    let file = |path: &Path, named_by: &str, sha256: Option<String>| Candidate {
        origin: Origin::File {
            path: path.to_owned(),
            named_by: named_by.to_owned(),
        },
        bytes: Bytes::File(path.to_owned()),
        sha256,
    };
    let folder = sources.dir.as_deref().map(wasm_files).transpose();
    let (folder, unreadable) = match folder {
        Ok(files) => (files.unwrap_or_default(), None),
        Err(source) => {
            let path = sources.dir.clone().unwrap_or_default();
            let kind = PluginErrorKind::Unreadable { path, source };
            (
                Vec::new(),
                Some(load_error("folder of --plugins-dir", kind)),
            )
        }
    };
    let named = sources
        .files
        .iter()
        .map(|named| file(&named.path, &named.origin, named.sha256.clone()));
    let in_folder = folder.iter().map(|path| file(path, "--plugins-dir", None));
    let builtin = sources.builtin.iter().map(|builtin| Candidate {
        origin: Origin::Builtin,
        bytes: Bytes::Static(*builtin),
        sha256: None,
    });
    let all = named.chain(in_folder).chain(builtin).collect();
    (all, unreadable)
}

/// The components of a folder, by name.
fn wasm_files(dir: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        let path = entry?.path();
        if path
            .extension()
            .is_some_and(|extension| extension == "wasm")
        {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

fn read(path: &Path, limit: u64) -> Result<Vec<u8>, PluginErrorKind> {
    let unreadable = |source| PluginErrorKind::Unreadable {
        path: path.to_owned(),
        source,
    };
    let file = std::fs::File::open(path).map_err(unreadable)?;
    let size = file.metadata().map_err(unreadable)?.len();
    if size > limit {
        return Err(PluginErrorKind::FileTooLarge { size, limit });
    }
    let mut bytes = Vec::new();
    // A file can grow after it was measured, and a device has no length.
    file.take(limit.saturating_add(1))
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    match bytes.len() as u64 {
        size if size > limit => Err(PluginErrorKind::FileTooLarge { size, limit }),
        _ => Ok(bytes),
    }
}

/// SHA-256 in hex digits.
pub(super) fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// Hex digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    use fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
