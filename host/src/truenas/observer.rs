//! Whoever wants to know of every call that changes something: the audit.
//!
//! Carries what was asked and how it ended; knows nothing of files or secrets, so what is told
//! here must not be written down as it is.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use serde_json::Value;

use super::error::CallError;
use super::method::Method;

/// Is told of every mutating call: once, when it has ended, before the caller gets the answer.
pub trait CallObserver: fmt::Debug + Send + Sync {
    /// A call has ended. Called from within the async runtime: it must not take long.
    fn ended(&self, call: &CallRecord<'_>);
}

/// A mutating call that has ended.
#[derive(Clone, Debug)]
pub struct CallRecord<'a> {
    /// Where the server is.
    pub endpoint: &'a str,
    /// The name that the server gives itself.
    pub hostname: &'a str,
    /// The user that is logged in there.
    pub login: &'a str,
    /// The method.
    pub method: Method,
    /// The parameters as they were sent, secrets included.
    pub params: &'a [Value],
    /// When it was asked for, by this machine's clock.
    pub began: SystemTime,
    /// From then to the answer, including the wait for its turn.
    pub duration: Duration,
    /// How it ended.
    pub outcome: CallOutcome<'a>,
}

/// How a call ended.
#[derive(Clone, Copy, Debug)]
pub enum CallOutcome<'a> {
    /// It was done.
    Done,
    /// It has no result.
    Failed(&'a CallError),
    /// Nobody waited for the answer any more; the server may have done it.
    Abandoned,
}

/// Who observes a connection, and what is told with every call.
#[derive(Debug)]
pub(super) struct Observed {
    pub(super) observer: Arc<dyn CallObserver>,
    pub(super) endpoint: String,
    pub(super) hostname: String,
    pub(super) login: String,
}

impl Observed {
    /// Begins to watch a call.
    pub(super) fn watch<'a>(&'a self, method: Method, params: &'a [Value]) -> Watch<'a> {
        Watch {
            to: self,
            method,
            params,
            began: SystemTime::now(),
            since: Instant::now(),
            told: false,
        }
    }
}

/// A call that is observed. Dropped before its end, it is told as abandoned.
#[derive(Debug)]
pub(super) struct Watch<'a> {
    to: &'a Observed,
    method: Method,
    params: &'a [Value],
    began: SystemTime,
    since: Instant,
    told: bool,
}

impl Watch<'_> {
    pub(super) fn ended<T>(mut self, result: &Result<T, CallError>) {
        self.tell(match result {
            Ok(_) => CallOutcome::Done,
            Err(error) => CallOutcome::Failed(error),
        });
    }

    fn tell(&mut self, outcome: CallOutcome<'_>) {
        self.told = true;
        self.to.observer.ended(&CallRecord {
            endpoint: &self.to.endpoint,
            hostname: &self.to.hostname,
            login: &self.to.login,
            method: self.method,
            params: self.params,
            began: self.began,
            duration: self.since.elapsed(),
            outcome,
        });
    }
}

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        if !self.told {
            self.tell(CallOutcome::Abandoned);
        }
    }
}
