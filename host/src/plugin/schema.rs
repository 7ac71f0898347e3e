//! Checks a config value against a plugin's JSON Schema and says every mistake in plain words.
//!
//! It knows nothing of plugins or of where a value was written; pointers lead there. No message
//! repeats a text that the user wrote: it may be a secret where a reference to one belongs.

use jsonschema::error::{TypeKind, ValidationErrorKind};
use jsonschema::{Draft, ValidationError, Validator};
use serde_json::Value;

use super::contract::{PluginDiagnostic, Subject};
use super::text::plain;
use crate::diagnostic::{Severity, nearest};

/// Compiles a schema (2020-12). It may refer to nothing outside itself.
///
/// # Errors
/// With the reason in words.
pub(super) fn compile(schema: &Value) -> Result<Validator, String> {
    jsonschema::options()
        .with_draft(Draft::Draft202012)
        .offline()
        .build(schema)
        .map_err(|error| match error.instance_path().as_str() {
            "" => plain(&error.to_string()),
            path => format!("{} (at {path})", plain(&error.to_string())),
        })
}

/// All mistakes of the value at once.
pub(super) fn check(validator: &Validator, schema: &Value, value: &Value) -> Vec<PluginDiagnostic> {
    let mut found = Vec::new();
    for error in validator.iter_errors(value) {
        explain(&error, schema, &mut found);
    }
    found
}

