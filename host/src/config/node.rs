//! A value tree that remembers where each value was written.
//!
//! It knows no key by name: what a value means is for its reader.

use std::sync::Arc;

use indexmap::IndexMap;
use serde_json::{Number, Value};

use super::{json, yaml};
use crate::diagnostic::{Diagnostics, Location, SourceFile};

/// A map's entries, in the order in which they were written.
pub type NodeMap = IndexMap<String, Entry>;

/// A value with its place.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// The value.
    pub value: NodeValue,
    /// Where it was written. `None`: nowhere, tnvm supplied it. A value over several lines is
    /// pointed at by its first line.
    pub origin: Option<Location>,
}

/// What a [`Node`] holds: JSON's kinds of value.
#[derive(Clone, Debug, PartialEq)]
pub enum NodeValue {
    /// Nothing.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number that JSON can hold.
    Number(Number),
    /// A text.
    String(String),
    /// A list.
    List(Vec<Node>),
    /// A map with texts as keys.
    Map(NodeMap),
}

/// One entry of a map.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Where the key was written.
    pub key_origin: Option<Location>,
    /// The value.
    pub node: Node,
}

impl Node {
    /// A value that nobody wrote.
    #[must_use]
    pub fn built_in(value: NodeValue) -> Self {
        Self {
            value,
            origin: None,
        }
    }

    /// An empty map that nobody wrote.
    #[must_use]
    pub fn empty_map() -> Self {
        Self::built_in(NodeValue::Map(NodeMap::new()))
    }

    /// Reads one YAML document. Plain scalars mean what YAML 1.2 says they mean (`no` is a text);
    /// anchors, aliases and merge keys work.
    ///
    /// # Errors
    /// Every problem found: bad syntax, a repeated key, several documents, more than 1 MiB,
    /// 64 levels, or 100 000 values made by aliases.
    pub fn from_yaml(file: &Arc<SourceFile>) -> Result<Self, Diagnostics> {
        finish(yaml::parse(file, 0..file.text.len()))
    }

    /// Reads JSON as RFC 8259 has it: no comments, no trailing commas.
    ///
    /// # Errors
    /// Every problem found: bad syntax, a repeated key, more than 1 MiB or 64 levels.
    pub fn from_json(file: &Arc<SourceFile>) -> Result<Self, Diagnostics> {
        finish(json::parse(file))
    }

    /// A copy of a JSON value, with one origin for all of it.
    #[must_use]
    pub fn from_value(value: &Value, origin: Option<&Location>) -> Self {
        let value = match value {
            Value::Null => NodeValue::Null,
            Value::Bool(one) => NodeValue::Bool(*one),
            Value::Number(one) => NodeValue::Number(one.clone()),
            Value::String(one) => NodeValue::String(one.clone()),
            Value::Array(all) => NodeValue::List(
                all.iter()
                    .map(|one| Self::from_value(one, origin))
                    .collect(),
            ),
            Value::Object(all) => NodeValue::Map(
                all.iter()
                    .map(|(key, one)| {
                        let entry = Entry {
                            key_origin: origin.cloned(),
                            node: Self::from_value(one, origin),
                        };
                        (key.clone(), entry)
                    })
                    .collect(),
            ),
        };
        Self {
            value,
            origin: origin.cloned(),
        }
    }

    /// The plain value, origins dropped, order kept.
    #[must_use]
    pub fn to_json(&self) -> Value {
        match &self.value {
            NodeValue::Null => Value::Null,
            NodeValue::Bool(one) => Value::Bool(*one),
            NodeValue::Number(one) => Value::Number(one.clone()),
            NodeValue::String(one) => Value::String(one.clone()),
            NodeValue::List(all) => Value::Array(all.iter().map(Self::to_json).collect()),
            NodeValue::Map(all) => Value::Object(
                all.iter()
                    .map(|(key, entry)| (key.clone(), entry.node.to_json()))
                    .collect(),
            ),
        }
    }

    /// The entries, if this is a map.
    #[must_use]
    pub fn as_map(&self) -> Option<&NodeMap> {
        match &self.value {
            NodeValue::Map(all) => Some(all),
            _ => None,
        }
    }

