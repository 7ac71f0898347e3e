//! Values that may be written short (`15`) or as an object (`{size: 15, sparse: false}`).

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{self, Deserialize, DeserializeOwned, Deserializer, IntoDeserializer, Visitor};

/// An object that also has a short form.
pub trait FromShort: DeserializeOwned + JsonSchema {
    /// What the short form is: a size, a text, a list. Not an object.
    type Short: DeserializeOwned + JsonSchema;

    /// The object that the short form means.
    fn from_short(short: Self::Short) -> Self;
}

/// A `T` that the user may have written short.
///
/// Unlike an untagged enum it keeps the errors of the form that was written, with their place.
#[derive(Clone, Debug)]
pub struct Short<T> {
    value: T,
    short: bool,
}

impl<T> Short<T> {
    /// The place of `field` in the value at `base`: the value itself where it was written short.
    pub fn pointer(&self, base: &[&str], field: &str) -> String {
        let mut parts = base.to_vec();
        if !self.short {
            parts.push(field);
        }
        crate::pointer(&parts)
    }
}

impl<T> Deref for Short<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<'de, T: FromShort> Deserialize<'de> for Short<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ShortVisitor(PhantomData))
    }
}

struct ShortVisitor<T>(PhantomData<T>);

impl<T: FromShort> ShortVisitor<T> {
    fn short<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Short<T>, D::Error> {
        Ok(Short {
            value: T::from_short(T::Short::deserialize(deserializer)?),
            short: true,
        })
    }
}

impl<'de, T: FromShort> Visitor<'de> for ShortVisitor<T> {
    type Value = Short<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the short form or an object")
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Short<T>, E> {
        Self::short(value.into_deserializer())
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Short<T>, E> {
        Self::short(value.into_deserializer())
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Short<T>, E> {
        Self::short(value.into_deserializer())
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Short<T>, E> {
        Self::short(value.into_deserializer())
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<Short<T>, E> {
        Self::short(value.into_deserializer())
    }

    fn visit_seq<A: de::SeqAccess<'de>>(self, seq: A) -> Result<Short<T>, A::Error> {
        Self::short(SeqAccessDeserializer::new(seq))
    }

    fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<Short<T>, A::Error> {
        Ok(Short {
            value: T::deserialize(MapAccessDeserializer::new(map))?,
            short: false,
        })
    }
}

impl<T: FromShort> JsonSchema for Short<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("Short{}", T::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let short = generator.subschema_for::<T::Short>();
        let full = generator.subschema_for::<T>();
        json_schema!({ "anyOf": [short, full] })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{GIB, Size};

    #[derive(Debug, serde::Deserialize, JsonSchema)]
    #[serde(deny_unknown_fields)]
    struct Disk {
        size: Size<GIB>,
    }

    impl FromShort for Disk {
        type Short = Size<GIB>;

        fn from_short(size: Size<GIB>) -> Self {
            Self { size }
        }
    }

    fn parse(text: &str) -> Result<Short<Disk>, String> {
        serde_json::from_str(text).map_err(|error| error.to_string())
    }

    #[test]
    fn both_forms_give_the_same_value_and_their_own_place() {
        let short = parse("15").unwrap();
        let full = parse(r#"{"size": "15G"}"#).unwrap();
        assert_eq!(short.size, full.size);
        assert_eq!(short.pointer(&["system"], "size"), "/system");
        assert_eq!(full.pointer(&["system"], "size"), "/system/size");
    }

    #[test]
    fn an_error_is_that_of_the_form_which_was_written() {
        assert!(
            parse(r#"{"sise": 15}"#)
                .unwrap_err()
                .contains("unknown field `sise`")
        );
        assert!(parse(r#""big""#).unwrap_err().contains("not a size"));
    }
}
