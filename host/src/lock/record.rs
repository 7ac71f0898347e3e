//! What a lock says, and how it is written into a user property.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use crate::timestamp::readable;
use crate::whoami::WhoAmI;

/// How the properties begin. ZFS wants lower case letters, digits, `:`, `-`, `.` and `_`.
pub(super) const PREFIX: &str = "tnvm:lock-";

/// A name or a command is cut to so many characters, so that the whole stays below the 1024
/// characters that every ZFS takes for a user property.
const LONGEST: usize = 64;

/// One run's lock. Moments are seconds since 1970 by the server's clock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LockRecord {
    /// The group.
    pub group: String,
    /// The user, on the machine that runs tnvm.
    pub user: String,
    /// That machine's name.
    pub host: String,
    /// That machine and boot, where the system tells; process ids are compared where it is the same.
    #[serde(default)]
    pub machine: Option<String>,
    /// The process.
    pub pid: u32,
    /// When the process began, where the system tells.
    #[serde(default)]
    pub started: Option<u64>,
    /// The command.
    pub command: String,
    /// Since when.
    pub since: u64,
    /// When it may be ignored unless it was renewed.
    pub expires: u64,
    /// The version of tnvm.
    pub tnvm: String,
}

impl LockRecord {
    pub(super) fn new(
        who: &WhoAmI,
        group: &str,
        command: &str,
        now: SystemTime,
        lasts: Duration,
    ) -> Self {
        let cut = |text: &str| text.chars().take(LONGEST).collect();
        Self {
            group: group.to_owned(),
            user: cut(&who.user),
            host: cut(&who.host),
            machine: who.machine.clone(),
            pid: who.pid,
            started: who.started,
            command: cut(command),
            since: seconds(now),
            expires: seconds(now + lasts),
            tnvm: env!("CARGO_PKG_VERSION").to_owned(),
        }
    }

    /// The value of the property.
    pub(super) fn text(&self) -> String {
        // A struct of texts and numbers always has a JSON form.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// `alice on laptop (process 4711), with tnvm create, since 2026-11-24 02:33:33 UTC`.
    #[must_use]
    pub fn holder(&self) -> String {
        // It comes from a property that others can set: nothing of it may move a cursor.
        let plain =
            |text: &str| -> String { text.chars().filter(|one| !one.is_control()).collect() };
        format!(
            "{} on {} (process {}), with `tnvm {}`, since {}",
            plain(&self.user),
            plain(&self.host),
            self.pid,
            plain(&self.command),
            readable(moment(self.since))
        )
    }

    /// When it expires, for people.
    #[must_use]
    pub fn expiry(&self) -> String {
        readable(moment(self.expires))
    }
}

/// The property of a run.
pub(super) fn key(run: &str) -> String {
    format!("{PREFIX}{run}")
}

/// All locks among a dataset's own user properties. What cannot be read is nobody's lock.
pub(super) fn read_all(properties: &BTreeMap<String, String>) -> Vec<(String, LockRecord)> {
    let locks = properties.iter().filter(|(key, _)| key.starts_with(PREFIX));
    locks
        .filter_map(|(key, value)| match serde_json::from_str(value) {
            Ok(record) => Some((key.clone(), record)),
            Err(error) => {
                tracing::warn!(property = %key, %error, "left out a lock that cannot be read");
                None
            }
        })
        .collect()
}

pub(super) fn seconds(moment: SystemTime) -> u64 {
    moment
        .duration_since(SystemTime::UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

fn moment(seconds: u64) -> SystemTime {
    let since = Duration::from_secs(seconds);
    SystemTime::UNIX_EPOCH
        .checked_add(since)
        .unwrap_or(SystemTime::UNIX_EPOCH)
}
