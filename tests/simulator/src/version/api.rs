//! What differs in how a server is talked to: protocols, API versions, logins, errors.

use super::{Line, Version};

/// Every API version there is with its first server, oldest first. Code reading: the `api/v*`
/// directories of each release.
const API_VERSIONS: [(&str, Line, u32); 11] = [
    ("v25.04.0", Line::V25_04_0, 0),
    ("v25.04.1", Line::V25_04_0, 1),
    ("v25.04.2", Line::V25_04, 0),
    ("v25.10.0", Line::V25_10, 0),
    ("v25.10.1", Line::V25_10, 1),
    ("v25.10.2", Line::V25_10, 2),
    ("v25.10.3", Line::V25_10, 4),
    ("v25.10.4", Line::V25_10, 4),
    ("v25.10.5", Line::V25_10, 5),
    ("v26.0.0", Line::V26, 0),
    ("v27.0.0", Line::V27, 0),
];

/// What a query does with rows of which fields were selected so that they do not fit the server's own
/// models any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HalfRows {
    /// They are answered.
    Kept,
    /// The whole query is refused.
    Refused,
    /// They are left out without a word.
    LeftOut,
}

impl Version {
    /// `core.job_abort` ends any job, also one that is not abortable. Recorded up to 25.10.7, and not
    /// on 26.0.0-BETA.3.
    pub fn aborts_any_job(&self) -> bool {
        self.line <= Line::V25_10
    }

    /// What selecting half an object comes to. Recorded on 24.10.2.5, 25.04.2.6, 25.10.7, 26.0.0-BETA.3
    /// and 27: `vm.query` with `status.state`, `vm.device.query` with `attributes.dtype`.
    pub fn half_rows(&self) -> HalfRows {
        match self.line {
            Line::V24_10 | Line::V25_10 | Line::V26 => HalfRows::Kept,
            Line::V25_04_0 | Line::V25_04 => HalfRows::Refused,
            Line::V27 => HalfRows::LeftOut,
        }
    }

    /// Filters are compiled by a library: other words, another order of sort keys. Recorded on 27.
    pub fn compiles_filters(&self) -> bool {
        self.since(Line::V27)
    }

    /// Whether JSON-RPC is spoken at `/api/…`, and `GET /api/versions` answered. Recorded: 24.10.2.5
    /// has nothing but `/websocket`.
    pub fn speaks_json_rpc(&self) -> bool {
        self.since(Line::V25_04_0)
    }

    /// Whether `GET /api/boot_id` is answered. Code reading: `main.py`, from 25.10 on.
    pub fn serves_boot_id(&self) -> bool {
        self.since(Line::V25_10)
    }

    /// Everything `GET /api/versions` lists. Code reading: `main.py`, 25.10.7 and 26.0.
    pub fn api_versions(&self) -> Vec<String> {
        let patch: u32 = self
            .full
            .rsplit('.')
            .next()
            .and_then(|text| text.parse().ok())
            .unwrap_or(0);
        let served = |line: Line, since: u32| match line.cmp(&self.line) {
            std::cmp::Ordering::Less => true,
            std::cmp::Ordering::Equal => {
                !matches!(line, Line::V25_04_0 | Line::V25_10) || patch >= since
            }
            std::cmp::Ordering::Greater => false,
        };
        API_VERSIONS
            .iter()
            .filter(|(_, line, since)| served(*line, *since))
            .map(|(name, ..)| (*name).to_owned())
            .collect()
    }

    /// The line whose shapes are spoken at `/api/<name>`: its own at `current`, that of an older version
    /// at its path. `None` where there is nothing.
    pub fn shape_at(&self, name: &str) -> Option<Line> {
        if !self.speaks_json_rpc() {
            return None;
        }
        if name == "current" {
            return Some(self.line);
        }
        let served = self.api_versions().iter().any(|known| known == name);
        API_VERSIONS
            .iter()
            .find(|(known, ..)| served && *known == name)
            .map(|(_, line, _)| *line)
    }

    /// Parameters of all methods are checked by the older schema system, with its own words and
    /// conversions. Recorded on 24.10.2.5.
    pub fn has_old_schemas(&self) -> bool {
        self.line == Line::V24_10
    }

    /// The same of the services that 25.04 had not moved to its models yet. Schema: 25.04.2; recorded on
    /// 25.04.2.6: `pool.dataset.create`, `zfs.snapshot.create`.
    pub fn has_old_storage_schemas(&self) -> bool {
        self.line <= Line::V25_04
    }

