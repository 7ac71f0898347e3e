//! Amounts of storage as users write them.

use std::borrow::Cow;
use std::fmt;

use parse_size::Config;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserialize, Deserializer, Visitor};

/// One byte.
pub const BYTE: u64 = 1;
/// 1024 bytes.
pub const KIB: u64 = 1 << 10;
/// 1024 KiB.
pub const MIB: u64 = 1 << 20;
/// 1024 MiB.
pub const GIB: u64 = 1 << 30;
/// 1024 GiB.
pub const TIB: u64 = 1 << 40;

/// An amount of storage: a number in units of `UNIT` bytes, or text with a unit of its own
/// (`600GiB`, `15G`, `1.5T`). All units are powers of 1024, as ZFS counts: `G`, `GB` and `GiB`
/// are the same. Never 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size<const UNIT: u64> {
    bytes: u64,
}

impl<const UNIT: u64> Size<UNIT> {
    /// The amount in bytes.
    pub fn bytes(self) -> u64 {
        self.bytes
    }

    fn from_number<E: de::Error>(number: u64) -> Result<Self, E> {
        let bytes = number
            .checked_mul(UNIT)
            .ok_or_else(|| E::custom(format!("{number} is more than any pool can hold")))?;
        Self::from_bytes(bytes)
    }

    fn from_bytes<E: de::Error>(bytes: u64) -> Result<Self, E> {
        if bytes == 0 {
            return Err(E::custom("a size must be more than 0"));
        }
        Ok(Self { bytes })
    }
}

impl<const UNIT: u64> fmt::Display for Size<UNIT> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = self.bytes;
        for (unit, name) in [(TIB, "TiB"), (GIB, "GiB"), (MIB, "MiB"), (KIB, "KiB")] {
            if bytes.is_multiple_of(unit) {
                return write!(f, "{}{name}", bytes / unit);
            }
        }
        write!(f, "{bytes}B")
    }
}

impl<'de, const UNIT: u64> Deserialize<'de> for Size<UNIT> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(SizeVisitor::<UNIT>)
    }
}

struct SizeVisitor<const UNIT: u64>;

impl<const UNIT: u64> Visitor<'_> for SizeVisitor<UNIT> {
    type Value = Size<UNIT>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = Size::<UNIT> { bytes: UNIT };
        write!(f, "a whole number (of {unit}) or text such as `600GiB`")
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Self::Value, E> {
        Size::from_number(number)
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<Self::Value, E> {
        let number = u64::try_from(number).map_err(|_| E::custom("a size must be more than 0"))?;
        Size::from_number(number)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
        let bytes = Config::new()
            .with_binary()
            .with_default_factor(UNIT)
            .parse_size(text)
            .map_err(|_| E::custom(format!("`{text}` is not a size such as `600GiB` or `15G`")))?;
        Size::from_bytes(bytes)
    }
}

impl<const UNIT: u64> JsonSchema for Size<UNIT> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("Size{UNIT}").into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let unit = Self { bytes: UNIT };
        json_schema!({
            "description": format!("A number of {unit}, or text with a unit: `600GiB`, `15G`. Units are powers of 1024."),
            "type": ["integer", "string"],
            "minimum": 1,
            "pattern": r"^\s*[0-9][0-9_.]*\s*([kKmMgGtTpPeE][iI]?)?[bB]?\s*$",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn parse(value: Value) -> Result<u64, String> {
        serde_json::from_value::<Size<GIB>>(value)
            .map(Size::bytes)
            .map_err(|error| error.to_string())
    }

    #[test]
    fn a_bare_number_is_in_the_default_unit() {
        assert_eq!(parse(json!(15)), Ok(15 * GIB));
        assert_eq!(parse(json!("15")), Ok(15 * GIB));
    }

    #[test]
    fn units_are_powers_of_1024() {
        assert_eq!(parse(json!("600GiB")), Ok(600 * GIB));
        assert_eq!(parse(json!("15G")), Ok(15 * GIB));
        assert_eq!(parse(json!("15 GB")), Ok(15 * GIB));
        assert_eq!(parse(json!("1.5T")), Ok(1536 * GIB));
        assert_eq!(parse(json!("512B")), Ok(512));
    }

    #[test]
    fn nothing_negative_or_not_a_size() {
        for value in [
            json!(0),
            json!(-1),
            json!("0G"),
            json!("big"),
            json!(""),
            json!(1.5),
            json!(true),
        ] {
            assert!(parse(value.clone()).is_err(), "{value}");
        }
        assert!(parse(json!(u64::MAX)).unwrap_err().contains("any pool"));
    }

    #[test]
    fn is_shown_in_the_largest_whole_unit() {
        assert_eq!(Size::<BYTE> { bytes: 1536 * GIB }.to_string(), "1536GiB");
        assert_eq!(Size::<BYTE> { bytes: 16 * KIB }.to_string(), "16KiB");
        assert_eq!(Size::<BYTE> { bytes: 513 }.to_string(), "513B");
    }
}
