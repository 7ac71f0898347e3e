//! What guests do that no call says: the recordings tell it by the VM's name.

use crate::world::World;

/// Guests by a part of their name.
pub(super) struct Traits {
    /// They do not react to ACPI.
    deaf: &'static str,
    /// libvirt does not start them, and says this.
    failing: (&'static str, &'static str),
}

impl Default for Traits {
    fn default() -> Self {
        Self {
            deaf: "stubborn",
            failing: (
                "failstart",
                "internal error: process exited while connecting to monitor: simulated start failure",
            ),
        }
    }
}

impl Traits {
    /// Gives the VMs of the world what their names say.
    pub(super) fn apply(&self, world: &mut World) {
        for vm in world.vms.values_mut() {
            if vm.name().contains(self.deaf) {
                vm.ignores_acpi = true;
            }
            if vm.name().contains(self.failing.0) {
                vm.fails_to_start = Some(self.failing.1.to_owned());
            }
        }
    }
}
