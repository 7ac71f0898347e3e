//! Checks values against schemas and fills defaults in. Texts are those of the server's model
//! library as recorded on 25.10.7 and 26.0.0-BETA.3 (`vm.create`, `vm.device.create`, queries).

use regex::Regex;
use serde_json::{Map, Value};

use super::types::{Default, Field, Model, Type};
use crate::errors::{Complaint, EINVAL, Failure};

/// Longest text without a type of its own. Code reading: the base string type of the 25.04+ models.
const MAX_TEXT: usize = 1024;

/// Checks positional parameters and answers them complete, defaults included. A parameter that may
/// be left out and has no default is null.
pub(super) fn check_params(fields: &[Field], params: &[Value]) -> Result<Vec<Value>, Failure> {
    if params.len() > fields.len() {
        return Err(Failure::invalid(
            "",
            format!(
                "Too many arguments (expected {}, found {})",
                fields.len(),
                params.len()
            ),
        ));
    }
    let mut complaints = Vec::new();
    let mut checked = Vec::new();
    for (position, field) in fields.iter().enumerate() {
        let value = member(field, params.get(position), field.name, &mut complaints);
        checked.push(value.unwrap_or(Value::Null));
    }
    if complaints.is_empty() {
        Ok(checked)
    } else {
        Err(Failure::validation(complaints))
    }
}

/// Checks one object against a model; `path` is the attribute in front of its members.
pub(super) fn check_object(
    model: &Model,
    value: &Value,
    path: &str,
) -> Result<Map<String, Value>, Failure> {
    let mut complaints = Vec::new();
    let checked = object(model, value, path, &mut complaints);
    match checked {
        Some(map) if complaints.is_empty() => Ok(map),
        _ => Err(Failure::validation(complaints)),
    }
}

fn member(
    field: &Field,
    given: Option<&Value>,
    path: &str,
    complaints: &mut Vec<Complaint>,
) -> Option<Value> {
    match given {
        Some(value) => check(&field.ty, value, path, complaints),
        None if matches!(field.default, Default::Required) => {
            complain(complaints, path, "Field required");
            None
        }
        // A default object is filled with the defaults of its own members.
        None => match (field.default.value(), field.ty) {
            (Some(value), Type::Object(model)) => {
                object(model, &value, path, complaints).map(Value::Object)
            }
            (value, _) => value,
        },
    }
}

fn check(ty: &Type, value: &Value, path: &str, complaints: &mut Vec<Complaint>) -> Option<Value> {
    let before = complaints.len();
    match ty {
        Type::Any => {}
        Type::Bool if value.is_boolean() => {}
        Type::Bool => complain(complaints, path, "Input should be a valid boolean"),
        Type::Int { min, max } => match value.as_i64() {
            None => complain(complaints, path, "Input should be a valid integer"),
            Some(number) => {
                if let Some(min) = min.filter(|min| number < *min) {
                    complain(
                        complaints,
                        path,
                        &format!("Input should be greater than or equal to {min}"),
                    );
                }
                if let Some(max) = max.filter(|max| number > *max) {
                    complain(
                        complaints,
                        path,
                        &format!("Input should be less than or equal to {max}"),
                    );
                }
            }
        },
        Type::Text { min, pattern } => {
            text(value, *min, Some(MAX_TEXT), *pattern, path, complaints)
        }
        Type::LongText => text(value, 0, None, None, path, complaints),
        Type::Checked(rule) => {
            text(value, 1, Some(MAX_TEXT), None, path, complaints);
            if complaints.len() == before
                && let Some(problem) = value.as_str().and_then(rule)
            {
                complain(complaints, path, &format!("Value error, {problem}"));
            }
        }
        Type::Asserted(rule) => {
            text(value, 0, Some(MAX_TEXT), None, path, complaints);
            if complaints.len() == before
                && let Some(problem) = value.as_str().and_then(rule)
            {
                complain(complaints, path, &problem);
            }
        }
        Type::OneOf(words) => {
            if !value.as_str().is_some_and(|given| words.contains(&given)) {
                let quoted: Vec<String> = words.iter().map(|word| format!("'{word}'")).collect();
                complain(
                    complaints,
                    path,
                    &format!("Input should be {}", joined(&quoted)),
                );
            }
        }
        Type::OneOfInt(numbers) => {
            if !value.as_i64().is_some_and(|given| numbers.contains(&given)) {
                let shown: Vec<String> = numbers.iter().map(ToString::to_string).collect();
                complain(
                    complaints,
                    path,
                    &format!("Input should be {}", joined(&shown)),
                );
            }
        }
        Type::Nullable(_) if value.is_null() => {}
        Type::Nullable(inner) => return check(inner, value, path, complaints),
        Type::Either(first, second) => {
            let mut ignored = Vec::new();
            if let Some(found) = check(first, value, path, &mut ignored) {
                return Some(found);
            }
            return check(second, value, path, complaints);
        }
        Type::List(inner) => {
            let Some(items) = value.as_array() else {
                complain(complaints, path, "Input should be a valid list");
                return None;
            };
            let checked: Vec<Value> = items
                .iter()
                .enumerate()
                .filter_map(|(index, item)| {
                    check(inner, item, &format!("{path}.{index}"), complaints)
                })
                .collect();
            return (complaints.len() == before).then_some(Value::Array(checked));
        }
        Type::Dict if value.is_object() => {}
        Type::Dict => complain(complaints, path, "Input should be a valid dictionary"),
        Type::Object(model) => return object(model, value, path, complaints).map(Value::Object),
        Type::Tagged {
            tag,
            models,
            enum_class,
        } => {
            return tagged(tag, models, *enum_class, value, path, complaints);
        }
        Type::Told { tag, models } => {
            let first = models.first().map_or("", |(name, _)| *name);
            let named = value.get(tag).is_some() || !value.is_object();
            let mut whole = value.clone();
            if let (false, Some(whole)) = (named, whole.as_object_mut()) {
                whole.insert((*tag).to_owned(), first.into());
            }
            return tagged(tag, models, None, &whole, path, complaints);
        }
        Type::Union(models) => return union(models, value, path, complaints),
    }
    (complaints.len() == before).then(|| value.clone())
}

