//! Which secrets a plugin may name: those that the user handed it, and the displays' password.
//!
//! Without this rule a plugin could have any secret of the environment written into a device.

use std::collections::HashSet;

use serde_json::Value;

/// The password of displays, from `VNC_PASSWORD` as in the original tool.
const DISPLAY_PASSWORD: &str = "display-password";

/// The references a plugin may return.
#[derive(Debug)]
pub(super) struct Allowed(HashSet<String>);

impl Allowed {
    /// Collects the references written in the plugin's config value and its template.
    pub(super) fn of(config: Option<&Value>, template: &Value) -> Self {
        let mut allowed = HashSet::from([DISPLAY_PASSWORD.to_owned()]);
        for value in config.into_iter().chain([template]) {
            collect(value, &mut allowed);
        }
        Self(allowed)
    }

    /// Whether a plugin may return this reference.
    pub(super) fn contains(&self, reference: &str) -> bool {
        self.0.contains(reference)
    }
}

fn collect(value: &Value, into: &mut HashSet<String>) {
    match value {
        Value::String(text) if text.starts_with("env:") || text.starts_with("file:") => {
            into.insert(text.clone());
        }
        Value::Array(items) => items.iter().for_each(|item| collect(item, into)),
        Value::Object(members) => members.values().for_each(|member| collect(member, into)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_plugin_may_only_name_what_the_user_wrote_for_it() {
        let config = json!({"a": ["env:MINE"], "b": "plain"});
        let allowed = Allowed::of(Some(&config), &json!({"password": "file:/x"}));
        for (reference, expected) in [
            ("display-password", true),
            ("env:MINE", true),
            ("file:/x", true),
            ("env:TRUENAS_API_KEY", false),
            ("plain", false),
        ] {
            assert_eq!(allowed.contains(reference), expected, "{reference}");
        }
    }
}
