//! Who holds a group, from all locks that are there. Pure: it is given the time and who lives.

use super::record::LockRecord;

/// What the locks come to for one run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Judgement {
    /// Others that hold the group, with their properties.
    pub(super) holders: Vec<(String, LockRecord)>,
    /// Properties that nobody needs any more, of any group.
    pub(super) leftover: Vec<String>,
}

/// Sorts the locks of all others.
///
/// A lock counts until it expires, except that of a process of this very machine and boot that has
/// ended: so a killed run never keeps its own user waiting. Of another machine's process nothing is
/// known, so its lock is respected until it expires.
pub(super) fn judge(
    found: Vec<(String, LockRecord)>,
    own: &str,
    group: &str,
    machine: Option<&str>,
    now: u64,
    has_ended: &dyn Fn(u32, Option<u64>) -> bool,
) -> Judgement {
    let mut judgement = Judgement::default();
    for (key, lock) in found {
        if key == own {
            continue;
        }
        let is_here = machine.is_some() && lock.machine.as_deref() == machine;
        if lock.expires <= now {
            tracing::debug!(lock = %key, "an expired lock is removed");
            judgement.leftover.push(key);
        } else if is_here && has_ended(lock.pid, lock.started) {
            tracing::info!(holder = %lock.holder(), "the run that held the lock has ended, it is taken over");
            judgement.leftover.push(key);
        } else if lock.group == group {
            judgement.holders.push((key, lock));
        }
    }
    judgement
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1000;

    fn lock(group: &str, machine: Option<&str>, expires: u64) -> (String, LockRecord) {
        let record = LockRecord {
            group: group.into(),
            user: "alice".into(),
            host: "laptop".into(),
            machine: machine.map(str::to_owned),
            pid: 7,
            started: Some(70),
            command: "create".into(),
            since: 900,
            expires,
            tnvm: "1".into(),
        };
        ("tnvm:lock-a".to_owned(), record)
    }

    /// Whether the lock holds, and whether it is removed.
    fn check(found: (String, LockRecord), ended: bool, expected: (bool, bool)) {
        let shown = format!("{found:?} ended: {ended}");
        let has_ended = |pid, started| ended && (pid, started) == (7, Some(70));
        let judged = judge(
            vec![found],
            "tnvm:lock-own",
            "lab",
            Some("here"),
            NOW,
            &has_ended,
        );
        let found = (!judged.holders.is_empty(), !judged.leftover.is_empty());
        assert_eq!(found, expected, "{shown}");
    }

    #[test]
    fn a_living_lock_of_the_group_holds() {
        check(lock("lab", Some("there"), NOW + 1), false, (true, false));
        check(lock("lab", Some("here"), NOW + 1), false, (true, false));
        check(lock("lab", None, NOW + 1), false, (true, false));
    }

    #[test]
    fn another_groups_lock_is_no_matter() {
        check(lock("other", Some("there"), NOW + 1), false, (false, false));
    }

    #[test]
    fn an_expired_lock_of_anybody_is_removed() {
        for group in ["lab", "other"] {
            check(lock(group, Some("there"), NOW), false, (false, true));
        }
    }

    #[test]
    fn a_dead_process_holds_nothing_on_its_own_machine_alone() {
        check(lock("lab", Some("here"), NOW + 1), true, (false, true));
        check(lock("lab", Some("there"), NOW + 1), true, (true, false));
        check(lock("lab", None, NOW + 1), true, (true, false));
    }

    #[test]
    fn a_machine_that_does_not_know_itself_judges_no_process() {
        let judged = judge(
            vec![lock("lab", None, NOW + 1)],
            "own",
            "lab",
            None,
            NOW,
            &|_, _| true,
        );
        assert_eq!(judged.holders.len(), 1);
    }

    #[test]
    fn ones_own_lock_is_in_nobodys_way() {
        let found = vec![lock("lab", Some("there"), NOW + 1)];
        let judged = judge(found, "tnvm:lock-a", "lab", Some("here"), NOW, &|_, _| true);
        assert_eq!(judged, Judgement::default());
    }
}