fn explain(error: &ValidationError<'_>, schema: &Value, found: &mut Vec<PluginDiagnostic>) {
    let pointer = error.instance_path().as_str();
    let takes_secret = takes_secret(error, schema);
    let described_as = description(error, schema);
    let mut push = |pointer: String, message: String, help: Option<String>| {
        let diagnostic = PluginDiagnostic {
            severity: Severity::Error,
            subject: Subject::Config,
            pointer,
            message,
            help: help.or_else(|| described_as.clone()),
        };
        if !found.contains(&diagnostic) {
            found.push(diagnostic);
        }
    };
    if takes_secret {
        // Never the value: whoever writes no reference there has most likely written the secret.
        return push(
            pointer.to_owned(),
            "a secret is not written in clear".to_owned(),
            Some("write only where it is: `env:NAME` or `file:PATH`".to_owned()),
        );
    }
    let value = || described(error.instance());
    match error.kind() {
        ValidationErrorKind::AdditionalProperties { unexpected }
        | ValidationErrorKind::UnevaluatedProperties { unexpected } => {
            let allowed = allowed(schema, error.schema_path().as_str());
            for name in unexpected {
                push(
                    format!("{pointer}/{}", escape(name)),
                    format!("`{}` is not known here", plain(name)),
                    names_help(name, &allowed),
                );
            }
        }
        ValidationErrorKind::Type { kind } => push(
            pointer.to_owned(),
            format!(
                "expected {}, found {}",
                expected(kind),
                described(error.instance())
            ),
            form_help(kind),
        ),
        ValidationErrorKind::Required { property } => {
            let name = property.as_str().unwrap_or_default();
            push(
                pointer.to_owned(),
                format!("`{}` is missing", plain(name)),
                Some(format!("add `{}`", plain(name))),
            );
        }
        ValidationErrorKind::Enum { options } => {
            let options: Vec<String> = options.as_array().into_iter().flatten().map(bare).collect();
            let help = error
                .instance()
                .as_str()
                .and_then(|text| did_you_mean(text, &options));
            push(
                pointer.to_owned(),
                format!("{} is not one of {}", value(), options.join(", ")),
                help,
            );
        }
        ValidationErrorKind::Constant { expected_value } => push(
            pointer.to_owned(),
            format!("expected {}, found {}", short(expected_value), value()),
            None,
        ),
        ValidationErrorKind::Minimum { limit } => push(
            pointer.to_owned(),
            format!("{} is too small: at least {limit}", value()),
            None,
        ),
        ValidationErrorKind::ExclusiveMinimum { limit } => push(
            pointer.to_owned(),
            format!("{} is too small: more than {limit}", value()),
            None,
        ),
        ValidationErrorKind::Maximum { limit } => push(
            pointer.to_owned(),
            format!("{} is too large: at most {limit}", value()),
            None,
        ),
        ValidationErrorKind::ExclusiveMaximum { limit } => push(
            pointer.to_owned(),
            format!("{} is too large: less than {limit}", value()),
            None,
        ),
        ValidationErrorKind::MinLength { limit: 1 } => {
            push(pointer.to_owned(), "the text is empty".to_owned(), None);
        }
        ValidationErrorKind::MinLength { limit } => push(
            pointer.to_owned(),
            format!("{} is too short: at least {limit} characters", value()),
            None,
        ),
        ValidationErrorKind::MaxLength { limit } => push(
            pointer.to_owned(),
            format!("{} is too long: at most {limit} characters", value()),
            None,
        ),
        ValidationErrorKind::MinItems { limit } => push(
            pointer.to_owned(),
            format!("too few entries: at least {limit}"),
            None,
        ),
        ValidationErrorKind::MaxItems { limit } => push(
            pointer.to_owned(),
            format!("too many entries: at most {limit}"),
            None,
        ),
        ValidationErrorKind::MinProperties { limit } => push(
            pointer.to_owned(),
            format!("too few members: at least {limit}"),
            None,
        ),
        ValidationErrorKind::MaxProperties { limit } => push(
            pointer.to_owned(),
            format!("too many members: at most {limit}"),
            None,
        ),
        ValidationErrorKind::UniqueItems => push(
            pointer.to_owned(),
            "the same entry stands there twice".to_owned(),
            None,
        ),
        ValidationErrorKind::Pattern { pattern } => push(
            pointer.to_owned(),
            format!("{} does not have the form `{}`", value(), plain(pattern)),
            None,
        ),
        ValidationErrorKind::FalseSchema => push(
            pointer.to_owned(),
            "nothing may stand here".to_owned(),
            None,
        ),
        ValidationErrorKind::AnyOf { context } | ValidationErrorKind::OneOfNotValid { context } => {
            match nearest_branch(error, context) {
                // The branch the user meant: its mistakes say more than "no branch fits".
                Some(branch) => branch.iter().for_each(|one| explain(one, schema, found)),
                None => {
                    let forms: Vec<String> = context
                        .iter()
                        .flatten()
                        .filter_map(|one| match one.kind() {
                            ValidationErrorKind::Type { kind } => Some(expected(kind)),
                            ValidationErrorKind::Constant { expected_value } => {
                                Some(short(expected_value))
                            }
                            _ => None,
                        })
                        .fold(Vec::new(), |mut forms, form| {
                            if !forms.contains(&form) {
                                forms.push(form);
                            }
                            forms
                        });
                    let message = if forms.is_empty() {
                        format!("{} has none of the forms allowed here", value())
                    } else {
                        format!(
                            "expected {}, found {}",
                            forms.join(" or "),
                            described(error.instance())
                        )
                    };
                    push(pointer.to_owned(), message, None);
                }
            }
        }
        _ => push(pointer.to_owned(), plain(&error.masked().to_string()), None),
    }
}

/// Whether a reference to a secret belongs here: the schema demands its form, `env:…` or `file:…`.
fn takes_secret(error: &ValidationError<'_>, schema: &Value) -> bool {
    let is_form = |pattern: &str| pattern.starts_with("^(env:");
    if let ValidationErrorKind::Pattern { pattern } = error.kind() {
        return is_form(pattern);
    }
    let keyword = error.schema_path().as_str();
    let around = keyword.rsplit_once('/').map_or("", |(around, _)| around);
    let around = schema.pointer(around);
    let direct = around.and_then(|one| one.get("pattern"));
    let referred = around
        .and_then(|one| one.get("$ref")?.as_str())
        .and_then(|name| schema.pointer(name.trim_start_matches('#'))?.get("pattern"));
    direct
        .or(referred)
        .and_then(Value::as_str)
        .is_some_and(is_form)
}

/// What the schema says of the value: the plugin's own words are the best help there is.
fn description(error: &ValidationError<'_>, schema: &Value) -> Option<String> {
    let mut place = error.schema_path().as_str();
    while let Some((around, _)) = place.rsplit_once('/') {
        let described = schema
            .pointer(around)
            .and_then(|one| one.get("description"));
        if let Some(text) = described.and_then(Value::as_str) {
            return Some(plain(text));
        }
        place = around;
    }
    None
}

