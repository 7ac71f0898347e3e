//! Rules of `pool.dataset.create`, `update` and `delete`. Texts recorded on 25.10.7 unless said.

use serde_json::{Value, json};

use super::dataset_models::{CREATE_PARAMS, CREATE_PARAMS_26, OLD_CREATE_PARAMS, dataset_name};
use super::{dataset_entry, destroy};
use crate::errors::{ENOENT, Failure};
use crate::json::{Object, flag, int, text};
use crate::schema::Checker;
use crate::world::{Dataset, Event, Kind, World, parent_of, pool_of};

/// Properties that `create` and `update` pass on to ZFS by the same name.
const PASSED_ON: [&str; 18] = [
    "sync",
    "compression",
    "exec",
    "copies",
    "snapdir",
    "checksum",
    "readonly",
    "snapdev",
    "reservation",
    "refreservation",
    "aclmode",
    "acltype",
    "atime",
    "casesensitivity",
    "quota",
    "refquota",
    "recordsize",
    "special_small_block_size",
];

/// Checks against the schema, then creates; for callers that are not methods themselves.
pub(crate) fn create_checked(world: &mut World, data: &Value) -> Result<Value, Failure> {
    let checker = Checker::of_storage(&world.version);
    let fields = match checker {
        Checker::Models if world.version.tells_datasets_apart() => CREATE_PARAMS_26,
        Checker::Models => CREATE_PARAMS,
        Checker::Old => OLD_CREATE_PARAMS,
    };
    let checked = checker.params(fields, std::slice::from_ref(data))?;
    create(world, &crate::json::object(&checked, 0))
}

/// `pool.dataset.create`: `data` passed the schema.
pub(crate) fn create(world: &mut World, data: &Object) -> Result<Value, Failure> {
    let name = text(data, "name").to_owned();
    let invalid = |attribute: &str, why: String| {
        Failure::invalid(format!("pool_dataset_create.{attribute}"), why)
    };
    let old = Checker::of_storage(&world.version) == Checker::Old;
    // Recorded on 24.10.2.5 and 25.04.2.6: `@` in the name. Later versions look with their schema.
    if old && dataset_name(&name).is_some() {
        return Err(invalid("name", "Invalid dataset name".into()));
    }
    let Some(parent) = parent_of(&name) else {
        return Err(invalid(
            "name",
            "You need a full name, e.g. pool/newdataset".into(),
        ));
    };
    let is_volume = text(data, "type") == "VOLUME";
    // Recorded on 25.04.2.6; later versions have a model for each kind.
    if old && is_volume && int(data, "volsize").is_none() {
        let why = "This field is required for VOLUME";
        return Err(invalid("volsize", why.into()));
    }
    // Recorded on 25.04.2.6, for a missing pool too.
    if old && !flag(data, "create_ancestors") && !world.datasets.contains_key(parent) {
        let why = "Parent dataset does not exist for specified name";
        return Err(invalid("name", why.into()));
    }
    if world.pool(pool_of(&name)).is_none() {
        return Err(invalid(
            "name",
            format!("zpool ({}) does not exist.", pool_of(&name)),
        ));
    }
    match world.datasets.get(parent) {
        None if !flag(data, "create_ancestors") => {
            return Err(invalid(
                "name",
                format!("Parent dataset ({parent}) does not exist."),
            ));
        }
        None => {}
        Some(above) if above.is_volume() => {
            // A filesystem there trips over the parent's missing ACL type.
            return Err(if is_volume {
                invalid("name", format!("{parent}: parent may not be a ZFS volume"))
            } else {
                Failure::exception("KeyError", "'acltype'")
            });
        }
        // Code reading: locked and read-only parents; the texts are ours.
        Some(above) if above.locked => {
            return Err(invalid(
                "name",
                format!("{name} cannot be created: parent {parent} is locked"),
            ));
        }
        Some(above)
            if above
                .properties
                .get("readonly")
                .is_some_and(|value| value == "on") =>
        {
            return Err(invalid(
                "name",
                format!("Turn off readonly mode on {parent} to create {name}"),
            ));
        }
        Some(_) => {}
    }
    if !is_volume && world.datasets.contains_key(&name) {
        return Err(invalid("name", format!("Path /mnt/{name} already exists")));
    }
    let kind = if is_volume {
        volume_kind(world, data)?
    } else {
        Kind::Filesystem
    };
    if world.datasets.contains_key(&name) {
        return Err(Failure::fault(if world.version.uses_pylibzfs() {
            format!(
                "Failed to create dataset {name}: [EZFS_EXISTS]: zfs_create() failed - cannot create '{name}': dataset already exists"
            )
        } else {
            format!("Failed to create dataset: cannot create '{name}': dataset already exists")
        }));
    }
    let mut dataset = Dataset::new(&name, kind);
    if !is_volume {
        dataset.properties.insert("xattr".into(), "sa".into());
    }
    // What does not fit is only found by ZFS.
    if dataset.charged() > world.available(pool_of(&name)) {
        return Err(Failure::fault(format!(
            "Failed to create dataset: cannot create '{name}': out of space"
        )));
    }
    set_properties(&mut dataset, data);
    if world.version.forgets_user_properties() {
        let comments = text(data, "comments").to_owned();
        dataset.user_properties.clear();
        dataset.user_properties.insert("comments".into(), comments);
    }
    let mut above = Some(parent);
    while let Some(ancestor) = above {
        world
            .datasets
            .entry(ancestor.to_owned())
            .or_insert_with(|| Dataset::new(ancestor, Kind::Filesystem));
        above = parent_of(ancestor);
    }
    world.datasets.insert(name.clone(), dataset);
    answer(world, &name, "added")
}

