//! Which device on the server is which desired one.
//!
//! The server keeps no name for a device, so tnvm recognises one by what it says. Never pairs
//! devices of different types, and never one device twice.

use serde_json::Value;

use super::observed::ObservedDevice;
use crate::resolve::DesiredDevice;

/// How a desired device stands on the server.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Standing<'a> {
    /// There, as desired.
    Same(&'a ObservedDevice),
    /// There is one of the type in its place, but it says something else.
    Different(&'a ObservedDevice),
    /// Not there.
    Missing,
}

impl<'a> Standing<'a> {
    /// The device on the server.
    pub(super) const fn found(&self) -> Option<&'a ObservedDevice> {
        match self {
            Self::Same(found) | Self::Different(found) => Some(found),
            Self::Missing => None,
        }
    }
}

/// Pairs each desired device, in their order.
#[must_use]
pub(super) fn pair<'a>(
    desired: &[DesiredDevice],
    observed: &'a [ObservedDevice],
) -> Vec<Standing<'a>> {
    pair_all(desired, observed).0
}

/// Pairs each desired device, in their order; gives also the devices that no desired one is.
#[must_use]
pub(super) fn pair_all<'a>(
    desired: &[DesiredDevice],
    observed: &'a [ObservedDevice],
) -> (Vec<Standing<'a>>, Vec<&'a ObservedDevice>) {
    let mut free: Vec<&ObservedDevice> = observed.iter().collect();
    let mut standings = vec![Standing::Missing; desired.len()];
    // Strictest first, so that a changed device never takes an unchanged one's place.
    let tests: [fn(&DesiredDevice, &ObservedDevice) -> bool; 4] = [
        |desired, observed| says_the_same(desired, observed),
        |desired, observed| identity(desired) == observed_identity(observed),
        |desired, observed| may_change_identity(desired) && Some(desired.order) == observed.order,
        |desired, _| may_change_identity(desired),
    ];
    for (pass, test) in tests.iter().enumerate() {
        for (device, standing) in desired.iter().zip(&mut standings) {
            if *standing != Standing::Missing {
                continue;
            }
            let found = free
                .iter()
                .position(|candidate| kind(device) == candidate.kind() && test(device, candidate));
            if let Some(position) = found {
                let taken = free.remove(position);
                *standing = if pass == 0 {
                    Standing::Same(taken)
                } else {
                    Standing::Different(taken)
                };
            }
        }
    }
    (standings, free)
}

/// The attributes in which an existing device differs: name, what it is, what it should be.
#[must_use]
pub(super) fn differences(
    desired: &DesiredDevice,
    observed: &ObservedDevice,
) -> Vec<(String, Value, Value)> {
    desired
        .attributes
        .iter()
        .filter(|(name, wanted)| {
            !is_secret(desired, name) && !wanted.is_null() && name.as_str() != "dtype"
        })
        .filter_map(|(name, wanted)| {
            let is = observed
                .attributes
                .get(name)
                .cloned()
                .unwrap_or(Value::Null);
            (!same_value(&is, wanted)).then(|| (name.clone(), is, wanted.clone()))
        })
        .collect()
}

fn says_the_same(desired: &DesiredDevice, observed: &ObservedDevice) -> bool {
    differences(desired, observed).is_empty()
}

/// MAC addresses come back lower-case from 26 on, as they were sent before.
fn same_value(is: &Value, wanted: &Value) -> bool {
    match (is.as_str(), wanted.as_str()) {
        (Some(is), Some(wanted)) => is.eq_ignore_ascii_case(wanted),
        _ => is == wanted,
    }
}

fn is_secret(desired: &DesiredDevice, attribute: &str) -> bool {
    desired
        .secrets
        .iter()
        .any(|secret| secret.attribute() == attribute)
}

fn kind(device: &DesiredDevice) -> Option<&str> {
    device.attributes.get("dtype").and_then(Value::as_str)
}

