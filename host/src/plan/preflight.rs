//! What would fail later, found before the first change, all of it at once.
//!
//! Each rule is one the server enforces, or a danger it does not see; the source stands beside it.

use std::collections::HashMap;

use serde_json::Value;

use super::claims;
use super::observed::{Observed, zvol_of};
use super::step::{Plan, Step};
use super::totals::{asked_of, parent};
use crate::diagnostic::{Diagnostic, Diagnostics, nearest};
use crate::release::Release;
use crate::resolve::{Desired, DesiredDevice, DesiredVm};

/// The share of a dataset's free space that one zvol may take (`pool.dataset.create`, all
/// versions, without `force_size`).
const LARGEST_SHARE: f64 = 0.8;

/// Checks the whole plan against what was observed, and notes which VMs wait for others.
pub(super) fn check(
    plan: &mut Plan,
    desired: &Desired,
    observed: &Observed,
    problems: &mut Diagnostics,
) {
    claims::check(plan, desired, observed, problems);
    let wanted: HashMap<&str, &DesiredVm> = desired
        .vms
        .iter()
        .map(|vm| (vm.name.as_str(), vm))
        .collect();
    for planned in &plan.vms {
        let Some(vm) = wanted.get(planned.name.as_str()) else {
            continue;
        };
        for step in &planned.steps {
            match step {
                Step::CreateDevice { device } => {
                    check_device(vm, device, observed, problems);
                }
                Step::UpdateDevice {
                    device, changed, ..
                } if changed.iter().any(|one| one != "order") => {
                    check_device(vm, device, observed, problems);
                }
                Step::GrowVolume {
                    dataset,
                    size,
                    before,
                    device,
                } => {
                    let device = vm.devices.iter().find(|one| one.name == *device);
                    let more = size.saturating_sub(*before);
                    // A zvol that is there has a parent, seen or not.
                    if observed.datasets.contains_key(parent(dataset)) {
                        check_volume(vm, device, dataset, more, observed, problems);
                    }
                }
                Step::CreateVolume { volume, device } => {
                    let device = vm.devices.iter().find(|one| one.name == *device);
                    check_volume(vm, device, &volume.dataset, volume.size, observed, problems);
                }
                _ => {}
            }
        }
    }
    check_virtualization(plan, observed, problems);
    check_space(plan, observed, problems);
    check_memory(plan, observed, problems);
}

fn check_device(
    vm: &DesiredVm,
    device: &DesiredDevice,
    observed: &Observed,
    problems: &mut Diagnostics,
) {
    let text = |name: &str| device.attributes.get(name).and_then(Value::as_str);
    let problem = match text("dtype") {
        Some("NIC") => text("nic_attach")
            .zip(observed.nic_choices.as_ref())
            .filter(|(bridge, choices)| !choices.iter().any(|one| one == bridge))
            .map(|(bridge, choices)| {
                Diagnostic::error(format!("the server offers no interface `{bridge}` to VMs")).help(
                    offer(
                        "it offers",
                        bridge,
                        choices,
                        "a member of a bridge is not offered: use the bridge",
                    ),
                )
            }),
        Some("DISPLAY") => text("bind")
            .zip(observed.bind_choices.as_ref())
            .filter(|(bind, choices)| !choices.iter().any(|one| one == bind))
            .map(|(bind, choices)| {
                Diagnostic::error(format!("a display cannot bind to {bind}")).help(offer(
                    "the server offers",
                    bind,
                    choices,
                    "only its static addresses can be bound, none from DHCP",
                ))
            }),
        Some("CDROM") => text("path").and_then(|path| cdrom_problem(path, observed)),
        Some("DISK") => text("path")
            .and_then(zvol_of)
            .and_then(|zvol| disk_problem(&zvol, device, observed)),
        _ => None,
    };
    if let Some(problem) = problem {
        problems.push(
            problem
                .at(device.origin.clone())
                .vm(&vm.name)
                .device(&device.name),
        );
    }
}

/// `vm.device.create` wants a zvol that exists, and `vm.start` one that can be written (all
/// versions). A replicated zvol is read-only.
fn disk_problem(zvol: &str, device: &DesiredDevice, observed: &Observed) -> Option<Diagnostic> {
    let Some(found) = observed.datasets.get(zvol) else {
        // One that the plan makes is not there yet.
        return device.volume.is_none().then(|| {
            let zvols = observed.datasets.iter().filter(|(_, one)| one.is_volume);
            let near = nearest(zvol, zvols.map(|(name, _)| name.as_str()));
            let help = match near.first() {
                Some(near) => format!("did you mean `{near}`?"),
                None => "write `size` to have one made, or name one that exists".to_owned(),
            };
            Diagnostic::error(format!("the server has no zvol {zvol}")).help(help)
        });
    };
    if !found.is_volume {
        return Some(
            Diagnostic::error(format!("{zvol} is no zvol, so no disk can be on it"))
                .help("name a zvol"),
        );
    }
    if found.locked {
        return Some(
            Diagnostic::error(format!("the zvol {zvol} is locked"))
                .help("unlock it on the server first"),
        );
    }
    found.read_only.then(|| {
        Diagnostic::error(format!("the zvol {zvol} is read-only"))
            .help("set its `readonly` property to off, as for a replica that goes into service")
    })
}

