//! The vocabulary of parameter schemas: types, fields with defaults, and models. Tables of these
//! are `static`, so everything here is plain data.

use serde_json::{Map, Value, json};

/// What a value may be.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Type {
    /// Anything.
    Any,
    /// `true` or `false`; numbers and text are refused.
    Bool,
    /// A whole number, with optional bounds.
    Int {
        /// Smallest allowed.
        min: Option<i64>,
        /// Largest allowed.
        max: Option<i64>,
    },
    /// Text of at most 1024 characters.
    Text {
        /// Fewest characters.
        min: usize,
        /// A pattern that must match, as regular expression.
        pattern: Option<&'static str>,
    },
    /// Text without a limit on its length.
    LongText,
    /// Text that a function may complain about (`Value error, …`).
    Checked(fn(&str) -> Option<String>),
    /// The same with the function's text alone; empty texts are for it to judge.
    Asserted(fn(&str) -> Option<String>),
    /// One of these words.
    OneOf(&'static [&'static str]),
    /// One of these numbers.
    OneOfInt(&'static [i64]),
    /// Null or the given type.
    Nullable(&'static Type),
    /// The first of two types that fits.
    Either(&'static Type, &'static Type),
    /// A list.
    List(&'static Type),
    /// Any object.
    Dict,
    /// An object of a model.
    Object(&'static Model),
    /// An object whose model is told by one of its members.
    Tagged {
        /// The member's name.
        tag: &'static str,
        /// Models by the member's value.
        models: &'static [(&'static str, &'static Model)],
        /// How the server prints the expected values: as plain text, or as members of this enum.
        enum_class: Option<&'static str>,
    },
    /// The same, where the member may be left out and then means the first model.
    Told {
        /// The member's name.
        tag: &'static str,
        /// Models by the member's value.
        models: &'static [(&'static str, &'static Model)],
    },
    /// An object of whichever model fits, tried in order.
    Union(&'static [&'static Model]),
}

/// Any whole number.
pub(crate) const INT: Type = Type::Int {
    min: None,
    max: None,
};
/// Any text up to 1024 characters.
pub(crate) const TEXT: Type = Type::Text {
    min: 0,
    pattern: None,
};
/// Text of 1 to 1024 characters.
pub(crate) const NONEMPTY: Type = Type::Text {
    min: 1,
    pattern: None,
};
/// Null or any whole number.
pub(crate) const INT_OR_NULL: Type = Type::Nullable(&INT);
/// Null or text.
pub(crate) const TEXT_OR_NULL: Type = Type::Nullable(&TEXT);

impl Type {
    /// A whole number of at least `min`.
    pub(crate) const fn at_least(min: i64) -> Self {
        Self::Int {
            min: Some(min),
            max: None,
        }
    }

    /// A whole number within both bounds.
    pub(crate) const fn between(min: i64, max: i64) -> Self {
        Self::Int {
            min: Some(min),
            max: Some(max),
        }
    }
}

/// What stands in for a missing member.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Default {
    /// Nothing: the member is required.
    Required,
    /// Nothing: the member stays absent.
    Absent,
    /// null.
    Null,
    /// A boolean.
    Bool(bool),
    /// A number.
    Int(i64),
    /// Text.
    Text(&'static str),
    /// An empty list.
    EmptyList,
    /// A list of numbers.
    Ints(&'static [i64]),
    /// A list of texts.
    Texts(&'static [&'static str]),
    /// An object: empty, or filled with its model's own defaults.
    EmptyObject,
}

/// A named member or parameter.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Field {
    /// Its name.
    pub(crate) name: &'static str,
    /// What it may be.
    pub(crate) ty: Type,
    /// What stands in when it is missing.
    pub(crate) default: Default,
}

impl Field {
    /// A required member.
    pub(crate) const fn required(name: &'static str, ty: Type) -> Self {
        Self {
            name,
            ty,
            default: Default::Required,
        }
    }

    /// A member with a default.
    pub(crate) const fn with(name: &'static str, ty: Type, default: Default) -> Self {
        Self { name, ty, default }
    }

    /// A member that may be left out and then stays out.
    pub(crate) const fn absent(name: &'static str, ty: Type) -> Self {
        Self {
            name,
            ty,
            default: Default::Absent,
        }
    }

    /// A flag, false unless given.
    pub(crate) const fn flag(name: &'static str) -> Self {
        Self {
            name,
            ty: Type::Bool,
            default: Default::Bool(false),
        }
    }
}

/// A rule over a whole object: what is wrong with it, if anything.
pub(crate) type Rule = fn(&Map<String, Value>) -> Option<&'static str>;

/// The members of an object.
#[derive(Debug)]
pub(crate) struct Model {
    /// The server's name of the model; it appears in messages.
    pub(crate) name: &'static str,
    /// Its members, in the server's order: messages come in that order.
    pub(crate) fields: &'static [Field],
    /// Whether unknown members are refused.
    pub(crate) closed: bool,
    /// A rule over the whole object, run when every member is right (`Value error, …`).
    pub(crate) rule: Option<Rule>,
}

impl Model {
    /// A model that refuses unknown members.
    pub(crate) const fn closed(name: &'static str, fields: &'static [Field]) -> Self {
        Self {
            name,
            fields,
            closed: true,
            rule: None,
        }
    }
}

impl Default {
    /// The value that stands in, if any.
    pub(super) fn value(self) -> Option<Value> {
        Some(match self {
            Self::Required | Self::Absent => return None,
            Self::Null => Value::Null,
            Self::Bool(flag) => json!(flag),
            Self::Int(number) => json!(number),
            Self::Text(text) => json!(text),
            Self::EmptyList => json!([]),
            Self::Ints(numbers) => json!(numbers),
            Self::Texts(texts) => json!(texts),
            Self::EmptyObject => json!({}),
        })
    }
}
