//! The device template that a plan starts from. It does not know where the file is.

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::read::read;
use crate::{Problem, Problems, pointer};

/// The device template of the same name as the plugin, inheritance resolved.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Template {
    /// The attributes, with nulls where a value is to be filled in.
    #[serde(default)]
    pub attributes: Map<String, Value>,
    /// The boot order number of the (first) device, where the template fixes one.
    #[serde(default)]
    pub order: Option<u32>,
}

impl Template {
    /// As [`Template::layer`], read into `T`, whose fields are options: one set of types then
    /// guards what comes from the config and what comes from the template. Values that are no
    /// `T` become errors, and the answer is `T::default()`.
    pub fn read<T: DeserializeOwned + Default>(
        &self,
        kind: &str,
        known: &[&str],
        ignored: &[&str],
        problems: &mut Problems,
    ) -> T {
        let layer = Value::Object(self.layer(kind, known, ignored, problems));
        read(&layer).unwrap_or_else(|misfit| {
            let mut place = vec!["attributes"];
            place.extend(misfit.path());
            problems.push(Problem::template(pointer(&place), misfit.to_string()));
            T::default()
        })
    }

    /// The attributes to lay over a plugin's defaults: nulls and the keys in `ignored` dropped.
    ///
    /// A `dtype` other than `kind` and keys that are neither in `known` nor in `ignored` become
    /// errors, with the nearest known key named.
    pub fn layer(
        &self,
        kind: &str,
        known: &[&str],
        ignored: &[&str],
        problems: &mut Problems,
    ) -> Map<String, Value> {
        let mut layer = Map::new();
        for (key, value) in &self.attributes {
            let place = pointer(&["attributes", key]);
            if key == "dtype" {
                if !value.is_null() && value.as_str() != Some(kind) {
                    let message =
                        format!("`dtype` is {value}, but this device type makes `{kind}`");
                    problems.push(
                        Problem::template(place, message)
                            .help(format!("Write `\"dtype\": \"{kind}\"`, or move the template to the device type it is for.")),
                    );
                }
            } else if known.contains(&key.as_str()) {
                if !value.is_null() {
                    layer.insert(key.clone(), value.clone());
                }
            } else if !ignored.contains(&key.as_str()) {
                let message = format!("`{key}` is not an attribute of a {kind} device");
                problems.push(Problem::template(place, message).help(suggestion(key, known)));
            }
        }
        layer
    }
}

fn suggestion(key: &str, known: &[&str]) -> String {
    let nearest = known.iter().min_by_key(|name| distance(key, name));
    match nearest {
        Some(name) if distance(key, name) <= 1 + key.len() / 3 => {
            format!("Did you mean `{name}`?")
        }
        _ => format!("Remove it; known are {}.", known.join(", ")),
    }
}

/// How many letters to add, remove or change to make one word of the other.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.chars().count()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut left = i + 1;
        let mut diagonal = i;
        let mut next = vec![left];
        for (to, above) in b.chars().zip(row.iter().skip(1)) {
            let change = diagonal + usize::from(from != to);
            diagonal = *above;
            left = change.min(above + 1).min(left + 1);
            next.push(left);
        }
        row = next;
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn distance_counts_edits() {
        assert_eq!(distance("resolutoin", "resolution"), 2);
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("same", "same"), 0);
    }

    #[test]
    fn unknown_keys_are_told_with_the_nearest_and_nulls_dropped() {
        let template: Template = serde_json::from_value(json!({
            "vm": null,
            "attributes": {"dtype": "NIC", "typ": "E1000", "mac": null, "old": 1, "type": "VIRTIO"},
        }))
        .unwrap();
        let mut problems = Problems::default();
        let layer = template.layer("NIC", &["type", "mac"], &["old"], &mut problems);
        assert_eq!(Value::Object(layer), json!({"type": "VIRTIO"}));
        let crate::Failure::Invalid(found) = problems.into_warnings().unwrap_err() else {
            panic!("invalid expected");
        };
        assert_eq!(found[0].pointer, "/attributes/typ");
        assert_eq!(found[0].help.as_deref(), Some("Did you mean `type`?"));
        assert_eq!(found.len(), 1);
    }

    #[test]
    fn a_template_of_another_kind_is_refused() {
        let template: Template =
            serde_json::from_value(json!({"attributes": {"dtype": "DISK"}})).unwrap();
        let mut problems = Problems::default();
        template.layer("NIC", &[], &[], &mut problems);
        assert!(problems.has_errors());
    }
}