fn cdrom_problem(path: &str, observed: &Observed) -> Option<Diagnostic> {
    if observed.files.get(path) == Some(&false) {
        return Some(
            Diagnostic::error(format!("{path} does not exist on the server"))
                .help("upload the image, or correct `storage.cdrom_path` or `cdrom`; `cdrom: false` leaves the CD-ROM out"),
        );
    }
    let directly_in_pool = path
        .strip_prefix("/mnt/")
        .is_some_and(|rest| rest.matches('/').count() == 1);
    let refused = directly_in_pool && Release::of_text(&observed.version).wants_cdrom_below_root();
    refused.then(|| {
        Diagnostic::error(format!(
            "{path} lies in the root dataset of its pool, which TrueNAS {} refuses for a CD-ROM",
            observed.version
        ))
        .help("move the image into a dataset of its own, such as `iso`, and name it there")
    })
}

fn offer(lead: &str, written: &str, choices: &[String], note: &str) -> String {
    match nearest(written, choices.iter().map(String::as_str)).first() {
        Some(near) => format!(
            "did you mean `{near}`? {lead} {}; {note}",
            choices.join(", ")
        ),
        None => format!("{lead} {}; {note}", choices.join(", ")),
    }
}

fn check_volume(
    vm: &DesiredVm,
    device: Option<&DesiredDevice>,
    dataset: &str,
    size: u64,
    observed: &Observed,
    problems: &mut Diagnostics,
) {
    let place = device.and_then(|one| one.origin.clone());
    let parent_name = parent(dataset);
    let problem = match observed.datasets.get(parent_name) {
        None => Some(
            Diagnostic::error(format!("the dataset {parent_name} does not exist"))
                .help("create it on the server, or correct `storage.pool_path`"),
        ),
        Some(parent) if parent.is_volume => Some(
            Diagnostic::error(format!("{parent_name} is a zvol and cannot hold others"))
                .help("name a dataset in `storage.pool_path`"),
        ),
        Some(parent) if parent.locked => Some(
            Diagnostic::error(format!("the dataset {parent_name} is locked"))
                .help("unlock it on the server first"),
        ),
        Some(parent) if parent.read_only => Some(
            Diagnostic::error(format!("the dataset {parent_name} is read-only"))
                .help("set its `readonly` property to off, or choose another `storage.pool_path`"),
        ),
        Some(parent) => parent
            .available
            .filter(|available| exceeds_share(size, *available))
            .map(|available| {
                Diagnostic::error(format!(
                    "a zvol of {} is more than 80 % of the {} free in {parent_name}",
                    gib(size),
                    gib(available)
                ))
                .help("the server refuses that; make the disk smaller or free space")
                .vm(&vm.name)
            }),
    };
    if let Some(mut problem) = problem {
        if let (Some(device), true) = (device, problem.vm.is_some()) {
            problem = problem.device(&device.name);
        }
        problems.push(problem.at(place));
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a rule of thumb of the server, not an account"
)]
fn exceeds_share(size: u64, available: u64) -> bool {
    size as f64 > available as f64 * LARGEST_SHARE
}

/// `vm.create` refuses on a machine without KVM (all versions).
fn check_virtualization(plan: &Plan, observed: &Observed, problems: &mut Diagnostics) {
    let Some(why) = &observed.missing_virtualization else {
        return;
    };
    if plan.vms.iter().any(super::step::VmPlan::creates) {
        problems.push(
            Diagnostic::error(format!("the server cannot run virtual machines: {why}")).help(
                "switch virtualization (VT-x, AMD-V) on in the machine's firmware; where TrueNAS is itself a VM, its host has to pass it on",
            ),
        );
    }
}

/// Thick zvols must fit together; thin ones are worth a word when they promise more than there is.
fn check_space(plan: &Plan, observed: &Observed, problems: &mut Diagnostics) {
    for (parent, (thin, thick)) in asked_of(plan) {
        let Some(available) = observed.datasets.get(parent).and_then(|one| one.available) else {
            continue;
        };
        if thick > available {
            problems.push(
                Diagnostic::error(format!(
                    "the thick zvols need {} together, and {parent} has {} free",
                    gib(thick),
                    gib(available)
                ))
                .help("make them thin (`sparse: true`) or smaller, or free space"),
            );
        } else if thin + thick > available {
            problems.push(
                Diagnostic::warning(format!(
                    "the zvols promise {} together, and {parent} has {} free",
                    gib(thin + thick),
                    gib(available)
                ))
                .help("thin zvols take space as the guests write; watch the pool"),
            );
        }
    }
}

/// `vm.start` refuses with ENOMEM what does not fit (all versions); other VMs may stop until
/// then, so this is a warning.
fn check_memory(plan: &Plan, observed: &Observed, problems: &mut Diagnostics) {
    const MIB: u64 = 1 << 20;
    let Some(available) = observed.memory_available else {
        return;
    };
    let asked = plan.totals.memory_mib * MIB;
    if asked > available {
        problems.push(
            Diagnostic::warning(format!(
                "starting these VMs takes {} of memory, and the server can give {}",
                gib(asked),
                gib(available)
            ))
            .help("the VMs that find no memory will be rolled back; lower `memory` or `count`, or set `start: false`"),
        );
    }
}

#[expect(clippy::cast_precision_loss, reason = "shown with one decimal")]
fn gib(bytes: u64) -> String {
    format!("{:.1} GiB", bytes as f64 / f64::from(1_u32 << 30))
}
