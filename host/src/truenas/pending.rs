//! The table of calls that wait for an answer. Pure: no socket, no time.

use std::collections::HashMap;

/// Who waits for which id. Ids only grow, so an unknown id tells whether it was ever given.
#[derive(Debug)]
pub(super) struct Pending<W> {
    waiting: HashMap<u64, W>,
    highest: Option<u64>,
}

/// Nobody waits for this id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unknown {
    /// Nobody does any more: the caller gave up, or it was answered already.
    Late,
    /// No call had this id.
    Never,
}

impl<W> Pending<W> {
    pub(super) fn new() -> Self {
        Self {
            waiting: HashMap::new(),
            highest: None,
        }
    }

    /// Adds a waiter. An id that is taken keeps its first waiter; the new one comes back.
    pub(super) fn insert(&mut self, id: u64, waiter: W) -> Result<(), W> {
        if self.waiting.contains_key(&id) {
            return Err(waiter);
        }
        self.waiting.insert(id, waiter);
        self.highest = self.highest.max(Some(id));
        Ok(())
    }

    /// Takes the waiter that an answer is for.
    pub(super) fn complete(&mut self, id: u64) -> Result<W, Unknown> {
        self.waiting.remove(&id).ok_or({
            if Some(id) <= self.highest {
                Unknown::Late
            } else {
                Unknown::Never
            }
        })
    }

    /// Drops a waiter that gave up.
    pub(super) fn forget(&mut self, id: u64) {
        self.waiting.remove(&id);
    }

    /// Takes all waiters, to be told why there will be no answer.
    pub(super) fn drain(&mut self) -> impl Iterator<Item = W> {
        self.waiting.drain().map(|(_, waiter)| waiter)
    }

    /// How many wait.
    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(ids: &[u64]) -> Pending<String> {
        let mut pending = Pending::new();
        for id in ids {
            pending.insert(*id, format!("w{id}")).expect("a free id");
        }
        pending
    }

    #[test]
    fn answers_find_their_waiters_in_any_order() {
        let mut pending = table(&[1, 2, 3]);
        for id in [3, 1, 2] {
            assert_eq!(pending.complete(id), Ok(format!("w{id}")));
        }
        assert_eq!(pending.len(), 0);
    }

    #[test]
    fn a_second_answer_is_late() {
        let mut pending = table(&[1]);
        assert!(pending.complete(1).is_ok());
        assert_eq!(pending.complete(1), Err(Unknown::Late));
    }

    #[test]
    fn an_answer_after_giving_up_is_late() {
        let mut pending = table(&[1]);
        pending.forget(1);
        assert_eq!(pending.complete(1), Err(Unknown::Late));
    }

    #[test]
    fn an_id_that_was_never_given_is_told_apart() {
        assert_eq!(table(&[]).complete(0), Err(Unknown::Never));
        assert_eq!(table(&[1]).complete(2), Err(Unknown::Never));
    }

    #[test]
    fn a_taken_id_keeps_its_first_waiter() {
        let mut pending = table(&[1]);
        assert_eq!(pending.insert(1, "x".into()), Err("x".into()));
        assert_eq!(pending.complete(1), Ok("w1".into()));
    }

    #[test]
    fn draining_takes_everybody() {
        let mut pending = table(&[1, 2]);
        let mut all: Vec<_> = pending.drain().collect();
        all.sort();
        assert_eq!(all, ["w1", "w2"]);
        assert_eq!(pending.len(), 0);
    }
}
