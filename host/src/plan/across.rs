//! What the parts of a plan must not do to each other when a group has several servers.
//!
//! Each part is planned for itself; this compares them, and knows nothing of how they came to be.

use std::collections::{HashMap, HashSet};

use super::claims::{Holder, Key, holders, key, touched};
use super::observed::Observed;
use super::step::{Plan, VmPlan};
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::resolve::{Desired, DesiredVm};

/// The kind of claim that servers share: their bridges may lead to one network.
const SHARED: &str = "mac";

/// One server's part.
#[derive(Clone, Copy, Debug)]
pub struct HostPart<'a> {
    /// The server's name in the config.
    pub host: &'a str,
    /// What should be on it.
    pub desired: &'a Desired,
    /// What is to be done on it.
    pub plan: &'a Plan,
    /// What is on it.
    pub observed: &'a Observed,
}

/// What a server has, for the others.
struct There<'a> {
    host: &'a str,
    /// The group's VMs, left-over zvols included.
    vms: HashSet<&'a str>,
    holders: HashMap<Key, Vec<Holder<'a>>>,
}

/// Refuses what would be right for each server alone and is not for all of them: a VM that is on
/// another server than the config says, which would be made a second time, and a MAC address that a
/// VM of another server has. The parts may only be carried out when no diagnostic is an error.
#[must_use]
pub fn check_across(parts: &[HostPart<'_>]) -> Diagnostics {
    let mut problems = Diagnostics::default();
    let there: Vec<There<'_>> = parts.iter().map(there).collect();
    for part in parts {
        let others: Vec<&There<'_>> = there.iter().filter(|one| one.host != part.host).collect();
        let wanted: HashMap<&str, &DesiredVm> = part
            .desired
            .vms
            .iter()
            .map(|vm| (vm.name.as_str(), vm))
            .collect();
        for planned in &part.plan.vms {
            // What goes from here may be wherever else.
            let Some(vm) = wanted.get(planned.name.as_str()) else {
                continue;
            };
            for other in &others {
                if other.vms.contains(vm.name.as_str()) {
                    problems.push(elsewhere(part, other.host, planned, vm));
                } else {
                    taken(part, other, planned, vm, &mut problems);
                }
            }
        }
    }
    problems
}

fn there<'a>(part: &HostPart<'a>) -> There<'a> {
    let marks = part.observed.marks(&part.desired.group);
    There {
        host: part.host,
        vms: marks.into_iter().map(|mark| mark.vm.as_str()).collect(),
        holders: holders(part.observed),
    }
}

fn elsewhere(part: &HostPart<'_>, other: &str, planned: &VmPlan, vm: &DesiredVm) -> Diagnostic {
    let (here, name) = (part.host, &vm.name);
    let message = if planned.id.is_some() {
        format!("is on {here} and on {other}, and can only be on one")
    } else {
        format!("is on {other}, and the config says {here}; tnvm moves no VM, and makes none twice")
    };
    Diagnostic::refusal(message)
        .help(format!(
            "write `host: {other}` for it to leave it there; or remove it there first, with all its data: `tnvm destroy --host {other} --only {name}`"
        ))
        .at(vm.origin.clone())
        .vm(name)
}

