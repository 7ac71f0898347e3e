//! Rules of PCI and USB devices. Code reading: device classes of 25.10; texts are approximations.

use super::device::{Candidate, Complaints};
use crate::json::{Object, given, text};
use crate::world::{Device, UsbDevice, World};

/// PCI or USB.
pub(super) fn check(world: &World, candidate: &Candidate<'_>, complaints: &mut Complaints) {
    let attributes = candidate.attributes;
    if text(attributes, "dtype") == "PCI" {
        let name = text(attributes, "pptdev");
        match world.pci.iter().find(|device| device.name == name) {
            // The server writes `attribute` without an s here.
            None => complaints.add(
                "attribute.pptdev",
                "Not a valid choice. The PCI device is not available for passthru.",
            ),
            Some(device) if !device.available => {
                complaints.add(
                    "attribute.pptdev",
                    format!(
                        "{name} is not available for PCI passthrough: it is critical for system"
                    ),
                );
            }
            Some(_) => {}
        }
        let taken = world.devices_of(candidate.vm).any(|device| {
            Some(device.id) != candidate.id && text(&device.attributes, "pptdev") == name
        });
        if taken {
            complaints.add(
                "attribute.pptdev",
                format!("PCI device {name} is already configured for this VM"),
            );
        }
        return;
    }
    match (given(attributes, "usb"), given(attributes, "device")) {
        (true, true) => complaints.add(
            "attributes.usb",
            "Either device must be specified or USB details but not both",
        ),
        (false, false) => complaints.add(
            "attributes.device",
            "Either device or attributes.usb must be specified",
        ),
        _ if usb_of(world, attributes).is_none() => {
            let key = if given(attributes, "device") {
                "attributes.device"
            } else {
                "attributes.usb"
            };
            complaints.add(key, "USB device not found");
        }
        _ => {}
    }
}

/// Whether the hardware is there and no other running VM has it.
pub(super) fn is_usable(world: &World, device: &Device) -> bool {
    let present = match device.dtype() {
        "PCI" => {
            let name = text(&device.attributes, "pptdev");
            world
                .pci
                .iter()
                .any(|other| other.name == name && other.available)
        }
        _ => usb_of(world, &device.attributes).is_some(),
    };
    let taken = world.devices.values().any(|other| {
        other.vm != device.vm
            && other.dtype() == device.dtype()
            && label(other) == label(device)
            && world
                .vms
                .get(&other.vm)
                .is_some_and(crate::world::Vm::is_active)
    });
    present && !taken
}

/// How a device is named in messages.
pub(super) fn label(device: &Device) -> String {
    let attributes = &device.attributes;
    for key in ["pptdev", "device"] {
        if given(attributes, key) {
            return text(attributes, key).to_owned();
        }
    }
    attributes
        .get("usb")
        .map(ToString::to_string)
        .unwrap_or_default()
}

fn usb_of<'a>(world: &'a World, attributes: &Object) -> Option<&'a UsbDevice> {
    let name = text(attributes, "device");
    let ids = attributes.get("usb").and_then(serde_json::Value::as_object);
    world.usb.iter().find(|device| match ids {
        Some(ids) => {
            text(ids, "vendor_id") == device.vendor_id
                && text(ids, "product_id") == device.product_id
        }
        None => device.name == name,
    })
}
