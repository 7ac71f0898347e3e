//! `vm.device.*`: the devices of VMs.

use std::fmt;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::query::read;
use crate::truenas::client::Client;
use crate::truenas::error::CallError;
use crate::truenas::method::Method;

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

    pub(super) fn read_leniently(row: Value, vm: u64) -> Option<Self> {
        let id = row.get("id").cloned();
        serde_json::from_value(row)
            .inspect_err(|_| {
                tracing::warn!(vm.id = vm, device.id = ?id, "left out a device that cannot be read");
            })
            .ok()
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
        let device = json!({"vm": vm, "attributes": attributes, "order": order});
        let answer = self.call(Method::DeviceCreate, vec![device]).await?;
        read(Method::DeviceCreate, answer)
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
