//! The tables of shapes: read from the files, with what differs in a release line put on top.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_yaml::{Mapping, Value as Yaml};

use super::parse::{self, ShapeError};
use super::{Field, Members, Shape};
use crate::version::{Line, Version};

const FILES: [(&str, &str); 4] = [
    ("vm.yaml", include_str!("../../../shapes/vm.yaml")),
    ("storage.yaml", include_str!("../../../shapes/storage.yaml")),
    ("server.yaml", include_str!("../../../shapes/server.yaml")),
    ("login.yaml", include_str!("../../../shapes/login.yaml")),
];

/// Parameters that all queries share are written as this word.
const QUERY: &str = "query";

/// The shapes of one release line.
#[derive(Debug, Clone, Default)]
pub struct Shapes {
    types: BTreeMap<String, Shape>,
    methods: BTreeMap<String, MethodShape>,
}

/// What a method takes and answers.
#[derive(Debug, Clone, PartialEq)]
pub struct MethodShape {
    /// Its parameters, in order.
    pub params: Vec<Param>,
    /// Its answer; of a job, what the job comes to.
    pub result: Shape,
}

/// A parameter.
pub type Param = Field;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(flatten)]
    base: Layer,
    #[serde(default)]
    lines: BTreeMap<String, Layer>,
}

#[derive(Default, Deserialize)]
struct Layer {
    #[serde(default)]
    types: Mapping,
    #[serde(default)]
    methods: Mapping,
}

impl Shapes {
    /// The shapes of a version's release line.
    ///
    /// # Errors
    /// When a table cannot be read, or names a type that there is not. The tables are part of the
    /// program, and a test reads all of them.
    pub fn of(version: &Version) -> Result<Self, ShapeError> {
        let mut shapes = Self::default();
        for (file, text) in FILES {
            let tables: File =
                serde_yaml::from_str(text).map_err(|source| ShapeError::Yaml { file, source })?;
            shapes.put(&tables.base)?;
            for line in layers(version) {
                if let Some(layer) = tables.lines.get(*line) {
                    shapes.put(layer)?;
                }
            }
        }
        shapes.complete()?;
        Ok(shapes)
    }

    /// A method, if the line has it.
    pub fn method(&self, name: &str) -> Option<&MethodShape> {
        self.methods.get(name)
    }

    /// Every method of the line.
    pub fn methods(&self) -> impl Iterator<Item = (&str, &MethodShape)> {
        self.methods
            .iter()
            .map(|(name, method)| (name.as_str(), method))
    }

    /// What a name stands for. What is no type of the table can be anything.
    pub fn named(&self, name: &str) -> &Shape {
        self.types.get(name).unwrap_or(&Shape::Any)
    }

    /// All members of an object, those of the types it includes as well.
    pub fn fields<'s>(&'s self, members: &'s Members) -> Vec<&'s Field> {
        let included = members.also.iter().flat_map(|name| match self.named(name) {
            Shape::Members(members) => self.fields(members),
            _ => Vec::new(),
        });
        included.chain(&members.fields).collect()
    }

    fn put(&mut self, layer: &Layer) -> Result<(), ShapeError> {
        for (name, written) in named(&layer.types) {
            match (self.types.get_mut(name), written) {
                (_, Yaml::Null) => {
                    self.types.remove(name);
                }
                (Some(Shape::Members(members)), Yaml::Mapping(changes)) => {
                    change(name, members, changes)?;
                }
                _ => {
                    let shape = parse::shape(name, written)?;
                    self.types.insert(name.to_owned(), shape);
                }
            }
        }
        for (name, written) in named(&layer.methods) {
            if written.is_null() {
                self.methods.remove(name);
                continue;
            }
            let part = |key: &str| written.get(key).unwrap_or(&Yaml::Null);
            let params = match part("params") {
                Yaml::String(word) if word == QUERY => query(),
                params => parse::members(name, params)?.fields,
            };
            let result = parse::shape(name, part("result"))?;
            let method = MethodShape { params, result };
            self.methods.insert(name.to_owned(), method);
        }
        Ok(())
    }

    /// Checks that every type that is named exists.
    fn complete(&self) -> Result<(), ShapeError> {
        for (name, shape) in &self.types {
            self.known(name, shape)?;
        }
        for (name, method) in &self.methods {
            for param in &method.params {
                self.known(name, &param.shape)?;
            }
            self.known(name, &method.result)?;
        }
        Ok(())
    }

    fn known(&self, at: &str, shape: &Shape) -> Result<(), ShapeError> {
        match shape {
            Shape::Named(name) if !self.types.contains_key(name) => Err(ShapeError::Unknown {
                at: at.to_owned(),
                name: name.clone(),
            }),
            Shape::List(inner) | Shape::Map(inner) | Shape::Rows(inner) => self.known(at, inner),
            Shape::Union(all) => all.iter().try_for_each(|shape| self.known(at, shape)),
            Shape::Members(members) => self
                .fields(members)
                .iter()
                .try_for_each(|field| self.known(at, &field.shape)),
            _ => Ok(()),
        }
    }
}

/// The layers on top of the tables' base, which is 25.10.
fn layers(version: &Version) -> &'static [&'static str] {
    match version.line() {
        Line::V24_10 => &["25.04", "24.10"],
        Line::V25_04_0 | Line::V25_04 => &["25.04"],
        Line::V25_10 => &[],
        Line::V26 => &["26"],
        Line::V27 => &["26", "27"],
    }
}

fn named(mapping: &Mapping) -> impl Iterator<Item = (&str, &Yaml)> {
    mapping
        .iter()
        .filter_map(|(name, written)| Some((name.as_str()?, written)))
}

/// Puts members into a type, or takes them out where null is written.
fn change(at: &str, members: &mut Members, changes: &Mapping) -> Result<(), ShapeError> {
    for (names, written) in named(changes) {
        for name in names.split_whitespace() {
            let bare = name.trim_end_matches('?');
            members.fields.retain(|field| field.name != bare);
        }
        if !written.is_null() {
            let mut one = Mapping::new();
            one.insert(names.into(), written.clone());
            let added = parse::members(at, &Yaml::Mapping(one))?;
            members.fields.extend(added.fields);
            members.also.extend(added.also);
            members.open |= added.open;
        }
    }
    Ok(())
}

fn query() -> Vec<Param> {
    let optional = |name: &str, shape| Field {
        name: name.to_owned(),
        optional: true,
        shape,
    };
    vec![
        optional("filters", Shape::List(Box::new(Shape::Any))),
        optional("options", Shape::Named("query_options".to_owned())),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_of_every_line_are_complete() {
        for version in crate::conform::VERSIONS {
            let version: Version = version.parse().unwrap();
            let shapes = Shapes::of(&version).unwrap_or_else(|error| panic!("{error}"));
            let missing: Vec<&str> = crate::methods::names(&version)
                .map(|method| method.name)
                .filter(|name| shapes.method(name).is_none())
                .collect();
            assert_eq!(missing, Vec::<&str>::new(), "{}", version.short());
        }
    }
}
