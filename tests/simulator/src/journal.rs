//! A record of what was called, for tests to look at. Parameters of `auth.*` are left out: they
//! hold passwords and keys.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::state::ConnectionId;

/// One call that arrived.
#[derive(Debug, Clone, PartialEq)]
pub struct Call {
    /// The connection it came by.
    pub connection: ConnectionId,
    /// The method.
    pub method: String,
    /// Its parameters; empty for `auth.*`.
    pub params: Vec<Value>,
    /// Whether the method may change something beyond the session.
    pub mutating: bool,
    /// How it ended: `None` while it runs, or when its connection was dropped first.
    pub succeeded: Option<bool>,
    /// Whether a fault keeps it from going on, or from being answered, right now.
    pub held: bool,
}

/// What one connection did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ConnectionStats {
    /// Calls that arrived.
    pub calls: usize,
    /// Successful logins.
    pub logins: usize,
    /// Most calls in flight at once.
    pub peak_in_flight: usize,
}

/// All calls in the order of their arrival.
#[derive(Debug, Clone, Default)]
pub struct Journal {
    calls: Vec<Call>,
    connections: BTreeMap<ConnectionId, ConnectionStats>,
}

impl Journal {
    /// The calls, oldest first.
    pub fn calls(&self) -> &[Call] {
        &self.calls
    }

    /// What each connection did.
    pub fn connections(&self) -> &BTreeMap<ConnectionId, ConnectionStats> {
        &self.connections
    }

    /// The call that a fault holds right now, if there is one; the oldest of several.
    pub fn held_call(&self) -> Option<&Call> {
        self.calls.iter().find(|call| call.held)
    }

    /// Names of the methods that may have changed something, oldest first.
    pub fn mutating(&self) -> Vec<&str> {
        self.calls
            .iter()
            .filter(|call| call.mutating)
            .map(|call| call.method.as_str())
            .collect()
    }

    /// How often a method was called.
    pub fn count(&self, method: &str) -> usize {
        self.calls
            .iter()
            .filter(|call| call.method == method)
            .count()
    }

    /// Successful logins on all connections.
    pub fn logins(&self) -> usize {
        self.connections.values().map(|stats| stats.logins).sum()
    }

    /// Most calls in flight at once on any one connection.
    pub fn peak_in_flight(&self) -> usize {
        self.connections
            .values()
            .map(|stats| stats.peak_in_flight)
            .max()
            .unwrap_or(0)
    }

    pub(crate) fn connected(&mut self, connection: ConnectionId) {
        self.connections
            .insert(connection, ConnectionStats::default());
    }

    pub(crate) fn logged_in(&mut self, connection: ConnectionId) {
        self.connections.entry(connection).or_default().logins += 1;
    }

    /// Notes an arrival; answers where, for [`Journal::ended`].
    pub(crate) fn arrived(
        &mut self,
        connection: ConnectionId,
        method: &str,
        params: &[Value],
        mutating: bool,
        in_flight: usize,
    ) -> usize {
        let stats = self.connections.entry(connection).or_default();
        stats.calls += 1;
        stats.peak_in_flight = stats.peak_in_flight.max(in_flight);
        let params = if method.starts_with("auth.") {
            Vec::new()
        } else {
            params.to_vec()
        };
        self.calls.push(Call {
            connection,
            method: method.to_owned(),
            params,
            mutating,
            succeeded: None,
            held: false,
        });
        self.calls.len() - 1
    }

    /// Notes that a call stands still, or goes on.
    pub(crate) fn held(&mut self, position: usize, held: bool) {
        if let Some(call) = self.calls.get_mut(position) {
            call.held = held;
        }
    }

    pub(crate) fn ended(&mut self, position: usize, succeeded: bool) {
        if let Some(call) = self.calls.get_mut(position) {
            call.succeeded = Some(succeeded);
        }
    }
}
