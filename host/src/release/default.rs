//! A value that `vm.create` fills in, fit for constants.

use serde_json::Value;

/// A default of the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Default {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Number(u64),
    /// A text.
    Text(&'static str),
    /// What the server makes up or chooses by other fields.
    Chosen,
}

impl Default {
    /// As the server shows it; none where that cannot be known.
    #[must_use]
    pub fn to_value(self) -> Option<Value> {
        Some(match self {
            Self::Null => Value::Null,
            Self::Bool(value) => Value::from(value),
            Self::Number(value) => Value::from(value),
            Self::Text(value) => Value::from(value),
            Self::Chosen => return None,
        })
    }
}
