//! A plan as lines of text: what stands where, and what each line means; no colours.

use super::effects;
use super::step::{Effect, PlanKind};
use super::view::{ChangeView, DeviceAction, DeviceView, PlanView, VmAction, VmView};
use super::words::{change, size};

/// One line of a shown plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// What the line says happens; the output module colours by it.
    pub sign: Sign,
    /// The text, indentation and sign included.
    pub text: String,
}

/// What a line says happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sign {
    /// Something is made.
    Add,
    /// Something existing is changed, or gets more.
    Change,
    /// Something is removed, and another made in its place.
    Replace,
    /// Something is removed.
    Remove,
    /// Nothing happens; context.
    Keep,
}

impl Sign {
    const fn symbol(self) -> &'static str {
        match self {
            Self::Add => "+",
            Self::Change => "~",
            Self::Replace => "-/+",
            Self::Remove => "-",
            Self::Keep => "",
        }
    }
}

/// The lines of a plan. VMs with nothing to do are counted, not listed.
#[must_use]
pub fn render(plan: &PlanView) -> Vec<Line> {
    let mut lines = Vec::new();
    let width = plan
        .vms
        .iter()
        .flat_map(|vm| vm.devices.iter().map(|device| device.name.len()))
        .max()
        .unwrap_or(0);
    for vm in plan.vms.iter().filter(|vm| vm.action != VmAction::None) {
        vm_lines(vm, width, &mut lines);
    }
    lines.push(keep(headline(plan)));
    if plan.changes {
        lines.push(keep(totals(plan)));
    }
    lines.extend(waiting(plan).map(keep));
    lines
}

fn vm_lines(vm: &VmView, width: usize, lines: &mut Vec<Line>) {
    let sign = match vm.action {
        VmAction::None => Sign::Keep,
        VmAction::Create => Sign::Add,
        VmAction::Complete | VmAction::Update | VmAction::Restart | VmAction::Start => Sign::Change,
        VmAction::Destroy => Sign::Remove,
    };
    let id = vm.id.map(|id| format!(" (id {id})")).unwrap_or_default();
    let what = if vm.vcpus == 0 {
        "left-over zvols".to_owned()
    } else {
        format!("{} vCPUs, {}", vm.vcpus, size(vm.memory_mib << 20))
    };
    let power = match vm.action {
        VmAction::Restart => ", restarted now",
        _ if vm.start => ", started",
        _ => "",
    };
    let after = if vm.after.is_empty() {
        String::new()
    } else {
        let names: Vec<&str> = vm.after.iter().map(String::as_str).collect();
        format!(", after {}", names.join(", "))
    };
    lines.push(Line {
        sign,
        text: format!("  {} {}{id}: {what}{power}{after}", sign.symbol(), vm.name),
    });
    change_lines(&vm.changes, 6, lines);
    for device in &vm.devices {
        lines.push(device_line(device, width));
        change_lines(&device.changes, 10, lines);
    }
    for volume in &vm.removed_volumes {
        lines.push(Line {
            sign: Sign::Remove,
            text: format!("      - {:width$}  {volume} and all data on it", "zvol"),
        });
    }
    for snapshot in &vm.removed_snapshots {
        lines.push(Line {
            sign: Sign::Remove,
            text: format!("      - {:width$}  {snapshot}", "snapshot"),
        });
    }
}

fn change_lines(changes: &[ChangeView], indent: usize, lines: &mut Vec<Line>) {
    for one in changes {
        let sign = match one.effect {
            Effect::Recreate => Sign::Replace,
            Effect::Refused => Sign::Remove,
            Effect::Live | Effect::NextStart | Effect::Restart => Sign::Change,
        };
        lines.push(Line {
            sign,
            text: format!(
                "{:indent$}{} {}: {}  ({})",
                "",
                if one.effect == Effect::Refused {
                    "!"
                } else {
                    "~"
                },
                one.attribute,
                change(one),
                effects::words(one.effect)
            ),
        });
    }
}

fn device_line(device: &DeviceView, width: usize) -> Line {
    let sign = match device.action {
        DeviceAction::Keep => Sign::Keep,
        DeviceAction::Create => Sign::Add,
        DeviceAction::Update => Sign::Change,
        DeviceAction::Replace => Sign::Replace,
        DeviceAction::Destroy => Sign::Remove,
    };
    let secret = if device.attributes.values().any(|value| value == "(secret)") {
        ", password (secret)"
    } else {
        ""
    };
    let plugin = if device.plugin.is_empty() {
        String::new()
    } else {
        format!("  [{}]", device.plugin)
    };
    let effect = device
        .effect
        .map(|effect| format!("  ({})", effects::words(effect)))
        .unwrap_or_default();
    Line {
        sign,
        text: format!(
            "    {:>3} {:width$}  {}{secret}{plugin}{effect}",
            sign.symbol(),
            device.name,
            device.summary
        ),
    }
}

