//! Reading a text file with a limit, and with an error that says what to do.
//!
//! Knows nothing of what is in the file.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::Path;
use std::sync::Arc;

use crate::diagnostic::{Diagnostic, Diagnostics, SourceFile};

/// The longest text read, in bytes. A config of a thousand hand-written VMs is a tenth of it.
pub(super) const MAX_BYTES: usize = 1 << 20;

/// Problems after which looking stops: nobody reads more, and each is compared with all others.
pub(crate) const MAX_PROBLEMS: usize = 200;

/// Whether there are so many problems that looking for more is no help.
pub(super) fn too_many(problems: &Diagnostics) -> bool {
    problems.iter().len() >= MAX_PROBLEMS
}

/// Reads a file. `what` names it in a sentence: `the config`.
pub(crate) fn read_source(path: &Path, what: &str) -> Result<Arc<SourceFile>, Diagnostics> {
    let name = path.display().to_string();
    let mut bytes = Vec::new();
    File::open(path)
        // One byte more than allowed shows that there is more.
        .and_then(|file| file.take(MAX_BYTES as u64 + 1).read_to_end(&mut bytes))
        .map_err(|error| Diagnostics::from(unreadable(&name, what, &error)))?;
    if bytes.len() > MAX_BYTES {
        return Err(
            Diagnostic::error(format!("{what} `{name}` is longer than 1 MiB"))
                .help("tnvm reads at most 1 MiB; is this the right file?")
                .into(),
        );
    }
    let text = String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        let problem = Diagnostic::error(format!("{what} `{name}` is not UTF-8 text (byte {at})"));
        Diagnostics::from(problem.help("save the file with the encoding UTF-8"))
    })?;
    Ok(Arc::new(SourceFile { name, text }))
}

fn unreadable(name: &str, what: &str, error: &std::io::Error) -> Diagnostic {
    let help = match error.kind() {
        ErrorKind::NotFound => "check the path; it starts at the current folder",
        ErrorKind::IsADirectory => "this is a folder; name a file in it",
        ErrorKind::PermissionDenied => "allow your user to read it",
        _ => "check that it is a file that can be read",
    };
    Diagnostic::error(format!("{what} `{name}` cannot be read: {error}")).help(help)
}
