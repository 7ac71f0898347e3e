//! Sums over a plan.

use super::step::{Step, Totals, VmPlan};

impl Totals {
    /// Adds up the VMs that have something to do.
    #[must_use]
    pub fn of(vms: &[VmPlan]) -> Self {
        let mut totals = Self::default();
        for vm in vms.iter().filter(|vm| !vm.steps.is_empty()) {
            totals.vms += 1;
            totals.vcpus += vm.vcpus;
            for step in &vm.steps {
                match step {
                    Step::CreateDevice { .. } => totals.devices += 1,
                    Step::CreateVolume { volume, .. } if volume.sparse => {
                        totals.thin_bytes += volume.size;
                    }
                    Step::CreateVolume { volume, .. } => totals.thick_bytes += volume.size,
                    Step::StartVm => totals.memory_mib += vm.memory_mib,
                    Step::DeleteVm => totals.devices += vm.devices.len() as u64,
                    Step::GrowVolume { size, before, .. } => {
                        totals.thin_bytes += size.saturating_sub(*before);
                    }
                    Step::DeleteDevice { .. } => totals.devices += 1,
                    Step::CreateVm { .. }
                    | Step::UpdateVm { .. }
                    | Step::UpdateDevice { .. }
                    | Step::StopVm
                    | Step::PowerOffVm
                    | Step::DeleteVolume { .. } => {}
                }
            }
        }
        totals
    }
}
