//! Destroying datasets, zvols and snapshots, with the ways in which ZFS refuses.

use super::disk::zvol_of;
use crate::errors::{EFAULT, ENOTEMPTY, Failure};
use crate::json::text;
use crate::world::{Dataset, Snapshot, World};

/// Destroys a dataset or zvol; `recursive` takes children and snapshots along.
///
/// Recorded on 25.10.7: a missing one (errno 14) and one with children (errno 39). What ZFS refuses
/// beyond that is told up to 25.10 and, while [`World::swallow_destroy_errors`] is set, not told by
/// 26: `vm.delete`, `vm.device.delete` and `pool.dataset.delete` succeed and the zvol remains (code
/// reading: `plugins/zfs/destroy_impl.py`, 26.0, gives its failure as a value that they ignore).
pub(crate) fn destroy(world: &mut World, name: &str, recursive: bool) -> Result<(), Failure> {
    let tree = check(world, name, recursive)?;
    match destroy_tree(world, name, tree) {
        Err(_) if world.swallow_destroy_errors => Ok(()),
        outcome => outcome,
    }
}

/// The same, and whatever ZFS refuses is told.
pub(crate) fn destroy_telling(
    world: &mut World,
    name: &str,
    recursive: bool,
) -> Result<(), Failure> {
    let tree = check(world, name, recursive)?;
    destroy_tree(world, name, tree)
}

/// What is refused before anything is tried; answers the dataset and all below it.
fn check(world: &World, name: &str, recursive: bool) -> Result<Vec<String>, Failure> {
    let Some(dataset) = world.datasets.get(name) else {
        return Err(Failure::fault(format!(
            "Failed to delete dataset: cannot open '{name}': dataset does not exist"
        )));
    };
    let tree = world.tree_of(name);
    if !recursive && (tree.len() > 1 || world.snapshots_of(name).next().is_some()) {
        let why = format!("{} has children", kind_of(dataset));
        // Recorded on 24.10.2.5 and 25.04.2.6: only of a filesystem the server tells it apart.
        let errno = if dataset.is_volume() {
            EFAULT
        } else {
            ENOTEMPTY
        };
        return Err(Failure::call(errno, refusal(name, &why)));
    }
    Ok(tree)
}

/// Use by a running VM, holds and clones, all by code reading: up to 25.10 holds and dependent
/// clones stop it (`zfs destroy -r`), 26 releases holds and destroys clones too.
fn destroy_tree(world: &mut World, name: &str, tree: Vec<String>) -> Result<(), Failure> {
    if tree.iter().any(|member| is_running_from(world, member)) {
        return Err(busy(name));
    }
    let snapshots: Vec<&Snapshot> = tree
        .iter()
        .flat_map(|member| world.snapshots_of(member))
        .collect();
    let held = snapshots.iter().any(|snapshot| !snapshot.holds.is_empty());
    if held && !world.version.destroys_clones() {
        return Err(busy(name));
    }
    let clones: Vec<String> = snapshots
        .iter()
        .flat_map(|snapshot| world.clones_of(&snapshot.id()))
        .filter(|clone| !tree.contains(clone))
        .collect();
    let dependent = world.datasets.get(name).map_or("dataset", kind_of);
    let dependent = refusal(name, &format!("{dependent} has dependent clones"));
    if !clones.is_empty() && !world.version.destroys_clones() {
        return Err(Failure::fault(dependent));
    }
    // Each is tried. One that is busy or has snapshots of its own stays, and so does its origin.
    let mut stays = false;
    for clone in clones {
        let gone = check(world, &clone, false)
            .and_then(|of_clone| destroy_tree(world, &clone, of_clone))
            .is_ok();
        stays |= !gone;
    }
    if stays {
        return Err(Failure::fault(dependent));
    }
    for member in tree {
        remove(world, &member);
    }
    Ok(())
}

fn kind_of(dataset: &Dataset) -> &'static str {
    if dataset.is_volume() {
        "volume"
    } else {
        "filesystem"
    }
}

