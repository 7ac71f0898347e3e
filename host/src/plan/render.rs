//! A plan as lines of text: what stands where, and what each line means; no colours.

use super::step::PlanKind;
use super::view::{DeviceAction, DeviceView, PlanView, VmAction, VmView, size};

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
    /// Something existing gets more.
    Change,
    /// Something is removed.
    Remove,
    /// Nothing happens; context.
    Keep,
}

impl Sign {
    const fn symbol(self) -> char {
        match self {
            Self::Add => '+',
            Self::Change => '~',
            Self::Remove => '-',
            Self::Keep => ' ',
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
    lines
}

fn vm_lines(vm: &VmView, width: usize, lines: &mut Vec<Line>) {
    let sign = match vm.action {
        VmAction::None => Sign::Keep,
        VmAction::Create => Sign::Add,
        VmAction::Complete | VmAction::Start => Sign::Change,
        VmAction::Destroy => Sign::Remove,
    };
    let id = vm.id.map(|id| format!(" (id {id})")).unwrap_or_default();
    let what = if vm.vcpus == 0 {
        "left-over zvols".to_owned()
    } else {
        format!("{} vCPUs, {}", vm.vcpus, size(vm.memory_mib << 20))
    };
    let start = if vm.start { ", started" } else { "" };
    lines.push(Line {
        sign,
        text: format!("  {} {}{id}: {what}{start}", sign.symbol(), vm.name),
    });
    for device in &vm.devices {
        lines.push(device_line(device, width));
    }
    for volume in &vm.removed_volumes {
        lines.push(Line {
            sign: Sign::Remove,
            text: format!("      - {:width$}  {volume} and all data on it", "zvol"),
        });
    }
}

fn device_line(device: &DeviceView, width: usize) -> Line {
    let sign = match device.action {
        DeviceAction::Keep => Sign::Keep,
        DeviceAction::Create => Sign::Add,
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
    Line {
        sign,
        text: format!(
            "      {} {:width$}  {}{secret}{plugin}",
            sign.symbol(),
            device.name,
            device.summary
        ),
    }
}

fn headline(plan: &PlanView) -> String {
    let count = |action: VmAction| plan.vms.iter().filter(|vm| vm.action == action).count();
    let unchanged = count(VmAction::None);
    if !plan.changes {
        return match plan.kind {
            PlanKind::Create | PlanKind::Apply => {
                format!(
                    "No changes: {unchanged} VMs of group `{}` are as they should be.",
                    plan.group
                )
            }
            PlanKind::Destroy => format!(
                "No changes: group `{}` has no VMs or zvols here.",
                plan.group
            ),
        };
    }
    let parts: Vec<String> = [
        (count(VmAction::Create), "to create"),
        (count(VmAction::Complete), "to complete"),
        (count(VmAction::Start), "to start"),
        (count(VmAction::Destroy), "to destroy"),
        (unchanged, "unchanged"),
    ]
    .into_iter()
    .filter(|(number, _)| *number > 0)
    .map(|(number, what)| format!("{number} {what}"))
    .collect();
    format!("Plan for group `{}`: {}.", plan.group, parts.join(", "))
}

fn totals(plan: &PlanView) -> String {
    let totals = &plan.totals;
    match plan.kind {
        PlanKind::Create | PlanKind::Apply => format!(
            "Totals: {} devices, {} vCPUs, {} of memory, {} of zvols thin and {} thick.",
            totals.devices,
            totals.vcpus,
            size(totals.memory_mib << 20),
            size(totals.thin_bytes),
            size(totals.thick_bytes)
        ),
        PlanKind::Destroy => format!(
            "Totals: {} VMs, {} devices, {} zvols.",
            plan.vms.iter().filter(|vm| vm.id.is_some()).count(),
            totals.devices,
            plan.vms
                .iter()
                .map(|vm| vm.removed_volumes.len())
                .sum::<usize>()
        ),
    }
}

fn keep(text: String) -> Line {
    Line {
        sign: Sign::Keep,
        text,
    }
}
