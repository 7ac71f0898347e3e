//! Checks values against shapes. It tells every place that does not fit, not only the first.

use regex::Regex;
use serde_json::Value;

use super::{Members, MethodShape, Shape, Shapes};

impl Shapes {
    /// What in these parameters does not fit the method; nothing when all of it does.
    pub fn check_params(&self, method: &MethodShape, params: &[Value]) -> Vec<String> {
        let mut wrong = Vec::new();
        if params.len() > method.params.len() {
            wrong.push(format!(
                "{} parameters, of {} at most",
                params.len(),
                method.params.len()
            ));
        }
        for (position, param) in method.params.iter().enumerate() {
            match params.get(position) {
                Some(value) => self.check(&param.shape, value, &param.name, false, &mut wrong),
                None if param.optional => {}
                None => wrong.push(format!("{}: missing", param.name)),
            }
        }
        wrong
    }

    /// What in an answer does not fit the method. `selected` says that the caller asked for some of
    /// the fields only.
    pub fn check_result(&self, method: &MethodShape, result: &Value, selected: bool) -> Vec<String> {
        let mut wrong = Vec::new();
        self.check(&method.result, result, "", selected, &mut wrong);
        wrong
    }

    /// Adds what does not fit to `wrong`. With `partial`, members may be missing.
    fn check(
        &self,
        shape: &Shape,
        value: &Value,
        path: &str,
        partial: bool,
        wrong: &mut Vec<String>,
    ) {
        let fits = match shape {
            Shape::Named(name) => return self.check(self.named(name), value, path, partial, wrong),
            Shape::Members(members) => match value.as_object() {
                Some(_) => return self.members(members, value, path, partial, wrong),
                None => false,
            },
            Shape::List(inner) => match value.as_array() {
                Some(items) => {
                    for (index, item) in items.iter().enumerate() {
                        self.check(inner, item, &format!("{path}[{index}]"), partial, wrong);
                    }
                    return;
                }
                None => false,
            },
            Shape::Map(inner) => match value.as_object() {
                Some(members) => {
                    for (name, member) in members {
                        self.check(inner, member, &join(path, name), false, wrong);
                    }
                    return;
                }
                None => false,
            },
            Shape::Rows(row) => match value {
                Value::Array(rows) => {
                    for (index, item) in rows.iter().enumerate() {
                        self.check(row, item, &format!("{path}[{index}]"), partial, wrong);
                    }
                    return;
                }
                // A count may be negative: see the recordings of a count with filters.
                Value::Number(number) => number.is_i64(),
                _ => return self.check(row, value, path, partial, wrong),
            },
            Shape::Union(all) => return self.union(all, value, path, partial, wrong),
            Shape::Any => true,
            Shape::Bool => value.is_boolean(),
            Shape::Int(low, high) => value.as_i64().is_some_and(|number| {
                low.is_none_or(|low| number >= low) && high.is_none_or(|high| number <= high)
            }),
            Shape::Number => value.is_number(),
            Shape::Text(low, high) => value.as_str().is_some_and(|text| {
                let length = text.chars().count() as u64;
                low.is_none_or(|low| length >= low) && high.is_none_or(|high| length <= high)
            }),
            Shape::Pattern(pattern) => value.as_str().is_some_and(|text| {
                Regex::new(pattern).is_ok_and(|pattern| pattern.is_match(text))
            }),
            Shape::Null => value.is_null(),
            Shape::Date => value.get("$date").is_some_and(Value::is_i64),
            Shape::Object => value.is_object(),
            Shape::OneOf(words) => words.contains(value),
        };
        if !fits {
            wrong.push(format!("{path}: {value} is not {}", shape.word()));
        }
    }

    fn members(
        &self,
        members: &Members,
        value: &Value,
        path: &str,
        partial: bool,
        wrong: &mut Vec<String>,
    ) {
        let fields = self.fields(members);
        for field in &fields {
            match value.get(&field.name) {
                Some(member) => {
                    self.check(&field.shape, member, &join(path, &field.name), partial, wrong);
                }
                None if field.optional || partial => {}
                None => wrong.push(format!("{}: missing", join(path, &field.name))),
            }
        }
        let names = value.as_object().into_iter().flat_map(|object| object.keys());
        for name in names.filter(|name| !fields.iter().any(|field| field.name == **name)) {
            if !members.open {
                wrong.push(format!("{}: not in the table", join(path, name)));
            }
        }
    }

    /// When none fits, the complaints of the one that comes closest.
    fn union(
        &self,
        all: &[Shape],
        value: &Value,
        path: &str,
        partial: bool,
        wrong: &mut Vec<String>,
    ) {
        let tried = all.iter().map(|shape| {
            let mut own = Vec::new();
            self.check(shape, value, path, partial, &mut own);
            own
        });
        if let Some(least) = tried.min_by_key(Vec::len) {
            wrong.extend(least);
        }
    }
}

impl Shape {
    fn word(&self) -> String {
        match self {
            Self::OneOf(words) => {
                let words: Vec<String> = words.iter().map(Value::to_string).collect();
                format!("one of {}", words.join(", "))
            }
            Self::Members(_) | Self::Map(_) | Self::Object => "an object".to_owned(),
            Self::List(_) => "a list".to_owned(),
            other => format!("{other:?}"),
        }
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
    use crate::version::Version;
    use serde_json::json;

    fn wrong_result(method: &str, result: Value, selected: bool) -> Vec<String> {
        let shapes = Shapes::of(&Version::default()).unwrap();
        shapes.check_result(shapes.method(method).unwrap(), &result, selected)
    }

    fn wrong_params(method: &str, params: Value) -> Vec<String> {
        let shapes = Shapes::of(&Version::default()).unwrap();
        let params = params.as_array().unwrap().clone();
        shapes.check_params(shapes.method(method).unwrap(), &params)
    }

    #[test]
    fn what_does_not_fit_is_named_with_its_place() {
        let status = |state: Value| json!({"state": state, "pid": null, "domain_state": "SHUTOFF"});
        assert!(wrong_result("vm.status", status(json!("STOPPED")), false).is_empty());
        let found = wrong_result("vm.status", status(json!(1)), false);
        assert!(found[0].starts_with("state: 1 is not"), "{found:?}");
        let found = wrong_result("vm.status", json!({"state": "STOPPED", "more": 1}), false);
        assert_eq!(
            found,
            ["pid: missing", "domain_state: missing", "more: not in the table"]
        );
    }

    #[test]
    fn selected_fields_may_be_few_but_must_be_right() {
        assert!(wrong_result("vm.query", json!([{"id": 1}]), true).is_empty());
        assert!(!wrong_result("vm.query", json!([{"id": 1}]), false).is_empty());
        assert!(!wrong_result("vm.query", json!([{"id": "1"}]), true).is_empty());
        assert!(wrong_result("vm.query", json!(7), false).is_empty());
    }

    #[test]
    fn parameters_are_checked_by_position() {
        assert!(wrong_params("vm.start", json!([1, {"overcommit": true}])).is_empty());
        assert!(!wrong_params("vm.start", json!([1, {"overcommit": 1}])).is_empty());
        assert!(!wrong_params("vm.start", json!([])).is_empty());
        assert!(!wrong_params("vm.start", json!([1, {}, 2])).is_empty());
        assert!(!wrong_params("vm.create", json!([{"name": "a", "memory": 1}])).is_empty());
    }
}
