//! JSON text to a [`Node`], strictly by RFC 8259.
//!
//! Knows no key. Syntax is `jsonc-parser`'s business, with everything beyond JSON switched off.

use std::sync::Arc;

use jsonc_parser::ast::{Object, Value};
use jsonc_parser::common::Ranged;
use jsonc_parser::{CollectOptions, ParseOptions, parse_to_ast};

use super::node::{Entry, Node, NodeMap, NodeValue};
use super::text::MAX_BYTES;
use crate::diagnostic::{Diagnostic, Diagnostics, Location, SourceFile};

/// Levels of nesting; the same as for YAML.
const MAX_DEPTH: usize = 64;

const STRICT: ParseOptions = ParseOptions {
    allow_comments: false,
    allow_loose_object_property_names: false,
    allow_trailing_commas: false,
    allow_missing_commas: false,
    allow_single_quoted_strings: false,
    allow_hexadecimal_numbers: false,
    allow_unary_plus_numbers: false,
    allow_bare_decimal_point_numbers: false,
    allow_non_finite_numbers: false,
    allow_extended_string_escapes: false,
};

/// Reads the whole text. The node is there even with problems, if the syntax is right.
pub(super) fn parse(file: &Arc<SourceFile>) -> (Option<Node>, Diagnostics) {
    let mut reader = Reader {
        file,
        problems: Diagnostics::default(),
    };
    let node = reader.document();
    (node, reader.problems)
}

struct Reader<'t> {
    file: &'t Arc<SourceFile>,
    problems: Diagnostics,
}

impl Reader<'_> {
    fn document(&mut self) -> Option<Node> {
        let text = &self.file.text;
        if text.len() > MAX_BYTES {
            let problem = Diagnostic::error(format!("`{}` is longer than 1 MiB", self.file.name));
            self.problems.push(problem.help("tnvm reads at most 1 MiB"));
            return None;
        }
        let parsed = match parse_to_ast(text, &CollectOptions::default(), &STRICT) {
            Ok(parsed) => parsed,
            Err(error) => {
                let range = error.range();
                let problem = Diagnostic::error(format!("this is not JSON: {}", error.kind()))
                    .help("check commas, quotes and brackets here and in the line before")
                    .at(self.at(range.start, range.end));
                self.problems.push(problem);
                return None;
            }
        };
        let Some(value) = parsed.value else {
            let problem = Diagnostic::error("the file is empty").help("write at least `{}`");
            self.problems.push(problem.at(self.at(0, 0)));
            return None;
        };
        self.value(&value, 1)
    }

    fn value(&mut self, value: &Value<'_>, level: usize) -> Option<Node> {
        let origin = self.at(value.start(), value.end());
        if level > MAX_DEPTH {
            let problem =
                Diagnostic::error(format!("values are nested deeper than {MAX_DEPTH} levels"))
                    .help("no setting needs that; write the value flatter");
            self.problems.push(problem.at(origin));
            return None;
        }
        let value = match value {
            Value::NullKeyword(_) => NodeValue::Null,
            Value::BooleanLit(one) => NodeValue::Bool(one.value),
            Value::StringLit(one) => NodeValue::String(one.value.clone().into_owned()),
            Value::NumberLit(one) => match serde_json::from_str(one.value) {
                Ok(number) => NodeValue::Number(number),
                Err(_) => {
                    let problem =
                        Diagnostic::error(format!("`{}` is not a JSON number", one.value))
                            .help("write digits without leading zeros, at most 308 of them");
                    self.problems.push(problem.at(origin));
                    return None;
                }
            },
            Value::Array(all) => {
                let mut list = Vec::new();
                for one in &all.elements {
                    list.push(self.value(one, level + 1)?);
                }
                NodeValue::List(list)
            }
            Value::Object(all) => NodeValue::Map(self.object(all, level)?),
        };
        Some(Node {
            value,
            origin: Some(origin),
        })
    }

    fn object(&mut self, object: &Object<'_>, level: usize) -> Option<NodeMap> {
        let mut map = NodeMap::new();
        for property in &object.properties {
            let key = property.name.as_str();
            let place = self.at(property.name.start(), property.name.end());
            if let Some(first) = map.get(key) {
                let first: &Entry = first;
                let first = first
                    .key_origin
                    .as_ref()
                    .map_or(0, |one| one.line_column().0);
                let problem = Diagnostic::error(format!(
                    "the key `{key}` is written twice: here and in line {first}"
                ));
                self.problems
                    .push(problem.help("keep one of the two").at(place));
                continue;
            }
            let entry = Entry {
                node: self.value(&property.value, level + 1)?,
                key_origin: Some(place),
            };
            map.insert(key.to_owned(), entry);
        }
        Some(map)
    }

    /// Bytes of the text, cut at the end of the first line.
    fn at(&self, start: usize, end: usize) -> Location {
        let shown = self.file.text.get(start..end).unwrap_or_default();
        let line = shown.lines().next().unwrap_or_default();
        Location {
            file: Arc::clone(self.file),
            span: start..start + line.len(),
        }
    }
}
