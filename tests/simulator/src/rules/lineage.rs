//! Where a dataset comes from and what it is called: promoting clones, renaming, and who uses it.

use serde_json::{Value, json};

use super::disk::zvol_of;
use crate::errors::{EBADMSG, EEXIST, ENOENT, Failure};
use crate::json::{Object, flag, text};
use crate::world::{World, parent_of};

/// `pool.dataset.promote`: the clone becomes the origin, and what it was cloned from its clone. Code
/// reading: errnos; the texts are ours.
pub(crate) fn promote(world: &mut World, id: &str) -> Result<(), Failure> {
    let Some(dataset) = world.datasets.get(id) else {
        return Err(Failure::call(ENOENT, format!("{id} does not exist")));
    };
    let origin = dataset
        .origin
        .as_deref()
        .and_then(|origin| world.snapshots.get(origin));
    let Some(origin) = origin.cloned() else {
        return Err(Failure::call(
            EBADMSG,
            format!("Failed to promote dataset: '{id}' is not a clone"),
        ));
    };
    let source = origin.dataset.clone();
    let moved: Vec<String> = world
        .snapshots_of(&source)
        .filter(|snapshot| snapshot.txg <= origin.txg)
        .map(|snapshot| snapshot.id())
        .collect();
    for old in moved {
        let Some(mut snapshot) = world.snapshots.remove(&old) else {
            continue;
        };
        snapshot.dataset = id.to_owned();
        let new = snapshot.id();
        world.snapshots.insert(new.clone(), snapshot);
        follow(world, &old, &new);
    }
    let before = world
        .datasets
        .get_mut(&source)
        .and_then(|source| source.origin.replace(format!("{id}@{}", origin.name)));
    if let Some(dataset) = world.datasets.get_mut(id) {
        dataset.origin = before;
    }
    Ok(())
}

/// `pool.dataset.rename`, 25.10 and newer: with everything below. Code reading: refused unless forced;
/// the texts are ours. Devices of VMs keep the old path.
pub(crate) fn rename(world: &mut World, id: &str, options: &Object) -> Result<(), Failure> {
    let invalid = |attribute: &str, why: &str| {
        Err(Failure::invalid(
            format!("pool.dataset.rename.{attribute}"),
            why,
        ))
    };
    if !world.datasets.contains_key(id) {
        return Err(Failure::not_found("PoolDataset", id));
    }
    if !flag(options, "force") {
        let why = "Renaming a dataset may break whatever uses it; set this to do it all the same";
        return invalid("force", why);
    }
    let new = text(options, "new_name").to_owned();
    if world.datasets.contains_key(&new) {
        return Err(Failure::call(EEXIST, format!("{new} already exists")));
    }
    if !parent_of(&new).is_some_and(|parent| world.datasets.contains_key(parent)) {
        return invalid("new_name", "Its parent does not exist");
    }
    for old in world.tree_of(id) {
        let target = old.replacen(id, &new, 1);
        let snapshots: Vec<String> = world
            .snapshots_of(&old)
            .map(|snapshot| snapshot.id())
            .collect();
        for snapshot in snapshots {
            if let Some(mut found) = world.snapshots.remove(&snapshot) {
                found.dataset.clone_from(&target);
                let moved = found.id();
                world.snapshots.insert(moved.clone(), found);
                follow(world, &snapshot, &moved);
            }
        }
        if let Some(mut dataset) = world.datasets.remove(&old) {
            dataset.name.clone_from(&target);
            world.datasets.insert(target, dataset);
        }
    }
    Ok(())
}

/// `pool.dataset.attachments`: the VMs with a disk or a file on the dataset or below it.
pub(crate) fn attachments(world: &World, id: &str) -> Result<Value, Failure> {
    let Some(dataset) = world.datasets.get(id) else {
        return Err(Failure::not_found("PoolDataset", id));
    };
    let mount = dataset.mountpoint();
    let below = |name: &str, root: &str| name == root || name.starts_with(&format!("{root}/"));
    let mut names: Vec<&str> = world
        .devices
        .values()
        .filter(|device| {
            let path = text(&device.attributes, "path");
            zvol_of(path).is_some_and(|zvol| below(&zvol, id))
                || mount.as_deref().is_some_and(|mount| below(path, mount))
        })
        .filter_map(|device| world.vms.get(&device.vm))
        .map(crate::world::Vm::name)
        .collect();
    names.sort_unstable();
    names.dedup();
    Ok(if names.is_empty() {
        json!([])
    } else {
        json!([{"type": "Virtual Machine", "service": null, "attachments": names}])
    })
}

/// Clones of a snapshot that has another name now.
fn follow(world: &mut World, old: &str, new: &str) {
    for dataset in world.datasets.values_mut() {
        if dataset.origin.as_deref() == Some(old) {
            dataset.origin = Some(new.to_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::Bench;
    use crate::world::WorldBuilder;

    fn bench() -> Bench {
        let world = WorldBuilder::example("25.10".parse().unwrap())
            .zvol("tank/golden", 1, &[])
            .snapshot("tank/golden@s")
            .clone_of("tank/golden@s", "tank/child");
        Bench::in_world(world.build())
    }

    #[test]
    fn a_promoted_clone_outlives_its_origin() {
        let mut bench = bench();
        let origin = json!(["tank/golden", {"recursive": true}]);
        bench.refused("pool.dataset.delete", origin.clone());
        bench.ok("pool.dataset.promote", json!(["tank/child"]));
        let view = bench.state.world.view();
        assert_eq!(view.snapshots, ["tank/child@s"]);
        assert_eq!(
            view.zvols["tank/golden"].origin.as_deref(),
            Some("tank/child@s")
        );
        assert_eq!(view.zvols["tank/child"].origin, None);
        assert_eq!(bench.ok("pool.dataset.delete", origin), true);
    }

    #[test]
    fn only_a_clone_can_be_promoted() {
        let mut bench = bench();
        let (_, errno, ..) = bench.refused("pool.dataset.promote", json!(["tank/golden"]));
        assert_eq!(errno, 74);
        let (_, errno, ..) = bench.refused("pool.dataset.promote", json!(["tank/none"]));
        assert_eq!(errno, 2);
    }

    #[test]
    fn a_rename_has_to_be_forced_and_takes_snapshots_along() {
        let mut bench = bench();
        let to = |force: bool| json!(["tank/golden", {"new_name": "tank/old", "force": force}]);
        bench.refused("pool.dataset.rename", to(false));
        bench.ok("pool.dataset.rename", to(true));
        let view = bench.state.world.view();
        assert_eq!(view.zvol_names(), ["tank/child", "tank/old"]);
        assert_eq!(
            view.zvols["tank/child"].origin.as_deref(),
            Some("tank/old@s")
        );
    }

    #[test]
    fn attachments_name_the_vms_below() {
        let mut bench = bench();
        let vm = bench.vm("a");
        bench.device(vm, json!({"dtype": "DISK", "path": "/dev/zvol/tank/child"}));
        let found = bench.ok("pool.dataset.attachments", json!(["tank"]));
        assert_eq!(found[0]["attachments"], json!(["a"]));
        assert_eq!(
            bench.ok("pool.dataset.attachments", json!(["storage"])),
            json!([])
        );
    }
}
