//! Which device on the server is which desired one.
//!
//! The server keeps no name for a device, so tnvm recognises one by what it says. Never pairs
//! devices of different types, and never one device twice.

use serde_json::{Map, Value};

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
    let tests: [fn(&DesiredDevice, &ObservedDevice) -> bool; 5] = [
        // A NIC whose MAC is left to the server says the same as any other.
        |desired, observed| says_the_same(desired, observed) && is_the_same(desired, observed),
        |desired, observed| says_the_same(desired, observed),
        |desired, observed| is_the_same(desired, observed),
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
                *standing = if pass <= 1 {
                    Standing::Same(taken)
                } else {
                    Standing::Different(taken)
                };
            }
        }
    }
    (standings, free)
}

/// Attributes that a plugin leaves out where the config does not say them, by the type of the
/// device. The server has null then (`vm.device.create`, all versions).
const LEFT_OUT: [(&str, &str); 2] = [
    ("DISK", "logical_sectorsize"),
    ("DISK", "physical_sectorsize"),
];

/// The attributes in which an existing device differs: name, what it is, what it should be. What
/// was said once, or set by hand, and is said no more is to be as at creation.
#[must_use]
pub(super) fn differences(
    desired: &DesiredDevice,
    observed: &ObservedDevice,
) -> Vec<(String, Value, Value)> {
    let wanted = desired.attributes.iter().filter(|(name, wanted)| {
        !is_secret(desired, name) && !wanted.is_null() && name.as_str() != "dtype"
    });
    let said = |name: &str| {
        desired
            .attributes
            .get(name)
            .is_some_and(|one| !one.is_null())
    };
    let left_out = LEFT_OUT
        .iter()
        .filter(|(of, name)| kind(desired) == Some(*of) && !said(name));
    let all = wanted
        .map(|(name, wanted)| (name.as_str(), wanted))
        .chain(left_out.map(|(_, name)| (*name, &Value::Null)));
    all.filter_map(|(name, wanted)| {
        let is = observed.attributes.get(name).unwrap_or(&Value::Null);
        (!same_value(name, is, wanted)).then(|| (name.to_owned(), is.clone(), wanted.clone()))
    })
    .collect()
}

fn says_the_same(desired: &DesiredDevice, observed: &ObservedDevice) -> bool {
    differences(desired, observed).is_empty()
}

/// MAC addresses come back lower-case from 26 on, as they were sent before. Names of files, zvols
/// and interfaces differ by their case.
fn same_value(name: &str, is: &Value, wanted: &Value) -> bool {
    match (is.as_str(), wanted.as_str()) {
        (Some(is), Some(wanted)) if name == "mac" => is.eq_ignore_ascii_case(wanted),
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

fn is_the_same(desired: &DesiredDevice, observed: &ObservedDevice) -> bool {
    match (
        identity(&desired.attributes),
        identity(&observed.attributes),
    ) {
        (Some((name, wanted)), Some((of, is))) => name == of && same_value(name, is, wanted),
        (wanted, is) => wanted.is_none() && is.is_none(),
    }
}

fn identity(attributes: &Map<String, Value>) -> Option<(&'static str, &Value)> {
    let mut found = IDENTIFYING
        .iter()
        .filter_map(|name| Some((*name, attributes.get(*name)?)));
    found.find(|(_, value)| !value.is_null())
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
    fn only_macs_are_the_same_in_another_case() {
        for (wanted, is, differs) in [
            (
                json!({"dtype": "CDROM", "path": "/mnt/t/A.iso"}),
                json!({"path": "/mnt/t/a.iso"}),
                true,
            ),
            (
                json!({"dtype": "NIC", "nic_attach": "BR0"}),
                json!({"nic_attach": "br0"}),
                true,
            ),
            (
                json!({"dtype": "NIC", "mac": "AA"}),
                json!({"mac": "aa"}),
                false,
            ),
        ] {
            let found = differences(&desired(wanted.clone(), 1), &observed(1, is, 1));
            assert_eq!(!found.is_empty(), differs, "{wanted}");
        }
    }

    #[test]
    fn sector_sizes_that_are_said_no_more_go_back() {
        let wanted = desired(json!({"dtype": "DISK", "path": "a"}), 1);
        let sizes = json!({"dtype": "DISK", "path": "a", "logical_sectorsize": 512, "physical_sectorsize": 4096});
        let is = observed(1, sizes, 1);
        assert_eq!(
            differences(&wanted, &is),
            [
                ("logical_sectorsize".to_owned(), json!(512), Value::Null),
                ("physical_sectorsize".to_owned(), json!(4096), Value::Null),
            ]
        );
        let none = json!({"dtype": "DISK", "path": "a", "logical_sectorsize": null});
        assert_eq!(differences(&wanted, &observed(1, none, 1)), []);
        let other = desired(json!({"dtype": "RAW", "path": "a"}), 1);
        assert_eq!(differences(&other, &is), []);
    }

    #[test]
    fn a_nic_whose_mac_is_the_servers_takes_no_other_ones_place() {
        let nic = |mac: Value| json!({"dtype": "NIC", "nic_attach": "br0", "mac": mac});
        let wanted = [desired(nic(Value::Null), 3), desired(nic(json!("M2")), 4)];
        for stored in [Value::Null, json!("m1")] {
            let is = [
                observed(1, nic(json!("m2")), 4),
                observed(2, nic(stored), 3),
            ];
            assert_eq!(
                pair(&wanted, &is),
                [Standing::Same(&is[1]), Standing::Same(&is[0])]
            );
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
