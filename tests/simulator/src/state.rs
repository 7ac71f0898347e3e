//! Everything behind the one lock: the world, who is connected, jobs, the journal and faults.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::sync::mpsc::UnboundedSender;

use crate::faults::Faults;
use crate::jobs::Jobs;
use crate::journal::Journal;
use crate::limiter::RateLimiter;
use crate::protocol::Protocol;
use crate::scram::Verifier;
use crate::server::Outage;
use crate::session::Session;
use crate::world::World;

/// Tells connections apart; grows from 1.
pub type ConnectionId = u64;

/// What a connection's task is told to do.
#[derive(Debug, Clone)]
pub(crate) enum Outgoing {
    /// Send this text frame.
    Text(String),
    /// Send this binary frame, which no client of the protocol expects.
    Binary(Vec<u8>),
    /// Send this text in so many fragments, with this pause between.
    Trickle(String, usize, Duration),
    /// Close with this code and reason.
    Close(u16, String),
    /// Stay open, and neither send nor hear anything any more.
    Silence,
    /// Drop the TCP connection without a word.
    Drop,
}

/// Everything that changes.
pub(crate) struct State {
    pub(crate) world: World,
    pub(crate) sessions: BTreeMap<ConnectionId, Session>,
    pub(crate) links: BTreeMap<ConnectionId, UnboundedSender<Outgoing>>,
    pub(crate) jobs: Jobs,
    pub(crate) journal: Journal,
    pub(crate) faults: Faults,
    pub(crate) limiter: RateLimiter,
    /// What SCRAM logins are checked with, by API key; derived at the first of them.
    pub(crate) verifiers: BTreeMap<String, Verifier>,
    /// SHA-256 of the certificate in use, for channel binding.
    pub(crate) certificate: Option<Vec<u8>>,
    /// The middleware is away, and this is what others meet.
    pub(crate) down: Option<Outage>,
    /// Which life of the middleware this is; grows with every restart.
    pub(crate) life: u64,
    last_connection: ConnectionId,
}

impl State {
    /// A fresh start in this world.
    pub(crate) fn new(world: World, faults: Faults) -> Self {
        Self {
            world,
            sessions: BTreeMap::new(),
            links: BTreeMap::new(),
            jobs: Jobs::default(),
            journal: Journal::default(),
            faults,
            limiter: RateLimiter::default(),
            verifiers: BTreeMap::new(),
            certificate: None,
            down: None,
            life: 0,
            last_connection: 0,
        }
    }

    /// The middleware ends: calls and jobs in the air are lost, and what only lived in its memory.
    /// Code reading: `job.py` (ids begin at 1) and `auth.py` (tokens), 25.10.7.
    pub(crate) fn lose_memory(&mut self) {
        self.life += 1;
        for link in self.links.values() {
            // A closed channel means the connection has just ended by itself.
            link.send(Outgoing::Drop).ok();
        }
        self.jobs = Jobs::default();
        self.limiter = RateLimiter::default();
        self.world.tokens.clear();
        for vm in self.world.vms.values_mut() {
            vm.starting = false;
        }
    }

    /// A connection was made.
    pub(crate) fn connect(
        &mut self,
        peer: SocketAddr,
        tls: bool,
        protocol: Protocol,
        link: UnboundedSender<Outgoing>,
    ) -> ConnectionId {
        self.last_connection += 1;
        let id = self.last_connection;
        self.sessions.insert(id, Session::new(peer, tls, protocol));
        self.links.insert(id, link);
        self.journal.connected(id);
        id
    }

    /// A connection is gone. Its jobs go on.
    pub(crate) fn disconnect(&mut self, id: ConnectionId) {
        self.sessions.remove(&id);
        self.links.remove(&id);
    }

    /// Sends a frame to a connection, if it is still there.
    pub(crate) fn send(&self, connection: ConnectionId, text: String) {
        if let Some(link) = self.links.get(&connection) {
            // A closed channel means the connection's task has just ended.
            link.send(Outgoing::Text(text)).ok();
        }
    }

    /// Hands the events of the last change to their subscribers.
    pub(crate) fn publish(&mut self) {
        for event in std::mem::take(&mut self.world.events) {
            let mut written = BTreeMap::new();
            for (connection, session) in &self.sessions {
                if session.hears(event.collection) {
                    let protocol = session.protocol;
                    let text = written
                        .entry(protocol)
                        .or_insert_with(|| protocol.event(&event).to_string());
                    self.send(*connection, text.clone());
                }
            }
        }
    }
}
