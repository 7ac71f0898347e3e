//! What can go wrong with a plugin, and how each of it is told to a person.
//!
//! It knows nothing of how a failure is noticed; `failure` reads wasmtime's errors.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use crate::diagnostic::Diagnostic;

/// What the host was doing with the plugin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    /// Reading, checking and compiling the file.
    Load,
    /// Asking what it is.
    Describe,
    /// Asking for the devices of a VM.
    Plan,
    /// Asking for the canonical form of what the server reports.
    Normalize,
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Load => "load",
            Self::Describe => "describe",
            Self::Plan => "plan",
            Self::Normalize => "normalize",
        })
    }
}

/// A plugin failed. The input of the user is not to blame, unless it chose the plugin.
#[derive(Debug, thiserror::Error)]
pub struct PluginError {
    /// The plugin by name, or by origin where its name is not known yet.
    pub plugin: String,
    /// What the host was doing.
    pub call: Call,
    /// The VM whose devices were asked for.
    pub vm: Option<String>,
    /// What went wrong.
    #[source]
    pub kind: Box<PluginErrorKind>,
}

impl fmt::Display for PluginError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            plugin, call, kind, ..
        } = self;
        match (call, &self.vm) {
            (Call::Load, _) => write!(f, "plugin {plugin} cannot be used: {kind}"),
            (_, None) => write!(f, "plugin `{plugin}` failed in `{call}`: {kind}"),
            (_, Some(vm)) => write!(
                f,
                "plugin `{plugin}` failed in `{call}` for VM {vm}: {kind}"
            ),
        }
    }
}

impl PluginError {
    /// What to do next.
    #[must_use]
    pub fn help(&self) -> String {
        self.kind.help(self.call)
    }

    /// As a problem for a report, with its VM and what to do.
    #[must_use]
    pub fn diagnostic(&self) -> Diagnostic {
        let diagnostic = Diagnostic::error(self.to_string()).help(self.help());
        match &self.vm {
            Some(vm) => diagnostic.vm(vm),
            None => diagnostic,
        }
    }
}

/// What went wrong.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PluginErrorKind {
    /// It ran longer than it may.
    #[error("it ran longer than {limit:?}")]
    TimedOut {
        /// The limit.
        limit: Duration,
    },
    /// It asked for more linear memory than it may have.
    #[error("it asked for {} of memory, and {} is the limit", mebibytes(*.asked), mebibytes(*.limit))]
    Memory {
        /// Bytes, all memories together.
        asked: usize,
        /// Bytes.
        limit: usize,
    },
    /// It asked for a larger table than it may have.
    #[error("it asked for a table of {asked} elements, and {limit} is the limit")]
    Table {
        /// Elements.
        asked: usize,
        /// Elements.
        limit: usize,
    },
    /// Its answer is too large.
    #[error("its answer has {size} bytes of text, and {limit} is the limit")]
    ResultTooLarge {
        /// Bytes of text.
        size: usize,
        /// Bytes of text.
        limit: usize,
    },
    /// An answer or log record is so large that even the copy was refused; its size is not known.
    #[error("it handed over more than may be copied at once, {limit} bytes for an answer")]
    CopyRefused {
        /// Bytes of text in an answer.
        limit: usize,
    },
    /// It logged more than it may. The call fails rather than losing records silently: whoever
    /// reads a log must be able to trust that it is whole.
    #[error("it logged more than {limit} {unit} in one call")]
    LogBudget {
        /// How many.
        limit: usize,
        /// `records` or `bytes`.
        unit: &'static str,
    },
    /// It panicked and said why.
    #[error("it panicked: {message}")]
    Panicked {
        /// Text and place.
        message: String,
    },
    /// It trapped.
    #[error("{meaning} ({trap})")]
    Trapped {
        /// What that means in plain words.
        meaning: &'static str,
        /// wasmtime's words.
        trap: wasmtime::Trap,
    },
    /// It ended itself by WASI's `exit`.
    #[error("it ended itself with exit code {code}")]
    Exited {
        /// The code.
        code: i32,
    },
    /// It said that it failed.
    #[error("it reports: {message}")]
    Reported {
        /// Its words.
        message: String,
    },
    /// Its answer breaks the contract.
    #[error("its answer breaks the contract: {what}")]
    BadAnswer {
        /// What is wrong, and in which device.
        what: String,
    },
    /// It cannot be instantiated, or a value could not cross the border.
    #[error("{what}: {chain}")]
    Sandbox {
        /// What was attempted.
        what: &'static str,
        /// The whole chain of causes.
        chain: String,
    },
    /// The file cannot be read.
    #[error("{} cannot be read: {source}", path.display())]
    Unreadable {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is too large.
    #[error("the file has {size} bytes, and {limit} is the limit")]
    FileTooLarge {
        /// Bytes.
        size: u64,
        /// Bytes.
        limit: u64,
    },
    /// The file is not the one that the config pins.
    #[error("the config pins sha256 {expected}, and the file has {actual}")]
    Digest {
        /// As pinned.
        expected: String,
        /// As computed.
        actual: String,
    },
    /// The file is no component at all.
    #[error("{what}")]
    NotAComponent {
        /// What it is instead.
        what: String,
    },
    /// The file is a damaged component, or one that wasmtime refuses.
    #[error("the file is damaged or is no valid component: {chain}")]
    Damaged {
        /// The whole chain of causes.
        chain: String,
    },
    /// It speaks no version of the contract that this tnvm speaks.
    #[error("{what}")]
    WrongContract {
        /// Both versions and the difference.
        what: String,
    },
    /// It asks for more than a plugin may have.
    #[error("it imports {}, which no plugin is given", names.join(", "))]
    ForeignImports {
        /// The imports, as the file names them.
        names: Vec<String>,
    },
    /// It claims a key of the host.
    #[error("it claims the key `{key}`, which belongs to tnvm itself")]
    ReservedKey {
        /// The key.
        key: String,
    },
    /// Another plugin claims the same key.
    #[error("it claims the key `{key}`, and so does plugin `{other}` ({other_origin})")]
    KeyConflict {
        /// The key.
        key: String,
        /// The plugin that has it.
        other: String,
        /// Where that comes from.
        other_origin: String,
    },
    /// The host itself failed.
    #[error("tnvm failed to run it: {0}")]
    Host(String),
}

