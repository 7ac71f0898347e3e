//! One connection as the server sees it: who is logged in, what it listens to, its options.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use serde_json::{Value, json};
use tokio::time::Instant;

use crate::protocol::Protocol;
use crate::scram::Exchange;
use crate::version::Version;
use crate::world::machine::date;
use crate::world::{Assurance, Logins, Role};

/// A connection's session.
#[derive(Debug, Clone)]
pub(crate) struct Session {
    pub(crate) peer: SocketAddr,
    pub(crate) tls: bool,
    pub(crate) protocol: Protocol,
    pub(crate) login: Option<Login>,
    /// A login that waits for the client's next step.
    pub(crate) pending: Option<Pending>,
    /// Whether any login was tried. Code reading: 26 keeps what it needs for SCRAM from there.
    pub(crate) tried: bool,
    /// Event names by subscription id.
    pub(crate) subscriptions: BTreeMap<String, String>,
    pub(crate) legacy_jobs: bool,
    pub(crate) private_methods: bool,
    pub(crate) py_exceptions: bool,
}

/// A login half done.
#[derive(Debug, Clone)]
pub(crate) enum Pending {
    /// The password was right; a one-time code is awaited.
    Code {
        /// Who it is.
        user: String,
        /// Wrong codes so far.
        wrong: u32,
    },
    /// The client's final message is awaited.
    Scram(Box<Exchange>),
}

/// A successful login.
#[derive(Debug, Clone)]
pub(crate) struct Login {
    pub(crate) user: String,
    pub(crate) role: Role,
    pub(crate) assurance: Assurance,
    /// `LOGIN_PASSWORD`, `LOGIN_TWOFACTOR`, `API_KEY` or `TOKEN`.
    pub(crate) credential: &'static str,
    pub(crate) api_key: Option<(i64, String)>,
    /// Whether the key was proven rather than sent.
    pub(crate) scram: bool,
    pub(crate) id: String,
    /// Seconds since 1970.
    pub(crate) at: i64,
    pub(crate) since: Instant,
    pub(crate) last_used: Instant,
}

impl Login {
    /// Whether a method that names these roles may be called. In STIG mode nobody has the roles that
    /// change VMs (code reading: `role.py`, 25.04.2).
    pub(crate) fn may(&self, roles: &[&str]) -> bool {
        match self.assurance {
            Assurance::Level1 => self.role.covers(roles),
            Assurance::Level2 => {
                let granted: Vec<&str> = roles
                    .iter()
                    .copied()
                    .filter(|role| !["VM_WRITE", "VM_DEVICE_WRITE"].contains(role))
                    .collect();
                (roles.is_empty() || !granted.is_empty()) && self.role.covers(&granted)
            }
        }
    }

    /// Whether the session has ended by itself.
    pub(crate) fn has_expired(&self, logins: &Logins, now: Instant) -> bool {
        now.duration_since(self.since) > logins.age()
            || logins
                .idle()
                .is_some_and(|idle| now.duration_since(self.last_used) > idle)
    }
}

impl Session {
    pub(crate) fn new(peer: SocketAddr, tls: bool, protocol: Protocol) -> Self {
        Self {
            peer,
            tls,
            protocol,
            login: None,
            pending: None,
            tried: false,
            subscriptions: BTreeMap::new(),
            legacy_jobs: true,
            private_methods: false,
            py_exceptions: false,
        }
    }

    /// Whether nobody on the way can read along: TLS, or the same host.
    pub(crate) fn is_private(&self, logins: &Logins) -> bool {
        self.tls || (logins.trusts_loopback && self.peer.ip().is_loopback())
    }

    /// Nobody is logged in any more, and nothing is heard.
    pub(crate) fn log_out(&mut self) {
        self.login = None;
        self.subscriptions.clear();
    }

    /// Whether an event of this collection is for this session.
    pub(crate) fn hears(&self, collection: &str) -> bool {
        self.login.is_some()
            && self
                .subscriptions
                .values()
                .any(|name| name == collection || name == "*")
    }

    /// `credentials` of a job. Recorded on 25.10.7 and 24.10.2.5, which tells less: `core.get_jobs`.
    pub(crate) fn credentials(&self, version: &Version) -> Value {
        let Some(login) = &self.login else {
            return Value::Null;
        };
        let mut data = json!({"username": login.user});
        if let Some(data) = data.as_object_mut() {
            if version.tells_message_ids() {
                data.insert("login_id".into(), json!(login.id));
            }
            if version.tells_login_times() {
                data.insert("login_at".into(), date(login.at));
            }
        }
        if let (Some((id, name)), Some(data)) = (&login.api_key, data.as_object_mut()) {
            data.insert("api_key".into(), json!({"id": id, "name": name}));
        }
        json!({"type": login.credential, "data": data})
    }
}
