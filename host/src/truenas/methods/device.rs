//! `vm.device.*`: the devices of VMs.

use std::fmt;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::query::Query;
use crate::truenas::client::Client;
use crate::truenas::error::CallError;
use crate::truenas::limits;
use crate::truenas::method::Method;
use crate::truenas::profile::{self, Profile};

/// A device as the server shows it.
#[derive(Clone, PartialEq, Deserialize)]
pub struct DeviceEntry {
    /// The server's id.
    pub id: u64,
    /// Attributes with `dtype`. May hold a display password; `Debug` shows only their names and `dtype`.
    #[serde(default)]
    pub attributes: Map<String, Value>,
    /// Order, where known; lower boots first.
    #[serde(default)]
    pub order: Option<u32>,
}

impl fmt::Debug for DeviceEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.attributes.keys().collect();
        f.debug_struct("DeviceEntry")
            .field("id", &self.id)
            .field("dtype", &self.dtype())
            .field("order", &self.order)
            .field("attributes", &names)
            .finish()
    }
}

impl DeviceEntry {
    /// The kind of device, for example `DISK`.
    #[must_use]
    pub fn dtype(&self) -> Option<&str> {
        self.attributes.get("dtype").and_then(Value::as_str)
    }

    /// From a row of the server, wherever it has `dtype`.
    fn read(mut row: Value) -> Result<Self, serde_json::Error> {
        profile::inside(&mut row);
        serde_json::from_value(row)
    }

    pub(super) fn read_leniently(row: Value, vm: u64) -> Option<Self> {
        let id = row.get("id").cloned();
        Self::read(row)
            .inspect_err(|_| {
                tracing::warn!(vm.id = vm, device.id = ?id, "left out a device that cannot be read");
            })
            .ok()
    }
}

/// What is to change about a device. Which of the two objects is sent is a matter of the server's
/// version: some merge `changed` into what they have, others want `whole`.
#[derive(Clone, Default, PartialEq)]
pub struct DeviceChange {
    /// The attributes that change, with their new values; without any, only the order changes.
    pub changed: Map<String, Value>,
    /// All attributes as they are to be, `dtype` included: those that the server showed, with
    /// `changed` over them.
    pub whole: Map<String, Value>,
    /// The new order, where it changes. Other devices with the same order are moved up.
    pub order: Option<u32>,
}

impl fmt::Debug for DeviceChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeviceChange")
            .field("changed", &self.changed.keys().collect::<Vec<_>>())
            .field("whole", &self.whole.keys().collect::<Vec<_>>())
            .field("order", &self.order)
            .finish()
    }
}

/// What the server shows instead of a secret to who may not read it (25.04 and newer). Written
/// back it is stored as the secret.
pub const MASK: &str = "********";

impl DeviceChange {
    /// The second argument of `vm.device.update`.
    fn argument(self, profile: &Profile) -> Result<Value, CallError> {
        let method = Method::DeviceUpdate;
        let mut argument = Map::new();
        if let Some(order) = self.order {
            argument.insert("order".into(), json!(order));
        }
        if self.changed.is_empty() {
            return Ok(Value::Object(argument));
        }
        // The server gives a disk its serial and refuses another one (25.04.2 and newer).
        if self.changed.contains_key("serial") {
            let attribute = "serial".to_owned();
            return Err(CallError::FixedAttribute { method, attribute });
        }
        let raw = self.whole.get("dtype").and_then(Value::as_str) == Some("RAW");
        let mut attributes = if profile.updates_device_partially() {
            self.changed
        } else {
            // What is not in `changed` was read from the server. A new value may well be asterisks.
            let masked = self
                .whole
                .iter()
                .find(|(key, value)| !self.changed.contains_key(*key) && is_masked(value));
            if let Some((attribute, _)) = masked {
                let attribute = attribute.clone();
                return Err(CallError::MaskedSecret { method, attribute });
            }
            self.whole
        };
        if raw {
            // Not stored, but checked at every update: without it the file must not exist yet.
            attributes.entry("exists").or_insert(Value::Bool(true));
        }
        argument.extend(profile.with_attributes(attributes));
        Ok(Value::Object(argument))
    }
}

