//! Compares the tables of shapes with JSON Schemas. Parameters must agree exactly. Of results the
//! tables may promise more than the schemas: a member that is always there, fewer words, no null.

use serde_json::{Value, json};
use tnvm_simulator::conform::shape::{Field, Members, MethodShape, Shape, Shapes};

use crate::schemas::Method;

/// Where a method's table and schema disagree.
pub(crate) fn method(shapes: &Shapes, table: &MethodShape, schema: &Method) -> Vec<String> {
    let mut wrong = Vec::new();
    if schema.older_kind {
        // These are documentation, with other names of the same things.
        if schema.order.len() != table.params.len() {
            wrong.push(format!(
                "{} parameters in the table, {} in the schema",
                table.params.len(),
                schema.order.len()
            ));
        }
        return wrong;
    }
    let params = Members {
        fields: table.params.clone(),
        ..Members::default()
    };
    let mut check = Check {
        shapes,
        root: &schema.params,
        exact: true,
        wrong: &mut wrong,
    };
    check.members(&params, &schema.params, "params");
    let names: Vec<&str> = table
        .params
        .iter()
        .map(|param| param.name.as_str())
        .collect();
    if schema.order != names {
        check.say(
            "params",
            format!("in the order {names:?}, not {:?}", schema.order),
        );
    }
    let mut check = Check {
        shapes,
        root: &schema.result,
        exact: false,
        wrong: &mut wrong,
    };
    if let Some(result) = schema.result.pointer("/properties/result") {
        check.shape(&table.result, result, "result");
    }
    wrong
}

struct Check<'a> {
    shapes: &'a Shapes,
    /// Where references begin.
    root: &'a Value,
    /// Whether the table must say the same, or may promise more.
    exact: bool,
    wrong: &'a mut Vec<String>,
}