fn object(
    model: &Model,
    value: &Value,
    path: &str,
    complaints: &mut Vec<Complaint>,
) -> Option<Map<String, Value>> {
    let Some(given) = value.as_object() else {
        complain(
            complaints,
            path,
            &format!(
                "Input should be a valid dictionary or instance of {}",
                model.name
            ),
        );
        return None;
    };
    let before = complaints.len();
    let mut checked = Map::new();
    for field in model.fields {
        let inner = join(path, field.name);
        if let Some(found) = member(field, given.get(field.name), &inner, complaints) {
            checked.insert(field.name.to_owned(), found);
        }
    }
    if model.closed {
        for key in given
            .keys()
            .filter(|key| !model.fields.iter().any(|field| field.name == key.as_str()))
        {
            complain(
                complaints,
                &join(path, key),
                "Extra inputs are not permitted",
            );
        }
    }
    if complaints.len() == before
        && let Some(problem) = model.rule.and_then(|rule| rule(&checked))
    {
        complain(complaints, path, &format!("Value error, {problem}"));
    }
    (complaints.len() == before).then_some(checked)
}

fn tagged(
    tag: &str,
    models: &[(&'static str, &'static Model)],
    enum_class: Option<&str>,
    value: &Value,
    path: &str,
    complaints: &mut Vec<Complaint>,
) -> Option<Value> {
    let Some(given) = value.as_object() else {
        complain(
            complaints,
            path,
            "Input should be a valid dictionary or object to extract fields from",
        );
        return None;
    };
    let Some(found) = given.get(tag) else {
        complain(complaints, &join(path, tag), "Field required");
        return None;
    };
    let name = found.as_str().unwrap_or_default();
    let Some((_, model)) = models.iter().find(|(key, _)| *key == name) else {
        let expected: Vec<String> = models
            .iter()
            .map(|(key, _)| match enum_class {
                Some(class) => format!("<{class}.{key}: '{key}'>"),
                None => format!("'{key}'"),
            })
            .collect();
        complain(
            complaints,
            path,
            &format!(
                "Input tag '{name}' found using '{tag}' does not match any of the expected tags: {}",
                expected.join(", ")
            ),
        );
        return None;
    };
    object(model, value, &join(path, name), complaints).map(Value::Object)
}

fn union(
    models: &[&'static Model],
    value: &Value,
    path: &str,
    complaints: &mut Vec<Complaint>,
) -> Option<Value> {
    let mut collected = Vec::new();
    for model in models {
        let mut own = Vec::new();
        if let Some(found) = object(model, value, &join(path, model.name), &mut own) {
            return Some(Value::Object(found));
        }
        collected.extend(own);
    }
    complaints.extend(collected);
    None
}

fn text(
    value: &Value,
    min: usize,
    max: Option<usize>,
    pattern: Option<&str>,
    path: &str,
    complaints: &mut Vec<Complaint>,
) {
    let Some(given) = value.as_str() else {
        complain(complaints, path, "Input should be a valid string");
        return;
    };
    let length = given.chars().count();
    if length < min {
        complain(
            complaints,
            path,
            &format!("String should have at least {min} {}", characters(min)),
        );
    } else if let Some(max) = max.filter(|max| length > *max) {
        complain(
            complaints,
            path,
            &format!("String should have at most {max} {}", characters(max)),
        );
    } else if let Some(pattern) = pattern
        && !Regex::new(pattern).is_ok_and(|regex| regex.is_match(given))
    {
        complain(
            complaints,
            path,
            &format!("String should match pattern '{pattern}'"),
        );
    }
}

fn characters(count: usize) -> &'static str {
    if count == 1 {
        "character"
    } else {
        "characters"
    }
}