/// `pool.dataset.update`
pub(crate) fn update(world: &mut World, id: &str, data: &Object) -> Result<Value, Failure> {
    let Some(dataset) = world.datasets.get(id) else {
        return Err(Failure::validation(vec![(
            Some("id".into()),
            format!("{id} does not exist"),
            ENOENT,
        )]));
    };
    let mut changed = dataset.clone();
    if let Some(wanted) = int(data, "volsize") {
        let Kind::Volume {
            size,
            block_size,
            sparse,
        } = changed.kind
        else {
            return Err(Failure::invalid(
                "pool_dataset_update.volsize",
                "This field is not valid for FILESYSTEM",
            ));
        };
        let invalid = |why: &str| Err(Failure::invalid("pool_dataset_update.volsize", why));
        let wanted_size = u64::try_from(wanted).unwrap_or(0);
        if wanted_size % block_size != 0 {
            return invalid("Volume size should be a multiple of volume block size");
        }
        if wanted_size < size {
            return invalid("You cannot shrink a zvol from GUI, this may lead to data loss.");
        }
        if !flag(data, "force_size") && over_limit(wanted_size - size, world.available(pool_of(id)))
        {
            return invalid(
                "It is not recommended to use more than 80% of your available space for VOLUME",
            );
        }
        changed.kind = Kind::Volume {
            size: wanted_size,
            block_size,
            sparse,
        };
    }
    set_properties(&mut changed, data);
    for entry in data
        .get("user_properties_update")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
    {
        let Some(entry) = entry.as_object() else {
            continue;
        };
        let key = text(entry, "key").to_owned();
        if flag(entry, "remove") {
            changed.user_properties.remove(&key);
        } else {
            changed
                .user_properties
                .insert(key, text(entry, "value").to_owned());
        }
    }
    world.datasets.insert(id.to_owned(), changed);
    answer(world, id, "changed")
}

