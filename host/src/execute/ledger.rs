//! What this run made for one VM, or is about to: the only thing a rollback goes by.
//!
//! An entry is written before the call that makes the thing, so that an answer that never comes
//! leaves a trace too.

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A thing on the server that belongs to a VM, or the VM itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Object {
    /// The VM.
    Vm { name: String },
    /// That the VM runs.
    Running { name: String },
    /// A zvol.
    Volume { dataset: String },
    /// A device, by its name within the VM.
    Device { name: String },
}

impl fmt::Display for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Vm { name } => write!(f, "VM {name}"),
            Self::Running { name } => write!(f, "running state of {name}"),
            Self::Volume { dataset } => write!(f, "zvol {dataset}"),
            Self::Device { name } => write!(f, "device {name}"),
        }
    }
}

/// How sure it is that a thing is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Certainty {
    /// Asked for, not answered: it may be there.
    Asked,
    /// It is there; a VM or a device has this id.
    There(Option<u64>),
    /// It is not there (any more).
    Absent,
}

/// One thing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) number: usize,
    pub(super) object: Object,
    pub(super) certainty: Certainty,
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.certainty {
            Certainty::Asked => write!(f, "{} (perhaps: its answer was lost)", self.object),
            Certainty::There(Some(id)) => write!(f, "{} (id {id})", self.object),
            Certainty::There(None) | Certainty::Absent => write!(f, "{}", self.object),
        }
    }
}

/// All things of one VM, in the order of asking.
#[derive(Debug, Default)]
pub(super) struct Ledger(Mutex<Vec<Entry>>);

impl Ledger {
    /// Notes that a thing is about to be asked for; gives the number of its entry.
    pub(super) fn asked(&self, object: Object) -> usize {
        self.add(object, Certainty::Asked)
    }

    /// Notes a thing that is there.
    pub(super) fn add(&self, object: Object, certainty: Certainty) -> usize {
        let mut entries = self.entries();
        let number = entries.len();
        entries.push(Entry {
            number,
            object,
            certainty,
        });
        number
    }

    /// Notes what became of a thing.
    pub(super) fn settle(&self, number: usize, certainty: Certainty) {
        if let Some(entry) = self.entries().get_mut(number) {
            entry.certainty = certainty;
        }
    }

    /// What is there or may be, newest first.
    pub(super) fn standing(&self) -> Vec<Entry> {
        let mut standing: Vec<Entry> = self
            .entries()
            .iter()
            .filter(|entry| entry.certainty != Certainty::Absent)
            .cloned()
            .collect();
        standing.reverse();
        standing
    }

    fn entries(&self) -> MutexGuard<'_, Vec<Entry>> {
        // A list of notes has no half-written state that a panic elsewhere could leave.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_is_given_newest_first_and_without_what_is_gone() {
        let ledger = Ledger::default();
        let vm = ledger.asked(Object::Vm { name: "a".into() });
        let gone = ledger.asked(Object::Volume {
            dataset: "t/a".into(),
        });
        ledger.asked(Object::Volume {
            dataset: "t/b".into(),
        });
        ledger.settle(vm, Certainty::There(Some(7)));
        ledger.settle(gone, Certainty::Absent);
        let shown: Vec<_> = ledger.standing().iter().map(Entry::to_string).collect();
        assert_eq!(
            shown,
            ["zvol t/b (perhaps: its answer was lost)", "VM a (id 7)"]
        );
    }
}
