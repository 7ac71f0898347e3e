//! What can differ between a recorded answer and ours, in words.

use std::fmt;

use serde::Serialize;
use serde_json::Value;

/// Longest value that is shown in full.
const SHOWN: usize = 120;

/// One difference.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Difference {
    /// Of which kind.
    pub kind: DifferenceKind,
    /// Where in the answer, e.g. `devices.attributes.serial`; empty for the whole of it.
    pub at: String,
    /// What was recorded.
    pub recorded: String,
    /// What the simulator says.
    pub own: String,
}

/// Kinds of differences.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DifferenceKind {
    /// One worked, the other was refused; or one answered and the other did not.
    Outcome,
    /// The JSON-RPC code, the errno or its name, or the class of the exception.
    Code,
    /// The attributes of a validation error, or their errnos.
    Attributes,
    /// A member too many or too few, or another type.
    Shape,
    /// Another value of the same type.
    Value,
    /// An event that did not come, or that nobody recorded.
    Event,
    /// The connection: refused, closed, closed with another code.
    Connection,
    /// A message in other words. It alone makes no frame differ.
    Wording,
}

impl Difference {
    /// A difference; long values are cut.
    pub(super) fn new(
        kind: DifferenceKind,
        at: impl Into<String>,
        recorded: impl fmt::Display,
        own: impl fmt::Display,
    ) -> Self {
        Self {
            kind,
            at: at.into(),
            recorded: cut(recorded.to_string()),
            own: cut(own.to_string()),
        }
    }

    /// A difference between two values; what is missing is said so.
    pub(super) fn values(
        kind: DifferenceKind,
        at: impl Into<String>,
        recorded: Option<&Value>,
        own: Option<&Value>,
    ) -> Self {
        let shown = |value: Option<&Value>| value.map_or("(none)".to_owned(), Value::to_string);
        Self::new(kind, at, shown(recorded), shown(own))
    }

    /// Whether it may go away by waiting: something under way ends at another moment here.
    pub(super) fn may_settle(&self) -> bool {
        let state = ["state", "status", "progress", "result", "pid", "percent"];
        match self.kind {
            DifferenceKind::Value | DifferenceKind::Shape => {
                self.at.is_empty() || self.at.split('.').any(|part| state.contains(&part))
            }
            _ => false,
        }
    }

    /// Whether it is more than another choice of words.
    pub fn counts(&self) -> bool {
        self.kind != DifferenceKind::Wording
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = if self.at.is_empty() {
            "answer"
        } else {
            &self.at
        };
        write!(
            f,
            "{} at {at}: recorded {}, simulated {}",
            self.kind, self.recorded, self.own
        )
    }
}

impl fmt::Display for DifferenceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Outcome => "outcome",
            Self::Code => "code",
            Self::Attributes => "attributes",
            Self::Shape => "shape",
            Self::Value => "value",
            Self::Event => "event",
            Self::Connection => "connection",
            Self::Wording => "wording",
        })
    }
}

fn cut(text: String) -> String {
    if text.chars().count() <= SHOWN {
        return text;
    }
    let begin: String = text.chars().take(SHOWN).collect();
    format!("{begin}…")
}
