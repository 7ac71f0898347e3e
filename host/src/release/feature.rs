//! The things that come and go from line to line.

use super::LINES;
use super::facts::Facts;

/// One thing that a server has or lacks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Feature<'a> {
    /// An argument of `vm.create`.
    Field(&'a str),
    /// A field that `vm.update` takes. Whoever has the field takes it, unless it was dropped.
    Change(&'a str),
    /// A type of device (`dtype`).
    Device(&'a str),
    /// An attribute of devices of a type.
    Attribute(&'a str, &'a str),
    /// A value of an attribute.
    Value(&'a str, &'a str, &'a str),
}

impl Feature<'_> {
    /// The first line that has it.
    #[must_use]
    pub fn came_with(self) -> Option<&'static Facts> {
        let brought = match self {
            Self::Change(field) => Feature::Field(field),
            other => other,
        };
        LINES.iter().find(|one| one.adds.contains(&brought))
    }

    /// The first line that has it no more.
    #[must_use]
    pub fn went_with(self) -> Option<&'static Facts> {
        LINES.iter().find(|one| one.drops.contains(&self))
    }
}

/// How a line stands to a feature.
#[derive(Clone, Copy, Debug)]
pub enum Standing {
    /// It has it.
    Has,
    /// A newer one has it first.
    Needs(&'static Facts),
    /// It has gone with this line, or with one before it.
    Had(&'static Facts),
    /// No line that tnvm knows has it: the server decides.
    Unknown,
}