impl Check<'_> {
    fn say(&mut self, at: &str, what: impl std::fmt::Display) {
        self.wrong.push(format!("{at}: {what}"));
    }

    fn shape(&mut self, shape: &Shape, schema: &Value, at: &str) {
        if let Shape::Rows(row) = shape {
            return self.rows(row, schema, at);
        }
        let ours = self.alternatives_of_shape(shape);
        let theirs = self.alternatives_of_schema(schema);
        for one in &ours {
            let found = theirs.iter().map(|other| self.tried(one, other, at));
            match found.min_by_key(Vec::len) {
                Some(least) => self.wrong.extend(least),
                None => self.say(at, "the schema allows nothing"),
            }
        }
        if self.exact {
            let lacking: Vec<&Value> = theirs
                .iter()
                .filter(|other| !ours.iter().any(|one| self.fits(one, other)))
                .collect();
            for other in lacking {
                let text: String = other.to_string().chars().take(100).collect();
                self.say(at, format!("the table lacks {text}"));
            }
        }
    }

    /// A query answers a list of rows among other things; of its rows any member may be missing.
    fn rows(&mut self, row: &Shape, schema: &Value, at: &str) {
        let theirs = self.alternatives_of_schema(schema);
        let items = theirs.iter().find_map(|other| other.get("items"));
        match items {
            Some(items) => {
                let row = self.alternatives_of_shape(row);
                for one in row {
                    let others = self.alternatives_of_schema(items);
                    let found = others.iter().map(|other| self.tried(&one, other, at));
                    self.wrong
                        .extend(found.min_by_key(Vec::len).unwrap_or_default());
                }
            }
            None => self.say(at, "the schema has no rows"),
        }
    }

    fn tried(&self, shape: &Shape, schema: &Value, at: &str) -> Vec<String> {
        let mut wrong = Vec::new();
        let mut check = Check {
            shapes: self.shapes,
            root: self.root,
            exact: self.exact,
            wrong: &mut wrong,
        };
        check.one(shape, schema, at);
        wrong
    }

    fn fits(&self, shape: &Shape, schema: &Value) -> bool {
        self.tried(shape, schema, "").is_empty()
    }

    /// Compares one alternative of each side.
    fn one(&mut self, shape: &Shape, schema: &Value, at: &str) {
        let kind = schema.get("type").and_then(Value::as_str);
        let words = schema.get("enum").or_else(|| schema.get("const"));
        let fits = match shape {
            Shape::Any => kind.is_none() && words.is_none(),
            Shape::Bool => kind == Some("boolean"),
            Shape::Null => kind == Some("null"),
            Shape::Number => matches!(kind, Some("number" | "integer")),
            Shape::Date => schema.get("format").and_then(Value::as_str) == Some("date-time"),
            Shape::OneOf(ours) => return self.words(ours, schema, at),
            Shape::Int(low, high) => {
                let bound = |name: &str| schema.get(name).and_then(Value::as_i64);
                kind == Some("integer")
                    && (!self.exact || (*low, *high) == (bound("minimum"), bound("maximum")))
            }
            Shape::Text(low, high) => {
                let bound = |name: &str| schema.get(name).and_then(Value::as_u64);
                kind == Some("string")
                    && (!self.exact || (*low, *high) == (bound("minLength"), bound("maxLength")))
            }
            Shape::Pattern(ours) => {
                let theirs = schema.get("pattern").and_then(Value::as_str);
                kind == Some("string") && theirs == Some(ours)
            }
            Shape::Object => kind == Some("object"),
            Shape::List(inner) => match (kind, schema.get("items")) {
                (Some("array"), Some(items)) => {
                    return self.shape(inner, items, &format!("{at}[]"));
                }
                (Some("array"), None) => **inner == Shape::Any || !self.exact,
                _ => false,
            },
            Shape::Map(inner) => match (kind, schema.get("additionalProperties")) {
                (Some("object"), Some(each)) if each.is_object() => {
                    return self.shape(inner, each, &format!("{at}.*"));
                }
                // Of members that the schema names, each.
                (Some("object"), _) if has_properties(schema) && !self.exact => {
                    let members = schema.get("properties").and_then(Value::as_object);
                    for (name, member) in members.into_iter().flatten() {
                        self.shape(inner, member, &format!("{at}.{name}"));
                    }
                    return;
                }
                // Objects of which the schema says no more.
                (Some("object"), _) => !has_properties(schema) && !self.exact,
                _ => false,
            },
            Shape::Members(members) => match kind {
                Some("object") if has_properties(schema) => {
                    return self.members(members, schema, at);
                }
                Some("object") => !self.exact,
                _ => false,
            },
            Shape::Named(_) | Shape::Union(_) | Shape::Rows(_) => true,
        };
        if !fits {
            let text: String = schema.to_string().chars().take(140).collect();
            self.say(at, format!("the table has {shape:?}, the schema {text}"));
        }
    }

    fn words(&mut self, ours: &[Value], schema: &Value, at: &str) {
        let one = schema.get("const").map(std::slice::from_ref);
        let theirs = schema
            .get("enum")
            .and_then(Value::as_array)
            .map(Vec::as_slice)
            .or(one);
        let Some(theirs) = theirs else {
            // Of an answer, the table may know more than "a text".
            let typed = schema.get("type").and_then(Value::as_str);
            let alike = ours.iter().all(|word| match word {
                Value::String(_) => typed == Some("string"),
                Value::Bool(_) => typed == Some("boolean"),
                Value::Number(_) => typed == Some("integer"),
                _ => false,
            });
            if self.exact || !alike {
                self.say(
                    at,
                    format!("the table has {ours:?}, the schema has no words"),
                );
            }
            return;
        };
        let more: Vec<&Value> = ours.iter().filter(|word| !theirs.contains(word)).collect();
        let less: Vec<&Value> = theirs.iter().filter(|word| !ours.contains(word)).collect();
        if !more.is_empty() || (self.exact && !less.is_empty()) {
            self.say(
                at,
                format!("only the table has {more:?}, only the schema {less:?}"),
            );
        }
    }

    fn members(&mut self, members: &Members, schema: &Value, at: &str) {
        let Some(theirs) = schema.get("properties").and_then(Value::as_object) else {
            return;
        };
        let required = schema.get("required").and_then(Value::as_array);
        let is_required =
            |name: &str| required.is_some_and(|names| names.iter().any(|other| other == name));
        let open = schema.get("additionalProperties") == Some(&Value::Bool(true));
        let fields: Vec<Field> = self.shapes.fields(members).into_iter().cloned().collect();
        for field in &fields {
            let at = format!("{at}.{}", field.name);
            let Some(other) = theirs.get(&field.name) else {
                if !open {
                    self.say(&at, "only in the table");
                }
                continue;
            };
            if self.exact && field.optional == is_required(&field.name) {
                let ours = if field.optional {
                    "optional"
                } else {
                    "required"
                };
                self.say(&at, format!("{ours} in the table alone"));
            }
            if !self.exact && field.optional && is_required(&field.name) {
                self.say(&at, "always there by the schema, not by the table");
            }
            self.shape(&field.shape, other, &at);
        }
        for name in theirs.keys() {
            let known = fields.iter().any(|field| field.name == *name);
            // A member that a result may have, and that the simulator never sends.
            if !known && !members.open && (self.exact || is_required(name)) {
                self.say(&format!("{at}.{name}"), "only in the schema");
            }
        }
    }

    fn alternatives_of_shape(&self, shape: &Shape) -> Vec<Shape> {
        match shape {
            Shape::Named(name) => self.alternatives_of_shape(self.shapes.named(name)),
            Shape::Union(all) => all
                .iter()
                .flat_map(|shape| self.alternatives_of_shape(shape))
                .collect(),
            Shape::OneOf(words) if words.contains(&Value::Null) => {
                let rest = words.iter().filter(|word| !word.is_null()).cloned();
                vec![Shape::OneOf(rest.collect()), Shape::Null]
            }
            other => vec![other.clone()],
        }
    }

    /// With null apart from other words.
    fn alternatives_of_schema(&self, schema: &Value) -> Vec<Value> {
        if let Some(reference) = schema.get("$ref").and_then(Value::as_str) {
            let target = self.root.pointer(reference.trim_start_matches('#'));
            return target.map_or_else(Vec::new, |target| self.alternatives_of_schema(target));
        }
        let several = schema.get("anyOf").or_else(|| schema.get("oneOf"));
        match several.and_then(Value::as_array) {
            Some(all) => all
                .iter()
                .flat_map(|schema| self.alternatives_of_schema(schema))
                .collect(),
            None => match schema.get("enum").and_then(Value::as_array) {
                Some(words) if words.contains(&Value::Null) => {
                    let rest: Vec<&Value> = words.iter().filter(|word| !word.is_null()).collect();
                    vec![json!({"enum": rest}), json!({"type": "null"})]
                }
                _ => vec![schema.clone()],
            },
        }
    }
}