fn complain(complaints: &mut Vec<Complaint>, path: &str, text: &str) {
    complaints.push((Some(path.to_owned()), text.to_owned(), EINVAL));
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() {
        name.to_owned()
    } else {
        format!("{path}.{name}")
    }
}

/// `a`, `a or b`, `a, b or c`.
fn joined(words: &[String]) -> String {
    match words.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, rest)) => format!("{} or {last}", rest.join(", ")),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::schema::types::{INT, TEXT};

    static INNER: Model = Model::closed("Inner", &[Field::flag("force")]);
    static BIG: Model = Model::closed(
        "Big",
        &[
            Field::required("kind", Type::OneOf(&["BIG"])),
            Field::required("size", INT),
        ],
    );
    static SMALL: Model =
        Model::closed("Small", &[Field::required("kind", Type::OneOf(&["SMALL"]))]);
    static FIELDS: &[Field] = &[
        Field::required("id", Type::at_least(1)),
        Field::with("options", Type::Object(&INNER), Default::EmptyObject),
        Field::with(
            "shape",
            Type::Tagged {
                tag: "kind",
                models: &[("BIG", &BIG), ("SMALL", &SMALL)],
                enum_class: None,
            },
            Default::Null,
        ),
    ];

    fn check(params: Value, expected: Value) {
        let refused = check_params(FIELDS, params.as_array().unwrap())
            .unwrap_err()
            .to_json(false);
        let lines: Vec<Value> = refused["data"]["extra"]
            .as_array()
            .unwrap()
            .iter()
            .map(|line| json!([line[0], line[1]]))
            .collect();
        assert_eq!(json!(lines), expected, "{params}");
    }

    #[test]
    fn missing_parameters_and_members_get_their_defaults() {
        assert_eq!(
            check_params(FIELDS, &[json!(4)]).unwrap(),
            vec![json!(4), json!({"force": false}), Value::Null]
        );
    }

    #[test]
    fn wrong_parameters_are_refused_in_the_servers_words() {
        check(json!([]), json!([["id", "Field required"]]));
        check(
            json!(["1"]),
            json!([["id", "Input should be a valid integer"]]),
        );
        check(
            json!([1.0]),
            json!([["id", "Input should be a valid integer"]]),
        );
        check(
            json!([true]),
            json!([["id", "Input should be a valid integer"]]),
        );
        check(
            json!([0]),
            json!([["id", "Input should be greater than or equal to 1"]]),
        );
        check(
            json!([1, {"zvol": true}]),
            json!([["options.zvol", "Extra inputs are not permitted"]]),
        );
        check(
            json!([1, []]),
            json!([[
                "options",
                "Input should be a valid dictionary or instance of Inner"
            ]]),
        );
        check(
            json!([1, {}, {}, 5]),
            json!([["", "Too many arguments (expected 3, found 4)"]]),
        );
    }

    #[test]
    fn a_tagged_object_names_its_tag_in_the_path() {
        check(
            json!([1, {}, {}]),
            json!([["shape.kind", "Field required"]]),
        );
        check(
            json!([1, {}, {"kind": "BIG"}]),
            json!([["shape.BIG.size", "Field required"]]),
        );
        check(
            json!([1, {}, {"kind": "NO"}]),
            json!([[
                "shape",
                "Input tag 'NO' found using 'kind' does not match any of the expected tags: 'BIG', 'SMALL'"
            ]]),
        );
    }

    #[test]
    fn a_union_reports_every_model_that_did_not_fit() {
        static DATA: &[Field] = &[Field::required("data", Type::Union(&[&BIG, &SMALL]))];
        let error = check_params(DATA, &[json!({"kind": "NO"})])
            .unwrap_err()
            .to_json(false);
        assert_eq!(
            error["data"]["extra"],
            json!([
                ["data.Big.kind", "Input should be 'BIG'", 22],
                ["data.Big.size", "Field required", 22],
                ["data.Small.kind", "Input should be 'SMALL'", 22],
            ])
        );
        assert!(check_params(DATA, &[json!({"kind": "SMALL"})]).is_ok());
    }

    #[test]
    fn text_is_bounded_and_matched() {
        static NAME: &[Field] = &[
            Field::required(
                "name",
                Type::Text {
                    min: 1,
                    pattern: Some("^a"),
                },
            ),
            Field::with("free", TEXT, Default::Text("")),
        ];
        let refused = |params: Value| {
            check_params(NAME, params.as_array().unwrap())
                .unwrap_err()
                .reason()
        };
        assert!(refused(json!([""])).contains("name: String should have at least 1 character\n"));
        assert!(refused(json!(["b"])).contains("name: String should match pattern '^a'"));
        assert!(
            refused(json!(["a", "x".repeat(1025)]))
                .contains("free: String should have at most 1024 characters")
        );
    }
}
