//! Shapes: what every method takes and answers, by release line, written down in `shapes/*.yaml`.
//! The tables know no rule between values, and nothing of how the simulator makes its answers.

mod check;
mod parse;
mod table;

pub use parse::ShapeError;
pub use table::{MethodShape, Param, Shapes};

use serde_json::Value;

/// What a value looks like.
#[derive(Debug, Clone, PartialEq)]
pub enum Shape {
    /// Anything.
    Any,
    /// `true` or `false`.
    Bool,
    /// A whole number between two bounds, both included.
    Int(Option<i64>, Option<i64>),
    /// Any number.
    Number,
    /// Text with a number of characters between two bounds, both included.
    Text(Option<u64>, Option<u64>),
    /// Text that matches a regular expression.
    Pattern(String),
    /// null.
    Null,
    /// A moment: `{"$date": milliseconds}`.
    Date,
    /// An object with any members.
    Object,
    /// One of these.
    OneOf(Vec<Value>),
    /// A list.
    List(Box<Shape>),
    /// An object of which every member looks the same.
    Map(Box<Shape>),
    /// One of several.
    Union(Vec<Shape>),
    /// An object with these members.
    Members(Members),
    /// A type of the table.
    Named(String),
    /// What a query of such rows answers: rows, one row, a number, or parts of rows.
    Rows(Box<Shape>),
}

/// The members of an object.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Members {
    /// The types whose members it has as well.
    pub also: Vec<String>,
    /// By name, in order.
    pub fields: Vec<Field>,
    /// Whether it may have others.
    pub open: bool,
}

/// A member.
#[derive(Debug, Clone, PartialEq)]
pub struct Field {
    /// Its name.
    pub name: String,
    /// Whether it may be missing.
    pub optional: bool,
    /// What it looks like.
    pub shape: Shape,
}
