//! The schema system of 24.10: the same tables, checked as that release checks them. It converts
//! numbers and texts into each other, keeps members in the order given, and has words of its own.
//! Texts recorded on 24.10.2.5 (`vm.create`, `vm.device.create`, queries).
//!
//! It checks in two rounds, and the second only happens when the first found nothing: are all values
//! of the right kind, then do they keep to their limits.

use regex::Regex;
use serde_json::{Map, Value, json};

use super::types::{Default, Field, Model, Type};
use crate::errors::{Complaint, EFAULT, EINVAL, Failure};

/// Longest text of any kind.
const MAX_TEXT: usize = 1024;

/// Checks positional parameters and answers them complete, defaults included.
pub(super) fn check_params(fields: &[Field], params: &[Value]) -> Result<Vec<Value>, Failure> {
    if params.len() > fields.len() {
        return Err(Failure::call(
            EFAULT,
            format!(
                "Too many arguments (expected {}, found {})",
                fields.len(),
                params.len()
            ),
        ));
    }
    let mut round = Round::default();
    let cleaned: Vec<Value> = fields
        .iter()
        .enumerate()
        .map(|(position, field)| {
            let value = round.member(field, params.get(position), field.name);
            value.unwrap_or(Value::Null)
        })
        .collect();
    round.finish().map(|()| cleaned)
}

/// Checks one object against a model; `path` is the attribute in front of its members.
pub(super) fn check_object(
    model: &Model,
    value: &Value,
    path: &str,
) -> Result<Map<String, Value>, Failure> {
    let mut round = Round::default();
    let cleaned = round.object(model, value, path);
    round.finish().map(|()| cleaned.unwrap_or_default())
}

/// What was found so far: values of a wrong kind, and values that go beyond a limit.
#[derive(Default)]
struct Round {
    wrong: Vec<Complaint>,
    beyond: Vec<Complaint>,
}

impl Round {
    fn finish(self) -> Result<(), Failure> {
        let complaints = if self.wrong.is_empty() {
            self.beyond
        } else {
            self.wrong
        };
        if complaints.is_empty() {
            Ok(())
        } else {
            Err(Failure::validation(complaints))
        }
    }

    fn wrong(&mut self, path: &str, text: impl Into<String>) -> Option<Value> {
        self.wrong
            .push((Some(path.to_owned()), text.into(), EINVAL));
        None
    }

    fn beyond(&mut self, path: &str, text: impl Into<String>) {
        self.beyond
            .push((Some(path.to_owned()), text.into(), EINVAL));
    }

    fn member(&mut self, field: &Field, given: Option<&Value>, path: &str) -> Option<Value> {
        match (given, field.default) {
            (Some(value), _) => self.clean(&field.ty, value, path),
            (None, Default::Required) => self.wrong(path, "attribute required"),
            (None, default) => match (default.value(), field.ty) {
                (Some(value), Type::Object(model)) => {
                    self.object(model, &value, path).map(Value::Object)
                }
                (value, _) => value,
            },
        }
    }

    fn clean(&mut self, ty: &Type, value: &Value, path: &str) -> Option<Value> {
        match (ty, value) {
            (Type::Any, _) | (Type::Nullable(_), Value::Null) => Some(value.clone()),
            (Type::Nullable(inner), _) => self.clean(inner, value, path),
            (_, Value::Null) => self.wrong(path, "null not allowed"),
            (Type::Bool, Value::Bool(_)) | (Type::Dict, Value::Object(_)) => Some(value.clone()),
            (Type::Bool, _) => self.wrong(path, "Not a boolean"),
            (Type::Int { min, max }, _) => self.number(*min, *max, value, path),
            (Type::OneOfInt(numbers), _) => match as_number(value) {
                Some(number) if numbers.contains(&number) => Some(json!(number)),
                Some(number) => self.wrong(path, format!("Invalid choice: {number}")),
                None => self.wrong(path, "Not an integer"),
            },
            (Type::Text { min, pattern }, _) => self.text(*min, *pattern, value, path),
            (Type::LongText, _) => self.text(0, None, value, path),
            (Type::Checked(rule) | Type::Asserted(rule), _) => {
                let cleaned = self.text(0, None, value, path)?;
                if let Some(problem) = cleaned.as_str().and_then(rule) {
                    self.beyond(path, problem);
                }
                Some(cleaned)
            }
            (Type::OneOf(words), _) => match value.as_str() {
                Some(word) if words.contains(&word) => Some(value.clone()),
                Some(word) => self.wrong(path, format!("Invalid choice: {word}")),
                None => self.wrong(path, format!("Invalid choice: {value}")),
            },
            (Type::Either(first, second), _) => {
                let mut attempt = Self::default();
                match attempt.clean(first, value, path) {
                    Some(cleaned) if attempt.finish().is_ok() => Some(cleaned),
                    _ => self.clean(second, value, path),
                }
            }
            (Type::List(inner), Value::Array(items)) => self.list(inner, items, path),
            (Type::List(_), _) => self.wrong(path, "Not a list"),
            (Type::Dict, _) => self.wrong(path, "A dict was expected"),
            (Type::Object(model), _) => self.object(model, value, path).map(Value::Object),
            // No table of this release has them.
            (Type::Tagged { .. } | Type::Told { .. } | Type::Union(_), _) => Some(value.clone()),
        }
    }