    /// The elements, if this is a list.
    #[must_use]
    pub fn as_list(&self) -> Option<&[Node]> {
        match &self.value {
            NodeValue::List(all) => Some(all),
            _ => None,
        }
    }

    /// The text, if this is one.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        match &self.value {
            NodeValue::String(one) => Some(one),
            _ => None,
        }
    }

    /// The truth value, if this is one.
    #[must_use]
    pub fn as_bool(&self) -> Option<bool> {
        match &self.value {
            NodeValue::Bool(one) => Some(*one),
            _ => None,
        }
    }

    /// The number, if this is a whole one that fits.
    #[must_use]
    pub fn as_u64(&self) -> Option<u64> {
        match &self.value {
            NodeValue::Number(one) => one.as_u64(),
            _ => None,
        }
    }

    /// Whether this is null.
    #[must_use]
    pub fn is_null(&self) -> bool {
        matches!(self.value, NodeValue::Null)
    }

    /// The value under `key`, if this is a map that has it.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.entry(key).map(|entry| &entry.node)
    }

    /// The entry under `key`, if this is a map that has it.
    #[must_use]
    pub fn entry(&self, key: &str) -> Option<&Entry> {
        self.as_map()?.get(key)
    }

    /// The value a JSON pointer (RFC 6901) leads to, or its nearest existing ancestor: where to
    /// point when something below is wrong or missing.
    #[must_use]
    pub fn pointer(&self, pointer: &str) -> &Node {
        let mut here = self;
        for token in pointer.split('/').skip(1) {
            let token = token.replace("~1", "/").replace("~0", "~");
            let next = match &here.value {
                NodeValue::Map(all) => all.get(&token).map(|entry| &entry.node),
                NodeValue::List(all) => token.parse().ok().and_then(|at: usize| all.get(at)),
                _ => None,
            };
            let Some(next) = next else { break };
            here = next;
        }
        here
    }

    /// Lays `patch` over this value by RFC 7396: null removes, maps merge, all else replaces.
    /// Origins follow the values: a merged map, and a key in both, point at the patch.
    pub fn merge(&mut self, patch: Node) {
        let NodeValue::Map(changes) = patch.value else {
            *self = patch;
            return;
        };
        self.origin = patch.origin;
        if !matches!(self.value, NodeValue::Map(_)) {
            self.value = NodeValue::Map(NodeMap::new());
        }
        let NodeValue::Map(entries) = &mut self.value else {
            return;
        };
        for (key, change) in changes {
            if change.node.is_null() {
                entries.shift_remove(&key);
                continue;
            }
            let entry = entries.entry(key).or_insert_with(|| Entry {
                key_origin: None,
                node: Node::built_in(NodeValue::Null),
            });
            entry.key_origin = change.key_origin;
            entry.node.merge(change.node);
        }
    }

    /// Takes an entry out of a map.
    pub fn remove(&mut self, key: &str) -> Option<Entry> {
        match &mut self.value {
            NodeValue::Map(all) => all.shift_remove(key),
            _ => None,
        }
    }

    /// How many values the tree holds, itself included.
    #[must_use]
    pub fn size(&self) -> usize {
        1 + match &self.value {
            NodeValue::List(all) => all.iter().map(Self::size).sum(),
            NodeValue::Map(all) => all.values().map(|entry| entry.node.size()).sum::<usize>(),
            _ => 0,
        }
    }

    /// What kind of value this is, for a sentence: `a map`, `the text "x"`.
    #[must_use]
    pub fn describe(&self) -> String {
        // Longer texts would hide the sentence around them.
        const SHOWN: usize = 40;
        match &self.value {
            NodeValue::Null => "nothing".to_owned(),
            NodeValue::Bool(one) => format!("`{one}`"),
            NodeValue::Number(one) => format!("the number {one}"),
            NodeValue::String(one) if one.chars().count() <= SHOWN => format!("the text {one:?}"),
            NodeValue::String(_) => "a text".to_owned(),
            NodeValue::List(_) => "a list".to_owned(),
            NodeValue::Map(_) => "a map".to_owned(),
        }
    }
}

