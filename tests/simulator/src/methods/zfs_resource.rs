//! `zfs.resource.*`: datasets as ZFS has them. Schema: 25.10.5 and 26.0.0; errors by code reading.

use serde_json::{Map, Value, json};

use super::method::{Context, Method};
use crate::errors::{Complaint, EACCES, ENOENT, ENOTEMPTY, Failure};
use crate::json::{Object, flag, object, text};
use crate::query::Options;
use crate::rules::{dataset_entry, destroy};
use crate::schema::{Default, Field, INT, Model, NONEMPTY, TEXT, Type};
use crate::version::Line;
use crate::world::{Dataset, World, pool_of};

macro_rules! query {
    ($source:literal $(, $more:expr)*) => {
        Model::closed(
            "ZFSResourceQuery",
            &[
                Field::with("paths", Type::List(&TEXT), Default::EmptyList),
                Field::with(
                    "properties",
                    Type::Nullable(&Type::List(&TEXT)),
                    Default::EmptyList,
                ),
                Field::flag("get_user_properties"),
                Field::with("get_source", Type::Bool, Default::Bool($source)),
                Field::flag("nest_results"),
                Field::flag("get_children"),
                $($more,)*
            ],
        )
    };
}

static QUERY: Model = query!(true);
static QUERY_26: Model = query!(
    false,
    Field::with("max_depth", INT, Default::Int(0)),
    Field::with("exclude_internal_paths", Type::Bool, Default::Bool(true)),
    Field::flag("get_tier")
);
static QUERY_PARAMS: &[Field] = &[Field::with(
    "data",
    Type::Object(&QUERY),
    Default::EmptyObject,
)];
static QUERY_PARAMS_26: &[Field] = &[Field::with(
    "data",
    Type::Object(&QUERY_26),
    Default::EmptyObject,
)];
static DESTROY: Model = Model::closed(
    "ZFSResourceDestroy",
    &[Field::required("path", NONEMPTY), Field::flag("recursive")],
);
static DESTROY_PARAMS: &[Field] = &[Field::required("data", Type::Object(&DESTROY))];

pub(super) const METHODS: &[Method] = &[
    Method::read("zfs.resource.query", READ, QUERY_PARAMS, query).only(Line::V25_10),
    Method::read("zfs.resource.query", READ, QUERY_PARAMS_26, query).since(Line::V26),
    Method::write(
        "zfs.resource.destroy",
        &["ZFS_RESOURCE_DELETE"],
        DESTROY_PARAMS,
        destroy_resource,
    )
    .since(Line::V26),
];

const READ: &[&str] = &["ZFS_RESOURCE_READ"];

fn query(context: &mut Context<'_>, params: &[Value]) -> Result<Value, Failure> {
    let world = &context.state.world;
    let data = object(params, 0);
    let paths: Vec<&str> = data
        .get("paths")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let mut rows = Vec::new();
    for dataset in world.datasets.values() {
        let depth = depth_below(&paths, &dataset.name);
        let max = data.get("max_depth").and_then(Value::as_u64).unwrap_or(0);
        let wanted = match depth {
            Some(0) => true,
            Some(below) => {
                flag(&data, "get_children")
                    && (max == 0 || below <= usize::try_from(max).unwrap_or(0))
            }
            None => false,
        };
        // Nested, whatever is below is found with its parent.
        let nested = flag(&data, "nest_results") && depth != Some(0);
        if wanted && !nested {
            rows.push(row(world, dataset, &data));
        }
    }
    Ok(Value::Array(rows))
}

/// How far a dataset lies below one of the paths; without paths, below its pool.
fn depth_below(paths: &[&str], name: &str) -> Option<usize> {
    if paths.is_empty() {
        return Some(name.matches('/').count());
    }
    paths
        .iter()
        .filter_map(|path| match name.strip_prefix(path)? {
            "" => Some(0),
            rest => rest.starts_with('/').then(|| rest.matches('/').count()),
        })
        .min()
}

fn row(world: &World, dataset: &Dataset, data: &Object) -> Value {
    let children = flag(data, "nest_results").then(|| {
        world
            .children_of(&dataset.name)
            .map(|child| row(world, child, data))
            .collect::<Vec<Value>>()
    });
    let user_properties =
        flag(data, "get_user_properties").then(|| dataset.user_properties.clone());
    // No two datasets of this world have the same name, so that is what tells them apart.
    let guid = dataset.name.bytes().fold(1_469_598_103_u64, |sum, byte| {
        sum.wrapping_mul(1_099_511).wrapping_add(u64::from(byte))
    }) >> 1;
    json!({
        "createtxg": 1, "guid": guid, "name": dataset.name, "pool": pool_of(&dataset.name),
        "properties": properties(world, dataset, data),
        "type": if dataset.is_volume() { "VOLUME" } else { "FILESYSTEM" },
        "user_properties": user_properties, "children": children,
    })
}