fn form_help(kind: &TypeKind) -> Option<String> {
    match expected(kind).as_str() {
        "a mapping" => Some("write it as `name: value` pairs".to_owned()),
        "a list" => Some("write it as a list, each entry after a `-`".to_owned()),
        "a text" => Some("put quotes around it if it is meant as a text".to_owned()),
        _ => None,
    }
}

/// The alternative whose outermost type fits the value, if there is exactly one.
fn nearest_branch<'a>(
    error: &ValidationError<'_>,
    context: &'a [Vec<ValidationError<'static>>],
) -> Option<&'a [ValidationError<'static>]> {
    let here = error.instance_path().as_str();
    let mut fitting = context.iter().filter(|branch| {
        !branch.is_empty()
            && !branch.iter().any(|one| {
                one.instance_path().as_str() == here
                    && matches!(
                        one.kind(),
                        ValidationErrorKind::Type { .. }
                            | ValidationErrorKind::Constant { .. }
                            | ValidationErrorKind::Enum { .. }
                            | ValidationErrorKind::FalseSchema
                    )
            })
    });
    let first = fitting.next()?;
    fitting.next().is_none().then_some(first.as_slice())
}

/// The names that the object schema around the failing keyword allows.
fn allowed(schema: &Value, keyword: &str) -> Vec<String> {
    let parent = keyword.rsplit_once('/').map_or("", |(parent, _)| parent);
    schema
        .pointer(parent)
        .and_then(|object| object.get("properties"))
        .and_then(Value::as_object)
        .map(|properties| properties.keys().cloned().collect())
        .unwrap_or_default()
}

fn names_help(written: &str, allowed: &[String]) -> Option<String> {
    did_you_mean(written, allowed).or_else(|| {
        (!allowed.is_empty()).then(|| format!("known here: {}", plain(&allowed.join(", "))))
    })
}

fn did_you_mean(written: &str, candidates: &[String]) -> Option<String> {
    let near = nearest(written, candidates.iter().map(String::as_str));
    let names: Vec<String> = near
        .iter()
        .map(|name| format!("`{}`", plain(name)))
        .collect();
    (!names.is_empty()).then(|| format!("did you mean {}?", names.join(" or ")))
}

fn expected(kind: &TypeKind) -> String {
    let text = match kind {
        TypeKind::Single(one) => one.to_string(),
        TypeKind::Multiple(many) => {
            let words: Vec<&str> = many.iter().map(|one| word(one.as_str())).collect();
            return words.join(" or ");
        }
    };
    word(&text).to_owned()
}

fn word(json_type: &str) -> &str {
    match json_type {
        "array" => "a list",
        "boolean" => "true or false",
        "integer" => "a whole number",
        "null" => "nothing (null)",
        "number" => "a number",
        "object" => "a mapping",
        "string" => "a text",
        other => other,
    }
}

/// What the user wrote, without the words of a text.
fn described(value: &Value) -> String {
    match value {
        Value::Null => "nothing (null)".to_owned(),
        Value::Bool(_) => short(value),
        Value::Number(_) => format!("the number {value}"),
        Value::String(_) => "a text".to_owned(),
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "a mapping".to_owned(),
    }
}

fn bare(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), plain)
}

/// A value of the schema as JSON, short enough for a sentence.
fn short(value: &Value) -> String {
    const LONGEST: usize = 60;
    let text = plain(&value.to_string());
    let cut = super::text::cut(&text, LONGEST);
    if cut.len() < text.len() {
        format!("{cut}…")
    } else {
        text
    }
}

