//! Reads a JSON value into a plugin's types, and says where it does not fit. It knows neither
//! config nor template.
//!
//! `serde_path_to_error` over `serde_json` does the same, and makes several copies of its layers
//! for every type and for both of serde_json's readers, with the printing of floats for messages:
//! a quarter of a plugin's size. Every run of tnvm loads that.

use std::fmt::{self, Display};

use serde::de::value::StrDeserializer;
use serde::de::{
    self, DeserializeOwned, DeserializeSeed, Deserializer, EnumAccess, Expected, IntoDeserializer,
    MapAccess, SeqAccess, Unexpected, VariantAccess, Visitor,
};
use serde::forward_to_deserialize_any;
use serde_json::{Value, map};

/// The value as a `T`.
///
/// # Errors
/// What does not fit, and its place.
pub(crate) fn read<T: DeserializeOwned>(value: &Value) -> Result<T, Misfit> {
    T::deserialize(Reader(value))
}

/// A value that is not of the type it should be.
#[derive(Debug)]
pub(crate) struct Misfit {
    /// From the place outwards: each step out adds its key.
    steps: Vec<String>,
    message: String,
}

impl Misfit {
    /// The keys that lead to the place, unescaped.
    pub(crate) fn path(&self) -> Vec<&str> {
        self.steps.iter().rev().map(String::as_str).collect()
    }

    fn below(mut self, key: impl ToString) -> Self {
        self.steps.push(key.to_string());
        self
    }
}

impl Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Misfit {}

impl de::Error for Misfit {
    fn custom<T: Display>(message: T) -> Self {
        Self {
            steps: Vec::new(),
            message: message.to_string(),
        }
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::custom(format_args!("expected {expected}, found {}", kind(found)))
    }

    fn invalid_value(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::invalid_type(found, expected)
    }
}

/// What was found, without a text's words: they may be a secret.
fn kind(found: Unexpected<'_>) -> String {
    let words = match found {
        Unexpected::Bool(one) => return one.to_string(),
        Unexpected::Unsigned(number) => return format!("the number {number}"),
        Unexpected::Signed(number) => return format!("the number {number}"),
        Unexpected::Float(_) => "a number with a fraction",
        Unexpected::Str(_) | Unexpected::Char(_) => "a text",
        Unexpected::Unit | Unexpected::Option => "nothing (null)",
        Unexpected::Seq => "a list",
        Unexpected::Map => "an object",
        Unexpected::Other(words) => words,
        _ => "something else",
    };
    words.to_owned()
}

/// A JSON value as serde wants to see it.
#[derive(Clone, Copy)]
struct Reader<'a>(&'a Value);

impl<'de> Deserializer<'de> for Reader<'_> {
    type Error = Misfit;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        match self.0 {
            Value::Null => visitor.visit_unit(),
            Value::Bool(one) => visitor.visit_bool(*one),
            Value::Number(number) => match (number.as_u64(), number.as_i64()) {
                (Some(number), _) => visitor.visit_u64(number),
                (None, Some(number)) => visitor.visit_i64(number),
                (None, None) => visitor.visit_f64(number.as_f64().unwrap_or(f64::NAN)),
            },
            Value::String(text) => visitor.visit_str(text),
            Value::Array(items) => visitor.visit_seq(Items(items.iter().enumerate())),
            Value::Object(members) => visitor.visit_map(Members {
                rest: members.iter(),
                next: None,
            }),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        match self.0 {
            Value::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Misfit> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Misfit> {
        let one = |members: &map::Map<String, Value>| members.len() == 1;
        match self.0 {
            Value::String(name) => visitor.visit_enum(Variant {
                name,
                content: None,
            }),
            Value::Object(members) if one(members) => match members.iter().next() {
                Some((name, content)) => visitor.visit_enum(Variant {
                    name,
                    content: Some(content),
                }),
                None => self.deserialize_any(visitor),
            },
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        visitor.visit_unit()
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit
        unit_struct seq tuple tuple_struct map struct identifier
    }
}

/// The rest of a list, with places.
struct Items<'a>(std::iter::Enumerate<std::slice::Iter<'a, Value>>);

impl<'de> SeqAccess<'de> for Items<'_> {
    type Error = Misfit;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Misfit> {
        let Some((index, item)) = self.0.next() else {
            return Ok(None);
        };
        let read = seed.deserialize(Reader(item));
        read.map(Some).map_err(|misfit| misfit.below(index))
    }
}

/// The rest of an object, and the value of the key that was asked for last.
struct Members<'a> {
    rest: map::Iter<'a>,
    next: Option<(&'a str, &'a Value)>,
}

impl<'de> MapAccess<'de> for Members<'_> {
    type Error = Misfit;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Misfit> {
        let Some((key, value)) = self.rest.next() else {
            return Ok(None);
        };
        self.next = Some((key, value));
        let read = seed.deserialize(Key(key));
        read.map(Some).map_err(|misfit| misfit.below(key))
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Misfit> {
        let (key, value) = self.next.take().unwrap_or(("", &Value::Null));
        let read = seed.deserialize(Reader(value));
        read.map_err(|misfit| misfit.below(key))
    }
}

