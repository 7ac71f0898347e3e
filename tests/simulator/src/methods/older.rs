//! Older API paths on newer servers: which methods are not there, and what is converted on the way in
//! and out. Only what a client of VMs meets; everything else passes as it is.
//!
//! Recorded on 25.10.7 at `/api/v25.04.0` and `/api/v25.04.2`, and on 27 at `/api/v25.10.0` and
//! `/api/v26.0.0`; the list of missing methods by code reading (models that were renamed).

use serde_json::{Value, json};

use crate::errors::{ENOMETHOD, Failure};
use crate::version::Line;

/// Methods whose models have another name since 25.10, so that `/api/v25.04.2` lacks them there.
const RENAMED: [&str; 18] = [
    "vm.bootloader_ovmf_choices",
    "vm.maximum_supported_vcpus",
    "vm.cpu_model_choices",
    "vm.guest_architecture_and_machine_choices",
    "vm.get_display_web_uri",
    "vm.get_vmemory_in_use",
    "vm.get_vm_memory_info",
    "vm.device.iotype_choices",
    "vm.device.nic_attach_choices",
    "vm.device.iommu_enabled",
    "vm.device.pptdev_choices",
    "vm.device.usb_passthrough_device",
    "vm.device.usb_passthrough_choices",
    "vm.device.usb_controller_choices",
    "system.info",
    "auth.login_with_api_key",
    "pool.dataset.query",
    "pool.dataset.get_instance",
];

/// Why a method cannot be called at a path with the shapes of `shape` on a server of `server`.
pub(crate) fn absent(shape: Line, server: Line, method: &str) -> Option<Failure> {
    if shape == server {
        return None;
    }
    let without_vms = shape == Line::V25_04_0 && method.starts_with("vm.");
    let before_25_10 = shape <= Line::V25_04 && server >= Line::V25_10;
    if before_25_10 && method == "pool.snapshot.query" {
        // The list of a query is looked for under the name of its result.
        return Some(Failure::exception(
            "APIVersionDoesNotContainModelException",
            "API version 'v25.04.2' does not contain model 'PoolSnapshotQueryResult'",
        ));
    }
    let renamed = RENAMED.contains(&method)
        || method.starts_with("pool.dataset.")
        || method.starts_with("pool.snapshot.");
    let is_absent = without_vms || (before_25_10 && renamed);
    if !is_absent {
        return None;
    }
    let (service, name) = method.rsplit_once('.').unwrap_or(("", method));
    Some(Failure::Call {
        errno: ENOMETHOD,
        text: format!("Method '{name}' not found in '{service}'"),
    })
}

/// Parameters of an older shape as the server takes them.
pub(crate) fn upwards(shape: Line, server: Line, method: &str, params: &mut [Value]) {
    if shape < Line::V26 && server >= Line::V26 && method == "vm.create" {
        // Its default was another.
        if let Some(data) = params.first_mut().and_then(Value::as_object_mut) {
            data.entry("suspend_on_snapshot")
                .or_insert_with(|| json!(false));
        }
    }
}

/// A result in an older shape.
pub(crate) fn downwards(shape: Line, server: Line, method: &str, result: Value) -> Value {
    if shape == server {
        return result;
    }
    let mut result = result;
    if shape < Line::V26 && server >= Line::V26 {
        match method {
            "vm.delete" => result = json!(true),
            // Two lists are no map of names, so nothing of them is left.
            "vm.device.nic_attach_choices" => result = json!({}),
            _ => {}
        }
    }
    if shape < Line::V27 && server >= Line::V27 && method.starts_with("vm.") {
        without(&mut result, "pci_address");
    }
    result
}

/// Takes a member out of every object within.
fn without(value: &mut Value, key: &str) {
    match value {
        Value::Object(object) => {
            object.shift_remove(key);
            object.values_mut().for_each(|inner| without(inner, key));
        }
        Value::Array(items) => items.iter_mut().for_each(|inner| without(inner, key)),
        _ => {}
    }
}
