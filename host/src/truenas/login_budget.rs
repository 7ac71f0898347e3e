//! How many logins a client may make in a minute, over all of its connections.
//!
//! The server counts calls before login per method and address and shuts the address out for up to
//! ten minutes (20 in 60 s, `utils/rate_limit/cache.py`, 25.04.2 to 27; 24.10 counts them after
//! login too). A client that stays below that is never shut out by its own doing.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use super::{limits, timeouts};

/// What is left of the logins of a minute.
#[derive(Debug, Default)]
pub(super) struct LoginBudget {
    counted: Mutex<Counted>,
    /// Somebody gave a reservation back.
    freed: Notify,
}

#[derive(Debug, Default)]
struct Counted {
    /// When login calls were made, the oldest first.
    spent: VecDeque<Instant>,
    /// How many are about to be made.
    reserved: usize,
}

impl LoginBudget {
    /// Waits until a login of so many calls may be made, and keeps them for it. Dropped without
    /// [`Reserved::spend`] they are free again: nobody logged in.
    pub(super) async fn reserve(self: &Arc<Self>, calls: usize) -> Reserved {
        let mut told = false;
        loop {
            // Registered before looking, so that what is given back in between is not missed.
            let freed = self.freed.notified();
            let Some(until) = self.try_reserve(calls) else {
                return Reserved {
                    budget: Arc::clone(self),
                    calls,
                };
            };
            if !told {
                told = true;
                tracing::info!("waiting with the next login: the server counts them");
            }
            tokio::select! {
                () = freed => {}
                () = sleep_until(until) => {}
            }
        }
    }

    /// Reserves, or says when there may be room.
    fn try_reserve(&self, calls: usize) -> Option<Instant> {
        let now = Instant::now();
        let mut counted = self.counted();
        while counted
            .spent
            .front()
            .is_some_and(|at| now.duration_since(*at) > timeouts::LOGIN_WINDOW)
        {
            counted.spent.pop_front();
        }
        // One login is always possible, however many calls it takes.
        let used = counted.spent.len() + counted.reserved;
        if used == 0 || used + calls <= limits::LOGINS {
            counted.reserved += calls;
            return None;
        }
        let oldest = counted.spent.front().copied().unwrap_or(now);
        // A millisecond beyond, so that the oldest is certainly out of the window.
        Some(oldest + timeouts::LOGIN_WINDOW + std::time::Duration::from_millis(1))
    }

    fn counted(&self) -> MutexGuard<'_, Counted> {
        // Nothing that runs under the lock can leave it half-changed.
        self.counted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Login calls that may be made now.
#[derive(Debug)]
pub(super) struct Reserved {
    budget: Arc<LoginBudget>,
    calls: usize,
}

impl Reserved {
    /// A login was made, of so many calls; of all that were kept where that is not known. They count
    /// from now, whatever became of them.
    pub(super) fn spend(self, calls: Option<usize>) {
        let now = Instant::now();
        let calls = calls.unwrap_or(self.calls);
        let mut counted = self.budget.counted();
        counted.spent.extend(std::iter::repeat_n(now, calls));
        // Dropped now: what was kept is free.
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        let mut counted = self.budget.counted();
        counted.reserved = counted.reserved.saturating_sub(self.calls);
        drop(counted);
        self.budget.freed.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_logins_of_any_minute_stay_below_the_limit() {
        let budget = Arc::new(LoginBudget::default());
        let mut made = Vec::new();
        for _ in 0..100 {
            budget.reserve(1).await.spend(None);
            made.push(Instant::now());
            tokio::time::sleep(Duration::from_millis(70)).await;
        }
        for (first, one) in made.iter().enumerate() {
            let within = made[first..]
                .iter()
                .filter(|at| at.duration_since(*one) <= Duration::from_secs(60))
                .count();
            assert!(within <= limits::LOGINS, "{within} from the {first}th on");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn below_the_limit_nobody_waits() {
        let budget = Arc::new(LoginBudget::default());
        let begin = Instant::now();
        for _ in 0..limits::LOGINS {
            budget.reserve(1).await.spend(None);
        }
        assert_eq!(begin.elapsed(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn a_login_of_two_calls_counts_twice() {
        let budget = Arc::new(LoginBudget::default());
        let begin = Instant::now();
        for _ in 0..limits::LOGINS / 2 {
            budget.reserve(2).await.spend(None);
        }
        assert_eq!(begin.elapsed(), Duration::ZERO);
        budget.reserve(2).await.spend(None);
        assert!(begin.elapsed() > timeouts::LOGIN_WINDOW);
    }

    #[tokio::test(start_paused = true)]
    async fn a_login_that_took_fewer_calls_counts_as_it_was() {
        let budget = Arc::new(LoginBudget::default());
        let begin = Instant::now();
        for _ in 0..limits::LOGINS - 1 {
            budget.reserve(2).await.spend(Some(1));
        }
        assert_eq!(begin.elapsed(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn an_attempt_that_never_logged_in_does_not_count_and_lets_the_next_go_on() {
        let budget = Arc::new(LoginBudget::default());
        let mut held = Vec::new();
        for _ in 0..limits::LOGINS {
            held.push(budget.reserve(1).await);
        }
        let begin = Instant::now();
        let waiting = {
            let budget = Arc::clone(&budget);
            tokio::spawn(async move { budget.reserve(1).await.spend(None) })
        };
        tokio::time::sleep(Duration::from_millis(10)).await;
        held.clear();
        waiting.await.expect("no panic");
        assert_eq!(begin.elapsed(), Duration::from_millis(10));
    }
}