fn has_properties(schema: &Value) -> bool {
    let properties = schema.get("properties").and_then(Value::as_object);
    properties.is_some_and(|properties| !properties.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use tnvm_simulator::Version;

    /// What disagrees about `vm.status`, of which this is the schema of the answer.
    fn disagreeing(result: Value) -> Vec<String> {
        let schema = Method::read(&json!({
            "params_order": ["id"],
            "params": {"type": "object", "properties": {"id": {"type": "integer"}}, "required": ["id"]},
            "result": {"type": "object", "properties": {"result": result}, "required": ["result"]},
        }))
        .unwrap_or_else(|why| panic!("{why}"));
        let shapes = Shapes::of(&Version::default()).unwrap();
        method(&shapes, shapes.method("vm.status").unwrap(), &schema)
    }

    fn status(pid: Value, more: Value) -> Value {
        let mut properties = json!({
            "state": {"type": "string", "minLength": 1}, "pid": pid,
            "domain_state": {"type": "string", "minLength": 1},
        });
        properties
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        json!({"type": "object", "additionalProperties": false, "properties": properties,
               "required": ["state", "pid", "domain_state"]})
    }

    #[test]
    fn a_table_that_says_the_same_agrees() {
        let pid = json!({"anyOf": [{"type": "integer"}, {"type": "null"}]});
        assert_eq!(disagreeing(status(pid, json!({}))), Vec::<String>::new());
    }

    #[test]
    fn a_table_that_promises_less_than_the_schema_is_told() {
        // The table says that there may be no pid, and knows no uptime.
        let found = disagreeing(status(json!({"type": "integer"}), json!({})));
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].starts_with("result.pid"), "{found:?}");
        let pid = json!({"anyOf": [{"type": "integer"}, {"type": "null"}]});
        let mut schema = status(pid, json!({"uptime": {"type": "integer"}}));
        schema["required"]
            .as_array_mut()
            .unwrap()
            .push("uptime".into());
        assert_eq!(disagreeing(schema), ["result.uptime: only in the schema"]);
    }

    #[test]
    fn parameters_must_agree_exactly() {
        let schema = Method::read(&json!({
            "params_order": ["id", "options"],
            "params": {"type": "object", "properties": {
                "id": {"type": "integer"},
                "options": {"type": "object", "properties": {"overcommit": {"type": "integer"}}}}},
            "result": {"type": "object", "properties": {"result": {"type": "null"}}},
        }))
        .unwrap_or_else(|why| panic!("{why}"));
        let shapes = Shapes::of(&Version::default()).unwrap();
        let found = method(&shapes, shapes.method("vm.start").unwrap(), &schema);
        let told = |begin: &str| found.iter().any(|what| what.starts_with(begin));
        assert!(told("params.id: required in the table alone"), "{found:?}");
        assert!(told("params.options.overcommit"), "{found:?}");
    }
}