    /// `system.product_type`. Code reading: renamed in 25.04.
    pub fn product_type(&self) -> &'static str {
        if self.since(Line::V25_04_0) {
            "COMMUNITY_EDITION"
        } else {
            "SCALE"
        }
    }

    /// `version` of `system.info`. Recorded on every line: 24.10.2.5 has the prefix there too.
    pub fn in_system_info(&self) -> String {
        if self.since(Line::V25_04_0) {
            self.full.clone()
        } else {
            self.long()
        }
    }

    /// The legacy protocol's own `ping` is answered. Recorded on 24.10.2.5; code reading: later servers
    /// drop it in silence.
    pub fn answers_legacy_ping(&self) -> bool {
        self.line == Line::V24_10
    }

    /// `core.ping` asks for a login. Recorded on 24.10.2.5 and 25.04.2.6.
    pub fn pings_after_login_only(&self) -> bool {
        self.line <= Line::V25_04
    }

    /// `core.set_options` knows `py_exceptions` alone and answers null, and a job always answers with its
    /// number. Recorded on 25.04.2.6.
    pub fn has_legacy_jobs_only(&self) -> bool {
        self.line <= Line::V25_04
    }

    /// An unknown job is the bare error of a lookup. Recorded on 25.04.2.6: `core.job_abort`.
    pub fn leaks_missing_job(&self) -> bool {
        self.line <= Line::V25_04
    }

    /// Methods that need no login are throttled even for whoever is logged in. Code reading: 24.10
    /// `main.py`.
    pub fn throttles_the_logged_in(&self) -> bool {
        self.line == Line::V24_10
    }

    /// Error traces list stack frames up to 25.10. Recorded on 25.10.7 and 26.0.0-BETA.3.
    pub fn traces_have_frames(&self) -> bool {
        !self.since(Line::V26)
    }

    /// Plain calls of a closed connection are cancelled. Code reading: 26 JSON-RPC handler.
    pub fn cancels_calls_on_close(&self) -> bool {
        self.since(Line::V26)
    }

    /// Jobs tell the ids of the messages that asked for them, and of the login behind these. Recorded on
    /// 25.10.7; 25.04.2.6 does not.
    pub fn tells_message_ids(&self) -> bool {
        self.since(Line::V25_10)
    }

    /// Jobs tell when their caller logged in. Recorded on 25.04.2.6; 24.10.2.5 does not.
    pub fn tells_login_times(&self) -> bool {
        self.since(Line::V25_04_0)
    }

    /// A key that is used where others can read along is revoked. Code reading: API key plugin; 24.10
    /// has no revocation.
    pub fn revokes_exposed_keys(&self) -> bool {
        self.since(Line::V25_04_0)
    }

    /// A revoked API key answers `AUTH_ERR` instead of `EXPIRED`. Code reading: 26 API key plugin;
    /// recorded on 25.10.7 too, so every modelled line does.
    pub fn revoked_key_answer(&self) -> &'static str {
        "AUTH_ERR"
    }

    /// `auth.mechanism_choices` fails before login. Recorded on 25.04.2.6 and 25.10.7; code reading:
    /// works in 25.04.0 and .1, and again in 26.
    pub fn breaks_mechanism_choices(&self) -> bool {
        matches!(self.line, Line::V25_04 | Line::V25_10)
    }

    /// `auth.login_ex` takes SCRAM. Recorded on 26.0.0-BETA.3.
    pub fn has_scram(&self) -> bool {
        self.since(Line::V26)
    }

    /// Right credentials of an account without API privilege answer `DENIED` instead of `AUTH_ERR`.
    /// Recorded on 25.10.7 and 26.0.0-BETA.3.
    pub fn denies_by_name(&self) -> bool {
        self.since(Line::V26)
    }

    /// `auth.login_ex` answers a `reconnect_token`. Recorded on 26.0.0-BETA.3.
    pub fn answers_reconnect_token(&self) -> bool {
        self.since(Line::V26)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &str) -> Vec<String> {
        text.parse::<Version>().unwrap().api_versions()
    }

    #[test]
    fn api_versions_grow_with_the_patch_level() {
        assert!(!names("25.10.0").contains(&"v25.10.1".to_owned()));
        assert!(names("25.10.7").contains(&"v25.10.5".to_owned()));
        assert!(names("26").contains(&"v26.0.0".to_owned()));
        assert_eq!(names("25.04.0"), ["v25.04.0"]);
        assert_eq!(names("25.04.1"), ["v25.04.0", "v25.04.1"]);
        assert_eq!(names("25.04.2").last().unwrap(), "v25.04.2");
        assert_eq!(names("27").last().unwrap(), "v27.0.0");
        assert!(names("24.10").is_empty());
    }

    #[test]
    fn older_paths_have_older_shapes_and_24_10_has_none() {
        let shape = |text: &str, name: &str| text.parse::<Version>().unwrap().shape_at(name);
        assert_eq!(shape("25.10", "current"), Some(Line::V25_10));
        assert_eq!(shape("27", "v25.04.2"), Some(Line::V25_04));
        assert_eq!(shape("25.10", "v26.0.0"), None);
        assert_eq!(shape("24.10", "current"), None);
    }
}