/// Those of `pool.dataset.query` under ZFS's names; an empty list asks for all of them.
fn properties(world: &World, dataset: &Dataset, data: &Object) -> Value {
    let Some(wanted) = data.get("properties").and_then(Value::as_array) else {
        return Value::Null;
    };
    let entry = dataset_entry(world, dataset, &Options::default());
    let found: Map<String, Value> = entry
        .as_object()
        .into_iter()
        .flatten()
        .filter_map(|(name, property)| {
            let property = property.as_object()?;
            let raw = property.get("rawvalue")?;
            let source = flag(data, "get_source").then(
                || json!({"type": property.get("source"), "value": property.get("source_info")}),
            );
            let value = json!({"raw": raw, "source": source, "value": property.get("parsed")});
            Some((zfs_name(name).to_owned(), value))
        })
        .filter(|(name, _)| wanted.is_empty() || wanted.iter().any(|wanted| wanted == name))
        .collect();
    Value::Object(found)
}

fn zfs_name(name: &str) -> &str {
    match name {
        "deduplication" => "dedup",
        "special_small_block_size" => "special_small_blocks",
        "key_format" => "keyformat",
        "encryption_algorithm" => "encryption",
        other => other,
    }
}

/// Unlike `pool.dataset.delete` it tells what ZFS refuses.
fn destroy_resource(context: &mut Context<'_>, params: &[Value]) -> Result<Value, Failure> {
    let world = &mut context.state.world;
    let data = object(params, 0);
    let path = text(&data, "path");
    let refuse = |why: String, errno: i32| {
        let complaints: Vec<Complaint> = vec![(Some("zfs.resource.destroy".into()), why, errno)];
        Err(Failure::Validation {
            class: "ValidationError",
            complaints,
        })
    };
    let Some(dataset) = world.datasets.get(path) else {
        return refuse(format!("'{path}' not found"), ENOENT);
    };
    if !dataset.name.contains('/') {
        return refuse(format!("'{path}' is a protected path."), EACCES);
    }
    if !flag(&data, "recursive") {
        if world.snapshots_of(path).next().is_some() {
            let why = format!("'{path}' has snapshots. Set recursive=True to remove them.");
            return refuse(why, ENOTEMPTY);
        }
        if world.children_of(path).next().is_some() {
            let why = format!("'{path}' has children. Set recursive=True to remove them.");
            return refuse(why, ENOTEMPTY);
        }
    }
    destroy::destroy_telling(world, path, flag(&data, "recursive")).map(|()| Value::Null)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::Bench;
    use crate::world::WorldBuilder;

    #[test]
    fn a_query_answers_what_was_asked_for_and_no_more() {
        let world =
            WorldBuilder::example("25.10".parse().unwrap()).zvol("tank/vms/z", 1, &[("a:b", "c")]);
        let mut bench = Bench::in_world(world.build());
        let one = json!([{"paths": ["tank/vms/z"], "properties": ["volsize"], "get_user_properties": true}]);
        let found = bench.ok("zfs.resource.query", one);
        assert_eq!(found[0]["properties"]["volsize"]["value"], 1 << 30);
        assert_eq!(found[0]["user_properties"], json!({"a:b": "c"}));
        assert_eq!(found[0]["type"], "VOLUME");
        let names = |bench: &mut Bench, data: Value| -> Vec<String> {
            let rows = bench.ok("zfs.resource.query", json!([data]));
            rows.as_array()
                .unwrap()
                .iter()
                .map(|row| row["name"].as_str().unwrap().to_owned())
                .collect()
        };
        let none = json!({"paths": ["tank/vms"], "properties": null});
        assert_eq!(names(&mut bench, none), ["tank/vms"]);
        let below = json!({"paths": ["tank/vms"], "get_children": true});
        assert_eq!(names(&mut bench, below), ["tank/vms", "tank/vms/z"]);
    }

    #[test]
    fn a_destroy_tells_what_stands_in_its_way() {
        let world = WorldBuilder::example("26".parse().unwrap())
            .zvol("tank/z", 1, &[])
            .snapshot("tank/z@s")
            .zvol("tank/busy", 1, &[])
            .vm(
                "a",
                512,
                &[json!({"dtype": "DISK", "path": "/dev/zvol/tank/busy"})],
            );
        let mut bench = Bench::in_world(world.unwrap().build());
        bench.ok("vm.start", json!([1]));
        let errno = |bench: &mut Bench, path: &str| {
            bench
                .refused("zfs.resource.destroy", json!([{"path": path}]))
                .1
        };
        assert_eq!(errno(&mut bench, "tank/none"), 2);
        assert_eq!(errno(&mut bench, "tank/z"), 39);
        assert_eq!(errno(&mut bench, "tank"), 13);
        assert_eq!(errno(&mut bench, "tank/busy"), 14);
        bench.ok(
            "zfs.resource.destroy",
            json!([{"path": "tank/z", "recursive": true}]),
        );
        assert_eq!(bench.state.world.view().zvol_names(), ["tank/busy"]);
    }
}
