//! How long to wait before each attempt to connect again: longer each time, and by chance a little
//! more, so that clients that lost a server together do not come back together.
//!
//! Knows nothing of connections.

use std::time::Duration;

use super::timeouts;

/// Where the random part of pauses comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Jitter {
    /// From the system: another one in each process.
    #[default]
    Random,
    /// The same pauses for the same seed.
    Seeded(u64),
    /// None: the pauses are as long as they are at least.
    None,
}

/// The pauses of one line.
#[derive(Debug)]
pub(super) struct Backoff {
    random: Option<fastrand::Rng>,
}

impl Backoff {
    /// For the `line`-th line of a client: each has pauses of its own.
    pub(super) fn new(jitter: Jitter, line: u64) -> Self {
        Self {
            random: match jitter {
                Jitter::Random => Some(fastrand::Rng::new()),
                Jitter::Seeded(seed) => Some(fastrand::Rng::with_seed(seed.wrapping_add(line))),
                Jitter::None => None,
            },
        }
    }

    /// The pause before an attempt, counted from 0: what [`timeouts::RECONNECT`] says, and up to
    /// half of that on top. None when there are no more attempts.
    pub(super) fn pause(&mut self, attempt: usize) -> Option<Duration> {
        let least = *timeouts::RECONNECT.get(attempt)?;
        let more = self.random.as_mut().map_or(0.0, fastrand::Rng::f64);
        Some(least + least.mul_f64(more / 2.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pauses(jitter: Jitter, line: u64) -> Vec<Duration> {
        let mut backoff = Backoff::new(jitter, line);
        (0..).map_while(|attempt| backoff.pause(attempt)).collect()
    }

    #[test]
    fn a_pause_is_never_shorter_than_said_and_at_most_half_longer() {
        for seed in 0..200 {
            let pauses = pauses(Jitter::Seeded(seed), 0);
            assert_eq!(pauses.len(), timeouts::RECONNECT.len());
            for (pause, least) in pauses.iter().zip(timeouts::RECONNECT) {
                assert!((least..=least * 3 / 2).contains(pause), "{pause:?}");
            }
        }
    }

    #[test]
    fn every_pause_is_longer_than_the_one_before() {
        for seed in 0..200 {
            assert!(pauses(Jitter::Seeded(seed), 0).is_sorted());
        }
    }

    #[test]
    fn a_seed_gives_the_same_pauses_and_lines_have_their_own() {
        let one = pauses(Jitter::Seeded(7), 0);
        assert_eq!(one, pauses(Jitter::Seeded(7), 0));
        assert_ne!(one, pauses(Jitter::Seeded(7), 1));
        assert_ne!(pauses(Jitter::Random, 0), pauses(Jitter::Random, 0));
        assert_eq!(pauses(Jitter::None, 3), timeouts::RECONNECT);
    }
}
