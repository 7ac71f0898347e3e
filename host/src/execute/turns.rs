//! VMs that wait for others: who gives up a port comes before who gets it.

use std::collections::HashMap;

use tokio::sync::watch;

use crate::plan::{Plan, VmPlan};

/// How the VMs that others wait for ended.
pub(super) struct Turns {
    /// By name; none while it is not done, then whether it went well.
    ended: HashMap<String, watch::Sender<Option<bool>>>,
}

impl Turns {
    pub(super) fn new(plan: &Plan) -> Self {
        let waited_for = plan.vms.iter().flat_map(|vm| &vm.after);
        let ended = waited_for.map(|vm| (vm.clone(), watch::Sender::new(None)));
        Self {
            ended: ended.collect(),
        }
    }

    /// Notes that a VM is done.
    pub(super) fn done(&self, vm: &str, well: bool) {
        if let Some(ended) = self.ended.get(vm) {
            ended.send_replace(Some(well));
        }
    }

    /// Waits for all that the VM comes after.
    ///
    /// # Errors
    /// The name of the first that failed.
    pub(super) async fn wait(&self, plan: &VmPlan) -> Result<(), String> {
        for vm in &plan.after {
            let Some(ended) = self.ended.get(vm) else {
                continue;
            };
            let mut ended = ended.subscribe();
            // The sender lives as long as this, so the wait itself cannot fail.
            if let Ok(well) = ended.wait_for(Option::is_some).await
                && *well != Some(true)
            {
                return Err(vm.clone());
            }
        }
        Ok(())
    }
}

/// How many others have to be done, one after the other, before each VM, in the order of the plan:
/// whoever is worked on in the order of these numbers never keeps the one it waits for from a place.
pub(super) fn depths(plan: &Plan) -> HashMap<&str, usize> {
    let mut depths: HashMap<&str, usize> = HashMap::new();
    // Each round settles at least those that wait only for settled ones; the plan has no circle.
    for _ in 0..plan.vms.len() {
        let mut moved = false;
        for vm in &plan.vms {
            let others = vm.after.iter().filter_map(|one| depths.get(one.as_str()));
            let depth = others.max().map_or(0, |deepest| deepest + 1);
            let depth = if vm.after.is_empty() { 0 } else { depth.max(1) };
            moved |= depths.insert(&vm.name, depth) != Some(depth);
        }
        if !moved {
            break;
        }
    }
    depths
}
