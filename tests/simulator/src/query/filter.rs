//! Query filters: parsing `[field, operator, value]` and `["OR", […]]`, and matching rows.

use regex::Regex;
use serde_json::Value;

use crate::errors::Failure;

/// A parsed filter.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Filter {
    /// One comparison.
    Compare {
        /// Dotted name of the field.
        field: String,
        /// Operator without the `C` prefix.
        operator: String,
        /// Whether letters of either case are the same (`C` in front of the operator).
        ignore_case: bool,
        /// What to compare with.
        value: Value,
    },
    /// Any of these branches; each branch is a conjunction.
    AnyOf(Vec<Vec<Filter>>),
}

const OPERATORS: [&str; 14] = [
    "=", "!=", ">", ">=", "<", "<=", "~", "in", "nin", "rin", "rnin", "^", "!^", "$",
];

impl Filter {
    /// Parses the first parameter of a query. Errors carry the given attribute, as the server's
    /// model validator does.
    pub(crate) fn parse_all(attribute: &str, filters: &[Value]) -> Result<Vec<Self>, Failure> {
        filters
            .iter()
            .map(|filter| Self::parse(attribute, filter))
            .collect()
    }

    /// Whether a row satisfies this filter. A field that is not there is never equal to anything
    /// (recorded on 25.10.7: an unknown field name gives an empty result, not an error).
    pub(crate) fn matches(&self, row: &Value) -> Result<bool, Failure> {
        match self {
            Self::AnyOf(branches) => {
                for branch in branches {
                    if all_match(branch, row)? {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
            Self::Compare {
                field,
                operator,
                ignore_case,
                value,
            } => {
                let Some(found) = lookup(row, field) else {
                    return Ok(false);
                };
                if *ignore_case {
                    compare(&lowered(found), operator, &lowered(value))
                } else {
                    compare(found, operator, value)
                }
            }
        }
    }

    fn parse(attribute: &str, filter: &Value) -> Result<Self, Failure> {
        let refuse =
            |text: String| Err(Failure::invalid(attribute, format!("Value error, {text}")));
        let Some(parts) = filter.as_array() else {
            return refuse(format!("Invalid filter {}", python(filter)));
        };
        match parts.as_slice() {
            [word, branches] if word.as_str() == Some("OR") => {
                let Some(branches) = branches.as_array() else {
                    return refuse(format!("Invalid filter {}", python(branches)));
                };
                let mut parsed = Vec::new();
                for branch in branches {
                    parsed.push(Self::parse_branch(attribute, branch)?);
                }
                Ok(Self::AnyOf(parsed))
            }
            // Recorded on 25.10.7: two elements are read as a connective that does not exist.
            [word, _] => refuse(format!("Invalid operation: {}", bare(word))),
            [field, operator, value] => {
                let Some(field) = field.as_str() else {
                    return Err(Failure::exception(
                        "AttributeError",
                        format!("'{}' object has no attribute 'partition'", type_name(field)),
                    ));
                };
                let Some(operator) = operator.as_str() else {
                    return Err(Failure::exception(
                        "TypeError",
                        format!("unhashable type: '{}'", type_name(operator)),
                    ));
                };
                let (plain, ignore_case) = match operator.strip_prefix('C') {
                    Some(rest) => (rest, true),
                    None => (operator, false),
                };
                if !OPERATORS.contains(&plain) && plain != "!$" {
                    return refuse(format!("Invalid operation: {operator}"));
                }
                Ok(Self::Compare {
                    field: field.to_owned(),
                    operator: plain.to_owned(),
                    ignore_case,
                    value: value.clone(),
                })
            }
            _ => refuse(format!("Invalid filter {}", python(filter))),
        }
    }

    fn parse_branch(attribute: &str, branch: &Value) -> Result<Vec<Self>, Failure> {
        let nested = branch
            .as_array()
            .is_some_and(|parts| parts.first().is_some_and(Value::is_array));
        match (nested, branch.as_array()) {
            (true, Some(parts)) => Self::parse_all(attribute, parts),
            _ => Ok(vec![Self::parse(attribute, branch)?]),
        }
    }
}

/// Whether a row satisfies every filter.
pub(super) fn all_match(filters: &[Filter], row: &Value) -> Result<bool, Failure> {
    for filter in filters {
        if !filter.matches(row)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The value at a dotted name; a backslash keeps a dot from separating.
pub(super) fn lookup<'a>(row: &'a Value, field: &str) -> Option<&'a Value> {
    if let Some(found) = row.get(field) {
        return Some(found);
    }
    let mut current = row;
    for part in split_field(field) {
        current = match current {
            Value::Array(items) => items.get(part.parse::<usize>().ok()?)?,
            other => other.get(part.as_str())?,
        };
    }
    Some(current)
}

/// The parts of a dotted name.
pub(super) fn split_field(field: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut letters = field.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '\\' => {
                if let (Some(last), Some(next)) = (parts.last_mut(), letters.next()) {
                    last.push(next);
                }
            }
            '.' => parts.push(String::new()),
            other => {
                if let Some(last) = parts.last_mut() {
                    last.push(other);
                }
            }
        }
    }
    parts
}

/// Python's order of two values, or the exception it raises for values that have none.
pub(super) fn order(
    left: &Value,
    right: &Value,
    operator: &str,
) -> Result<std::cmp::Ordering, Failure> {
    if let (Some(left), Some(right)) = (number(left), number(right)) {
        return Ok(left.total_cmp(&right));
    }
    if let (Some(left), Some(right)) = (left.as_str(), right.as_str()) {
        return Ok(left.cmp(right));
    }
    Err(Failure::exception(
        "TypeError",
        format!(
            "'{operator}' not supported between instances of '{}' and '{}'",
            type_name(left),
            type_name(right)
        ),
    ))
}

fn compare(found: &Value, operator: &str, value: &Value) -> Result<bool, Failure> {
    use std::cmp::Ordering::{Equal, Greater, Less};
    Ok(match operator {
        "=" => same(found, value),
        "!=" => !same(found, value),
        ">" => order(found, value, operator)? == Greater,
        ">=" => matches!(order(found, value, operator)?, Greater | Equal),
        "<" => order(found, value, operator)? == Less,
        "<=" => matches!(order(found, value, operator)?, Less | Equal),
        "~" => {
            let pattern = value.as_str().unwrap_or_default();
            let regex = Regex::new(&format!("^(?:{pattern})")).map_err(|error| {
                Failure::exception("error", format!("invalid pattern {pattern}: {error}"))
            })?;
            regex.is_match(found.as_str().unwrap_or_default())
        }
        "in" => contains(value, found),
        "nin" => !contains(value, found),
        "rin" => contains(found, value),
        "rnin" => !contains(found, value),
        "^" => affix(found, value, |text, part| text.starts_with(part)),
        "!^" => !affix(found, value, |text, part| text.starts_with(part)),
        "$" => affix(found, value, |text, part| text.ends_with(part)),
        "!$" => !affix(found, value, |text, part| text.ends_with(part)),
        other => return Err(Failure::exception("KeyError", format!("'{other}'"))),
    })
}

fn affix(found: &Value, value: &Value, test: fn(&str, &str) -> bool) -> bool {
    match (found.as_str(), value.as_str()) {
        (Some(found), Some(value)) => test(found, value),
        _ => false,
    }
}

fn contains(container: &Value, item: &Value) -> bool {
    match container {
        Value::Array(items) => items.iter().any(|other| same(other, item)),
        Value::String(text) => item.as_str().is_some_and(|item| text.contains(item)),
        Value::Object(map) => item.as_str().is_some_and(|item| map.contains_key(item)),
        _ => false,
    }
}

fn same(left: &Value, right: &Value) -> bool {
    match (number(left), number(right)) {
        (Some(left), Some(right)) => left == right,
        _ => left == right,
    }
}

/// Numbers compare by value, and Python's booleans are numbers.
fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Bool(flag) => Some(f64::from(u8::from(*flag))),
        Value::Number(number) => number.as_f64(),
        _ => None,
    }
}