fn escape(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[track_caller]
    fn messages(schema: &Value, value: &Value) -> Vec<String> {
        check(&compile(schema).unwrap(), schema, value)
            .into_iter()
            .map(|one| {
                let help = one
                    .help
                    .map(|help| format!(" [{help}]"))
                    .unwrap_or_default();
                format!("{}: {}{help}", one.pointer, one.message)
            })
            .collect()
    }

    fn disks() -> Value {
        json!({
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "size": {"type": ["string", "integer"]},
                    "sparse": {"type": "boolean"},
                    "bus": {"enum": ["VIRTIO", "AHCI"]},
                },
                "required": ["size"],
                "additionalProperties": false,
            },
        })
    }

    #[test]
    fn a_good_value_has_no_mistakes() {
        assert!(messages(&disks(), &json!([{"size": "20G"}])).is_empty());
    }

    #[test]
    fn every_mistake_is_reported_at_its_place() {
        let mut found = messages(
            &disks(),
            &json!([{"sizee": 1, "bus": "VIRTO"}, {"size": true, "sparse": "yes"}]),
        );
        found.sort();
        assert_eq!(
            found,
            [
                "/0/bus: a text is not one of VIRTIO, AHCI [did you mean `VIRTIO`?]",
                "/0/sizee: `sizee` is not known here [did you mean `size`?]",
                "/0: `size` is missing [add `size`]",
                "/1/size: expected a whole number or a text, found true",
                "/1/sparse: expected true or false, found a text",
            ]
        );
    }

    #[test]
    fn an_unknown_name_unlike_any_other_lists_the_known_ones() {
        let found = messages(&disks(), &json!([{"size": 1, "a/b": 1}]));
        assert_eq!(
            found,
            ["/0/a~1b: `a/b` is not known here [known here: size, sparse, bus]"]
        );
    }

    #[test]
    fn a_text_that_may_be_a_secret_is_never_repeated() {
        const SECRET: &str = "hunter2-in-clear";
        for schema in [
            json!({"type": "boolean"}),
            json!({"type": ["integer", "null"]}),
            json!({"enum": ["a", 1]}),
            json!({"const": "a"}),
            json!({"pattern": "^env:"}),
            json!({"minLength": 99}),
            json!({"maxLength": 1}),
            json!({"format": "ipv4"}),
            json!({"not": {"type": "string"}}),
            json!({"anyOf": [{"type": "integer"}, {"const": "a"}]}),
            json!({"anyOf": [{"pattern": "^env:"}, {"minLength": 99}]}),
            json!({"oneOf": [{"type": "string"}, {"minLength": 1}]}),
            json!({"if": {"type": "string"}, "then": {"maxLength": 1}}),
            json!(false),
        ] {
            let schema = json!({"items": schema, "properties": {"password": schema}});
            for value in [json!([SECRET]), json!({"password": SECRET})] {
                let found = messages(&schema, &value).join("\n");
                // The only rule here that is no rule unless it is asked for.
                let unchecked = schema.pointer("/items/format").is_some();
                assert!(unchecked || !found.is_empty(), "{schema}");
                assert!(!found.contains("hunter2"), "{found}");
            }
        }
        for schema in [
            json!({"uniqueItems": true}),
            json!({"contains": {"type": "integer"}}),
            json!({"prefixItems": [true], "items": false}),
            json!({"prefixItems": [true], "unevaluatedItems": false}),
            json!({"not": {"type": "array"}}),
            json!({"enum": [[]]}),
            json!({"const": []}),
        ] {
            let found = messages(&schema, &json!([SECRET, SECRET])).join("\n");
            assert!(!found.is_empty(), "{schema}");
            assert!(!found.contains("hunter2"), "{found}");
        }
    }

    #[test]
    fn what_stands_where_a_secret_is_referred_to_is_never_repeated() {
        let schema =
            json!({"properties": {"key": {"type": "string", "pattern": "^(env:[A-Z]+|file:.+)$"}}});
        for written in [json!("hunter2"), json!(1234)] {
            assert_eq!(
                messages(&schema, &json!({"key": written})),
                [
                    "/key: a secret is not written in clear [write only where it is: `env:NAME` or `file:PATH`]"
                ]
            );
        }
    }

    #[test]
    fn the_alternative_that_was_meant_is_explained() {
        let schema = json!({"oneOf": [{"const": false}, disks()]});
        let found = messages(&schema, &json!([{"size": 1, "sprase": true}]));
        assert_eq!(
            found,
            ["/0/sprase: `sprase` is not known here [did you mean `sparse`?]"]
        );
    }

    #[test]
    fn a_value_of_no_alternative_is_told_all_forms() {
        let schema = json!({"anyOf": [{"const": false}, {"type": "array"}]});
        let found = messages(&schema, &json!("x"));
        assert_eq!(found, [": expected false or a list, found a text"]);
    }
}