/// A key of an object. JSON's keys are texts; a type whose keys are numbers gets numbers.
struct Key<'a>(&'a str);

macro_rules! number_keys {
    ($($method:ident $visit:ident $number:ty;)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
            match self.0.parse::<$number>() {
                Ok(number) => visitor.$visit(number),
                Err(_) => visitor.visit_str(self.0),
            }
        }
    )*};
}

impl<'de> Deserializer<'de> for Key<'_> {
    type Error = Misfit;

    number_keys! {
        deserialize_i8 visit_i8 i8;
        deserialize_i16 visit_i16 i16;
        deserialize_i32 visit_i32 i32;
        deserialize_i64 visit_i64 i64;
        deserialize_u8 visit_u8 u8;
        deserialize_u16 visit_u16 u16;
        deserialize_u32 visit_u32 u32;
        deserialize_u64 visit_u64 u64;
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        visitor.visit_str(self.0)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Misfit> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Misfit> {
        visitor.visit_enum(Variant {
            name: self.0,
            content: None,
        })
    }

    forward_to_deserialize_any! {
        bool i128 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple
        tuple_struct map struct identifier ignored_any
    }
}

/// A variant of an enum: `"name"`, or `{"name": content}`.
struct Variant<'a> {
    name: &'a str,
    content: Option<&'a Value>,
}

impl<'a, 'de> EnumAccess<'de> for Variant<'a> {
    type Error = Misfit;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self), Misfit> {
        let name: StrDeserializer<'a, Misfit> = self.name.into_deserializer();
        Ok((seed.deserialize(name)?, self))
    }
}

impl<'de> VariantAccess<'de> for Variant<'_> {
    type Error = Misfit;

    fn unit_variant(self) -> Result<(), Misfit> {
        match self.content {
            None | Some(Value::Null) => Ok(()),
            Some(_) => Err(de::Error::custom(format_args!(
                "`{}` takes no value",
                self.name
            ))),
        }
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Misfit> {
        let read = seed.deserialize(Reader(self.content.unwrap_or(&Value::Null)));
        read.map_err(|misfit| misfit.below(self.name))
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Misfit> {
        let read = Reader(self.content.unwrap_or(&Value::Null)).deserialize_any(visitor);
        read.map_err(|misfit| misfit.below(self.name))
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Misfit> {
        self.tuple_variant(0, visitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    use serde::Deserialize;
    use serde_json::json;

    #[derive(Clone, Debug, Deserialize, PartialEq, Eq, PartialOrd, Ord)]
    struct Name(String);

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(rename_all = "lowercase")]
    enum Shape {
        Dot,
        Ring(u8),
        Line(u8, u8),
        Box { side: u8 },
    }

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(untagged)]
    enum Either {
        Number(f64),
        List(Vec<i16>),
    }

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(deny_unknown_fields)]
    struct All {
        shapes: Vec<Shape>,
        named: BTreeMap<Name, Option<u32>>,
        numbered: BTreeMap<u8, bool>,
        either: Either,
    }

    fn sample() -> Value {
        json!({
            "shapes": ["dot", {"ring": 3}, {"line": [1, 2]}, {"box": {"side": 4}}],
            "named": {"a": 1, "b": null},
            "numbered": {"7": true},
            "either": 1.5,
        })
    }

    #[test]
    fn whatever_serde_derives_is_read_as_serde_json_reads_it() {
        for either in [json!(1.5), json!(-1), json!([1, -2])] {
            let mut value = sample();
            value["either"] = either;
            let expected: All = serde_json::from_value(value.clone()).unwrap();
            assert_eq!(read::<All>(&value).unwrap(), expected);
        }
        assert_eq!(read::<Value>(&sample()).unwrap(), sample());
    }

    #[test]
    fn a_misfit_has_its_place_and_repeats_no_text() {
        let check = |pointer: &str, wrong: Value, place: &str, words: &str| {
            let mut value = sample();
            match value.pointer_mut(pointer) {
                Some(place) => *place = wrong,
                None => value[&pointer[1..]] = wrong,
            }
            let misfit = read::<All>(&value).unwrap_err();
            assert_eq!(misfit.path().join("."), place);
            let message = misfit.to_string();
            assert!(message.contains(words), "{message}");
            assert!(!message.contains("hunter2"), "{message}");
        };
        check("/named/a", json!("hunter2"), "named.a", "u32, found a text");
        check("/named/a", json!(-1), "named.a", "the number -1");
        check("/named/a", json!(0.5), "named.a", "fraction");
        check("/numbered", json!({"x": true}), "numbered.x", "u8");
        check("/numbered", json!(["hunter2"]), "numbered", "a list");
        check("/shapes/1", json!({"ring": 256}), "shapes.1.ring", "256");
        check("/shapes/2/line/1", json!(null), "shapes.2.line.1", "u8");
        check("/shapes/3/box", json!({}), "shapes.3.box", "`side`");
        check("/shapes/0", json!({"dot": 1}), "shapes.0", "no value");
        check("/shapes/0", json!("star"), "shapes.0", "`star`");
        check("/other", json!(1), "other", "unknown field `other`");
    }
}
