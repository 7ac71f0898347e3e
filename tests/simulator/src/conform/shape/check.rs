//! Checks values against shapes. It tells every place that does not fit, not only the first.

use regex::Regex;
use serde_json::Value;

use super::{Members, MethodShape, Shape, Shapes};
use crate::conform::Called;

impl Shapes {
    /// What in a call does not fit its method: parameters that were accepted and do not fit, or that
    /// were refused as misshapen and do; an answer, a job's result or an error of another shape.
    pub fn check_call(&self, call: &Called) -> Vec<String> {
        let Some(method) = self.method(&call.method) else {
            return match &call.outcome {
                Ok(_) => vec!["not in the table".to_owned()],
                Err(_) => Vec::new(),
            };
        };
        let params = self.check_params(method, &call.params);
        let mut wrong = Vec::new();
        match &call.outcome {
            Ok(result) => {
                wrong.extend(params.iter().map(|what| format!("accepted, but {what}")));
                let result = call.job.as_ref().map_or(result, |job| {
                    let shown = job.get("result");
                    shown.unwrap_or(&Value::Null)
                });
                let failed = call
                    .job
                    .as_ref()
                    .is_some_and(|job| job.get("state").and_then(Value::as_str) != Some("SUCCESS"));
                let options = call.params.iter().filter_map(Value::as_object);
                let selected = options
                    .clone()
                    .any(|options| options.contains_key("select") || options.contains_key("extra"));
                if !failed {
                    wrong.extend(self.check_result(method, result, selected));
                }
            }
            Err(error) => {
                if params.is_empty() && is_misshapen(method, error) {
                    wrong.push(format!("refused as misshapen, but it fits: {error}"));
                }
                wrong.extend(check_error(error));
            }
        }
        wrong
    }

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
    pub fn check_result(
        &self,
        method: &MethodShape,
        result: &Value,
        selected: bool,
    ) -> Vec<String> {
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
                    self.check(
                        &field.shape,
                        member,
                        &join(path, &field.name),
                        partial,
                        wrong,
                    );
                }
                None if field.optional || partial => {}
                None => wrong.push(format!("{}: missing", join(path, &field.name))),
            }
        }
        let names = value
            .as_object()
            .into_iter()
            .flat_map(|object| object.keys());
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

/// How the server's model library begins its complaints.
const OF_THE_MODELS: [&str; 6] = [
    "Input should be",
    "Input tag",
    "Field required",
    "Extra inputs",
    "String should",
    "Too many arguments",
];

/// Whether every complaint of a refusal is one about the shape of a parameter. Some methods check
/// shapes again later, and then name no parameter.
fn is_misshapen(method: &MethodShape, error: &Value) -> bool {
    let extra = error
        .pointer("/data/extra")
        .or_else(|| error.get("extra"))
        .and_then(Value::as_array);
    extra.is_some_and(|rows| {
        !rows.is_empty()
            && rows.iter().all(|row| {
                let text = row.get(1).and_then(Value::as_str).unwrap_or_default();
                let attribute = row.get(0).and_then(Value::as_str).unwrap_or_default();
                let first = attribute.split('.').next().unwrap_or_default();
                OF_THE_MODELS.iter().any(|begin| text.starts_with(begin))
                    && method.params.iter().any(|param| param.name == first)
            })
    })
}

/// The shape of refusals, of which the protocols have one each.
fn check_error(error: &Value) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut need = |object: &Value, name: &str, fits: fn(&Value) -> bool| {
        if !object.get(name).is_some_and(fits) {
            let found = object.get(name).unwrap_or(&Value::Null);
            wrong.push(format!("error: {name} is {found}"));
        }
    };
    let call = match error.get("data") {
        Some(data) => {
            need(error, "code", Value::is_i64);
            need(error, "message", Value::is_string);
            data
        }
        // -32601 and the like carry nothing else.
        None if error.get("code").is_some() => return Vec::new(),
        None => error,
    };
    need(call, "error", Value::is_i64);
    need(call, "errname", Value::is_string);
    need(call, "reason", Value::is_string);
    need(call, "trace", |trace| {
        trace.is_null() || trace.get("class").is_some()
    });
    need(call, "extra", |extra| {
        let rows = extra.as_array();
        extra.is_null()
            || rows.is_some_and(|rows| {
                rows.iter()
                    .all(|row| row.as_array().map(Vec::len) == Some(3))
            })
    });
    wrong
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
            [
                "pid: missing",
                "domain_state: missing",
                "more: not in the table"
            ]
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
