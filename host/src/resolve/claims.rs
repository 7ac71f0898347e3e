//! What may exist only once is claimed only once, over all VMs and plugins.
//!
//! Knows no device type: a claim is a kind and a value. Most kinds are a matter of one server.

use std::collections::HashMap;

use super::desired::Desired;
use super::desired::{DesiredDevice, DesiredVm};
use crate::diagnostic::{Diagnostic, Diagnostics};

/// The kind of claim that servers share: their bridges may lead to one network, where a MAC address
/// may exist only once. Ports and zvols are each server's own.
const SHARED: &str = "mac";

/// Reports every shared value that devices on two servers claim. What two on one server claim has
/// been told when that was worked out.
#[must_use]
pub fn check_shared_claims<'a>(
    servers: impl IntoIterator<Item = (&'a str, &'a Desired)>,
) -> Diagnostics {
    let mut problems = Diagnostics::default();
    let mut holders: HashMap<String, (&str, &DesiredVm, &DesiredDevice)> = HashMap::new();
    for (server, desired) in servers {
        for vm in &desired.vms {
            for device in &vm.devices {
                for claim in device.claims.iter().filter(|one| one.kind == SHARED) {
                    let key = claim.value.to_lowercase();
                    let (other_server, other_vm, other) =
                        *holders.entry(key).or_insert((server, vm, device));
                    if other_server == server {
                        continue;
                    }
                    let (what, help) = words(&claim.kind);
                    problems.push(
                        Diagnostic::error(format!(
                            "{what} {} is claimed twice, also by {} of `{}` on {other_server}",
                            claim.value, other.name, other_vm.name
                        ))
                        .help(help)
                        .at(device.origin.clone())
                        .host(Some(server))
                        .vm(&vm.name)
                        .device(&device.name),
                    );
                }
            }
        }
    }
    problems
}

/// Reports every value that two devices claim.
pub(super) fn check(vms: &[DesiredVm], problems: &mut Diagnostics) {
    let mut holders: HashMap<(&str, String), (&DesiredVm, &DesiredDevice)> = HashMap::new();
    for vm in vms {
        for device in &vm.devices {
            for claim in &device.claims {
                let key = (claim.kind.as_str(), claim.value.to_lowercase());
                let Some((other_vm, other)) = holders.insert(key, (vm, device)) else {
                    continue;
                };
                let (what, help) = words(&claim.kind);
                problems.push(
                    Diagnostic::error(format!(
                        "{what} {} is claimed twice, also by {} of `{}`",
                        claim.value, other.name, other_vm.name
                    ))
                    .help(help)
                    .at(device.origin.clone())
                    .vm(&vm.name)
                    .device(&device.name),
                );
            }
        }
    }
}

fn words(kind: &str) -> (&str, &'static str) {
    match kind {
        "tcp-port" => (
            "port",
            "a VM type has ten display ports; give a larger one its own range with `display: {port: N}`, or switch displays off with `display: false`",
        ),
        "mac" => (
            "MAC address",
            "set another `mac`, or leave it out and tnvm derives one",
        ),
        "dataset" => (
            "dataset",
            "two VMs writing one zvol destroy its data: name another",
        ),
        other => (other, "give it to one VM only"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plugin::Claim;

    fn vm(name: &str, claims: &[(&str, &str)]) -> DesiredVm {
        let device = |(kind, value): &(&str, &str)| DesiredDevice {
            name: format!("{kind}.x"),
            plugin: String::new(),
            attributes: serde_json::Map::new(),
            order: 1,
            volume: None,
            secrets: Vec::new(),
            claims: vec![Claim {
                kind: (*kind).into(),
                value: (*value).into(),
                pointer: String::new(),
            }],
            origin: None,
        };
        DesiredVm {
            name: name.into(),
            vm_type: "t".into(),
            fields: serde_json::Map::new(),
            start: false,
            protect: false,
            devices: claims.iter().map(device).collect(),
            origin: None,
        }
    }

    #[test]
    fn a_port_block_that_runs_into_the_next_names_display_port() {
        let mut problems = Diagnostics::default();
        let vms = [
            vm("a11", &[("tcp-port", "5921")]),
            vm("b01", &[("tcp-port", "5921")]),
        ];
        check(&vms, &mut problems);
        let one = problems.iter().next().unwrap();
        assert!(one.message.contains("port 5921") && one.message.contains("`a11`"));
        assert!(one.help.as_ref().unwrap().contains("display: {port"));
    }

    #[test]
    fn servers_share_mac_addresses_and_nothing_else() {
        let server = |vms: Vec<DesiredVm>| Desired {
            group: "lab".into(),
            vms,
        };
        let one = server(vec![vm("a01", &[("mac", "AA"), ("tcp-port", "5911")])]);
        let other = server(vec![vm("b01", &[("mac", "aa"), ("tcp-port", "5911")])]);
        let problems = check_shared_claims([("nas1", &one), ("nas2", &other)]);
        let told: Vec<_> = problems.iter().collect();
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(told[0].message.contains("mac.x of `a01` on nas1"));
        assert_eq!(told[0].host.as_deref(), Some("nas2"));
        // Twice on one server is another check's business.
        let twice = server(vec![vm("a", &[("mac", "x")]), vm("b", &[("mac", "x")])]);
        assert!(check_shared_claims([("nas1", &twice)]).is_empty());
    }

    #[test]
    fn the_same_value_of_another_kind_and_another_value_are_no_clash() {
        let mut problems = Diagnostics::default();
        check(
            &[vm("a", &[("mac", "x"), ("usb", "x"), ("mac", "y")])],
            &mut problems,
        );
        assert!(problems.is_empty());
        check(
            &[vm("a", &[("mac", "AA")]), vm("b", &[("mac", "aa")])],
            &mut problems,
        );
        assert!(problems.has_errors());
    }
}
