//! Calls without their secrets, for whatever is written down: the audit and recordings.
//!
//! Secrets are known by three things: the places that the plan's devices put them in, the names of
//! members, and the values found that way, wherever else they occur.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use crate::plan::{Plan, Step};

/// What stands where a secret was.
pub(crate) const HIDDEN: &str = "(secret)";

/// Parts of a member's name that announce a secret, whatever the plugin says of it.
const WORDS: [&str; 9] = [
    "password",
    "passphrase",
    "passwd",
    "secret",
    "token",
    "credential",
    "private",
    "api_key",
    "apikey",
];

/// Shorter texts occur by chance, and would blot out half of an error message.
const SHORTEST: usize = 4;

/// Hides what is secret in calls.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Redaction {
    /// JSON pointers into the attributes of devices.
    pointers: BTreeSet<String>,
}

impl Redaction {
    /// With these places in the attributes of devices.
    pub(crate) fn new<'a>(pointers: impl IntoIterator<Item = &'a str>) -> Self {
        Self {
            pointers: pointers.into_iter().map(str::to_owned).collect(),
        }
    }

    /// With the places that the devices of a plan have.
    pub(crate) fn of_plan(plan: &Plan) -> Self {
        let devices = plan.vms.iter().flat_map(|vm| {
            let made = vm.steps.iter().filter_map(|step| match step {
                Step::CreateDevice { device } => Some(device),
                _ => None,
            });
            vm.devices.iter().chain(made)
        });
        let secrets = devices.flat_map(|device| &device.secrets);
        Self::new(secrets.map(|secret| secret.pointer.as_str()))
    }

    /// The parameters without secrets, and what to hide in every text about them.
    pub(crate) fn apply(&self, params: &[Value]) -> (Value, Secrets) {
        let mut shown = Value::Array(params.to_vec());
        let mut secrets = Secrets::default();
        self.hide(&mut shown, &mut secrets);
        (shown, secrets)
    }

    /// Hides what is secret in a value, and whatever these secrets hold already; remembers what it
    /// finds.
    pub(crate) fn hide(&self, value: &mut Value, secrets: &mut Secrets) {
        self.by_place(value, secrets);
        by_name(value, secrets);
        secrets.hide_in(value);
    }

    /// Every object called `attributes` is that of a device (`vm.device.create`,
    /// `vm.device.update`, all versions).
    fn by_place(&self, value: &mut Value, secrets: &mut Secrets) {
        match value {
            Value::Object(members) => {
                if let Some(attributes) = members.get_mut("attributes") {
                    for pointer in &self.pointers {
                        if let Some(found) = attributes.pointer_mut(pointer) {
                            secrets.take(found);
                        }
                    }
                }
                for (_, member) in members.iter_mut() {
                    self.by_place(member, secrets);
                }
            }
            Value::Array(items) => {
                for item in items {
                    self.by_place(item, secrets);
                }
            }
            _ => {}
        }
    }
}

fn by_name(value: &mut Value, secrets: &mut Secrets) {
    match value {
        Value::Object(members) => {
            let property = is_user_property(members);
            for (name, member) in members.iter_mut() {
                if announces_a_secret(name) && !(property && name == "key") {
                    secrets.take(member);
                } else {
                    by_name(member, secrets);
                }
            }
        }
        Value::Array(items) => {
            for item in items {
                by_name(item, secrets);
            }
        }
        _ => {}
    }
}

/// `{key, value}` or `{key, remove}`: this key is a name (`pool.dataset.update`, all versions).
fn is_user_property(members: &Map<String, Value>) -> bool {
    members.contains_key("key") && (members.contains_key("value") || members.contains_key("remove"))
}

fn announces_a_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    name == "key" || name.ends_with("_key") || WORDS.iter().any(|word| name.contains(word))
}

/// Secrets that were found. `Debug` does not show them.
#[derive(Default)]
pub(crate) struct Secrets(BTreeSet<String>);

impl Secrets {
    /// Remembers a secret, to be hidden wherever it occurs.
    pub(crate) fn remember(&mut self, text: &str) {
        if text.len() >= SHORTEST {
            self.0.insert(text.to_owned());
        }
    }

