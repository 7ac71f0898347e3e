//! The server's clock, as far as the client knows it: what it said once, and the time since.
//!
//! For what several machines compare, such as the expiry of a lock: their own clocks may differ
//! by minutes, the server's is one for all.

use std::time::{Duration, Instant, SystemTime};

use serde_json::Value;

/// A moment that the server told, and when that was here.
#[derive(Clone, Copy, Debug)]
pub(super) struct ServerClock {
    told: SystemTime,
    here: Instant,
}

impl ServerClock {
    /// From `datetime` of `system.info`, `{"$date": MILLISECONDS}` (25.04.2 to 27); this machine's
    /// own clock where the server does not tell.
    pub(super) fn from_info(info: Option<&Value>) -> Self {
        let told = info
            .and_then(|info| info.pointer("/datetime/$date")?.as_u64())
            .and_then(|ms| SystemTime::UNIX_EPOCH.checked_add(Duration::from_millis(ms)));
        Self {
            told: told.unwrap_or_else(SystemTime::now),
            here: Instant::now(),
        }
    }

    /// The time there now, exact to about the time of a round trip.
    pub(super) fn now(&self) -> SystemTime {
        let passed = self.here.elapsed();
        self.told.checked_add(passed).unwrap_or(self.told)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_servers_date_counts_and_not_ours() {
        let info = json!({"datetime": {"$date": 1_795_381_851_000_u64}});
        let clock = ServerClock::from_info(Some(&info));
        let since = clock.now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
        assert_eq!(since.as_secs() / 60, 1_795_381_851 / 60);
    }

    #[test]
    fn without_a_date_the_clock_of_this_machine_serves() {
        for info in [None, Some(json!({})), Some(json!({"datetime": "now"}))] {
            let clock = ServerClock::from_info(info.as_ref());
            let apart = SystemTime::now().duration_since(clock.now());
            assert!(apart.unwrap_or_default() < Duration::from_secs(60));
        }
    }
}