fn finish((node, problems): (Option<Node>, Diagnostics)) -> Result<Node, Diagnostics> {
    match node {
        Some(node) if !problems.has_errors() => Ok(node),
        _ => Err(problems),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn yaml(text: &str) -> Node {
        let file = SourceFile {
            name: "t.yaml".to_owned(),
            text: text.to_owned(),
        };
        Node::from_yaml(&Arc::new(file)).unwrap()
    }

    fn check_merge(base: &str, patch: &str, expected: &str) {
        let mut merged = yaml(base);
        merged.merge(yaml(patch));
        assert_eq!(
            merged.to_json().to_string(),
            yaml(expected).to_json().to_string()
        );
    }

    #[test]
    fn merging_follows_the_examples_of_rfc_7396() {
        for (base, patch, expected) in [
            (r#"{"a":"b"}"#, r#"{"a":"c"}"#, r#"{"a":"c"}"#),
            (r#"{"a":"b"}"#, r#"{"b":"c"}"#, r#"{"a":"b","b":"c"}"#),
            (r#"{"a":"b"}"#, r#"{"a":null}"#, "{}"),
            (r#"{"a":"b","b":"c"}"#, r#"{"a":null}"#, r#"{"b":"c"}"#),
            (r#"{"a":["b"]}"#, r#"{"a":"c"}"#, r#"{"a":"c"}"#),
            (r#"{"a":"c"}"#, r#"{"a":["b"]}"#, r#"{"a":["b"]}"#),
            (
                r#"{"a":{"b":"c"}}"#,
                r#"{"a":{"b":"d","c":null}}"#,
                r#"{"a":{"b":"d"}}"#,
            ),
            (r#"{"a":[{"b":"c"}]}"#, r#"{"a":[1]}"#, r#"{"a":[1]}"#),
            (r#"["a","b"]"#, r#"["c","d"]"#, r#"["c","d"]"#),
            (r#"{"a":"b"}"#, r#"["c"]"#, r#"["c"]"#),
            (r#"{"a":"foo"}"#, "null", "null"),
            (r#"{"a":"foo"}"#, "bar", "bar"),
            (r#"{"e":null}"#, r#"{"a":1}"#, r#"{"e":null,"a":1}"#),
            ("[1,2]", r#"{"a":"b","c":null}"#, r#"{"a":"b"}"#),
            ("{}", r#"{"a":{"bb":{"ccc":null}}}"#, r#"{"a":{"bb":{}}}"#),
        ] {
            check_merge(base, patch, expected);
        }
    }

    #[test]
    fn merging_keeps_the_order_of_the_base() {
        check_merge("{a: 1, b: 2}", "{c: 3, a: 4}", "{a: 4, b: 2, c: 3}");
    }

    #[test]
    fn origins_follow_the_values_through_a_merge() {
        let mut merged = yaml("a: 1\nb: {c: 2, d: 3}\n");
        merged.merge(yaml("\n\nb: {d: 4}\n"));
        let line = |pointer: &str| {
            merged
                .pointer(pointer)
                .origin
                .as_ref()
                .unwrap()
                .line_column()
        };
        assert_eq!(line("/a"), (1, 4));
        assert_eq!(line("/b/c"), (2, 8));
        assert_eq!(line("/b/d"), (3, 8));
        assert_eq!(line("/b"), (3, 4));
    }

    #[test]
    fn a_pointer_past_the_end_gives_the_nearest_ancestor() {
        let node = yaml(
            "disk: {system: 15}\nlist: [5, {x: 6}]\na/b: {~: 1}\n"
                .replace('~', "q~r")
                .as_str(),
        );
        let at = |pointer: &str| node.pointer(pointer).to_json().to_string();
        assert_eq!(at("/disk/system"), "15");
        assert_eq!(at("/disk/system/size"), "15");
        assert_eq!(at("/disk/data"), r#"{"system":15}"#);
        assert_eq!(at("/list/1/x"), "6");
        assert_eq!(at("/list/7"), r#"[5,{"x":6}]"#);
        assert_eq!(at("/a~1b/q~0r"), "1");
        assert_eq!(node.pointer(""), &node);
        assert_eq!(node.pointer("disk"), &node);
    }
}
