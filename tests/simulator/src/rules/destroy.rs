//! Destroying datasets, zvols and snapshots, with the ways in which ZFS refuses.

use serde_json::json;

use super::disk::zvol_of;
use crate::errors::{ENOTEMPTY, Failure};
use crate::json::text;
use crate::world::{Event, World};

/// Destroys a dataset or zvol; `recursive` takes children and snapshots along.
///
/// Recorded on 25.10.7: a missing one (errno 14) and one with children (errno 39). Snapshots, clones
/// and use by a running VM by code reading: up to 25.10 dependent clones stop it, 26 destroys them too.
pub(crate) fn destroy(world: &mut World, name: &str, recursive: bool) -> Result<(), Failure> {
    let Some(dataset) = world.datasets.get(name) else {
        return Err(Failure::fault(format!(
            "Failed to delete dataset: cannot open '{name}': dataset does not exist"
        )));
    };
    let kind = if dataset.is_volume() {
        "volume"
    } else {
        "filesystem"
    };
    let tree = world.tree_of(name);
    let refuse = |why: &str| format!("Failed to delete dataset: cannot destroy '{name}': {why}");
    if !recursive && (tree.len() > 1 || world.snapshots_of(name).next().is_some()) {
        return Err(Failure::call(
            ENOTEMPTY,
            refuse(&format!("{kind} has children")),
        ));
    }
    if tree.iter().any(|member| is_busy(world, member)) {
        return Err(Failure::fault(refuse("dataset is busy")));
    }
    let clones: Vec<String> = tree
        .iter()
        .flat_map(|member| {
            world
                .snapshots_of(member)
                .map(crate::world::Snapshot::id)
                .collect::<Vec<_>>()
        })
        .flat_map(|snapshot| world.clones_of(&snapshot))
        .filter(|clone| !tree.contains(clone))
        .collect();
    if !clones.is_empty() && !world.version.destroys_clones() {
        return Err(Failure::fault(refuse(&format!(
            "{kind} has dependent clones"
        ))));
    }
    for clone in clones {
        // A clone that is busy or has snapshots of its own stays, and keeps its origin.
        destroy(world, &clone, false)?;
    }
    for member in tree {
        remove(world, &member);
    }
    Ok(())
}

/// Whether a running VM uses the zvol.
fn is_busy(world: &World, name: &str) -> bool {
    world.devices.values().any(|device| {
        device.dtype() == "DISK"
            && zvol_of(text(&device.attributes, "path")).as_deref() == Some(name)
            && world
                .vms
                .get(&device.vm)
                .is_some_and(crate::world::Vm::is_active)
    })
}

fn remove(world: &mut World, name: &str) {
    let mount = format!("/mnt/{name}/");
    world.datasets.remove(name);
    world
        .snapshots
        .retain(|_, snapshot| snapshot.dataset != name);
    world.files.retain(|path, _| !path.starts_with(&mount));
    world.emit(Event {
        kind: "removed",
        collection: "pool.dataset.query",
        id: json!(name),
        fields: None,
        extra: None,
    });
}