    fn number(
        &mut self,
        min: Option<i64>,
        max: Option<i64>,
        value: &Value,
        path: &str,
    ) -> Option<Value> {
        let Some(number) = as_number(value) else {
            return self.wrong(path, "Not an integer");
        };
        match (min, max) {
            (Some(min), Some(max)) if !(min..=max).contains(&number) => {
                self.beyond(path, format!("Should be between {min} and {max}"));
            }
            (Some(min), None) if number < min => {
                self.beyond(path, format!("Should be greater than or equal to {min}"));
            }
            (None, Some(max)) if number > max => {
                self.beyond(path, format!("Should be less than or equal to {max}"));
            }
            _ => {}
        }
        Some(json!(number))
    }

    fn text(
        &mut self,
        min: usize,
        pattern: Option<&str>,
        value: &Value,
        path: &str,
    ) -> Option<Value> {
        let text = match value {
            Value::String(text) => text.clone(),
            Value::Number(number) if number.is_i64() => number.to_string(),
            _ => return self.wrong(path, "Not a string"),
        };
        if min > 0 && text.trim().is_empty() {
            return self.wrong(path, "Empty value not allowed");
        }
        if text.chars().count() > MAX_TEXT {
            let why = format!("The value may not be longer than {MAX_TEXT} characters");
            self.beyond(path, why);
        } else if let Some(pattern) = pattern
            && !Regex::new(pattern).is_ok_and(|regex| regex.is_match(&text))
        {
            // Code reading; the text is ours.
            self.beyond(path, format!("Value does not match '{pattern}' pattern"));
        }
        Some(json!(text))
    }

    fn list(&mut self, inner: &Type, items: &[Value], path: &str) -> Option<Value> {
        let mut cleaned = Vec::new();
        for (index, item) in items.iter().enumerate() {
            let mut attempt = Self::default();
            let found = attempt.clean(inner, item, path);
            match (found, attempt.wrong.first()) {
                (Some(found), _) => cleaned.push(found),
                // Recorded for filters: the list's own name, and the kind's name within the text.
                (None, problem) => {
                    let why = problem.map_or("", |(_, text, _)| text.as_str());
                    let kind = if matches!(inner, Type::List(_)) {
                        "[query-filter] "
                    } else {
                        ""
                    };
                    let text = format!("Item#{index} is not valid per list types: {kind}{why}");
                    return self.wrong(path, text);
                }
            }
            self.beyond.extend(attempt.beyond);
        }
        Some(Value::Array(cleaned))
    }

    fn object(&mut self, model: &Model, value: &Value, path: &str) -> Option<Map<String, Value>> {
        let Some(given) = value.as_object() else {
            self.wrong(path, "A dict was expected");
            return None;
        };
        let mut cleaned = Map::new();
        for (key, value) in given {
            let inner = join(path, key);
            match model.fields.iter().find(|field| field.name == key) {
                Some(field) => {
                    let found = self.clean(&field.ty, value, &inner);
                    cleaned.insert(key.clone(), found.unwrap_or(Value::Null));
                }
                None if model.closed => {
                    self.wrong(&inner, "Field was not expected");
                }
                None => {
                    cleaned.insert(key.clone(), value.clone());
                }
            }
        }
        for field in model.fields {
            if given.contains_key(field.name) {
                continue;
            }
            let inner = join(path, field.name);
            if let Some(found) = self.member(field, None, &inner) {
                cleaned.insert(field.name.to_owned(), found);
            }
        }
        Some(cleaned)
    }
}

