//! The files a script waits for: the ready file and the certificate beside it.

use std::io;
use std::path::{Path, PathBuf};

use tnvm_simulator::{Certificate, Running};

/// Writes the certificate beside the ready file, or into the folder for temporary files.
pub(super) fn write_certificate(
    made: &Certificate,
    ready_file: Option<&Path>,
) -> io::Result<PathBuf> {
    let path = match ready_file {
        Some(ready) => {
            let mut name = ready.file_name().unwrap_or_default().to_owned();
            name.push(".ca.pem");
            ready.with_file_name(name)
        }
        None => std::env::temp_dir().join(format!("tnvm-simulator-{}.ca.pem", std::process::id())),
    };
    std::fs::write(&path, &made.pem)?;
    Ok(path)
}

/// Writes the ready file in one stroke: whoever sees it sees all of it.
pub(super) fn write_ready(
    path: &Path,
    running: &Running,
    certificate: Option<&Path>,
) -> io::Result<()> {
    let mut text = format!(
        "{}\napi_key {}\npid {}\n",
        running.address(),
        running.api_key(),
        std::process::id()
    );
    if let (Some(file), Some(made)) = (certificate, running.certificate()) {
        text.push_str(&format!(
            "certificate {}\nfingerprint {}\n",
            file.display(),
            made.fingerprint
        ));
    }
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.tmp", std::process::id()));
    let beside = path.with_file_name(name);
    std::fs::write(&beside, text)?;
    std::fs::rename(&beside, path)
}