/// What a device cannot change without becoming another: its zvol or file, its MAC, its port.
const IDENTIFYING: [&str; 4] = ["path", "mac", "port", "pptdev"];

/// Whether a device stays itself with another identity: a NIC with another MAC is the same NIC,
/// while a disk with another zvol holds other data.
fn may_change_identity(device: &DesiredDevice) -> bool {
    matches!(kind(device), Some("NIC" | "DISPLAY" | "CDROM"))
}

fn identity(device: &DesiredDevice) -> Option<&Value> {
    identity_in(&device.attributes)
}

fn observed_identity(device: &ObservedDevice) -> Option<&Value> {
    identity_in(&device.attributes)
}

fn identity_in(attributes: &serde_json::Map<String, Value>) -> Option<&Value> {
    IDENTIFYING
        .iter()
        .find_map(|name| attributes.get(*name))
        .filter(|value| !value.is_null())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn desired(attributes: Value, order: u32) -> DesiredDevice {
        DesiredDevice {
            name: "x.y".into(),
            plugin: "x".into(),
            attributes: attributes.as_object().unwrap().clone(),
            order,
            volume: None,
            secrets: Vec::new(),
            claims: Vec::new(),
            origin: None,
        }
    }

    fn observed(id: u64, attributes: Value, order: u32) -> ObservedDevice {
        ObservedDevice {
            id,
            attributes: attributes.as_object().unwrap().clone(),
            order: Some(order),
        }
    }

    #[test]
    fn what_the_server_adds_is_no_difference() {
        let desired = [desired(
            json!({"dtype": "NIC", "mac": "00:A0:98:00:00:01"}),
            3,
        )];
        let observed = [observed(
            1,
            json!({"dtype": "NIC", "mac": "00:a0:98:00:00:01", "trust_guest_rx_filters": false}),
            1002,
        )];
        assert_eq!(pair(&desired, &observed), [Standing::Same(&observed[0])]);
    }

    #[test]
    fn what_holds_a_secret_is_neither_compared_nor_told() {
        for pointer in ["/auth", "/auth/password"] {
            let mut wanted = desired(json!({"dtype": "X", "auth": {}}), 1);
            wanted.secrets.push(crate::plugin::SecretRef {
                pointer: pointer.into(),
                secret: "env:HUSH".into(),
            });
            let is = observed(1, json!({"dtype": "X", "auth": {"password": "hush"}}), 1);
            assert_eq!(differences(&wanted, &is), [], "{pointer}");
        }
    }

    #[test]
    fn a_changed_device_does_not_take_the_place_of_an_unchanged_one() {
        let desired = [
            desired(json!({"dtype": "NIC", "nic_attach": "br1", "mac": "m1"}), 3),
            desired(json!({"dtype": "NIC", "nic_attach": "br0", "mac": "m2"}), 4),
        ];
        let observed = [
            observed(
                1,
                json!({"dtype": "NIC", "nic_attach": "br0", "mac": "m2"}),
                3,
            ),
            observed(
                2,
                json!({"dtype": "NIC", "nic_attach": "br9", "mac": "m1"}),
                4,
            ),
        ];
        assert_eq!(
            pair(&desired, &observed),
            [
                Standing::Different(&observed[1]),
                Standing::Same(&observed[0])
            ]
        );
    }

    #[test]
    fn devices_of_another_type_or_beyond_the_count_are_missing() {
        let desired = [
            desired(json!({"dtype": "DISK", "path": "a"}), 1),
            desired(json!({"dtype": "DISK", "path": "b"}), 2),
        ];
        let observed = [
            observed(1, json!({"dtype": "DISK", "path": "b"}), 2),
            observed(2, json!({"dtype": "CDROM", "path": "a"}), 1),
        ];
        assert_eq!(
            pair(&desired, &observed),
            [Standing::Missing, Standing::Same(&observed[0])]
        );
    }
}
