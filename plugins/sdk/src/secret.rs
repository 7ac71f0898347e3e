//! References to secrets. The secrets themselves never reach a plugin.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserialize, Deserializer, Visitor};

/// Where a secret is, written by the user: `env:NAME` or `file:PATH`. Anything else is refused,
/// and never repeated in the error: it may be the secret itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretReference(String);

impl SecretReference {
    /// The reference as the user wrote it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Takes a reference from elsewhere than the config, such as a template.
    ///
    /// # Errors
    /// One sentence that does not repeat `text`.
    pub fn parse(text: &str) -> Result<Self, String> {
        let valid = match text.split_once(':') {
            Some(("env", name)) => {
                !name.is_empty()
                    && !name.starts_with(|first: char| first.is_ascii_digit())
                    && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
            }
            Some(("file", path)) => !path.is_empty(),
            _ => false,
        };
        if !valid {
            return Err(
                "a secret is not written in clear, only where it is: `env:NAME` or `file:PATH`"
                    .to_owned(),
            );
        }
        Ok(Self(text.to_owned()))
    }
}

impl<'de> Deserialize<'de> for SecretReference {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ReferenceVisitor)
    }
}

struct ReferenceVisitor;

impl Visitor<'_> for ReferenceVisitor {
    type Value = SecretReference;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("`env:NAME` or `file:PATH`")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<SecretReference, E> {
        SecretReference::parse(text).map_err(E::custom)
    }

    // serde's own message for the wrong type shows the value, and a password may be a number.
    fn visit_u64<E: de::Error>(self, _: u64) -> Result<SecretReference, E> {
        SecretReference::parse("").map_err(E::custom)
    }

    fn visit_i64<E: de::Error>(self, _: i64) -> Result<SecretReference, E> {
        SecretReference::parse("").map_err(E::custom)
    }

    fn visit_f64<E: de::Error>(self, _: f64) -> Result<SecretReference, E> {
        SecretReference::parse("").map_err(E::custom)
    }
}

impl JsonSchema for SecretReference {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "SecretReference".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "Where the secret is: `env:NAME` or `file:PATH`. Never the secret itself.",
            "type": "string",
            "pattern": "^(env:[A-Za-z_][A-Za-z0-9_]*|file:.+)$",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn parse(value: Value) -> Result<SecretReference, String> {
        serde_json::from_value(value).map_err(|error| error.to_string())
    }

    #[test]
    fn references_are_kept_as_written() {
        assert_eq!(
            parse(json!("env:VNC_PASSWORD")).unwrap().as_str(),
            "env:VNC_PASSWORD"
        );
        assert_eq!(
            parse(json!("file:/run/secret:1")).unwrap().as_str(),
            "file:/run/secret:1"
        );
    }

    #[test]
    fn a_secret_in_clear_is_refused_and_not_repeated() {
        for value in [
            json!("hunter2"),
            json!("env:"),
            json!("env:1A"),
            json!("file:"),
            json!(73219),
        ] {
            let message = parse(value).unwrap_err();
            assert!(message.contains("env:NAME"), "{message}");
            assert!(
                !message.contains("hunter2") && !message.contains("73219"),
                "{message}"
            );
        }
    }
}
