//! How a run ends: the documented exit codes, and the failures that lead to them.

use std::process::ExitCode;

use crate::diagnostic::Diagnostics;

/// How a run ended. The numbers are part of the interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Exit {
    /// 0: done.
    Done,
    /// 1: some VM failed.
    Failed,
    /// 2: bad usage or config; nothing was changed. 1 where 2 means [`Differences`](Self::Differences).
    Usage,
    /// 2: `drift` and `plan --detailed-exitcode` found differences.
    Differences,
    /// 3: no connection or login.
    Connection,
    /// 4: refused for safety.
    Refused,
    /// 130: interrupted.
    Interrupted,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Done => 0,
            Exit::Failed => 1,
            Exit::Usage | Exit::Differences => 2,
            Exit::Connection => 3,
            Exit::Refused => 4,
            Exit::Interrupted => 130,
        })
    }
}

/// Why a command could not do its work.
#[derive(Debug)]
pub(super) enum Failure {
    /// The input, or what the server holds, forbids it.
    Problems(Diagnostics),
    /// No connection, no login, or the connection broke before the first change.
    Connection {
        /// What happened.
        message: String,
        /// What to do.
        help: Option<String>,
    },
    /// Several servers, and none could be asked; each says why.
    Unreachable(Vec<Failure>),
    /// A guard forbids it; nothing was changed.
    Refused {
        /// What happened.
        message: String,
        /// What to do.
        help: String,
    },
    /// The user interrupted before the first change.
    Interrupted,
    /// The user did not consent.
    NotConfirmed(String),
}

impl Failure {
    /// The exit code.
    #[must_use]
    pub(super) fn exit(&self) -> Exit {
        match self {
            Self::Problems(problems) if problems.iter().any(|one| one.refusal) => Exit::Refused,
            Self::Problems(_) => Exit::Usage,
            Self::Connection { .. } | Self::Unreachable(_) => Exit::Connection,
            Self::Interrupted => Exit::Interrupted,
            Self::Refused { .. } | Self::NotConfirmed(_) => Exit::Refused,
        }
    }
}
