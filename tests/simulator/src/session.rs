//! One connection as the server sees it: who is logged in, what it listens to, its options.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use serde_json::{Value, json};

use crate::protocol::Protocol;
use crate::version::Version;
use crate::world::Role;
use crate::world::machine::date;

/// A connection's session.
#[derive(Debug, Clone)]
pub(crate) struct Session {
    pub(crate) peer: SocketAddr,
    pub(crate) tls: bool,
    pub(crate) protocol: Protocol,
    pub(crate) login: Option<Login>,
    /// Event names by subscription id.
    pub(crate) subscriptions: BTreeMap<String, String>,
    pub(crate) legacy_jobs: bool,
    pub(crate) private_methods: bool,
    pub(crate) py_exceptions: bool,
}

/// A successful login.
#[derive(Debug, Clone)]
pub(crate) struct Login {
    pub(crate) user: String,
    pub(crate) role: Role,
    /// `LOGIN_PASSWORD`, `API_KEY` or `TOKEN`.
    pub(crate) credential: &'static str,
    pub(crate) api_key: Option<(i64, String)>,
    pub(crate) id: String,
    /// Seconds since 1970.
    pub(crate) at: i64,
}

impl Session {
    pub(crate) fn new(peer: SocketAddr, tls: bool, protocol: Protocol) -> Self {
        Self {
            peer,
            tls,
            protocol,
            login: None,
            subscriptions: BTreeMap::new(),
            legacy_jobs: true,
            private_methods: false,
            py_exceptions: false,
        }
    }

    /// Whether nobody on the way can read along: TLS, or the same host.
    pub(crate) fn is_private(&self) -> bool {
        self.tls || self.peer.ip().is_loopback()
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
        if let (true, Some(data)) = (version.tells_logins(), data.as_object_mut()) {
            data.insert("login_id".into(), json!(login.id));
            data.insert("login_at".into(), date(login.at));
        }
        if let (Some((id, name)), Some(data)) = (&login.api_key, data.as_object_mut()) {
            data.insert("api_key".into(), json!({"id": id, "name": name}));
        }
        json!({"type": login.credential, "data": data})
    }
}
