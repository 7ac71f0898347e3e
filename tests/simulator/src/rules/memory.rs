//! Memory: what guests were promised and what is left. Code reading: the VM memory rule, the same
//! from 24.10 to 27; `vm.start` without memory is recorded on 25.10.7.

use serde_json::{Value, json};

use super::vm;
use crate::errors::Failure;
use crate::world::{Power, World};

/// One MiB in bytes.
const MIB: u64 = 1 << 20;

/// Available bytes: 90 % of what the kernel calls available plus the part of the ARC that can shrink.
/// Without `overcommit` the memory that running guests were promised and do not use yet is taken off.
pub(crate) fn available(world: &World, overcommit: bool) -> u64 {
    let used: u64 = running(world).map(|promised| promised / 2).sum();
    let kernel = world.memory_available.saturating_sub(used);
    let shrinkable = world.arc_size.saturating_sub(world.arc_min);
    let all = kernel / 10 * 9 + shrinkable;
    let promised: u64 = running(world).map(|promised| promised - promised / 2).sum();
    if overcommit {
        all
    } else {
        all.saturating_sub(promised)
    }
}

/// Bytes a VM's guest needs to be guaranteed.
pub(crate) fn guaranteed(world: &World, id: i64) -> u64 {
    world.vms.get(&id).map_or(0, |vm| {
        u64::try_from(vm.guaranteed_mib())
            .unwrap_or(0)
            .saturating_mul(MIB)
    })
}

/// `vm.get_vmemory_in_use`.
pub(crate) fn in_use(world: &World) -> Value {
    let promised: u64 = running(world).sum();
    let used: u64 = running(world).map(|promised| promised / 2).sum();
    json!({"RNP": 0, "PRD": promised, "RPRD": promised - used})
}

/// `vm.get_memory_usage`: bytes a running VM uses. A guest here uses half of what it was promised.
pub(crate) fn usage(world: &World, id: i64) -> Result<Value, Failure> {
    let vm = vm::find(world, id)?;
    match vm.power {
        Power::Off => Err(Failure::fault(format!(
            "Unable to retrieve {} VM information.",
            vm.name()
        ))),
        _ => Ok(json!(guaranteed(world, id) / 2)),
    }
}

/// `vm.get_vm_memory_info`; refused for an active VM.
pub(crate) fn info(world: &World, id: i64) -> Result<Value, Failure> {
    let vm = vm::find(world, id)?;
    if vm.is_active() {
        return Err(Failure::fault(format!("VM {id} is already running")));
    }
    let requested = guaranteed(world, id);
    let total = crate::json::int(&vm.config, "memory")
        .and_then(|mib| u64::try_from(mib).ok())
        .unwrap_or(0)
        * MIB;
    let free = available(world, false);
    let shrinkable = world.arc_size.saturating_sub(world.arc_min);
    let shortfall = requested.saturating_sub(free);
    let shrink = shortfall.min(shrinkable);
    Ok(json!({
        "minimum_memory_requested": if crate::json::given(&vm.config, "min_memory") { json!(requested) } else { Value::Null },
        "total_memory_requested": total,
        "overcommit_required": shortfall > 0,
        "memory_req_fulfilled_after_overcommit": available(world, true) >= requested,
        "arc_to_shrink": if shortfall > 0 { json!(shrink) } else { json!(0) },
        "current_arc_max": world.arc_size,
        "arc_min": world.arc_min,
        "arc_max_after_shrink": world.arc_size - shrink,
        "actual_vm_requested_memory": requested,
    }))
}

fn running(world: &World) -> impl Iterator<Item = u64> {
    world
        .vms
        .values()
        .filter(|vm| vm.is_active())
        .map(|vm| guaranteed(world, vm.id))
}
