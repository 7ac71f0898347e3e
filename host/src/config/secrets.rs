//! References to secrets, and where the secrets come from when they are needed.
//!
//! A secret is wrapped the moment it is read, and nothing here prints one.

use std::io::Read;
use std::path::{Path, PathBuf};

use secrecy::SecretString;

use super::environment::{Environment, VNC_PASSWORD};
use crate::diagnostic::{Diagnostic, Diagnostics};

/// The name under which plugins ask for the password of displays.
pub const DISPLAY_PASSWORD: &str = "display-password";

/// The longest secret in a file, in bytes. Keys and tokens are far shorter; a disk image is not.
const MAX_BYTES: u64 = 64 * 1024;

/// A reference, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretReference {
    /// `display-password`: the variable `VNC_PASSWORD`.
    DisplayPassword,
    /// `env:NAME`
    Env(String),
    /// `file:PATH`
    File(PathBuf),
}

/// Why there is no secret. No variant holds a part of one.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The text is no reference.
    #[error("`{0}` is not a reference to a secret")]
    NotAReference(String),
    /// The variable is missing or empty.
    #[error("the variable {0} is not set")]
    NotSet(String),
    /// The file cannot be read.
    #[error("the secret's file `{path}` cannot be read: {reason}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said, or which rule it breaks.
        reason: String,
    },
    /// The file is empty.
    #[error("the secret's file `{0}` is empty")]
    Empty(PathBuf),
}

/// Gets secrets by reference.
#[derive(Clone, Debug)]
pub struct SecretStore {
    environment: Environment,
}

impl SecretReference {
    /// Takes a reference apart.
    ///
    /// # Errors
    /// The text is none.
    pub fn parse(text: &str) -> Result<Self, SecretError> {
        if text == DISPLAY_PASSWORD {
            return Ok(Self::DisplayPassword);
        }
        match text.split_once(':') {
            Some(("env", name)) if is_variable(name) => Ok(Self::Env(name.to_owned())),
            Some(("file", path)) if !path.is_empty() => Ok(Self::File(path.into())),
            // The text may be a secret that somebody wrote instead of a reference.
            _ => Err(SecretError::NotAReference(shorten(text))),
        }
    }
}

impl SecretError {
    /// What to do about it.
    #[must_use]
    pub fn help(&self) -> String {
        match self {
            Self::NotAReference(_) => {
                "write `env:NAME` or `file:PATH`; a secret itself does not belong here".to_owned()
            }
            Self::NotSet(name) => {
                format!("set {name} in the environment, or in a `.env` file beside the config")
            }
            Self::Unreadable { .. } => {
                "check the path; a relative one starts at the config's folder".to_owned()
            }
            Self::Empty(_) => "write the secret into the file".to_owned(),
        }
    }
}

impl SecretStore {
    /// A store over these variables; relative paths start at their folder.
    #[must_use]
    pub fn new(environment: &Environment) -> Self {
        Self {
            environment: environment.clone(),
        }
    }

    /// Gets one secret. A file's last line break is not part of it.
    ///
    /// # Errors
    /// Why there is none.
    pub fn resolve(&self, reference: &str) -> Result<SecretString, SecretError> {
        match SecretReference::parse(reference)? {
            SecretReference::DisplayPassword => self.variable(VNC_PASSWORD),
            SecretReference::Env(name) => self.variable(&name),
            SecretReference::File(path) => read(&self.environment.folder().join(path)),
        }
    }

    /// Looks whether all these secrets can be had, and reports all that cannot; also, as a
    /// warning, files that any user of the machine can read.
    pub fn check<'a>(&self, references: impl IntoIterator<Item = &'a str>) -> Diagnostics {
        let mut problems = Diagnostics::default();
        for reference in references {
            if let Err(error) = self.resolve(reference) {
                problems.push(Diagnostic::error(error.to_string()).help(error.help()));
            } else if let Ok(SecretReference::File(path)) = SecretReference::parse(reference)
                && is_open_to_all(&self.environment.folder().join(&path))
            {
                let path = path.display();
                problems.push(
                    Diagnostic::warning(format!(
                        "every user of this machine can read the secret's file `{path}`"
                    ))
                    .help(format!("run `chmod 600 {path}`")),
                );
            }
        }
        problems
    }

    fn variable(&self, name: &str) -> Result<SecretString, SecretError> {
        self.environment
            .get(name)
            .cloned()
            .ok_or_else(|| SecretError::NotSet(name.to_owned()))
    }
}

fn read(path: &Path) -> Result<SecretString, SecretError> {
    let unreadable = |reason: String| SecretError::Unreadable {
        path: path.to_path_buf(),
        reason,
    };
    let metadata = path
        .metadata()
        .map_err(|error| unreadable(error.to_string()))?;
    if !metadata.is_file() {
        // A pipe gives its secret once, and it is read twice: to check and to use.
        return Err(unreadable("it is not a regular file".to_owned()));
    }
    let mut text = String::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(MAX_BYTES + 1).read_to_string(&mut text))
        .map_err(|error| unreadable(error.to_string()))?;
    if text.len() as u64 > MAX_BYTES {
        return Err(unreadable("it is longer than 64 KiB".to_owned()));
    }
    let secret = text.strip_suffix('\n').unwrap_or(&text);
    let secret = secret.strip_suffix('\r').unwrap_or(secret);
    if secret.is_empty() {
        return Err(SecretError::Empty(path.to_path_buf()));
    }
    Ok(secret.into())
}

#[cfg(unix)]
fn is_open_to_all(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    // The bit with which everybody may read.
    path.metadata()
        .is_ok_and(|found| found.permissions().mode() & 0o004 != 0)
}

#[cfg(not(unix))]
fn is_open_to_all(_: &Path) -> bool {
    false
}

fn is_variable(name: &str) -> bool {
    !name.is_empty()
        && name
            .chars()
            .all(|one| one.is_ascii_alphanumeric() || one == '_')
        && !name.starts_with(|one: char| one.is_ascii_digit())
}

/// The part in front of the first colon, or nothing: enough to recognize a misspelled `evn:`.
fn shorten(text: &str) -> String {
    match text.split_once(':') {
        Some((scheme, _)) if scheme.len() <= 8 => format!("{scheme}:…"),
        _ => "…".to_owned(),
    }
}