impl PluginErrorKind {
    fn help(&self, call: Call) -> String {
        let raise = |name: &str, example: &str| {
            format!(
                "report it to the plugin's author; if it needs that much by right, set {}={name}={example}",
                super::limits::LIMITS_VARIABLE
            )
        };
        match self {
            Self::TimedOut { limit } => {
                let name = if call == Call::Describe { "describe" } else { "plan" };
                raise(name, &format!("{}ms", limit.as_millis().saturating_mul(2)))
            }
            Self::Memory { limit, .. } => raise("memory", &limit.saturating_mul(2).to_string()),
            Self::Table { limit, .. } => {
                raise("table-elements", &limit.saturating_mul(2).to_string())
            }
            Self::ResultTooLarge { limit, .. } | Self::CopyRefused { limit } => {
                raise("result", &limit.saturating_mul(2).to_string())
            }
            Self::LogBudget { limit, unit } => {
                raise(&format!("log-{unit}"), &limit.saturating_mul(2).to_string())
            }
            Self::FileTooLarge { limit, .. } => {
                raise("component-file", &limit.saturating_mul(2).to_string())
            }
            Self::Panicked { .. }
            | Self::Trapped { .. }
            | Self::Exited { .. }
            | Self::Reported { .. }
            | Self::BadAnswer { .. }
            | Self::Sandbox { .. } => {
                "report it to the plugin's author, with the plugin's version and the config".to_owned()
            }
            Self::Unreadable { .. } => "check the path and its permissions".to_owned(),
            Self::Digest { .. } => "find out why the file changed; pin the new sha256 only if you \
                 trust the new file"
                .to_owned(),
            Self::NotAComponent { .. } | Self::Damaged { .. } => {
                "build the plugin again, or fetch its file again".to_owned()
            }
            Self::WrongContract { .. } => {
                "build the plugin against the contract of this tnvm, or use the tnvm it was built for"
                    .to_owned()
            }
            Self::ForeignImports { .. } => {
                "build the plugin without these imports: a plugin gets only tnvm:device/log and, \
                 closed, wasi:*"
                    .to_owned()
            }
            Self::ReservedKey { .. } => "the plugin's author must choose another key".to_owned(),
            Self::KeyConflict { .. } => "keep one of the two plugins".to_owned(),
            Self::Host(_) => "this is a fault of tnvm or of the machine: please report it".to_owned(),
        }
    }
}

fn mebibytes(bytes: usize) -> String {
    const MIB: usize = 1024 * 1024;
    if bytes.is_multiple_of(MIB) {
        format!("{} MiB", bytes / MIB)
    } else {
        format!("{bytes} bytes")
    }
}

/// The whole chain of causes: the first line of wasmtime's often names an effect, the last the cause.
pub(super) fn chain(error: &wasmtime::Error) -> String {
    let mut texts: Vec<String> = Vec::new();
    for cause in error.chain() {
        let text = super::text::plain(&cause.to_string());
        if texts.last() != Some(&text) {
            texts.push(text);
        }
    }
    texts.join(": ")
}
