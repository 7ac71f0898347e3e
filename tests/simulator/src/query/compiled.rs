//! What 27 has of its own: its filters are compiled by a library, which refuses in other words, sorts by
//! the first key first, and passes over fields that it does not know. Recorded on 27: `vm.query`.

use serde_json::Value;

use super::options::Options;
use crate::errors::{Complaint, EINVAL, Failure};

const OPERATORS: [&str; 15] = [
    "=", "!=", ">", ">=", "<", "<=", "~", "in", "nin", "rin", "rnin", "^", "!^", "$", "!$",
];

/// Refuses what the library does not compile.
pub(crate) fn check_filters(attribute: &str, filters: &[Value]) -> Result<(), Failure> {
    filters
        .iter()
        .try_for_each(|filter| check_filter(attribute, filter))
}

/// Refuses numbers that the model does not allow any more.
pub(crate) fn check_options(options: &Options) -> Result<(), Failure> {
    let negative = [("offset", options.offset), ("limit", options.limit)];
    let complaints: Vec<Complaint> = negative
        .into_iter()
        .filter(|(_, number)| *number < 0)
        .map(|(name, _)| {
            let why = "Input should be greater than or equal to 0".to_owned();
            (Some(format!("options.{name}")), why, EINVAL)
        })
        .collect();
    if complaints.is_empty() {
        Ok(())
    } else {
        Err(Failure::validation(complaints))
    }
}

fn check_filter(attribute: &str, filter: &Value) -> Result<(), Failure> {
    let refuse = |why: String| {
        let text = format!("Value error, filter_list: {why}");
        Err(Failure::invalid(attribute, text))
    };
    let parts = match filter {
        Value::Array(parts) => parts,
        // A text is a sequence too.
        Value::String(text) => {
            return refuse(format!("invalid filter length {}", text.chars().count()));
        }
        Value::Object(_) => return Err(Failure::exception("TypeError", "dict is not a sequence")),
        _ => {
            return Err(Failure::exception(
                "TypeError",
                "bad argument type for built-in operation",
            ));
        }
    };
    match parts.as_slice() {
        [word, branches] if word.as_str() == Some("OR") => match branches {
            Value::Array(branches) => branches.iter().try_for_each(|branch| {
                let nested = branch
                    .as_array()
                    .and_then(|parts| parts.first())
                    .is_some_and(Value::is_array);
                match (nested, branch.as_array()) {
                    (true, Some(parts)) => check_filters(attribute, parts),
                    _ => check_filter(attribute, branch),
                }
            }),
            other => check_filter(attribute, other),
        },
        [_, _] => refuse("len-2 filter must start with \"OR\"".to_owned()),
        [word, Value::Array(_), _] if word.as_str() == Some("OR") => Err(Failure::exception(
            "TypeError",
            "bad argument type for built-in operation",
        )),
        [field, operator, _] => {
            if !field.is_string() {
                return Err(Failure::exception("TypeError", "must be str, not int"));
            }
            let word = operator.as_str().unwrap_or_default();
            if OPERATORS.contains(&word.strip_prefix('C').unwrap_or(word)) {
                Ok(())
            } else {
                refuse(format!("unknown operator '{word}'"))
            }
        }
        other => refuse(format!("invalid filter length {}", other.len())),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(filter: Value, expected: &str) {
        let filters = filter.as_array().unwrap();
        let reason = match check_filters("filters", filters) {
            Err(failure) => failure.reason(),
            Ok(()) => String::new(),
        };
        assert!(
            reason.contains(expected) && reason.is_empty() == expected.is_empty(),
            "{filter}: {reason}"
        );
    }

    #[test]
    fn what_does_not_compile_is_refused_in_the_librarys_words() {
        check(json!([["name", "=", "a"]]), "");
        check(json!([["OR", [["name", "=", "a"], [["b", "=", 1]]]]]), "");
        check(json!([["name", "==", "a"]]), "unknown operator '=='");
        check(
            json!([["name", "="]]),
            "len-2 filter must start with \"OR\"",
        );
        check(json!(["name", "=", "a"]), "invalid filter length 4");
        check(json!([["name"]]), "invalid filter length 1");
        check(json!([["OR", "x"]]), "invalid filter length 1");
        check(json!([{"name": "a"}]), "dict is not a sequence");
        check(json!([[1, "=", 1]]), "must be str, not int");
    }
}
