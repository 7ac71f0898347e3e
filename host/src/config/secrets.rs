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

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    fn store(folder: &Path) -> SecretStore {
        let process = [
            ("VNC_PASSWORD".into(), "shown".into()),
            ("EMPTY".into(), "".into()),
        ];
        SecretStore::new(&Environment::load(folder, process).0)
    }

    fn check_file(content: &str, expected: Result<&str, &str>) {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("secret"), content).unwrap();
        let found = store(folder.path()).resolve("file:secret");
        match (found, expected) {
            (Ok(found), Ok(expected)) => assert_eq!(found.expose_secret(), expected),
            (Err(found), Err(expected)) => {
                assert!(found.to_string().contains(expected), "{found}");
            }
            (found, expected) => panic!("{found:?} is not {expected:?}"),
        }
    }

    #[test]
    fn one_final_line_break_is_not_part_of_a_secret() {
        check_file("s3cret", Ok("s3cret"));
        check_file("s3cret\n", Ok("s3cret"));
        check_file("s3cret\r\n", Ok("s3cret"));
        check_file(" a\nb \n\n", Ok(" a\nb \n"));
        check_file("\n", Err("is empty"));
        check_file("", Err("is empty"));
        check_file(&"x".repeat(65 * 1024), Err("longer than 64 KiB"));
    }

    #[test]
    fn references_lead_to_variables() {
        let store = store(Path::new("/no/such/folder"));
        for reference in ["display-password", "env:VNC_PASSWORD"] {
            assert_eq!(store.resolve(reference).unwrap().expose_secret(), "shown");
        }
        for reference in ["env:NONE", "env:EMPTY"] {
            assert!(matches!(
                store.resolve(reference),
                Err(SecretError::NotSet(_))
            ));
        }
    }

    #[test]
    fn a_secret_written_in_place_of_a_reference_is_not_repeated() {
        for text in [
            "hunter2",
            "hunter2:hunter2hunter2",
            "env:hunter2-x",
            "vault:hunter2",
            "file:",
            "",
        ] {
            let error = SecretReference::parse(text).unwrap_err();
            let shown = format!("{error} {error:?}");
            assert!(
                !shown.contains("hunter2hunter2") && !shown.contains("-x"),
                "{shown}"
            );
        }
    }

    #[test]
    fn everything_missing_is_reported_together() {
        let folder = tempfile::tempdir().unwrap();
        let all = [
            "env:A",
            "env:VNC_PASSWORD",
            "file:nothing",
            "file:.",
            "display-password",
            "env:B",
        ];
        let problems = store(folder.path()).check(all);
        assert_eq!(problems.iter().len(), 4, "{problems:?}");
    }

    #[cfg(unix)]
    #[test]
    fn a_file_that_everybody_can_read_is_a_warning() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        std::fs::write(&path, "x").unwrap();
        for (mode, warnings) in [(0o644, 1), (0o600, 0), (0o640, 0)] {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            let problems = store(folder.path()).check(["file:secret"]);
            assert_eq!(problems.iter().len(), warnings, "{mode:o}");
            assert!(!problems.has_errors());
        }
    }
}