fn taken(
    part: &HostPart<'_>,
    other: &There<'_>,
    planned: &VmPlan,
    vm: &DesiredVm,
    problems: &mut Diagnostics,
) {
    for device in touched(planned) {
        for claim in device.claims.iter().filter(|one| one.kind == SHARED) {
            let found = key(claim).and_then(|key| other.holders.get(&key));
            for holder in found.into_iter().flatten() {
                problems.push(
                    Diagnostic::refusal(format!(
                        "MAC address {} is in use by the VM `{}` on {}",
                        claim.value, holder.vm.name, other.host
                    ))
                    .help(
                        "set another `mac` for this NIC; if that VM gives it up, apply that first",
                    )
                    .at(device.origin.clone())
                    .host(Some(part.host))
                    .vm(&vm.name)
                    .device(&device.name),
                );
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::apply_tests::{Part, applied, apply, desired, sketch, two_disks, world};
    use super::*;
    use crate::plugin::Claim;

    /// What should be on a server: these VMs.
    fn wanted(vms: &[&'static str]) -> Desired {
        let vm = |(name, first): (&&'static str, u16)| {
            let mut parts = two_disks();
            for part in &mut parts {
                if let Part::Display { port, .. } = part {
                    *port = first;
                }
            }
            ("web", *name, sketch(parts))
        };
        let vms: Vec<_> = vms.iter().zip(5911..).map(vm).collect();
        desired(&vms)
    }

    /// Plans each server for itself, then looks across.
    fn told(servers: &[(&str, &Desired, &Observed)]) -> Vec<String> {
        let plans: Vec<Plan> = servers
            .iter()
            .map(|(_, desired, observed)| apply(desired, observed).0)
            .collect();
        let parts: Vec<HostPart<'_>> = servers
            .iter()
            .zip(&plans)
            .map(|((host, desired, observed), plan)| HostPart {
                host,
                desired,
                plan,
                observed,
            })
            .collect();
        let problems = check_across(&parts);
        assert!(problems.iter().all(|one| one.refusal));
        problems
            .iter()
            .map(|one| {
                let vm = one.vm.as_deref().unwrap_or_default();
                let help = one.help.as_deref().unwrap_or_default();
                format!("{vm}: {}; {help}", one.message)
            })
            .collect()
    }

    #[test]
    fn vms_where_the_config_says_are_fine_and_so_are_those_that_go() {
        let (one, two) = (wanted(&["web01"]), wanted(&["web02"]));
        let nas1 = applied(&one).world;
        let nas2 = applied(&wanted(&["web02", "web04"])).world;
        let told = told(&[("nas1", &one, &nas1), ("nas2", &two, &nas2)]);
        assert_eq!(told, [""; 0]);
    }

    #[test]
    fn a_vm_that_changed_its_server_is_not_made_twice() {
        let (one, two) = (wanted(&["web01"]), wanted(&["web02"]));
        let nas1 = applied(&one).world;
        // web01 is on nas1, and the config says nas2 from now on.
        let moved = wanted(&["web01", "web02"]);
        let none = wanted(&[]);
        let nas2 = applied(&two).world;
        let told_of = told(&[("nas1", &none, &nas1), ("nas2", &moved, &nas2)]);
        assert_eq!(told_of.len(), 1, "{told_of:?}");
        for part in [
            "web01: is on nas1, and the config says nas2",
            "host: nas1",
            "tnvm destroy --host nas1 --only web01",
        ] {
            assert!(told_of[0].contains(part), "{told_of:?}");
        }
        // Its zvols alone are its data all the same.
        let mut zvols = nas1.clone();
        zvols.vms.clear();
        let told_of = told(&[("nas1", &none, &zvols), ("nas2", &moved, &nas2)]);
        assert_eq!(told_of.len(), 1, "{told_of:?}");
        // On both it is told so.
        let both = applied(&moved).world;
        let told_of = told(&[("nas1", &none, &nas1), ("nas2", &moved, &both)]);
        assert!(told_of[0].contains("is on nas2 and on nas1"), "{told_of:?}");
    }

    #[test]
    fn a_foreign_vm_of_that_name_on_another_server_is_no_matter() {
        let mut there = world();
        there.vms[0].name = "web01".into();
        let (one, none) = (wanted(&["web01"]), wanted(&[]));
        let told = told(&[("nas1", &one, &world()), ("nas2", &none, &there)]);
        assert_eq!(told, [""; 0]);
    }

    #[test]
    fn a_mac_address_of_another_servers_vm_is_refused_where_it_is_given() {
        let mut one = wanted(&["web01"]);
        let nic = one.vms[0].devices.iter_mut();
        for device in nic.filter(|one| one.name == "nic.lan") {
            device.claims.push(Claim {
                kind: "mac".into(),
                value: "02:AA:00:00:00:01".into(),
                pointer: String::new(),
            });
        }
        let mut there = world();
        let device = &mut there.vms[0].devices[0];
        device.attributes.clear();
        device
            .attributes
            .insert("mac".into(), json!("02:aa:00:00:00:01"));
        let none = wanted(&[]);
        let told_of = told(&[("nas1", &one, &world()), ("nas2", &none, &there)]);
        assert_eq!(told_of.len(), 1, "{told_of:?}");
        assert!(told_of[0].contains("in use by the VM `node` on nas2"));
        // What has it already is not changed.
        let has = applied(&one).world;
        let told_of = told(&[("nas1", &one, &has), ("nas2", &none, &there)]);
        assert_eq!(told_of, [""; 0]);
    }
}
