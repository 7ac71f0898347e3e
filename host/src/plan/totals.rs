//! Sums over a plan.

use std::collections::BTreeMap;

use super::step::{Plan, Step, Totals, VmPlan};

impl Totals {
    /// Adds up the VMs that have something to do.
    #[must_use]
    pub fn of(vms: &[VmPlan]) -> Self {
        let mut totals = Self::default();
        for vm in vms.iter().filter(|vm| !vm.steps.is_empty()) {
            totals.vms += 1;
            if !vm.removes() {
                totals.vcpus += vm.vcpus;
            }
            for step in &vm.steps {
                totals.add(vm, step);
            }
        }
        totals
    }

    fn add(&mut self, vm: &VmPlan, step: &Step) {
        match step {
            Step::CreateDevice { .. } => self.devices += 1,
            Step::UpdateDevice { .. } => self.changed_devices += 1,
            Step::DeleteDevice { .. } => self.removed_devices += 1,
            Step::DeleteVm => self.removed_devices += vm.devices.len() as u64,
            Step::DeleteVolume { .. } => self.removed_volumes += 1,
            Step::CreateVolume { volume, .. } => *self.bytes(volume.sparse) += volume.size,
            Step::GrowVolume {
                size,
                before,
                device,
                ..
            } => *self.bytes(is_thin(vm, device)) += size.saturating_sub(*before),
            Step::StartVm => self.memory_mib += vm.memory_mib.saturating_sub(held_now(vm)),
            Step::CreateVm { .. } | Step::UpdateVm { .. } | Step::StopVm | Step::PowerOffVm => {}
        }
    }

    const fn bytes(&mut self, thin: bool) -> &mut u64 {
        if thin {
            &mut self.thin_bytes
        } else {
            &mut self.thick_bytes
        }
    }
}

/// The bytes that thin and thick zvols of a plan ask for, by the dataset that they are made in or
/// grow in.
pub(super) fn asked_of(plan: &Plan) -> BTreeMap<&str, (u64, u64)> {
    let mut asked: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
    for vm in &plan.vms {
        for step in &vm.steps {
            let (dataset, bytes, is_thin) = match step {
                Step::CreateVolume { volume, .. } => (&volume.dataset, volume.size, volume.sparse),
                Step::GrowVolume {
                    dataset,
                    size,
                    before,
                    device,
                } => (dataset, size.saturating_sub(*before), is_thin(vm, device)),
                _ => continue,
            };
            let (thin, thick) = asked.entry(parent(dataset)).or_default();
            *(if is_thin { thin } else { thick }) += bytes;
        }
    }
    asked
}

/// The dataset around another.
pub(super) fn parent(dataset: &str) -> &str {
    dataset
        .rsplit_once('/')
        .map_or(dataset, |(parent, _)| parent)
}

/// As the config says; what the zvol is cannot be seen from its size.
pub(super) fn is_thin(vm: &VmPlan, device: &str) -> bool {
    let device = vm.devices.iter().find(|one| one.name == device);
    device
        .and_then(|one| one.volume.as_ref())
        .is_none_or(|volume| volume.sparse)
}

/// The MiB that a VM has while it waits for its restart.
fn held_now(vm: &VmPlan) -> u64 {
    if !vm.restarts() {
        return 0;
    }
    let before = vm.steps.iter().find_map(|step| match step {
        Step::UpdateVm { before, .. } => before.get("memory")?.as_u64(),
        _ => None,
    });
    before.unwrap_or(vm.memory_mib)
}