fn headline(plan: &PlanView) -> String {
    let none = |vm: &&VmView| vm.action == VmAction::None;
    let unchanged = plan.vms.iter().filter(none).count();
    if !plan.changes && unchanged == plan.vms.len() {
        return match plan.kind {
            PlanKind::Create | PlanKind::Apply => match unchanged {
                1 => format!(
                    "No changes: the VM of group `{}` is as it should be.",
                    plan.group
                ),
                _ => format!(
                    "No changes: {unchanged} VMs of group `{}` are as they should be.",
                    plan.group
                ),
            },
            PlanKind::Destroy => format!(
                "No changes: group `{}` has no VMs or zvols here.",
                plan.group
            ),
        };
    }
    format!("Plan for group `{}`: {}.", plan.group, counted(&[plan]))
}

/// One line over the plans of all servers of a group.
#[must_use]
pub fn overall(plans: &[&PlanView]) -> String {
    let counted = match counted(plans) {
        counted if counted.is_empty() => "nothing".to_owned(),
        counted => counted,
    };
    match plans.len() {
        1 => format!("In all, on 1 host: {counted}."),
        hosts => format!("In all, on {hosts} hosts: {counted}."),
    }
}

/// `3 to create, 1 unchanged`.
fn counted(plans: &[&PlanView]) -> String {
    let vms = || plans.iter().flat_map(|plan| &plan.vms);
    let count = |action: VmAction| vms().filter(|vm| vm.action == action).count();
    let parts: Vec<String> = [
        (count(VmAction::Create), "to create"),
        (count(VmAction::Complete), "to complete"),
        (count(VmAction::Update), "to change"),
        (count(VmAction::Restart), "to change and restart"),
        (count(VmAction::Start), "to start"),
        (count(VmAction::Destroy), "to destroy"),
        (count(VmAction::None), "unchanged"),
    ]
    .into_iter()
    .filter(|(number, _)| *number > 0)
    .map(|(number, what)| format!("{number} {what}"))
    .collect();
    parts.join(", ")
}

fn totals(plan: &PlanView) -> String {
    let totals = &plan.totals;
    if plan.kind == PlanKind::Destroy {
        return format!(
            "Totals: {} VMs, {} devices, {} zvols removed.",
            plan.vms.iter().filter(|vm| vm.id.is_some()).count(),
            totals.removed_devices,
            totals.removed_volumes
        );
    }
    let devices: Vec<String> = [
        (totals.devices, "made"),
        (totals.changed_devices, "changed"),
        (totals.removed_devices, "removed"),
    ]
    .into_iter()
    .filter(|(number, _)| *number > 0)
    .map(|(number, what)| format!("{number} {what}"))
    .collect();
    let mut parts = Vec::new();
    if !devices.is_empty() {
        parts.push(format!("devices: {}", devices.join(", ")));
    }
    if totals.memory_mib > 0 {
        let available = plan.available.as_ref().and_then(|one| one.memory_mib);
        let of = available.map(|mib| format!(" of {} available", size(mib << 20)));
        parts.push(format!(
            "memory: {}{}",
            size(totals.memory_mib << 20),
            of.unwrap_or_default()
        ));
    }
    if totals.thin_bytes + totals.thick_bytes > 0 {
        parts.push(format!("zvols: {}", storage(plan)));
    }
    if totals.removed_volumes > 0 {
        parts.push(format!("zvols removed: {}", totals.removed_volumes));
    }
    if parts.is_empty() {
        return format!("Totals: {} VMs.", totals.vms);
    }
    format!("Totals: {}.", parts.join("; "))
}

/// `30 GiB thin, 1.5 TiB free in tank/vms`, for each dataset.
fn storage(plan: &PlanView) -> String {
    let kinds = |thin: u64, thick: u64| {
        [(thin, "thin"), (thick, "thick")]
            .into_iter()
            .filter(|(bytes, _)| *bytes > 0)
            .map(|(bytes, kind)| format!("{} {kind}", size(bytes)))
            .collect::<Vec<_>>()
            .join(" and ")
    };
    let Some(available) = &plan.available else {
        return kinds(plan.totals.thin_bytes, plan.totals.thick_bytes);
    };
    let datasets = available.datasets.iter().map(|one| {
        let asked = kinds(one.thin_bytes, one.thick_bytes);
        match one.free_bytes {
            Some(free) => format!("{asked} of {} free in {}", size(free), one.dataset),
            None => format!("{asked} in {}", one.dataset),
        }
    });
    datasets.collect::<Vec<_>>().join(", ")
}

/// A word on changes that a running guest does not see yet.
fn waiting(plan: &PlanView) -> Option<String> {
    let waits = |vm: &&VmView| {
        let mut effects = vm.devices.iter().filter_map(|device| device.effect);
        let changes = vm
            .changes
            .iter()
            .chain(vm.devices.iter().flat_map(|one| &one.changes));
        effects.any(|effect| effect == Effect::NextStart)
            || changes
                .into_iter()
                .any(|one| one.effect == Effect::NextStart)
    };
    let count = plan.vms.iter().filter(waits).count();
    let vms = match count {
        0 => return None,
        1 => "1 VM runs on with the old settings until its next start".to_owned(),
        _ => format!("{count} VMs run on with the old settings until their next start"),
    };
    // It cannot be made up for: what the server has stored is no difference to the next plan.
    Some(format!(
        "{vms}, unless this is applied with `--restart`; once it is applied, only a stop and a start bring them."
    ))
}

fn keep(text: String) -> Line {
    Line {
        sign: Sign::Keep,
        text,
    }
}
