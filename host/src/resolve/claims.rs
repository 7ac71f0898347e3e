//! What may exist only once is claimed only once, over all VMs and plugins.
//!
//! Knows no device type: a claim is a kind and a value.

use std::collections::HashMap;

use super::desired::{DesiredDevice, DesiredVm};
use crate::diagnostic::{Diagnostic, Diagnostics};

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