/// `pool.dataset.delete`. The not-found answer is that of `get_instance`.
pub(crate) fn delete(world: &mut World, id: &str, options: &Object) -> Result<Value, Failure> {
    if !world.datasets.contains_key(id) {
        return Err(Failure::not_found("PoolDataset", id));
    }
    if world.version.uses_pylibzfs()
        && !flag(options, "recursive")
        && world.snapshots_of(id).next().is_some()
    {
        // Recorded on 26.0.0-BETA.3.
        let why = format!("'{id}' has snapshots. Set recursive=True to remove them.");
        return Err(Failure::Validation {
            class: "ValidationError",
            complaints: vec![(
                Some("zfs.resource.destroy".into()),
                why,
                crate::errors::ENOTEMPTY,
            )],
        });
    }
    destroy::destroy(world, id, flag(options, "recursive"))?;
    // No event tells of what goes with a VM. Recorded on all lines: `vm.delete` with its zvols.
    if !world.datasets.contains_key(id) {
        world.emit(Event {
            kind: "removed",
            collection: "pool.dataset.query",
            id: json!(id),
            fields: None,
            extra: None,
        });
    }
    Ok(json!(true))
}

/// The block size the pool recommends for zvols.
pub(crate) fn recommended_block_size(world: &World, pool: &str) -> String {
    world
        .pool(pool)
        .map_or_else(|| "16K".to_owned(), |pool| pool.zvol_block_size.clone())
}

fn volume_kind(world: &World, data: &Object) -> Result<Kind, Failure> {
    let pool = pool_of(text(data, "name"));
    let invalid = |why: &str| Err(Failure::invalid("pool_dataset_create.volsize", why));
    let block_size = match data.get("volblocksize").and_then(Value::as_str) {
        Some(given) => block_bytes(given),
        None => block_bytes(&recommended_block_size(world, pool)),
    };
    let wanted = int(data, "volsize").unwrap_or_default();
    let size = u64::try_from(wanted)
        .ok()
        .filter(|size| size % block_size == 0);
    let Some(size) = size else {
        return invalid("Volume size should be a multiple of volume block size");
    };
    if !flag(data, "force_size") && over_limit(size, world.available(pool)) {
        return invalid(
            "It is not recommended to use more than 80% of your available space for VOLUME",
        );
    }
    if size == 0 {
        let name = text(data, "name");
        return Err(Failure::fault(format!(
            "Failed to create dataset: cannot create '{name}': volume size cannot be zero"
        )));
    }
    Ok(Kind::Volume {
        size,
        block_size,
        sparse: flag(data, "sparse"),
    })
}

/// The 80 % rule: more than four fifths of what is available.
fn over_limit(size: u64, available: u64) -> bool {
    u128::from(size) * 5 > u128::from(available) * 4
}

/// Bytes of a block size as the schema writes it.
fn block_bytes(text: &str) -> u64 {
    let number: u64 = text.trim_end_matches(['K', 'B']).parse().unwrap_or(16);
    if text.ends_with('K') {
        number << 10
    } else {
        number
    }
}

fn set_properties(dataset: &mut Dataset, data: &Object) {
    for name in PASSED_ON {
        let value = match data.get(name) {
            Some(Value::String(word)) if word == "INHERIT" => {
                dataset.properties.remove(name);
                continue;
            }
            Some(Value::String(word)) => word.to_lowercase(),
            Some(Value::Number(number)) => number.to_string(),
            _ => continue,
        };
        dataset.properties.insert(name.to_owned(), value);
    }
    match data.get("deduplication").and_then(Value::as_str) {
        None | Some("INHERIT") => {}
        Some(word) => {
            dataset
                .properties
                .insert("dedup".into(), word.to_lowercase());
        }
    }
    match data.get("comments").and_then(Value::as_str) {
        None | Some("INHERIT") => {}
        Some(comments) => {
            dataset
                .user_properties
                .insert("comments".into(), comments.to_owned());
        }
    }
    for entry in data
        .get("user_properties")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
    {
        if let Some(entry) = entry.as_object() {
            dataset.user_properties.insert(
                text(entry, "key").to_owned(),
                text(entry, "value").to_owned(),
            );
        }
    }
}