fn lowered(value: &Value) -> Value {
    match value {
        Value::String(text) => Value::String(text.to_lowercase()),
        Value::Array(items) => items.iter().map(lowered).collect(),
        other => other.clone(),
    }
}

fn bare(value: &Value) -> String {
    value.as_str().map_or_else(|| python(value), str::to_owned)
}

/// A value as Python prints it inside a message; strings at the top level stay bare.
fn python(value: &Value) -> String {
    fn nested(value: &Value) -> String {
        match value {
            Value::String(text) => format!("'{text}'"),
            Value::Null => "None".into(),
            Value::Bool(true) => "True".into(),
            Value::Bool(false) => "False".into(),
            Value::Array(items) => format!(
                "[{}]",
                items.iter().map(nested).collect::<Vec<_>>().join(", ")
            ),
            Value::Object(map) => {
                let parts: Vec<String> = map
                    .iter()
                    .map(|(key, value)| format!("'{key}': {}", nested(value)))
                    .collect();
                format!("{{{}}}", parts.join(", "))
            }
            Value::Number(number) => number.to_string(),
        }
    }
    match value {
        Value::String(text) => text.clone(),
        other => nested(other),
    }
}

fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "NoneType",
        Value::Bool(_) => "bool",
        Value::Number(number) if number.is_f64() => "float",
        Value::Number(_) => "int",
        Value::String(_) => "str",
        Value::Array(_) => "list",
        Value::Object(_) => "dict",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(filter: Value, expected: &[&str]) {
        let rows = [
            json!({"name": "web1", "memory": 512, "status": {"state": "RUNNING"}, "tags": ["a"]}),
            json!({"name": "web2", "memory": 1024, "status": {"state": "STOPPED"}, "tags": []}),
            json!({"name": "DB", "memory": 2048, "status": {"state": "STOPPED"}, "tags": ["a", "b"]}),
        ];
        let filters = Filter::parse_all("filters", filter.as_array().unwrap()).unwrap();
        let found: Vec<&str> = rows
            .iter()
            .filter(|row| all_match(&filters, row).unwrap())
            .map(|row| row["name"].as_str().unwrap())
            .collect();
        assert_eq!(found, expected, "{filter}");
    }

    #[test]
    fn every_operator_selects_the_right_rows() {
        check(json!([["name", "=", "web1"]]), &["web1"]);
        check(json!([["name", "!=", "web1"]]), &["web2", "DB"]);
        check(json!([["memory", ">", 512]]), &["web2", "DB"]);
        check(
            json!([["memory", ">=", 512], ["memory", "<", 2048]]),
            &["web1", "web2"],
        );
        check(json!([["memory", "<=", 512.0]]), &["web1"]);
        check(json!([["name", "~", "web[2-9]"]]), &["web2"]);
        check(json!([["name", "in", ["DB", "x"]]]), &["DB"]);
        check(json!([["name", "nin", ["DB", "x"]]]), &["web1", "web2"]);
        check(json!([["tags", "rin", "a"]]), &["web1", "DB"]);
        check(json!([["tags", "rnin", "a"]]), &["web2"]);
        check(json!([["name", "^", "web"]]), &["web1", "web2"]);
        check(json!([["name", "!^", "web"]]), &["DB"]);
        check(json!([["name", "$", "1"]]), &["web1"]);
        check(json!([["name", "!$", "1"]]), &["web2", "DB"]);
        check(json!([["name", "C=", "db"]]), &["DB"]);
    }

    #[test]
    fn dotted_fields_reach_into_objects_and_lists() {
        check(json!([["status.state", "=", "STOPPED"]]), &["web2", "DB"]);
        check(json!([["tags.1", "=", "b"]]), &["DB"]);
    }

    #[test]
    fn or_joins_branches_and_a_branch_may_be_a_conjunction() {
        check(
            json!([["OR", [["name", "=", "DB"], ["name", "=", "web1"]]]]),
            &["web1", "DB"],
        );
        check(
            json!([["OR", [[["memory", ">", 600], ["memory", "<", 2000]]]]]),
            &["web2"],
        );
    }

    #[test]
    fn an_unknown_field_matches_nothing() {
        check(json!([["nosuch", "=", 1]]), &[]);
        check(json!([["nosuch", "!=", 1]]), &[]);
    }

    #[test]
    fn malformed_filters_are_refused_in_the_servers_words() {
        let refused = |filter: Value| {
            Filter::parse_all("filters", &[filter])
                .unwrap_err()
                .reason()
        };
        assert!(refused(json!(["name", "==", "x"])).contains("Invalid operation: =="));
        assert!(refused(json!(["name"])).contains("Invalid filter ['name']"));
        assert!(refused(json!("name")).contains("Invalid filter name"));
        assert!(refused(json!(["OR", "x"])).contains("Invalid filter x"));
        assert!(refused(json!({"name": "q"})).contains("Invalid filter {'name': 'q'}"));
    }

    #[test]
    fn comparing_a_number_with_text_is_an_exception() {
        let filters = Filter::parse_all("filters", &[json!(["memory", ">", "x"])]).unwrap();
        let error = all_match(&filters, &json!({"memory": 1})).unwrap_err();
        assert_eq!(
            error,
            Failure::exception(
                "TypeError",
                "'>' not supported between instances of 'int' and 'str'"
            )
        );
    }
}
