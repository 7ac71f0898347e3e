//! Throttling of calls before login, as the server does it per method and address.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use tokio::time::Instant;

/// Calls of one method from one address within [`WINDOW`]. Code reading: `utils/rate_limit/cache.py`.
const MAX_CALLS: u32 = 20;
/// How long calls are counted together.
const WINDOW: Duration = Duration::from_secs(60);
/// Entries world-wide; when they are used up everybody is refused.
const MAX_ENTRIES: usize = 100;

/// Counts calls.
#[derive(Debug, Default)]
pub(crate) struct RateLimiter {
    counts: BTreeMap<(String, IpAddr), (Instant, u32)>,
}

impl RateLimiter {
    /// Counts a call and tells whether it is one too many.
    pub(crate) fn is_exceeded(&mut self, method: &str, peer: IpAddr, now: Instant) -> bool {
        let key = (method.to_owned(), peer);
        if self.counts.len() >= MAX_ENTRIES && !self.counts.contains_key(&key) {
            return true;
        }
        let (since, count) = self.counts.entry(key).or_insert((now, 0));
        if now.duration_since(*since) > WINDOW {
            (*since, *count) = (now, 0);
        }
        *count += 1;
        *count > MAX_CALLS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_21st_call_within_a_minute_is_refused() {
        let (mut limiter, start) = (RateLimiter::default(), Instant::now());
        let peer = IpAddr::from([127, 0, 0, 1]);
        for _ in 0..20 {
            assert!(!limiter.is_exceeded("auth.login", peer, start));
        }
        assert!(limiter.is_exceeded("auth.login", peer, start));
        assert!(!limiter.is_exceeded("core.ping", peer, start));
        assert!(!limiter.is_exceeded("auth.login", peer, start + Duration::from_secs(61)));
    }
}