fn answer(world: &mut World, name: &str, kind: &'static str) -> Result<Value, Failure> {
    let options = crate::query::Options::default();
    let Some(dataset) = world.datasets.get(name) else {
        return Err(Failure::not_found("PoolDataset", name));
    };
    let entry = dataset_entry(world, dataset, &options);
    world.emit(Event {
        kind,
        collection: "pool.dataset.query",
        id: json!(name),
        fields: Some(entry.clone()),
        extra: None,
    });
    Ok(entry)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::Bench;

    fn check(data: Value, attribute: &str) {
        let mut bench = Bench::new("25.10");
        let (code, _, found, text) = bench.refused("pool.dataset.create", json!([data]));
        assert_eq!(
            (code, found.as_str()),
            (-32602, attribute),
            "{data}: {text}"
        );
    }

    #[test]
    fn each_rule_of_a_dataset_names_its_attribute() {
        let volume =
            |name: &str, size: u64| json!({"name": name, "type": "VOLUME", "volsize": size});
        check(json!({"name": "tank"}), "pool_dataset_create.name");
        check(json!({"name": "nopool/x"}), "pool_dataset_create.name");
        check(json!({"name": "tank/no/x"}), "pool_dataset_create.name");
        check(json!({"name": "tank/iso"}), "pool_dataset_create.name");
        check(
            json!({"name": "tank/a@b"}),
            "data.PoolDatasetCreateFilesystem.name",
        );
        check(volume("tank/x", 1000), "pool_dataset_create.volsize");
        check(volume("tank/x", 5 << 40), "pool_dataset_create.volsize");
        check(
            json!({"name": "tank/x", "bogus": 1}),
            "data.PoolDatasetCreateFilesystem.bogus",
        );
    }

    #[test]
    fn a_second_zvol_of_a_name_is_a_call_error_not_eexist() {
        let mut bench = Bench::new("25.10");
        let data = json!([{"name": "tank/z", "type": "VOLUME", "volsize": 1 << 30}]);
        bench.ok("pool.dataset.create", data.clone());
        let (code, errno, ..) = bench.refused("pool.dataset.create", data);
        assert_eq!((code, errno), (-32001, 14));
    }

    #[test]
    fn user_properties_and_sparseness_are_kept_and_shown() {
        let mut bench = Bench::new("25.10");
        let made = bench.ok("pool.dataset.create", json!([{
            "name": "tank/z", "type": "VOLUME", "volsize": 1 << 30, "sparse": true, "volblocksize": "64K",
            "compression": "ZSTD", "user_properties": [{"key": "a:b", "value": "c"}],
        }]));
        assert_eq!(made["user_properties"]["a:b"]["value"], "c");
        assert_eq!(made["refreservation"]["parsed"], Value::Null);
        assert_eq!(made["volblocksize"]["parsed"], 65536);
        assert_eq!(made["compression"]["value"], "ZSTD");
        bench.ok(
            "pool.dataset.update",
            json!(["tank/z", {"user_properties_update": [{"key": "a:b", "remove": true}]}]),
        );
        assert!(
            bench.state.world.view().zvols["tank/z"]
                .user_properties
                .is_empty()
        );
    }

    #[test]
    fn a_user_property_shows_below_where_it_was_set_until_it_is_removed() {
        let mut bench = Bench::new("25.10");
        let volume = json!([{"name": "tank/kubernetes/z", "type": "VOLUME", "volsize": 1 << 30}]);
        bench.ok("pool.dataset.create", volume);
        let set = json!(["tank", {"user_properties_update": [{"key": "a:b", "value": "c"}]}]);
        bench.ok("pool.dataset.update", set);
        let shown = |bench: &mut Bench, id: &str| {
            let found = bench.ok("pool.dataset.query", json!([[["id", "=", id]]]));
            found[0]["user_properties"]["a:b"].clone()
        };
        assert_eq!(shown(&mut bench, "tank")["source"], "LOCAL");
        let below = shown(&mut bench, "tank/kubernetes/z");
        assert_eq!(
            (&below["value"], &below["source"]),
            (&json!("c"), &json!("INHERITED"))
        );
        assert_eq!(below["source_info"], "tank");
        let remove = json!(["tank", {"user_properties_update": [{"key": "a:b", "remove": true}]}]);
        bench.ok("pool.dataset.update", remove);
        assert_eq!(shown(&mut bench, "tank/kubernetes/z"), Value::Null);
        assert_eq!(shown(&mut bench, "tank"), Value::Null);
    }

    #[test]
    fn growth_obeys_the_rules_of_creation_for_the_difference_only() {
        let mut bench = Bench::new("25.10");
        let available = bench.state.world.available("tank");
        let whole = |bytes: u64| bytes & !0xF_FFFF;
        let half = whole(available / 2);
        let volume = json!([{"name": "tank/z", "type": "VOLUME", "volsize": half}]);
        bench.ok("pool.dataset.create", volume);
        let update = |size: u64| json!(["tank/z", {"volsize": size}]);
        assert!(
            bench
                .refused("pool.dataset.update", update(half + 1))
                .3
                .contains("multiple")
        );
        let (.., why) = bench.refused("pool.dataset.update", update(whole(half / 10 * 19)));
        assert!(why.contains("80%"), "{why}");
        // Of the whole it is more than 80 %, of what is left it is not.
        bench.ok("pool.dataset.update", update(whole(half / 10 * 17)));
        let (code, _, attribute, _) =
            bench.refused("pool.dataset.update", json!(["tank/z", {"bogus": 1}]));
        assert_eq!((code, attribute.as_str()), (-32602, "data.bogus"));
    }

    #[test]
    fn a_zvol_grows_and_never_shrinks() {
        let mut bench = Bench::new("25.10");
        bench.ok(
            "pool.dataset.create",
            json!([{"name": "tank/z", "type": "VOLUME", "volsize": 2_u64 << 30}]),
        );
        bench.ok(
            "pool.dataset.update",
            json!(["tank/z", {"volsize": 3_u64 << 30}]),
        );
        let (_, _, attribute, _) = bench.refused(
            "pool.dataset.update",
            json!(["tank/z", {"volsize": 1 << 30}]),
        );
        assert_eq!(attribute, "pool_dataset_update.volsize");
    }

    #[test]
    fn children_and_snapshots_ask_for_recursion() {
        let mut bench = Bench::new("25.10");
        bench.ok(
            "pool.dataset.create",
            json!([{"name": "tank/a/b", "create_ancestors": true}]),
        );
        assert_eq!(
            bench.refused("pool.dataset.delete", json!(["tank/a"])).1,
            39
        );
        bench.ok(
            "pool.snapshot.create",
            json!([{"dataset": "tank/a/b", "name": "s"}]),
        );
        assert_eq!(
            bench.refused("pool.dataset.delete", json!(["tank/a/b"])).1,
            39
        );
        bench.ok(
            "pool.dataset.delete",
            json!(["tank/a", {"recursive": true}]),
        );
        assert!(bench.state.world.snapshots.is_empty());
    }

    #[test]
    fn queries_choose_properties_and_count_snapshots() {
        let mut bench = Bench::new("25.10");
        bench.ok(
            "pool.snapshot.create",
            json!([{"dataset": "tank/iso", "name": "s"}]),
        );
        let options = json!({"get": true, "extra": {"properties": ["available"], "retrieve_children": false, "snapshots_count": true}});
        let row = bench.ok(
            "pool.dataset.query",
            json!([[["id", "=", "tank/iso"]], options]),
        );
        assert!(row.get("used").is_none() && row["available"]["parsed"].is_u64());
        assert_eq!(row["snapshot_count"], 1);
    }
}
