//! The server's own schemas, as a person has them: one JSON file per API version, with parameters and
//! results as JSON Schema by method. The project has none of them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use jsonschema::Validator;
use serde_json::{Map, Value};
use tnvm_simulator::conform::Called;
use tnvm_simulator::{Line, Version};

/// The schemas of one version.
pub(crate) struct Schemas {
    /// As the file says, e.g. `v25.10.5`.
    pub(crate) api_version: String,
    methods: BTreeMap<String, Method>,
}

/// The schemas of a method.
pub(crate) struct Method {
    /// Names of the parameters by position.
    pub(crate) order: Vec<String>,
    /// The schema of an object with these names.
    pub(crate) params: Value,
    /// The schema of an object with `result`.
    pub(crate) result: Value,
    /// Whether it comes from the older kind of schemas, of which the results are documentation.
    pub(crate) older_kind: bool,
    params_validator: Validator,
    result_validator: Validator,
}

/// Members that the schemas of 24.10 call required although the recorded server does without:
/// `vm.update` and `vm.device.update` take any subset of their fields.
const NOT_REQUIRED: [(&str, &str); 2] = [("vm.update", "name"), ("vm.device.update", "vm")];

/// Why schemas cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SchemaError {
    /// A file cannot be read.
    #[error("cannot read the schemas {path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file is not what it should be.
    #[error("the schemas {path}: {why}")]
    Form {
        /// The file.
        path: PathBuf,
        /// Why.
        why: String,
    },
}

impl Schemas {
    /// Reads the schemas of a version from a folder.
    pub(crate) fn of(folder: &Path, version: &Version) -> Result<Self, SchemaError> {
        let name = match version.line() {
            Line::V24_10 => "v24.10",
            Line::V25_04_0 => "v25.04.0",
            Line::V25_04 => "v25.04.2",
            Line::V25_10 => "v25.10.5",
            Line::V26 => "v26.0.0",
            Line::V27 => "v27.0.0",
        };
        let path = folder.join(format!("{name}.json"));
        let text = std::fs::read_to_string(&path).map_err(|source| SchemaError::Read {
            path: path.clone(),
            source,
        })?;
        let wrong = |why: String| SchemaError::Form {
            path: path.clone(),
            why,
        };
        let whole: Value = serde_json::from_str(&text).map_err(|error| wrong(error.to_string()))?;
        let listed = whole.get("methods").and_then(Value::as_object);
        let mut methods = BTreeMap::new();
        for (name, method) in listed.ok_or_else(|| wrong("no `methods`".to_owned()))? {
            let method = Method::read(method).map_err(|why| wrong(format!("{name}: {why}")))?;
            methods.insert(name.clone(), method);
        }
        Ok(Self {
            api_version: name.to_owned(),
            methods,
        })
    }

    /// A method, if the version documents it.
    pub(crate) fn method(&self, name: &str) -> Option<&Method> {
        self.methods.get(name)
    }

    /// What the schemas do not allow in a call; `None` where they know no such method.
    pub(crate) fn check(&self, call: &Called) -> Option<Vec<String>> {
        let method = self.method(&call.method)?;
        let Ok(result) = &call.outcome else {
            return Some(Vec::new());
        };
        let named = method
            .order
            .iter()
            .cloned()
            .zip(call.params.iter().cloned());
        let params = Value::Object(named.collect::<Map<_, _>>());
        let mut wrong = errors(&method.params_validator, &params, "accepted");
        wrong.retain(|text| {
            !NOT_REQUIRED.iter().any(|(name, field)| {
                call.method == *name
                    && text.ends_with(&format!("\"{field}\" is a required property"))
            })
        });
        let result = match &call.job {
            None => Some(result),
            Some(job) if job.get("state").and_then(Value::as_str) == Some("SUCCESS") => {
                job.get("result")
            }
            Some(_) => None,
        };
        // Results of the older kind are documentation that real answers do not keep to.
        if let Some(result) = result.filter(|_| !method.older_kind) {
            let result = serde_json::json!({"result": plain(result)});
            wrong.extend(errors(&method.result_validator, &result, "answered"));
        }
        Some(wrong)
    }
}

impl Method {
    /// Reads a method's entry.
    pub(crate) fn read(method: &Value) -> Result<Self, String> {
        let part = |name: &str| {
            let part = method.get(name).cloned();
            part.ok_or_else(|| format!("no `{name}`"))
        };
        let (params, result) = (modern(&part("params")?), modern(&part("result")?));
        let validator = |schema: &Value| {
            jsonschema::draft202012::new(schema).map_err(|error| error.to_string())
        };
        let order = part("params_order")?;
        let order = order.as_array().into_iter().flatten();
        Ok(Self {
            order: order.filter_map(Value::as_str).map(str::to_owned).collect(),
            params_validator: validator(&params)?,
            result_validator: validator(&result)?,
            older_kind: method.get("legacy_schema") == Some(&Value::Bool(true)),
            params,
            result,
        })
    }
}

/// The older kind of schemas in today's words: `items` as a list of what is allowed, `nullable`, `float`.
fn modern(schema: &Value) -> Value {
    match schema {
        Value::Object(members) => {
            // Keywords that say nothing are written as null there.
            let mut members: Map<String, Value> = members
                .iter()
                .filter(|(name, member)| !member.is_null() || *name == "default")
                .map(|(name, member)| (name.clone(), modern(member)))
                .collect();
            if members.get("type").and_then(Value::as_str) == Some("float") {
                members.insert("type".to_owned(), "number".into());
            }
            if let Some(Value::Array(items)) = members.get("items").cloned() {
                let any = if items.is_empty() {
                    Value::Bool(true)
                } else {
                    serde_json::json!({"anyOf": items})
                };
                members.insert("items".to_owned(), any);
            }
            if members.get("nullable") == Some(&Value::Bool(true))
                && let Some(Value::String(kind)) = members.get("type").cloned()
            {
                members.insert("type".to_owned(), serde_json::json!([kind, "null"]));
            }
            Value::Object(members)
        }
        Value::Array(items) => items.iter().map(modern).collect(),
        other => other.clone(),
    }
}

fn errors(validator: &Validator, value: &Value, what: &str) -> Vec<String> {
    validator
        .iter_errors(value)
        .map(|error| format!("{what} {}: {error}", error.instance_path()))
        .map(|text| text.chars().take(300).collect())
        .collect()
}

/// Moments and sets as the schemas describe them: as a text and as a list.
fn plain(value: &Value) -> Value {
    match value {
        Value::Object(members) => match (members.get("$date"), members.get("$set")) {
            (Some(_), _) => "2026-01-01T00:00:00Z".into(),
            (_, Some(items)) => plain(items),
            _ => members
                .iter()
                .map(|(name, member)| (name.clone(), plain(member)))
                .collect(),
        },
        Value::Array(items) => items.iter().map(plain).collect(),
        other => other.clone(),
    }
}
