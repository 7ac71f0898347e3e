//! The report as data.

use std::collections::BTreeMap;

use serde::Serialize;
use tnvm_simulator::conform::{Counts, Replay};

/// Everything that was measured.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    /// By version: the replayed transcripts.
    pub(crate) replays: BTreeMap<String, Vec<Replay>>,
    /// The sessions of our own, one per version.
    pub(crate) sessions: Vec<SessionReport>,
}

/// A session that called every method of a version.
#[derive(Debug, Serialize)]
pub(crate) struct SessionReport {
    /// The version.
    pub(crate) version: String,
    /// How many calls it made.
    pub(crate) calls: usize,
    /// How many methods they called.
    pub(crate) methods: usize,
    /// What did not end as it should, or does not fit the tables of shapes.
    pub(crate) wrong: Vec<String>,
    /// The comparison with the server's own schemas, where they were given.
    pub(crate) schemas: Option<SchemaReport>,
}

/// What the server's own schemas say.
#[derive(Debug, Default, Serialize)]
pub(crate) struct SchemaReport {
    /// The version of the schemas.
    pub(crate) api_version: String,
    /// Calls of which parameters and answer were validated.
    pub(crate) validated: usize,
    /// Methods of which the table was compared.
    pub(crate) compared: usize,
    /// Parameters or answers that the schemas do not allow.
    pub(crate) invalid: Vec<String>,
    /// Where the tables of shapes say something else than the schemas.
    pub(crate) disagreeing: Vec<String>,
}

impl Report {
    /// Whether nothing differs anywhere.
    pub(crate) fn agrees(&self) -> bool {
        let replays = self.replays.values().flatten().all(Replay::agrees);
        let sessions = self.sessions.iter().all(|session| {
            let schemas = session.schemas.as_ref();
            session.wrong.is_empty()
                && schemas
                    .is_none_or(|found| found.invalid.is_empty() && found.disagreeing.is_empty())
        });
        replays && sessions
    }
}

/// Sums over transcripts, by method.
pub(crate) fn by_method(replays: &[Replay]) -> BTreeMap<String, Counts> {
    let mut all: BTreeMap<String, Counts> = BTreeMap::new();
    for replay in replays {
        for (method, counts) in replay.by_method() {
            *all.entry(method).or_default() += counts;
        }
    }
    all
}