/// ZFS does not destroy what is in use or held.
pub(crate) fn busy(name: &str) -> Failure {
    Failure::fault(refusal(name, "dataset is busy"))
}

fn refusal(name: &str, why: &str) -> String {
    format!("Failed to delete dataset: cannot destroy '{name}': {why}")
}

/// Whether a running VM uses the zvol.
pub(crate) fn is_running_from(world: &World, name: &str) -> bool {
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
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::bench::Bench;
    use crate::world::WorldBuilder;

    /// A golden image, a clone of it, and a clone that has a snapshot of its own.
    fn golden(version: &str) -> WorldBuilder {
        WorldBuilder::example(version.parse().unwrap())
            .zvol("tank/golden", 1, &[])
            .snapshot("tank/golden@base")
            .clone_of("tank/golden@base", "tank/child")
    }

    fn zvols(bench: &Bench) -> Vec<String> {
        bench.state.world.view().zvols.into_keys().collect()
    }

    #[test]
    fn recursion_takes_clones_along_on_26_and_is_stopped_by_them_before() {
        let delete = json!(["tank/golden", {"recursive": true}]);
        let mut old = Bench::in_world(golden("25.10").build());
        let (.., why) = old.refused("pool.dataset.delete", delete.clone());
        assert!(why.contains("dependent clones"), "{why}");
        assert_eq!(zvols(&old), ["tank/child", "tank/golden"]);

        let mut new = Bench::in_world(golden("26").build());
        new.ok("pool.dataset.delete", delete);
        assert!(zvols(&new).is_empty());
    }

    #[test]
    fn a_hold_stops_recursion_before_26_and_is_released_there() {
        for (version, left) in [("25.10", 1), ("26", 0)] {
            let world = WorldBuilder::example(version.parse().unwrap())
                .zvol("tank/held", 1, &[])
                .snapshot("tank/held@kept")
                .hold("tank/held@kept", "backup");
            let mut bench = Bench::in_world(world.build());
            let delete = json!(["tank/held", {"recursive": true}]);
            assert_eq!(
                bench.call("pool.dataset.delete", delete).is_err(),
                left == 1
            );
            assert_eq!(zvols(&bench).len(), left);
        }
    }

    #[test]
    fn on_26_a_delete_can_report_success_and_delete_nothing() {
        let world = || golden("26").snapshot("tank/child@own");
        let delete = json!(["tank/golden", {"recursive": true}]);
        let mut bench = Bench::in_world(world().build());
        assert_eq!(bench.ok("pool.dataset.delete", delete.clone()), json!(true));
        assert_eq!(zvols(&bench), ["tank/child", "tank/golden"]);

        let mut honest = Bench::in_world(world().swallow_destroy_errors(false).build());
        honest.refused("pool.dataset.delete", delete);
    }

    #[test]
    fn on_26_the_zvol_of_a_running_vm_survives_a_delete_that_succeeds() {
        let disk = json!({"dtype": "DISK", "path": "/dev/zvol/tank/busy"});
        for version in ["25.10", "26", "26.0.0-BETA.3"] {
            let world = WorldBuilder::example(version.parse().unwrap())
                .zvol("tank/busy", 1, &[])
                .vm("a", 512, std::slice::from_ref(&disk));
            let mut bench = Bench::in_world(world.unwrap().build());
            bench.ok("vm.start", json!([1]));
            let told = bench.call("pool.dataset.delete", json!(["tank/busy"]));
            assert_eq!(told.is_ok(), version != "25.10");
            assert_eq!(zvols(&bench), ["tank/busy"]);
            // The betas destroy zvols first and stop the domain then, so the zvol is still in use.
            let orphan = version.contains("BETA");
            bench.ok("vm.delete", json!([1, {"zvols": true, "force": true}]));
            assert_eq!(bench.state.world.view().vms.len(), 0);
            assert_eq!(zvols(&bench).len(), usize::from(orphan), "{version}");
        }
    }
}
