//! What may exist only once on a server: who has it, and who waits until it is free.
//!
//! Knows ports, MAC addresses and zvols; knows nothing of how a wait is carried out.

use std::collections::{BTreeSet, HashMap};

use serde_json::Value;

use super::observed::{Observed, ObservedVm};
use super::step::{Plan, Step, VmPlan};
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::plugin::Claim;
use crate::resolve::{Desired, DesiredDevice, DesiredVm};

/// A kind of claim, as plugins write it, and its value, in lower case but for datasets.
pub(super) type Key = (&'static str, String);

/// Who has something now.
pub(super) struct Holder<'a> {
    pub(super) vm: &'a ObservedVm,
    device: u64,
    attribute: &'static str,
}

/// Refuses what a VM holds that goes on holding it; where the holder gives it up by this very plan,
/// the VM waits for it.
///
/// The server compares ports with those of other VMs (`vm.device.create`, `vm.device.update`), but
/// neither MACs nor zvols: two VMs may hold the same (all versions).
pub(super) fn check(
    plan: &mut Plan,
    desired: &Desired,
    observed: &Observed,
    problems: &mut Diagnostics,
) {
    let holders = holders(observed);
    let wanted: HashMap<&str, &DesiredVm> = desired
        .vms
        .iter()
        .map(|vm| (vm.name.as_str(), vm))
        .collect();
    let waits: Vec<BTreeSet<String>> = plan
        .vms
        .iter()
        .map(|planned| match wanted.get(planned.name.as_str()) {
            Some(vm) => waits_for(planned, vm, plan, &holders, problems),
            None => BTreeSet::new(),
        })
        .collect();
    for (vm, after) in plan.vms.iter_mut().zip(waits) {
        vm.after.extend(after);
    }
    refuse_circles(plan, problems);
}

/// Who has what on a server.
pub(super) fn holders(observed: &Observed) -> HashMap<Key, Vec<Holder<'_>>> {
    let mut holders: HashMap<Key, Vec<Holder<'_>>> = HashMap::new();
    for vm in &observed.vms {
        for device in &vm.devices {
            let mut note = |kind, attribute, value: String| {
                holders.entry((kind, value)).or_default().push(Holder {
                    vm,
                    device: device.id,
                    attribute,
                });
            };
            for attribute in ["port", "web_port"] {
                if let Some(port) = device.attributes.get(attribute).and_then(Value::as_u64) {
                    note("tcp-port", attribute, port.to_string());
                }
            }
            if let Some(mac) = device.text("mac") {
                note("mac", "mac", mac.to_lowercase());
            }
            if let Some(zvol) = device.zvol() {
                note("dataset", "path", zvol);
            }
        }
    }
    holders
}

/// A claim as it is looked for; none of a kind that is not compared.
pub(super) fn key(claim: &Claim) -> Option<Key> {
    let kind = ["tcp-port", "mac", "dataset"]
        .into_iter()
        .find(|kind| *kind == claim.kind)?;
    Some((
        kind,
        match kind {
            // ZFS tells `tank/A` from `tank/a`.
            "dataset" => claim.value.clone(),
            _ => claim.value.to_lowercase(),
        },
    ))
}

/// The devices of a VM that are made or changed.
pub(super) fn touched(planned: &VmPlan) -> impl Iterator<Item = &DesiredDevice> {
    planned.steps.iter().filter_map(|step| match step {
        Step::CreateDevice { device } => Some(device),
        Step::UpdateDevice {
            device, changed, ..
        } if changed.iter().any(|one| one != "order") => Some(device),
        _ => None,
    })
}

fn waits_for(
    planned: &VmPlan,
    vm: &DesiredVm,
    plan: &Plan,
    holders: &HashMap<Key, Vec<Holder<'_>>>,
    problems: &mut Diagnostics,
) -> BTreeSet<String> {
    let mut after = BTreeSet::new();
    for device in touched(planned) {
        for claim in &device.claims {
            let Some(key) = key(claim) else { continue };
            let others = holders.get(&key).into_iter().flatten();
            for holder in others.filter(|holder| Some(holder.vm.id) != planned.id) {
                if is_given_up(plan, holder) {
                    after.insert(holder.vm.name.clone());
                } else {
                    problems.push(in_use(&key, claim, holder, vm, device));
                }
            }
        }
    }
    after
}

/// Whether the holder no longer has it when its part of the plan is done.
fn is_given_up(plan: &Plan, holder: &Holder<'_>) -> bool {
    let part = plan.vms.iter().find(|one| one.id == Some(holder.vm.id));
    part.is_some_and(|part| {
        part.removes()
            || part.steps.iter().any(|step| match step {
                Step::DeleteDevice { id, .. } => *id == holder.device,
                Step::UpdateDevice { id, changed, .. } => {
                    *id == holder.device && changed.iter().any(|one| one == holder.attribute)
                }
                _ => false,
            })
    })
}

fn in_use(
    key: &Key,
    claim: &Claim,
    holder: &Holder<'_>,
    vm: &DesiredVm,
    device: &DesiredDevice,
) -> Diagnostic {
    let (what, help) = match key.0 {
        "tcp-port" => ("port", "set `display.port` to a free range"),
        "mac" => ("MAC address", "set another `mac` for this NIC"),
        _ => (
            "zvol",
            "two VMs writing one zvol destroy its data: choose another",
        ),
    };
    Diagnostic::refusal(format!(
        "{what} {} is in use by the VM `{}`",
        claim.value, holder.vm.name
    ))
    .help(help)
    .at(device.origin.clone())
    .vm(&vm.name)
    .device(&device.name)
}

/// VMs that wait for each other in a circle would wait for ever.
pub(super) fn refuse_circles(plan: &Plan, problems: &mut Diagnostics) {
    let mut waiting: Vec<&VmPlan> = plan.vms.iter().filter(|vm| !vm.after.is_empty()).collect();
    loop {
        let names: BTreeSet<&str> = waiting.iter().map(|vm| vm.name.as_str()).collect();
        let still: Vec<&VmPlan> = waiting
            .iter()
            .copied()
            .filter(|vm| vm.after.iter().any(|other| names.contains(other.as_str())))
            .collect();
        if still.len() == waiting.len() {
            break;
        }
        waiting = still;
    }
    if waiting.is_empty() {
        return;
    }
    let names: Vec<&str> = waiting.iter().map(|vm| vm.name.as_str()).collect();
    problems.push(
        Diagnostic::refusal(format!(
            "{} exchange ports, MAC addresses or zvols, and none can begin while the others have them",
            names.join(", ")
        ))
        .help("move one of them to a free port or MAC, or take the zvol off it, first; then do this"),
    );
}