/// A whole number, also one that is written as text.
fn as_number(value: &Value) -> Option<i64> {
    match value {
        Value::String(text) if text.chars().all(|digit| digit.is_ascii_digit()) => {
            text.parse().ok()
        }
        _ => value.as_i64(),
    }
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() {
        name.to_owned()
    } else {
        format!("{path}.{name}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::types::{INT, TEXT};

    static INNER: Model = Model::closed(
        "",
        &[
            Field::required("name", TEXT),
            Field::with("memory", Type::at_least(20), Default::Int(20)),
            Field::with("timeout", Type::between(5, 300), Default::Int(90)),
            Field::with(
                "clock",
                Type::OneOf(&["LOCAL", "UTC"]),
                Default::Text("LOCAL"),
            ),
            Field::flag("force"),
        ],
    );
    static FIELDS: &[Field] = &[
        Field::required("id", INT),
        Field::with("data", Type::Object(&INNER), Default::EmptyObject),
    ];

    fn check(params: Value, expected: Value) {
        let found = match check_params(FIELDS, params.as_array().unwrap()) {
            Err(Failure::Validation { complaints, .. }) => complaints
                .into_iter()
                .map(|(attribute, text, _)| json!([attribute, text]))
                .collect(),
            other => panic!("{params}: {other:?}"),
        };
        assert_eq!(Value::Array(found), expected, "{params}");
    }

    #[test]
    fn wrong_values_are_refused_in_the_words_of_24_10() {
        check(
            json!([]),
            json!([
                ["id", "attribute required"],
                ["data.name", "attribute required"]
            ]),
        );
        check(json!([1, []]), json!([["data", "A dict was expected"]]));
        check(
            json!([1, {"bogus": 1}]),
            json!([
                ["data.bogus", "Field was not expected"],
                ["data.name", "attribute required"]
            ]),
        );
        check(
            json!([1, {"name": "x", "memory": 512.5, "clock": "CET", "force": 1, "timeout": null}]),
            json!([
                ["data.memory", "Not an integer"],
                ["data.clock", "Invalid choice: CET"],
                ["data.force", "Not a boolean"],
                ["data.timeout", "null not allowed"]
            ]),
        );
        check(
            json!([1, {"name": "x", "memory": 19, "timeout": 4}]),
            json!([
                ["data.memory", "Should be greater than or equal to 20"],
                ["data.timeout", "Should be between 5 and 300"]
            ]),
        );
        check(
            json!([1, {"name": "x".repeat(1025)}]),
            json!([[
                "data.name",
                "The value may not be longer than 1024 characters"
            ]]),
        );
    }

    #[test]
    fn limits_are_only_looked_at_when_every_value_is_of_its_kind() {
        check(
            json!([1, {"name": "x", "memory": 19, "bogus": 1}]),
            json!([["data.bogus", "Field was not expected"]]),
        );
    }

    #[test]
    fn numbers_and_texts_turn_into_each_other_and_keep_their_place() {
        let found =
            check_params(FIELDS, &[json!("7"), json!({"memory": "512", "name": 5})]).unwrap();
        assert_eq!(found[0], 7);
        let keys: Vec<&String> = found[1].as_object().unwrap().keys().collect();
        assert_eq!(keys, ["memory", "name", "timeout", "clock", "force"]);
        assert_eq!(
            (&found[1]["memory"], &found[1]["name"]),
            (&json!(512), &json!("5"))
        );
    }

    #[test]
    fn one_parameter_too_many_is_no_validation_error() {
        let error = check_params(FIELDS, &[json!(1), json!({"name": "x"}), json!(1)]).unwrap_err();
        assert_eq!(
            error,
            Failure::call(EFAULT, "Too many arguments (expected 2, found 3)")
        );
    }
}
