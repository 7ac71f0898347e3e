//! Rules of DISPLAY devices: ports, addresses, passwords.

use std::collections::BTreeSet;
use std::net::IpAddr;

use serde_json::json;

use super::device::{Candidate, Complaints};
use crate::errors::Failure;
use crate::json::{Object, flag, given, int, text};
use crate::world::World;

/// Lowest port of a display, and where the wizard starts counting.
const FIRST_PORT: i64 = 5900;
/// Never given and always refused. Recorded on 25.10.7: the server's own list of used ports.
const RESERVED_PORT: i64 = 6000;
/// Longest VNC password. Code reading: display device, 25.10.
const VNC_PASSWORD: usize = 8;

/// DISPLAY. Recorded on 25.10.7: `vm.device.create`; the range of `web_port` by code reading, its
/// text is ours.
pub(super) fn check(
    world: &World,
    candidate: &Candidate<'_>,
    complaints: &mut Complaints,
) -> Result<(), Failure> {
    let attributes = candidate.attributes;
    let bind = text(attributes, "bind");
    if bind.parse::<IpAddr>().is_err() {
        return Err(Failure::exception(
            "ValueError",
            format!("'{bind}' does not appear to be an IPv4 or IPv6 interface"),
        ));
    }
    let password = text(attributes, "password");
    // Recorded on 25.10.7, and the other way round on 27.
    if world.version.uses_pylibvirt() {
        check_vnc(attributes, complaints);
        check_only_one(world, candidate, complaints);
    } else {
        check_only_one(world, candidate, complaints);
        check_vnc(attributes, complaints);
    }
    check_ports(world, candidate, complaints);
    if !bind_choices(world).iter().any(|choice| choice == bind) {
        complaints.add("attributes.bind", "Requested bind address is not valid");
    }
    if password.trim().is_empty() {
        complaints.add(
            "attributes.password",
            "Password is required for display devices",
        );
    }
    Ok(())
}

/// Gives free ports where none were given. Recorded on 25.10.7.
pub(crate) fn fill_ports(world: &World, id: Option<i64>, attributes: &mut Object) {
    let mut used = used_ports(world, id);
    used.extend(
        ["port", "web_port"]
            .iter()
            .filter_map(|key| int(attributes, key)),
    );
    for key in ["port", "web_port"] {
        if !given(attributes, key) {
            let port = next_free(&used);
            used.insert(port);
            attributes.insert(key.into(), json!(port));
        }
    }
}

/// `vm.port_wizard`: the next two free ports. Recorded on 25.10.7.
pub(crate) fn port_wizard(world: &World) -> (i64, i64) {
    let mut used = used_ports(world, None);
    let port = next_free(&used);
    used.insert(port);
    (port, next_free(&used))
}

/// Ports taken by displays of any VM, and 6000.
pub(crate) fn used_ports(world: &World, except: Option<i64>) -> BTreeSet<i64> {
    let mut used: BTreeSet<i64> = world
        .devices
        .values()
        .filter(|device| device.dtype() == "DISPLAY" && Some(device.id) != except)
        .flat_map(|device| {
            [
                int(&device.attributes, "port"),
                int(&device.attributes, "web_port"),
            ]
        })
        .flatten()
        .collect();
    used.insert(RESERVED_PORT);
    used
}

/// Addresses a display may bind to: static ones, and the usual four. Recorded on 25.10.7; addresses
/// given by DHCP are not among them (code reading: `interface.ip_in_use` with `static`).
pub(crate) fn bind_choices(world: &World) -> Vec<String> {
    let mut choices = vec!["0.0.0.0".to_owned(), "::".to_owned()];
    for address in world
        .interfaces
        .iter()
        .flat_map(|interface| &interface.addresses)
    {
        choices.push(address.split('/').next().unwrap_or(address).to_owned());
    }
    choices.extend(["127.0.0.1".to_owned(), "::1".to_owned()]);
    choices
}

fn check_only_one(world: &World, candidate: &Candidate<'_>, complaints: &mut Complaints) {
    let kind = text(candidate.attributes, "type");
    let another = world.devices_of(candidate.vm).any(|device| {
        Some(device.id) != candidate.id
            && device.dtype() == "DISPLAY"
            && text(&device.attributes, "type") == kind
    });
    if another {
        complaints.add(
            "attributes.type",
            format!("Only one {kind} Display device is supported"),
        );
    }
}

fn check_vnc(attributes: &Object, complaints: &mut Complaints) {
    if text(attributes, "type") != "VNC" {
        return;
    }
    if flag(attributes, "web") {
        complaints.add(
            "attributes.web",
            "Web access is not supported for VNC display devices, please use SPICE instead",
        );
    }
    if text(attributes, "password").chars().count() > VNC_PASSWORD {
        complaints.add(
            "attributes.password",
            "Password for VNC display devices must be 8 characters or less",
        );
    }
}

fn check_ports(world: &World, candidate: &Candidate<'_>, complaints: &mut Complaints) {
    let attributes = candidate.attributes;
    let used = used_ports(world, candidate.id);
    for key in ["port", "web_port"] {
        let Some(port) = int(attributes, key) else {
            continue;
        };
        if !(FIRST_PORT..=65_535).contains(&port) {
            complaints.add(
                &format!("attributes.{key}"),
                "Port must be between 5900 and 65535",
            );
        } else if used.contains(&port) {
            complaints.add(
                &format!("attributes.{key}"),
                format!(
                    "Specified display port({port}) is already in use by another Display device"
                ),
            );
        }
    }
    // Recorded on 27: compared before free ports are filled in, so two nulls are equal.
    if world.version.refuses_equal_display_ports()
        && text(attributes, "type") == "SPICE"
        && int(attributes, "port") == int(attributes, "web_port")
    {
        complaints.add(
            "attributes.port",
            "Spice server port must not be same as web port",
        );
    }
}

fn next_free(used: &BTreeSet<i64>) -> i64 {
    (FIRST_PORT..)
        .find(|port| !used.contains(port))
        .unwrap_or(FIRST_PORT)
}
