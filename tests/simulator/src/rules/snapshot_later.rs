//! What is done to a snapshot after it was taken: rolling back, holding, renaming.

use super::snapshot::find;
use crate::errors::{EEXIST, Failure};
use crate::json::{Object, flag, text};
use crate::world::World;

/// The tag that the server's holds carry. Code reading: `zfs.snapshot.hold`.
const TAG: &str = "truenas";

/// `pool.snapshot.rollback`. Texts recorded on 24.10.2.5 and 27; that of clones is ours. Nothing stops it
/// under a running VM (code reading).
pub(crate) fn rollback(world: &mut World, id: &str, options: &Object) -> Result<(), Failure> {
    let by_helper = world.version.uses_pylibzfs();
    let Some(target) = world.snapshots.get(id).cloned() else {
        return Err(if by_helper {
            Failure::exception("ZFSPathNotFoundException", format!("'{id}' not found"))
        } else {
            Failure::fault(format!(
                "Failed to rollback snapshot: cannot open '{id}': dataset does not exist"
            ))
        });
    };
    let mut newer: Vec<(u64, String)> = world
        .snapshots_of(&target.dataset)
        .filter(|snapshot| snapshot.txg > target.txg)
        .map(|snapshot| (snapshot.txg, snapshot.id()))
        .collect();
    newer.sort();
    let newer: Vec<String> = newer.into_iter().map(|(_, id)| id).collect();
    let takes_clones = flag(options, "recursive_clones");
    if !newer.is_empty() && !flag(options, "recursive") && !takes_clones {
        return Err(if by_helper {
            let text = format!(
                "Cannot rollback: more recent snapshots or bookmarks exist. Please pass `recursive: true` to delete \
                 the following snapshots and bookmarks recursively:\n  {}",
                newer.join("\n  ")
            );
            Failure::exception("ValueError", text)
        } else {
            Failure::fault(format!(
                "Failed to rollback snapshot: cannot rollback to '{id}': more recent snapshots or bookmarks exist\n\
                 use '-r' to force deletion of the following snapshots and bookmarks:\n{}",
                newer.join("\n")
            ))
        });
    }
    let clones: Vec<String> = newer.iter().flat_map(|id| world.clones_of(id)).collect();
    if !clones.is_empty() && !takes_clones {
        return Err(Failure::fault(format!(
            "Failed to rollback snapshot: cannot rollback to '{id}': clones of later snapshots exist\n{}",
            clones.join("\n")
        )));
    }
    for clone in clones {
        super::destroy::destroy(world, &clone, true)?;
    }
    for id in newer {
        world.snapshots.remove(&id);
    }
    Ok(())
}

/// `pool.snapshot.hold` and `release`; `recursive` means those of the same name below.
pub(crate) fn hold(
    world: &mut World,
    id: &str,
    options: &Object,
    held: bool,
) -> Result<(), Failure> {
    let target = find(world, id)?;
    let (dataset, name) = (target.dataset.clone(), target.name.clone());
    let members = if flag(options, "recursive") {
        world.tree_of(&dataset)
    } else {
        vec![dataset]
    };
    for member in members {
        if let Some(snapshot) = world.snapshots.get_mut(&format!("{member}@{name}")) {
            if held {
                snapshot.holds.insert(TAG.to_owned());
            } else {
                snapshot.holds.remove(TAG);
            }
        }
    }
    Ok(())
}

/// `pool.snapshot.rename`, 25.10 and newer. Code reading: refused unless forced; the texts are ours.
pub(crate) fn rename(world: &mut World, id: &str, options: &Object) -> Result<(), Failure> {
    let snapshot = find(world, id)?.clone();
    if !flag(options, "force") {
        return Err(Failure::invalid(
            "pool.snapshot.rename.force",
            "Renaming a snapshot may break whatever uses it; set this to do it all the same",
        ));
    }
    let new_id = text(options, "new_name").to_owned();
    let new_name = match new_id.split_once('@') {
        Some((dataset, name)) if dataset == snapshot.dataset && !name.is_empty() => name.to_owned(),
        _ => {
            return Err(Failure::invalid(
                "pool.snapshot.rename.new_name",
                "The new name must be one of the same dataset",
            ));
        }
    };
    if world.snapshots.contains_key(&new_id) {
        return Err(Failure::call(EEXIST, format!("{new_id} already exists")));
    }
    let mut renamed = snapshot;
    renamed.name = new_name;
    world.snapshots.remove(id);
    world.snapshots.insert(new_id.clone(), renamed);
    for dataset in world.datasets.values_mut() {
        if dataset.origin.as_deref() == Some(id) {
            dataset.origin = Some(new_id.clone());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::bench::Bench;
    use crate::world::WorldBuilder;

    fn bench(version: &str) -> Bench {
        let world = WorldBuilder::example(version.parse().unwrap())
            .zvol("tank/z", 1, &[])
            .snapshot("tank/z@a")
            .snapshot("tank/z@b")
            .clone_of("tank/z@b", "tank/c");
        Bench::in_world(world.build())
    }

    #[test]
    fn a_rollback_takes_newer_snapshots_only_when_asked_and_their_clones_only_when_asked_for() {
        for (version, service) in [("24.10", "zfs"), ("25.10", "pool"), ("27", "pool")] {
            let mut bench = bench(version);
            let method = format!("{service}.snapshot.rollback");
            let (.., text) = bench.refused(&method, json!(["tank/z@a"]));
            assert!(text.contains("tank/z@b"), "{version}: {text}");
            bench.refused(&method, json!(["tank/z@a", {"recursive": true}]));
            let all = json!(["tank/z@a", {"recursive_clones": true}]);
            assert_eq!(bench.ok(&method, all), Value::Null);
            let view = bench.state.world.view();
            assert_eq!(view.snapshots, ["tank/z@a"], "{version}");
            assert_eq!(view.zvol_names(), ["tank/z"], "{version}");
        }
    }

    #[test]
    fn a_held_snapshot_keeps_its_dataset_until_it_is_released() {
        let mut bench = bench("25.10");
        bench.ok("pool.dataset.delete", json!(["tank/c"]));
        bench.ok("pool.snapshot.hold", json!(["tank/z@a"]));
        let delete = json!(["tank/z", {"recursive": true}]);
        bench.refused("pool.dataset.delete", delete.clone());
        bench.ok("pool.snapshot.release", json!(["tank/z@a"]));
        assert_eq!(bench.ok("pool.dataset.delete", delete), true);
    }

    #[test]
    fn a_rename_has_to_be_forced_and_its_clones_follow() {
        let mut bench = bench("25.10");
        let to = |force: bool| json!(["tank/z@b", {"new_name": "tank/z@n", "force": force}]);
        bench.refused("pool.snapshot.rename", to(false));
        bench.ok("pool.snapshot.rename", to(true));
        let zvols = bench.state.world.view().zvols;
        assert_eq!(zvols["tank/c"].origin.as_deref(), Some("tank/z@n"));
    }
}
