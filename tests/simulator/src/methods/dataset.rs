//! `pool.dataset.*`.

use serde_json::{Value, json};

use super::method::{Context, Method};
use super::query::{self, BY_NAME, OLD_BY_NAME, OLD_QUERY, QUERY};
use crate::errors::Failure;
use crate::json::{object, word};
use crate::rules::{dataset, dataset_entry, dataset_models, lineage};
use crate::schema::{Field, Model, NONEMPTY, TEXT, Type};
use crate::version::Line;
use crate::world::World;

static POOL: &[Field] = &[Field::required(
    "pool",
    Type::Text {
        min: 0,
        pattern: None,
    },
)];

static BY_ID: &[Field] = &[Field::required("id", TEXT)];
static RENAME: Model = Model::closed(
    "PoolDatasetRenameOptions",
    &[
        Field::required("new_name", NONEMPTY),
        Field::flag("recursive"),
        Field::flag("force"),
    ],
);
static RENAME_PARAMS: &[Field] = &[
    Field::required("id", TEXT),
    Field::required("data", Type::Object(&RENAME)),
];

pub(super) const METHODS: &[Method] = &[
    Method::read(
        "pool.dataset.query",
        &["DATASET_READ"],
        QUERY,
        query_datasets,
    )
    .old(OLD_QUERY)
    .old_in_25_04(),
    Method::read(
        "pool.dataset.get_instance",
        &["DATASET_READ"],
        BY_NAME,
        get_instance,
    )
    .old(OLD_BY_NAME)
    .old_in_25_04(),
    Method::read(
        "pool.dataset.recommended_zvol_blocksize",
        &["DATASET_READ"],
        POOL,
        recommended,
    ),
    Method::write(
        "pool.dataset.create",
        &["DATASET_WRITE"],
        dataset_models::CREATE_PARAMS,
        create,
    )
    .old(dataset_models::OLD_CREATE_PARAMS)
    .old_in_25_04()
    .until(Line::V25_10),
    Method::write(
        "pool.dataset.create",
        &["DATASET_WRITE"],
        dataset_models::CREATE_PARAMS_26,
        create,
    )
    .since(Line::V26),
    Method::write(
        "pool.dataset.update",
        &["DATASET_WRITE"],
        dataset_models::UPDATE_PARAMS,
        |context, params| {
            dataset::update(
                &mut context.state.world,
                word(params, 0),
                &object(params, 1),
            )
        },
    )
    .old(dataset_models::OLD_UPDATE_PARAMS)
    .old_in_25_04(),
    Method::write(
        "pool.dataset.delete",
        &["DATASET_DELETE"],
        dataset_models::DELETE_PARAMS,
        |context, params| {
            dataset::delete(
                &mut context.state.world,
                word(params, 0),
                &object(params, 1),
            )
        },
    )
    .old(dataset_models::OLD_DELETE_PARAMS)
    .old_in_25_04(),
    Method::write(
        "pool.dataset.promote",
        &["DATASET_WRITE"],
        BY_ID,
        |context, params| {
            lineage::promote(&mut context.state.world, word(params, 0)).map(|()| Value::Null)
        },
    )
    .old_in_25_04(),
    Method::read(
        "pool.dataset.attachments",
        &["DATASET_READ"],
        BY_ID,
        |context, params| lineage::attachments(&context.state.world, word(params, 0)),
    )
    .old_in_25_04(),
    // No process of this world has a file open.
    Method::read(
        "pool.dataset.processes",
        &["DATASET_READ"],
        BY_ID,
        |context, params| {
            lineage::attachments(&context.state.world, word(params, 0)).map(|_| json!([]))
        },
    )
    .old_in_25_04(),
    Method::write(
        "pool.dataset.rename",
        &["DATASET_WRITE"],
        RENAME_PARAMS,
        |context, params| {
            let world = &mut context.state.world;
            lineage::rename(world, word(params, 0), &object(params, 1)).map(|()| Value::Null)
        },
    )
    .since(Line::V25_10),
    Method::read("pool.dataset.details", &["DATASET_READ"], &[], details),
];

/// Pools' roots with everything below, and counts of what uses them: nothing but VMs here.
fn details(context: &mut Context<'_>, _: &[Value]) -> Result<Value, Failure> {
    let world = &context.state.world;
    let options = query::options(&[], 0);
    let roots = world
        .datasets
        .values()
        .filter(|found| !found.name.contains('/'));
    Ok(roots
        .map(|found| detailed(world, dataset_entry(world, found, &options)))
        .collect())
}

fn detailed(world: &World, mut entry: Value) -> Value {
    let Some(object) = entry.as_object_mut() else {
        return entry;
    };
    let name = object
        .get("id")
        .and_then(Value::as_str)
        .unwrap_or_default()
        .to_owned();
    for key in ["nfs_shares", "smb_shares", "iscsi_shares", "apps"] {
        object.insert(key.into(), json!([]));
    }
    for key in [
        "replication_tasks_count",
        "snapshot_tasks_count",
        "cloudsync_tasks_count",
        "rsync_tasks_count",
    ] {
        object.insert(key.into(), json!(0));
    }
    let vms = lineage::attachments(world, &name).unwrap_or_default();
    object.insert("vms".into(), vms);
    let snapshots = world.snapshots_of(&name).count();
    object.insert("snapshot_count".into(), json!(snapshots));
    if let Some(children) = object.get_mut("children").and_then(Value::as_array_mut) {
        for child in children {
            *child = detailed(world, child.take());
        }
    }
    entry
}

fn create(context: &mut Context<'_>, params: &[Value]) -> Result<Value, Failure> {
    dataset::create(&mut context.state.world, &object(params, 0))
}

fn query_datasets(context: &mut Context<'_>, params: &[Value]) -> Result<Value, Failure> {
    let options = query::options(params, 1);
    let world = &context.state.world;
    // With `flat: false` only pools' roots are rows; the others are among their children.
    let flat = options.extra_flag("flat", true);
    let rows = world
        .datasets
        .values()
        .filter(|found| flat || !found.name.contains('/'))
        .map(|found| dataset_entry(world, found, &options))
        .collect();
    query::answer(
        query::Dialect::of_storage(&world.version),
        rows,
        params,
        0,
        "filters",
    )
}

fn get_instance(context: &mut Context<'_>, params: &[Value]) -> Result<Value, Failure> {
    let world = &context.state.world;
    let id = word(params, 0);
    let found = world
        .datasets
        .get(id)
        .ok_or_else(|| Failure::not_found("PoolDataset", id))?;
    query::one(
        dataset_entry(world, found, &query::options(params, 1)),
        params,
    )
}

fn recommended(context: &mut Context<'_>, params: &[Value]) -> Result<Value, Failure> {
    let world = &context.state.world;
    let pool = word(params, 0);
    match world.pool(pool) {
        Some(_) => Ok(json!(dataset::recommended_block_size(world, pool))),
        None => Err(Failure::exception("MatchNotFound", "MatchNotFound()")),
    }
}
