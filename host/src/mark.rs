//! The ownership marks: how tnvm knows again what it made.
//!
//! A VM carries its mark at the end of its description, a zvol in a user property. Both say the
//! same; deleting needs the mark, never just a name.

use std::fmt;
use std::str::FromStr;

/// The user property of a zvol that holds its mark. A user property's key must contain a colon
/// (`pool.dataset.create`, all versions).
pub const MARK_PROPERTY: &str = "tnvm:owner";

/// The user property of a zvol that says for which device of its VM it was made: `disk.system`.
pub const DEVICE_PROPERTY: &str = "tnvm:device";

/// What the description of a protected VM says before its mark.
const PROTECTED: &str = "[tnvm:protected]";

/// Whose VM or zvol this is. Written as `tnvm:v1:GROUP:TYPE:NAME`.
#[derive(
    Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
pub struct Mark {
    /// The group.
    pub group: String,
    /// The VM type.
    pub vm_type: String,
    /// The VM's name.
    pub vm: String,
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "tnvm:v1:{}:{}:{}", self.group, self.vm_type, self.vm)
    }
}

/// A text is not a mark.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an ownership mark of the form tnvm:v1:GROUP:TYPE:NAME")]
pub struct NotAMark;

impl FromStr for Mark {
    type Err = NotAMark;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut parts = text.strip_prefix("tnvm:v1:").ok_or(NotAMark)?.split(':');
        let mut next = || parts.next().filter(|part| !part.is_empty()).ok_or(NotAMark);
        let mark = Self {
            group: next()?.to_owned(),
            vm_type: next()?.to_owned(),
            vm: next()?.to_owned(),
        };
        parts.next().is_none().then_some(mark).ok_or(NotAMark)
    }
}

impl Mark {
    /// The description of a VM: the user's own text, whether it is protected, then the mark in
    /// brackets.
    #[must_use]
    pub fn description(&self, text: &str, protected: bool) -> String {
        let space = if text.is_empty() { "" } else { " " };
        let protected = if protected { PROTECTED } else { "" };
        let between = if protected.is_empty() { "" } else { " " };
        format!("{text}{space}{protected}{between}[{self}]")
    }

    /// Whether a VM's description says that it is protected. Kept on the server, so that a run
    /// without the config knows it too.
    #[must_use]
    pub fn is_protected(description: &str) -> bool {
        Self::in_description(description).is_some()
            && description
                .trim_end()
                .rsplit_once('[')
                .is_some_and(|(before, _)| before.trim_end().ends_with(PROTECTED))
    }

    /// The user's own text in a VM's description: without what tnvm wrote at its end.
    #[must_use]
    pub fn own_text(description: &str) -> &str {
        if Self::in_description(description).is_none() {
            return description;
        }
        let own = description.rsplit_once('[').map_or("", |(own, _)| own);
        let own = own.trim_end();
        own.strip_suffix(PROTECTED).map_or(own, str::trim_end)
    }

    /// Finds the mark in a VM's description: the last bracket of it.
    #[must_use]
    pub fn in_description(description: &str) -> Option<Self> {
        let inner = description.trim_end().strip_suffix(']')?;
        inner.get(inner.rfind('[')? + 1..)?.parse().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark() -> Mark {
        Mark {
            group: "lab".into(),
            vm_type: "worker".into(),
            vm: "worker01".into(),
        }
    }

    #[test]
    fn a_mark_survives_the_way_through_a_description() {
        for text in ["", "nodes of [the] lab", "x]"] {
            for protected in [false, true] {
                let description = mark().description(text, protected);
                assert_eq!(Mark::in_description(&description), Some(mark()));
                assert_eq!(Mark::is_protected(&description), protected);
                assert_eq!(Mark::own_text(&description), text);
            }
        }
    }

    #[test]
    fn a_word_of_the_user_protects_nothing() {
        for text in [
            "[tnvm:protected]",
            "[tnvm:protected] x [tnvm:v1:lab:worker:worker01]",
        ] {
            assert!(!Mark::is_protected(text), "{text}");
        }
        assert_eq!(Mark::own_text("[tnvm:protected]"), "[tnvm:protected]");
    }

    #[test]
    fn what_merely_looks_like_a_mark_is_none() {
        for text in [
            "",
            "tnvm:v1:lab:worker:worker01",
            "[tnvm:v1:lab:worker]",
            "[tnvm:v2:lab:worker:worker01]",
            "[tnvm:v1:lab:worker:worker01:x]",
            "[tnvm:v1:lab:worker:worker01] edited",
            "[tnvm:v1::worker:worker01]",
        ] {
            assert_eq!(Mark::in_description(text), None, "{text}");
        }
    }
}
