//! Rules of NIC devices.

use serde_json::json;

use super::device::{Candidate, Complaints};
use crate::json::{Object, flag, given, text};
use crate::random;
use crate::world::{Interface, InterfaceKind, World};

/// NIC. Recorded on 25.10.7: `vm.device.create`. Nobody compares MACs on 25.10.
pub(super) fn check(world: &World, candidate: &Candidate<'_>, complaints: &mut Complaints) {
    let attributes = candidate.attributes;
    let attach = text(attributes, "nic_attach");
    let interface = attachable(world).find(|interface| interface.name == attach);
    if !attach.is_empty() && interface.is_none() {
        complaints.add("attributes.nic_attach", "Not a valid choice.");
    }
    if flag(attributes, "trust_guest_rx_filters") {
        if text(attributes, "type") != "VIRTIO" {
            complaints.add(
                "attributes.trust_guest_rx_filters",
                "This can only be set when \"type\" of NIC device is \"VIRTIO\"",
            );
        } else if interface.is_some_and(|interface| interface.kind == InterfaceKind::Bridge) {
            complaints.add(
                "attributes.trust_guest_rx_filters",
                "This can only be set when \"nic_attach\" is not a bridge device",
            );
        }
    }
    let mac = text(attributes, "mac").to_lowercase();
    if mac.starts_with("ff") {
        complaints.add("attributes.mac", "MAC address must not start with `ff`");
    }
    // Recorded on 26.0.0-BETA.3: only colons, and no MAC twice within one VM.
    if world.version.stores_generated_mac() && !parses(&mac) {
        complaints.add(
            "attributes.mac",
            "MAC address must be a colon-separated hexadecimal value (e.g. `00:a0:99:7e:bb:8a`)",
        );
    }
    let twice = world.version.stores_generated_mac()
        && !mac.is_empty()
        && world.devices_of(candidate.vm).any(|device| {
            Some(device.id) != candidate.id
                && text(&device.attributes, "mac").eq_ignore_ascii_case(&mac)
        });
    if twice {
        let name = world
            .vms
            .get(&candidate.vm)
            .map_or("", crate::world::Vm::name);
        let why = format!("{name} already has a NIC with MAC address '{mac}' configured");
        complaints.add("attributes.mac", why);
    }
}

/// 26 stores a generated MAC; 25.10 keeps null and gives the guest another at every
/// start. Recorded on both lines.
pub(super) fn prepare(world: &World, attributes: &mut Object) {
    if !world.version.stores_generated_mac() {
        return;
    }
    if !given(attributes, "mac") {
        attributes.insert("mac".into(), json!(random::mac()));
    }
}

/// Interfaces a NIC may attach to: no members of bridges or bonds. Code reading:
/// `interface.choices` as used by `vm.device.nic_attach_choices`; recorded on 25.10.7.
pub(crate) fn attachable(world: &World) -> impl Iterator<Item = &Interface> {
    world.interfaces.iter().filter(|interface| {
        !world.interfaces.iter().any(|other| {
            other.kind != InterfaceKind::Vlan && other.members.contains(&interface.name)
        })
    })
}

/// Whether libvirt understands a MAC: only with colons, though the schema takes dashes and none too.
/// Code reading: NIC device XML, 25.04.2 to 25.10.
pub(super) fn parses(mac: &str) -> bool {
    mac.is_empty() || mac.split(':').count() == 6
}