fn is_masked(value: &Value) -> bool {
    match value {
        Value::String(text) => text == MASK,
        Value::Array(items) => items.iter().any(is_masked),
        Value::Object(members) => members.values().any(is_masked),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

impl Client {
    /// Adds a device to a VM. `attributes` holds `dtype`; a running VM gets it at its next start.
    ///
    /// # Errors
    /// [`CallError::Refused`] names the field; as any call otherwise. When
    /// [`may_have_run`](CallError::may_have_run) the device may exist: look at the VM.
    pub async fn create_device(
        &self,
        vm: u64,
        attributes: Map<String, Value>,
        order: u32,
    ) -> Result<DeviceEntry, CallError> {
        let mut device = self.profile().new_device(attributes);
        device.insert("vm".into(), json!(vm));
        device.insert("order".into(), json!(order));
        let method = Method::DeviceCreate;
        let answer = self.call(method, vec![Value::Object(device)]).await?;
        DeviceEntry::read(answer).map_err(|error| {
            CallError::protocol(method, format!("the answer cannot be read: {error}"))
        })
    }

    /// Changes a device. Attributes that do not change keep their values; a running VM gets the
    /// change at its next start.
    ///
    /// # Errors
    /// [`CallError::MaskedSecret`] and [`CallError::FixedAttribute`] before anything is sent;
    /// [`CallError::Refused`] names the field; [`CallError::NotFound`] when there is no such
    /// device; as any call otherwise.
    pub async fn update_device(&self, id: u64, change: DeviceChange) -> Result<(), CallError> {
        let argument = change.argument(self.profile())?;
        self.call(Method::DeviceUpdate, vec![json!(id), argument])
            .await
            .map(drop)
    }

    /// The ids of the VMs that have a zvol as a disk.
    ///
    /// # Errors
    /// As any call.
    pub async fn disk_holders(&self, dataset: &str) -> Result<Vec<u64>, CallError> {
        let path = format!("/dev/zvol/{}", dataset.replace(' ', "+"));
        let query = Query::new(vec![json!(["attributes.path", "=", path])]);
        let rows = self
            .rows(Method::DeviceQuery, &query, limits::VM_PAGE)
            .await?;
        let vm = |row: &Value| row.get("vm").and_then(Value::as_u64);
        Ok(rows.iter().filter_map(vm).collect())
    }

    /// Removes a device from its VM and leaves its zvol or file. The caller looks afterwards.
    ///
    /// # Errors
    /// When the VM is active; [`CallError::NotFound`] when there is no such device; as any call
    /// otherwise.
    pub async fn delete_device(&self, id: u64) -> Result<(), CallError> {
        let options = json!({"zvol": false, "raw_file": false, "force": false});
        self.call(Method::DeviceDelete, vec![json!(id), options])
            .await
            .map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::release::Release;

    /// A version that replaces all attributes, one that wants them all, one that merges.
    const LINES: [&str; 3] = ["24.10.2", "25.04.2", "25.10.7"];

    fn argument(change: DeviceChange, version: &str) -> Result<Value, CallError> {
        change.argument(&Profile::new(Release::of_text(version)))
    }

    fn object(value: Value) -> Map<String, Value> {
        value.as_object().expect("an object").clone()
    }

    fn display() -> DeviceChange {
        DeviceChange {
            changed: object(json!({"port": 5912})),
            whole: object(json!({"dtype": "DISPLAY", "port": 5912, "bind": "10.0.0.1",
                "password": "hunter2"})),
            order: Some(1003),
        }
    }

    #[test]
    fn where_attributes_are_merged_only_what_changes_is_sent() {
        let sent = argument(display(), "25.10.7").expect("an argument");
        assert_eq!(sent, json!({"attributes": {"port": 5912}, "order": 1003}));
    }

    #[test]
    fn where_they_are_replaced_everything_is_sent() {
        let whole = display().whole;
        let sent = argument(display(), "25.04.2").expect("an argument");
        assert_eq!(sent, json!({"attributes": whole, "order": 1003}));
        let mut whole = display().whole;
        let dtype = whole.shift_remove("dtype");
        let sent = argument(display(), "24.10.2").expect("an argument");
        assert_eq!(
            sent,
            json!({"dtype": dtype, "attributes": whole, "order": 1003})
        );
    }

    #[test]
    fn without_a_changed_attribute_only_the_order_is_sent() {
        for version in LINES {
            let mut change = display();
            change.changed.clear();
            let sent = argument(change, version).expect("an argument");
            assert_eq!(sent, json!({"order": 1003}));
        }
    }

    #[test]
    fn a_mask_that_was_read_is_never_written_back() {
        let mut change = display();
        change.whole.insert("password".into(), json!(MASK));
        for version in ["24.10.2", "25.04.2"] {
            let error = argument(change.clone(), version).expect_err("a mask");
            assert!(
                matches!(&error, CallError::MaskedSecret { attribute, .. } if attribute == "password"),
                "{error:?}"
            );
            assert!(!error.may_have_run());
        }
        assert!(
            argument(change.clone(), "25.10.7").is_ok(),
            "it is not sent"
        );
        // The same characters as the new password are the user's business.
        change.changed.insert("password".into(), json!(MASK));
        assert!(argument(change, "24.10.2").is_ok());
    }

    #[test]
    fn a_mask_deep_inside_is_found() {
        let mut change = display();
        change
            .whole
            .insert("list".into(), json!([{"secret": MASK}]));
        assert!(argument(change, "25.04.2").is_err());
    }

    #[test]
    fn the_serial_of_a_disk_is_not_changed() {
        for version in LINES {
            let mut change = display();
            change.changed.insert("serial".into(), json!("x"));
            assert!(matches!(
                argument(change, version),
                Err(CallError::FixedAttribute { .. })
            ));
        }
    }

    #[test]
    fn the_file_of_a_raw_device_exists() {
        for version in LINES {
            let change = DeviceChange {
                changed: object(json!({"boot": true})),
                whole: object(json!({"dtype": "RAW", "path": "/mnt/tank/x", "boot": true})),
                order: None,
            };
            let sent = argument(change, version).expect("an argument");
            assert_eq!(sent.pointer("/attributes/exists"), Some(&json!(true)));
        }
    }

    #[test]
    fn a_change_does_not_show_its_values() {
        let mut change = display();
        change.changed.insert("password".into(), json!("hunter2"));
        let shown = format!("{change:?}");
        assert!(
            shown.contains("password") && !shown.contains("hunter2"),
            "{shown}"
        );
    }

    #[test]
    fn a_password_is_not_shown() {
        let row =
            json!({"id": 1, "order": 1, "attributes": {"dtype": "DISPLAY", "password": "hunter2"}});
        let device: DeviceEntry = serde_json::from_value(row).expect("a device");
        let shown = format!("{device:?}");
        assert!(
            shown.contains("DISPLAY") && !shown.contains("hunter2"),
            "{shown}"
        );
    }
}
