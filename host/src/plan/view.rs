//! A plan as it is shown: the one value that both the text and the JSON are made from.
//!
//! Holds no secret: a place that takes one shows `(secret)`.

use serde::Serialize;
use serde_json::{Map, Value};

use super::step::{Plan, PlanKind, Step, Totals, VmPlan};
use crate::plugin::Volume;
use crate::resolve::DesiredDevice;

/// A plan for showing. The shape is stable: members are added, never renamed.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PlanView {
    /// The group.
    pub group: String,
    /// `create` or `destroy`.
    pub kind: PlanKind,
    /// Whether there is anything to do.
    pub changes: bool,
    /// All VMs, in the order of the plan.
    pub vms: Vec<VmView>,
    /// Sums over the VMs with something to do.
    pub totals: Totals,
}

/// One VM for showing.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct VmView {
    /// Name.
    pub name: String,
    /// VM type.
    #[serde(rename = "type")]
    pub vm_type: String,
    /// What happens to it.
    pub action: VmAction,
    /// The server's id, if it exists.
    pub id: Option<u64>,
    /// vCPUs.
    pub vcpus: u64,
    /// MiB.
    pub memory_mib: u64,
    /// Whether it is started.
    pub start: bool,
    /// Its devices.
    pub devices: Vec<DeviceView>,
    /// Zvols that are removed.
    pub removed_volumes: Vec<String>,
}

/// What happens to a VM.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum VmAction {
    /// Nothing.
    None,
    /// Made from nothing.
    Create,
    /// Exists; what an earlier run left out is added.
    Complete,
    /// Exists whole; only started.
    Start,
    /// Removed.
    Destroy,
}

/// One device for showing.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DeviceView {
    /// `disk.system`
    pub name: String,
    /// The plugin that made it; empty for a device that is only removed.
    pub plugin: String,
    /// What happens to it.
    pub action: DeviceAction,
    /// Its place in the VM's order.
    pub order: u32,
    /// One line on what it is.
    pub summary: String,
    /// What the server stores, `(secret)` where a secret goes.
    pub attributes: Map<String, Value>,
    /// The zvol that is made for it.
    pub volume: Option<Volume>,
}

/// What happens to a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DeviceAction {
    /// Stays as it is.
    Keep,
    /// Made.
    Create,
    /// Removed with its VM.
    Destroy,
}

impl PlanView {
    /// A plan, with what it was made from.
    #[must_use]
    pub fn of(plan: &Plan, _: Option<&super::Observed>) -> Self {
        Self::from(plan)
    }
}

impl From<&Plan> for PlanView {
    fn from(plan: &Plan) -> Self {
        Self {
            group: plan.group.clone(),
            kind: plan.kind,
            changes: !plan.is_empty(),
            vms: plan.vms.iter().map(|vm| vm_view(plan.kind, vm)).collect(),
            totals: plan.totals,
        }
    }
}

fn vm_view(kind: PlanKind, vm: &VmPlan) -> VmView {
    let creates = vm
        .steps
        .iter()
        .any(|step| matches!(step, Step::CreateVm { .. }));
    let start = vm.steps.contains(&Step::StartVm);
    let action = match (kind, vm.steps.as_slice()) {
        (_, []) => VmAction::None,
        (PlanKind::Destroy, _) => VmAction::Destroy,
        (_, _) if creates => VmAction::Create,
        (_, [Step::StartVm]) => VmAction::Start,
        (_, _) => VmAction::Complete,
    };
    let removed_volumes = vm
        .steps
        .iter()
        .filter_map(|step| match step {
            Step::DeleteVolume { dataset, .. } => Some(dataset.clone()),
            _ => None,
        })
        .collect();
    VmView {
        name: vm.name.clone(),
        vm_type: vm.vm_type.clone(),
        action,
        id: vm.id,
        vcpus: vm.vcpus,
        memory_mib: vm.memory_mib,
        start,
        devices: vm
            .devices
            .iter()
            .map(|device| device_view(kind, vm, device))
            .collect(),
        removed_volumes,
    }
}

fn device_view(kind: PlanKind, vm: &VmPlan, device: &DesiredDevice) -> DeviceView {
    let volume = vm.steps.iter().find_map(|step| match step {
        Step::CreateVolume {
            volume,
            device: name,
        } if *name == device.name => Some(volume.clone()),
        _ => None,
    });
    let created = vm
        .steps
        .iter()
        .any(|step| matches!(step, Step::CreateDevice { device: one } if one.name == device.name));
    let mut attributes = device.attributes.clone();
    for secret in &device.secrets {
        attributes.insert(secret.attribute(), Value::from("(secret)"));
    }
    DeviceView {
        name: device.name.clone(),
        plugin: device.plugin.clone(),
        action: match kind {
            PlanKind::Destroy => DeviceAction::Destroy,
            _ if created => DeviceAction::Create,
            _ => DeviceAction::Keep,
        },
        order: device.order,
        summary: summary(&attributes, device.volume.as_ref()),
        attributes,
        volume,
    }
}

/// One line on a device: the telling attributes of the types the server has, all of any other.
#[must_use]
pub fn summary(attributes: &Map<String, Value>, volume: Option<&Volume>) -> String {
    let text = |name: &str| match attributes.get(name) {
        None | Some(Value::Null) => String::from("-"),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    };
    match attributes.get("dtype").and_then(Value::as_str) {
        Some("DISK") => match volume {
            Some(volume) => format!(
                "{}, {} {}",
                volume.dataset,
                size(volume.size),
                if volume.sparse { "thin" } else { "thick" }
            ),
            None => text("path"),
        },
        Some("NIC") => format!(
            "{} on {}, {}",
            text("type"),
            text("nic_attach"),
            text("mac")
        ),
        Some("DISPLAY") => format!(
            "{} at {}:{}, web {}",
            text("type"),
            text("bind"),
            text("port"),
            text("web_port")
        ),
        Some("CDROM" | "RAW") => text("path"),
        _ => attributes
            .iter()
            .filter(|(_, value)| !value.is_null())
            .map(|(name, value)| {
                format!(
                    "{name}={}",
                    value
                        .as_str()
                        .map_or_else(|| value.to_string(), str::to_owned)
                )
            })
            .collect::<Vec<_>>()
            .join(" "),
    }
}

/// Bytes in the largest unit that needs at most one decimal: `15 GiB`, `1.5 TiB`, `512 MiB`.
#[must_use]
pub fn size(bytes: u64) -> String {
    const UNITS: [(&str, u64); 4] = [
        ("TiB", 1 << 40),
        ("GiB", 1 << 30),
        ("MiB", 1 << 20),
        ("KiB", 1 << 10),
    ];
    for (unit, one) in UNITS {
        if bytes >= one {
            let tenths = bytes.saturating_mul(10) / one;
            return if tenths.is_multiple_of(10) {
                format!("{} {unit}", tenths / 10)
            } else {
                format!("{}.{} {unit}", tenths / 10, tenths % 10)
            };
        }
    }
    format!("{bytes} bytes")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_read_like_people_write_them() {
        for (bytes, text) in [
            (0, "0 bytes"),
            (1 << 10, "1 KiB"),
            (15 << 30, "15 GiB"),
            (600 << 30, "600 GiB"),
            (1536 << 30, "1.5 TiB"),
        ] {
            assert_eq!(size(bytes), text);
        }
    }
}
