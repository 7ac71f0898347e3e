//! `--set path=value`: the topmost layer, taken apart.
//!
//! Knows the form of a path, and not what is at its end.

use std::sync::Arc;

use super::node::{Entry, Node, NodeMap, NodeValue};
use super::yaml;
use crate::diagnostic::{Diagnostic, Diagnostics, Location, SourceFile};

/// One `--set`.
pub(super) struct Setting {
    /// The keys of the path, at least one, each with its place.
    keys: Vec<(String, Location)>,
    /// The value.
    node: Node,
}

impl Setting {
    /// Reads `worker.memory=8GiB`: keys with dots between them, a value in YAML.
    pub(super) fn parse(text: &str) -> Result<Self, Diagnostics> {
        let file = Arc::new(SourceFile {
            name: "<--set>".to_owned(),
            text: text.to_owned(),
        });
        let place = |start: usize, end: usize| Location {
            file: Arc::clone(&file),
            span: start..end,
        };
        let malformed = |message: String, at: Location| {
            Diagnostic::error(message)
                .help("write `--set path=value`, for example `--set worker.memory=8GiB`")
                .at(at)
        };
        let Some((path, _)) = text.split_once('=') else {
            let problem = malformed(format!("`--set {text}` has no `=`"), place(0, text.len()));
            return Err(problem.into());
        };
        let mut keys = Vec::new();
        let mut start = 0;
        for key in path.split('.') {
            let at = place(start, start + key.len());
            if key.is_empty() || key.trim() != key {
                let message = format!("the path `{path}` of `--set` has an empty or padded key");
                return Err(malformed(message, at).into());
            }
            start += key.len() + 1;
            keys.push((key.to_owned(), at));
        }
        let (node, problems) = yaml::parse(&file, path.len() + 1..text.len());
        match node {
            Some(node) if !problems.has_errors() => Ok(Self { keys, node }),
            _ => Err(problems),
        }
    }

    /// The first key, with its place.
    pub(super) fn head(&self) -> Option<&(String, Location)> {
        self.keys.first()
    }

    /// The value below the first key, as a patch for what is there.
    pub(super) fn patch(&self) -> Node {
        let mut node = self.node.clone();
        for (key, at) in self.keys.iter().skip(1).rev() {
            let entry = Entry {
                key_origin: Some(at.clone()),
                node,
            };
            node = Node {
                value: NodeValue::Map(NodeMap::from([(key.clone(), entry)])),
                origin: Some(at.clone()),
            };
        }
        node
    }
}
