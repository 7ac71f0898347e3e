//! Secrets of devices: looked up before a VM is touched, put in place right before the call.
//!
//! Knows no source of secrets; the command line brings one.

use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value};

use super::failure::StepError;
use crate::resolve::DesiredDevice;

/// Where secrets come from.
pub trait SecretSource: Send + Sync {
    /// The secret behind a reference as a device carries it: `display-password`, `env:NAME` or
    /// `file:PATH`.
    ///
    /// # Errors
    /// When there is none, or it cannot be read.
    fn resolve(&self, reference: &str) -> Result<SecretString, SecretError>;
}

/// A secret is not to be had or has no place. Never holds the secret itself.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    /// The source does not give it.
    #[error("the secret {reference} is not available: {reason}")]
    Unavailable {
        /// As the device names it.
        reference: String,
        /// Why not.
        reason: String,
    },
    /// The attributes have no such place.
    #[error("the secret {reference} has no place at {pointer:?} in the attributes of the device")]
    NoPlace {
        /// As the device names it.
        reference: String,
        /// The JSON pointer.
        pointer: String,
    },
}

/// The secrets of one device with the places they go to.
#[derive(Default)]
pub(super) struct Secrets(Vec<(String, String, SecretString)>);

impl Secrets {
    /// Looks all secrets of a device up.
    pub(super) fn of(
        device: &DesiredDevice,
        source: &dyn SecretSource,
    ) -> Result<Self, SecretError> {
        let all = device.secrets.iter().map(|one| {
            let secret = source.resolve(&one.secret)?;
            Ok((one.pointer.clone(), one.secret.clone(), secret))
        });
        all.collect::<Result<_, _>>().map(Self)
    }

    /// A failure without these secrets: the server may repeat what it was given.
    pub(super) fn hidden_in(&self, error: StepError) -> StepError {
        let all: Vec<&str> = self
            .0
            .iter()
            .map(|(_, _, one)| one.expose_secret())
            .collect();
        match error {
            StepError::Call(error) => StepError::Call(error.hiding(&all)),
            other => other,
        }
    }

    /// The attributes with the secrets in place.
    pub(super) fn put_into(
        &self,
        attributes: &Map<String, Value>,
    ) -> Result<Map<String, Value>, SecretError> {
        let mut whole = Value::Object(attributes.clone());
        for (pointer, reference, secret) in &self.0 {
            let value = Value::String(secret.expose_secret().to_owned());
            put(&mut whole, pointer, value).ok_or_else(|| SecretError::NoPlace {
                reference: reference.clone(),
                pointer: pointer.clone(),
            })?;
        }
        match whole {
            Value::Object(filled) => Ok(filled),
            _ => Ok(Map::new()),
        }
    }
}

/// Puts a value at a pointer whose parent must exist; the last member need not.
fn put(whole: &mut Value, pointer: &str, value: Value) -> Option<()> {
    let (parent, last) = pointer.rsplit_once('/')?;
    match whole.pointer_mut(parent)? {
        Value::Object(members) => {
            members.insert(last.replace("~1", "/").replace("~0", "~"), value);
        }
        Value::Array(items) => *items.get_mut(last.parse::<usize>().ok()?)? = value,
        _ => return None,
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(attributes: Value, pointer: &str, expected: Option<Value>) {
        let secrets = Secrets(vec![(pointer.into(), "env:X".into(), "s3cret".into())]);
        let filled = secrets.put_into(attributes.as_object().unwrap());
        assert_eq!(filled.clone().ok().map(Value::Object), expected);
        if let Err(error) = filled {
            assert!(!error.to_string().contains("s3cret"));
        }
    }

    #[test]
    fn a_secret_goes_where_the_pointer_says() {
        check(
            json!({"dtype": "DISPLAY"}),
            "/password",
            Some(json!({"dtype": "DISPLAY", "password": "s3cret"})),
        );
        check(
            json!({"a": {"b": [null]}}),
            "/a/b/0",
            Some(json!({"a": {"b": ["s3cret"]}})),
        );
        check(json!({}), "/x~1y~0z", Some(json!({"x/y~z": "s3cret"})));
    }

    #[test]
    fn a_pointer_without_a_place_is_an_error() {
        for pointer in ["", "password", "/a/b", "/list/3", "/text/x"] {
            check(json!({"list": [], "text": "t"}), pointer, None);
        }
    }
}
