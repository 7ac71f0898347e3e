//! How to execute: how much at once, what to do on failure, where secrets come from.

use std::sync::Arc;

use super::patience::Patience;
use super::restarts::Restarts;
use super::secrets::SecretSource;

/// VMs side by side for each connection, unless the user says otherwise.
///
/// The server runs 10 calls of a connection at once (API 25.04.2 to 27), and a VM spends four of
/// its five phases (VM, zvol, start, state) with a single call in flight: with fewer than 10 VMs
/// the pipe is part empty. About three times that lets the device calls of some fill the gaps of
/// others and leaves no short last wave of VMs to run alone: 64 VMs of 5 devices at 20 ms per call
/// took 1.27 of the ideal time with 10 and 1.22 with 32, of which 1.12 is the time of a call
/// itself; with 64 it was no better. More would only mean more VMs half-made when something stops
/// the run.
pub const DEFAULT_CONCURRENCY: usize = 32;

/// VMs that may be down for their restart at once unless the user says otherwise: a group of equals
/// goes on serving while one of them is away.
pub const DEFAULT_MAX_UNAVAILABLE: usize = 1;

/// What to do with what this run made and changed for a VM that failed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnFailure {
    /// Remove what was made, set back what was changed.
    #[default]
    Rollback,
    /// Keep it, to look at or to go on from.
    Keep,
}

/// How to execute.
pub struct ExecuteOptions<'a> {
    /// VMs side by side, and also the bound of steps (so of calls) at once over all VMs: with 1
    /// there is strictly one call at a time. 0 counts as 1. The client bounds calls besides.
    pub concurrency: usize,
    /// What to do when a VM fails.
    pub on_failure: OnFailure,
    /// Where the secrets of devices come from.
    pub secrets: &'a dyn SecretSource,
    /// Running VMs that may be away for a restart at once, from before they are stopped until
    /// they run again. 0 counts as 1.
    pub max_unavailable: usize,
    /// The permits to restart that executions on several servers share; they go before
    /// `max_unavailable`.
    pub restarts: Option<Arc<Restarts>>,
    /// How long to wait for what takes time on the server.
    pub patience: Patience,
}

impl<'a> ExecuteOptions<'a> {
    /// The defaults.
    #[must_use]
    pub fn new(secrets: &'a dyn SecretSource) -> Self {
        Self {
            concurrency: DEFAULT_CONCURRENCY,
            on_failure: OnFailure::default(),
            secrets,
            max_unavailable: DEFAULT_MAX_UNAVAILABLE,
            restarts: None,
            patience: Patience::default(),
        }
    }
}
