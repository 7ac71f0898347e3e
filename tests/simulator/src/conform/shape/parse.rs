//! Reads shapes: the short texts inside, and the objects around them.

use serde_json::Value;
use serde_yaml::Value as Yaml;

use super::{Field, Members, Shape};

/// Why a table of shapes cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ShapeError {
    /// It is no YAML of the expected form.
    #[error("the shapes in {file}: {source}")]
    Yaml {
        /// The file.
        file: &'static str,
        /// Where and why.
        source: serde_yaml::Error,
    },
    /// A shape is none.
    #[error("{at}: {text:?} is no shape; README.md beside the tables has the notation")]
    Shape {
        /// The type or method.
        at: String,
        /// What is written there.
        text: String,
    },
    /// A type is used that there is not.
    #[error("{at} uses the type {name:?}, which there is not")]
    Unknown {
        /// Where.
        at: String,
        /// The type.
        name: String,
    },
}

/// A shape as it is written: a text, an object of shapes, or nothing for null.
pub(super) fn shape(at: &str, written: &Yaml) -> Result<Shape, ShapeError> {
    match written {
        Yaml::String(text) => Text {
            at,
            whole: text,
            rest: text,
        }
        .whole(),
        Yaml::Mapping(_) => members(at, written).map(Shape::Members),
        Yaml::Null => Ok(Shape::Null),
        other => Err(ShapeError::Shape {
            at: at.to_owned(),
            text: format!("{other:?}"),
        }),
    }
}

/// The members of an object: `name`, `name?`, several names with one shape, `...` for any others and
/// `+` for those of a type.
pub(super) fn members(at: &str, written: &Yaml) -> Result<Members, ShapeError> {
    let mut members = Members::default();
    for (names, written) in written.as_mapping().into_iter().flatten() {
        for name in names.as_str().unwrap_or_default().split_whitespace() {
            match name {
                "..." => members.open = true,
                "+" => members.also.extend(written.as_str().map(str::to_owned)),
                _ => {
                    let bare = name.trim_end_matches('?');
                    members.fields.push(Field {
                        name: bare.to_owned(),
                        optional: bare != name,
                        shape: shape(&format!("{at}.{bare}"), written)?,
                    });
                }
            }
        }
    }
    Ok(members)
}

/// A text that is read from the left.
struct Text<'a> {
    at: &'a str,
    whole: &'a str,
    rest: &'a str,
}

impl<'a> Text<'a> {
    fn whole(mut self) -> Result<Shape, ShapeError> {
        let shape = self.union()?;
        if self.rest.trim().is_empty() {
            Ok(shape)
        } else {
            Err(self.wrong())
        }
    }

    fn wrong(&self) -> ShapeError {
        ShapeError::Shape {
            at: self.at.to_owned(),
            text: self.whole.to_owned(),
        }
    }

    fn take(&mut self, begin: &str) -> bool {
        let rest = self.rest.trim_start();
        match rest.strip_prefix(begin) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    /// `A | B | C`
    fn union(&mut self) -> Result<Shape, ShapeError> {
        let first = self.one()?;
        if !self.rest.trim_start().starts_with('|') {
            return Ok(first);
        }
        let mut all = vec![first];
        while self.take("|") {
            all.push(self.one()?);
        }
        Ok(Shape::Union(all))
    }

    fn one(&mut self) -> Result<Shape, ShapeError> {
        for (open, close) in [("[", "]"), ("{", "}"), ("rows(", ")")] {
            if self.take(open) {
                let inner = Box::new(self.union()?);
                if !self.take(close) {
                    return Err(self.wrong());
                }
                return Ok(match open {
                    "[" => Shape::List(inner),
                    "{" => Shape::Map(inner),
                    _ => Shape::Rows(inner),
                });
            }
        }
        if self.take("one of ") {
            return Ok(Shape::OneOf(self.words()));
        }
        let rest = self.rest.trim_start();
        let end = rest
            .find(|letter: char| !(letter.is_ascii_alphanumeric() || letter == '_'))
            .unwrap_or(rest.len());
        let (word, rest) = rest.split_at(end);
        self.rest = rest;
        let nullable = self.rest.starts_with('?') && self.take("?");
        let shape = match word {
            "" => return Err(self.wrong()),
            "any" => Shape::Any,
            "bool" => Shape::Bool,
            "int" => {
                let (low, high) = self.bounds()?;
                Shape::Int(low, high)
            }
            "number" => Shape::Number,
            "text" if self.take("~ ") => {
                let pattern = std::mem::take(&mut self.rest);
                Shape::Pattern(pattern.to_owned())
            }
            "text" => {
                let (low, high) = self.bounds()?;
                Shape::Text(low, high)
            }
            "null" => Shape::Null,
            "date" => Shape::Date,
            "object" => Shape::Object,
            name => Shape::Named(name.to_owned()),
        };
        Ok(if nullable {
            Shape::Union(vec![shape, Shape::Null])
        } else {
            shape
        })
    }

    /// `5..300`, either side may be missing.
    fn bounds<N: std::str::FromStr>(&mut self) -> Result<(Option<N>, Option<N>), ShapeError> {
        let rest = self.rest.trim_start();
        let end = rest
            .find(|letter: char| !(letter.is_ascii_digit() || ".-".contains(letter)))
            .unwrap_or(rest.len());
        let (bounds, rest) = rest.split_at(end);
        if bounds.is_empty() {
            return Ok((None, None));
        }
        let (low, high) = bounds.split_once("..").ok_or_else(|| self.wrong())?;
        let number = |text: &str| match text {
            "" => Ok(None),
            text => text.parse().map(Some).map_err(|_| self.wrong()),
        };
        let found = (number(low)?, number(high)?);
        self.rest = rest;
        Ok(found)
    }

    /// Words up to the end of this alternative; what reads as JSON is that.
    fn words(&mut self) -> Vec<Value> {
        let end = self
            .rest
            .find(['|', ']', '}', ')'])
            .unwrap_or(self.rest.len());
        let (words, rest) = self.rest.split_at(end);
        self.rest = rest;
        words
            .split_whitespace()
            .map(|word| serde_json::from_str(word).unwrap_or_else(|_| word.into()))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(text: &str) -> Shape {
        shape("test", &Yaml::String(text.to_owned())).unwrap()
    }

    #[test]
    fn the_notation_is_read() {
        let nullable = |shape| Shape::Union(vec![shape, Shape::Null]);
        assert_eq!(read("int 5..300"), Shape::Int(Some(5), Some(300)));
        assert_eq!(read("int? 20.."), nullable(Shape::Int(Some(20), None)));
        assert_eq!(
            read("[text 1..]"),
            Shape::List(Box::new(Shape::Text(Some(1), None)))
        );
        assert_eq!(read("text ~ ^a|[b]$"), Shape::Pattern("^a|[b]$".into()));
        assert_eq!(
            read("one of A 512 null true"),
            Shape::OneOf(vec![json!("A"), json!(512), json!(null), json!(true)])
        );
        let vm = Shape::Named("vm".into());
        assert_eq!(read("rows(vm)"), Shape::Rows(Box::new(vm.clone())));
        assert_eq!(
            read("{[vm]} | null"),
            nullable(Shape::Map(Box::new(Shape::List(Box::new(vm)))))
        );
    }

    #[test]
    fn what_is_no_shape_is_an_error_that_says_where() {
        for text in ["", "[int", "int 5", "vm vm", "text 1..x"] {
            let error = shape("vm.name", &Yaml::String(text.to_owned())).unwrap_err();
            assert!(error.to_string().starts_with("vm.name"), "{error}");
        }
    }
}