    /// Hides a value and remembers it. What says nothing stays: an absent secret is no secret.
    pub(crate) fn take(&mut self, value: &mut Value) {
        match value {
            Value::Null | Value::Bool(_) => return,
            Value::String(text) if text == HIDDEN => return,
            Value::String(text) => self.remember(text),
            Value::Number(number) => self.remember(&number.to_string()),
            Value::Array(_) | Value::Object(_) => self.remember_all(value),
        }
        *value = Value::String(HIDDEN.to_owned());
    }

    fn remember_all(&mut self, value: &Value) {
        match value {
            Value::String(text) => self.remember(text),
            Value::Array(items) => items.iter().for_each(|item| self.remember_all(item)),
            Value::Object(members) => members.values().for_each(|one| self.remember_all(one)),
            _ => {}
        }
    }

    /// A text without these secrets.
    pub(crate) fn hidden(&self, text: &str) -> String {
        let mut text = text.to_owned();
        // The longest first: one secret may be a part of another.
        let mut all: Vec<&String> = self.0.iter().collect();
        all.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        for secret in all {
            if text.contains(secret.as_str()) {
                // One may be a part of what stands where another was.
                let parts = text.split(HIDDEN);
                let parts: Vec<_> = parts.map(|part| part.replace(secret, HIDDEN)).collect();
                text = parts.join(HIDDEN);
            }
        }
        text
    }

    fn hide_in(&self, value: &mut Value) {
        match value {
            Value::String(text) => *text = self.hidden(text),
            Value::Array(items) => items.iter_mut().for_each(|item| self.hide_in(item)),
            Value::Object(members) => members.values_mut().for_each(|one| self.hide_in(one)),
            _ => {}
        }
    }
}

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Secrets({})", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(pointers: &[&str], params: Value, expected: Value) {
        let (shown, _) = Redaction::new(pointers.iter().copied()).apply(params.as_array().unwrap());
        assert_eq!(shown, expected);
    }

    #[test]
    fn secrets_are_hidden_by_their_names() {
        for name in [
            "password",
            "VNC_Password",
            "passphrase",
            "key",
            "ssh_key",
            "api_key",
            "auth_token",
        ] {
            check(
                &[],
                json!([{name: "Hunter22", "port": 1}]),
                json!([{name: HIDDEN, "port": 1}]),
            );
            check(
                &[],
                json!([{name: ["a", {"b": 1}]}]),
                json!([{name: HIDDEN}]),
            );
            check(&[], json!([{name: null}]), json!([{name: null}]));
        }
    }

    #[test]
    fn secrets_are_hidden_where_the_plugin_puts_them() {
        let device = json!({"dtype": "LOCK", "pin": 123_456, "door": {"code": "abcd"}, "x": 1});
        let shown = json!({"dtype": "LOCK", "pin": HIDDEN, "door": {"code": HIDDEN}, "x": 1});
        let pointers = ["/pin", "/door/code", "/absent"];
        check(
            &pointers,
            json!([{"vm": 1, "attributes": device}]),
            json!([{"vm": 1, "attributes": shown}]),
        );
        check(
            &pointers,
            json!([7, {"attributes": device}]),
            json!([7, {"attributes": shown}]),
        );
    }

    #[test]
    fn a_secret_is_hidden_wherever_it_occurs_again() {
        check(
            &[],
            json!([{"password": "Hunter22", "url": "spice://:Hunter22@nas", "words": ["Hunter22"]}]),
            json!([{"password": HIDDEN, "url": "spice://:(secret)@nas", "words": [HIDDEN]}]),
        );
        let (_, secrets) = Redaction::default().apply(&[json!({"password": "Hunter22"})]);
        assert_eq!(
            secrets.hidden("bad password: Hunter22"),
            "bad password: (secret)"
        );
    }

    #[test]
    fn what_stands_for_a_secret_is_not_touched_again() {
        check(
            &[],
            json!([{"password": "secret", "token": "my secret token", "text": "my secret token, secret"}]),
            json!([{"password": HIDDEN, "token": HIDDEN, "text": "(secret), (secret)"}]),
        );
    }

    #[test]
    fn the_name_of_a_user_property_is_no_secret() {
        let update = json!(["tank", {"user_properties_update": [
            {"key": "tnvm:owner", "value": "x"}, {"key": "tnvm:lock-1", "remove": true}]}]);
        check(&[], update.clone(), update);
    }
}
