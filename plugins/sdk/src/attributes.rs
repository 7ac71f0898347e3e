//! A device's attributes, put together from layers.

use serde::Serialize;
use serde_json::{Map, Value};

/// What the server stores of a device: an object with `dtype`, in the shape of 25.04.2 and newer.
///
/// Built from the lowest layer up: the plugin's defaults, the template, what the user wrote in
/// the config, what is computed for this VM. A null in a layer means "not given here", which is
/// how templates mark what is to be filled in.
#[derive(Clone, Debug, PartialEq)]
pub struct Attributes(pub(crate) Map<String, Value>);

impl Attributes {
    /// The attributes of a device of this kind: `{"dtype": kind}`.
    pub fn new(kind: &str) -> Self {
        let mut map = Map::new();
        map.insert("dtype".to_owned(), kind.into());
        Self(map)
    }

    /// Lays `layer`, an object, over these attributes as RFC 7396 merges, but without removing:
    /// what is null or absent in the layer stays as it was below.
    pub fn over(mut self, layer: impl Serialize) -> Self {
        if let Ok(Value::Object(layer)) = serde_json::to_value(layer) {
            merge(&mut self.0, layer);
        }
        self
    }

    /// Sets one key, whatever the layers below say.
    pub fn set(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.0.insert(key.to_owned(), value.into());
        self
    }

    /// Sets one key if the attributes lack it: for what a server of some version leaves out.
    pub fn or_set(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.0.entry(key.to_owned()).or_insert_with(|| value.into());
        self
    }

    /// Takes keys away.
    pub fn without(mut self, keys: &[&str]) -> Self {
        for key in keys {
            self.0.shift_remove(*key);
        }
        self
    }

    /// The value of a key.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.0.get(key)
    }

    /// The value of a key that is text.
    pub fn text(&self, key: &str) -> Option<&str> {
        self.get(key).and_then(Value::as_str)
    }

    pub(crate) fn without_nulls(mut self) -> Self {
        self.0.retain(|_, value| !value.is_null());
        self
    }

    pub(crate) fn to_json(&self) -> String {
        Value::Object(self.0.clone()).to_string()
    }
}

fn merge(under: &mut Map<String, Value>, layer: Map<String, Value>) {
    for (key, value) in layer {
        match (value, under.get_mut(&key)) {
            (Value::Null, _) => {}
            (Value::Object(inner), Some(Value::Object(below))) => merge(below, inner),
            (value, _) => {
                under.insert(key, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_layer_wins_and_its_nulls_do_not_count() {
        let attributes = Attributes::new("USB")
            .over(json!({"type": "A", "usb": {"vendor_id": "0x1", "product_id": "0x2"}}))
            .over(json!({"type": null, "usb": {"product_id": "0x3"}, "wait": null}));
        let expected =
            json!({"dtype": "USB", "type": "A", "usb": {"vendor_id": "0x1", "product_id": "0x3"}});
        assert_eq!(Value::Object(attributes.0), expected);
    }
}
