//! Small readers over JSON objects, for rows that are kept as the server keeps them: by field name.

use serde_json::{Map, Value};

/// An object's members by name.
pub(crate) type Object = Map<String, Value>;

/// A member's text; empty when it is missing or no text.
pub(crate) fn text<'a>(object: &'a Object, key: &str) -> &'a str {
    object.get(key).and_then(Value::as_str).unwrap_or_default()
}

/// A member's number, if it is one.
pub(crate) fn int(object: &Object, key: &str) -> Option<i64> {
    object.get(key).and_then(Value::as_i64)
}

/// A member's flag; false when it is missing.
pub(crate) fn flag(object: &Object, key: &str) -> bool {
    object.get(key).and_then(Value::as_bool).unwrap_or(false)
}

/// Whether a member is there and not null.
pub(crate) fn given(object: &Object, key: &str) -> bool {
    object.get(key).is_some_and(|value| !value.is_null())
}

/// The positional parameter as an object; an empty one when it is none.
pub(crate) fn object(params: &[Value], position: usize) -> Object {
    params
        .get(position)
        .and_then(Value::as_object)
        .cloned()
        .unwrap_or_default()
}

/// The positional parameter as a number; 0 when it is none.
pub(crate) fn number(params: &[Value], position: usize) -> i64 {
    params
        .get(position)
        .and_then(Value::as_i64)
        .unwrap_or_default()
}

/// The positional parameter as text; empty when it is none.
pub(crate) fn word(params: &[Value], position: usize) -> &str {
    params
        .get(position)
        .and_then(Value::as_str)
        .unwrap_or_default()
}
