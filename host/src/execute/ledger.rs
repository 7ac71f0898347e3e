//! What this run made and changed for one VM, or is about to: the only thing a rollback goes by.
//!
//! An entry is written before the call that makes the thing, so that an answer that never comes
//! leaves a trace too.

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::plan::size;

/// A thing on the server that belongs to a VM, the VM itself, or a change of one of them.
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
    /// Other values of the VM's fields.
    Fields { names: Vec<String> },
    /// Other values of a device's attributes.
    Attributes { device: String, id: u64 },
    /// That a VM which ran is off.
    Stopped { name: String },
    /// That a zvol is bigger; never undone.
    Growth { dataset: String, from: u64, to: u64 },
    /// That a device which was there is gone; never undone.
    DeviceRemoval { name: String },
    /// That a zvol which was there is gone; never undone.
    VolumeRemoval { dataset: String },
    /// That a device has another secret; never undone, since the old one is not known.
    NewSecret { device: String, names: Vec<String> },
}

impl fmt::Display for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Vm { name } => write!(f, "VM {name}"),
            Self::Running { name } => write!(f, "running state of {name}"),
            Self::Volume { dataset } => write!(f, "zvol {dataset}"),
            Self::Device { name } => write!(f, "device {name}"),
            Self::Fields { names } => write!(f, "change of {}", names.join(", ")),
            Self::Attributes { device, .. } => write!(f, "change of device {device}"),
            Self::Stopped { name } => write!(f, "stop of {name}"),
            Self::Growth { dataset, from, to } => {
                let (from, to) = (size(*from), size(*to));
                write!(f, "growth of zvol {dataset} from {from} to {to}")
            }
            Self::DeviceRemoval { name } => write!(f, "removal of device {name}"),
            Self::VolumeRemoval { dataset } => write!(f, "removal of zvol {dataset}"),
            Self::NewSecret { device, names } => {
                write!(f, "new secret of device {device} ({})", names.join(", "))
            }
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

    /// Notes what became of all entries of a thing.
    pub(super) fn settle_all(&self, object: &Object, certainty: Certainty) {
        for entry in self.entries().iter_mut() {
            if entry.object == *object {
                entry.certainty = certainty;
            }
        }
    }

    /// The id of the VM that was made, where its answer came.
    pub(super) fn vm_id(&self) -> Option<u64> {
        self.entries().iter().find_map(|entry| match entry {
            Entry {
                object: Object::Vm { .. },
                certainty: Certainty::There(id),
                ..
            } => *id,
            _ => None,
        })
    }

    /// The ids of the devices that were made, with their names.
    pub(super) fn devices(&self) -> Vec<(String, u64)> {
        let entries = self.entries();
        let ids = entries.iter().filter_map(|entry| match entry {
            Entry {
                object: Object::Device { name },
                certainty: Certainty::There(Some(id)),
                ..
            } => Some((name.clone(), *id)),
            _ => None,
        });
        ids.collect()
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

    /// Whether something was asked for and never answered or found.
    pub(super) fn is_unsettled(&self) -> bool {
        let asked = |entry: &Entry| entry.certainty == Certainty::Asked;
        self.entries().iter().any(asked)
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
