//! `pool.snapshot.*`, up to 25.04.2 `zfs.snapshot.*`. Schema: 25.10.5.

use serde_json::Value;

use super::method::{Context, Method};
use super::query::{self, BY_NAME, OLD_BY_NAME, OLD_QUERY, QUERY};
use crate::errors::Failure;
use crate::json::{object, word};
use crate::rules::{snapshot, snapshot_later};
use crate::schema::{Default, Field, Model, NONEMPTY, TEXT, Type};
use crate::version::Line;

macro_rules! create_model {
    ($name:literal, $field:literal $(, $more:expr)?) => {
        Model::closed(
            $name,
            &[
                Field::required("dataset", NONEMPTY),
                Field::flag("recursive"),
                Field::with("exclude", Type::List(&NONEMPTY), Default::EmptyList),
                Field::flag("vmware_sync"),
                $($more,)?
                Field::with("properties", Type::Dict, Default::EmptyObject),
                Field::required($field, NONEMPTY),
            ],
        )
    };
}

static WITH_NAME: Model = create_model!("PoolSnapshotCreateWithName", "name");
static WITH_SCHEMA: Model = create_model!("PoolSnapshotCreateWithSchema", "naming_schema");
/// Schema: 26.0.0; 25.10 has no `suspend_vms`.
const SUSPEND: Field = Field::flag("suspend_vms");
static WITH_NAME_26: Model = create_model!("PoolSnapshotCreateWithName", "name", SUSPEND);
static WITH_SCHEMA_26: Model =
    create_model!("PoolSnapshotCreateWithSchema", "naming_schema", SUSPEND);
static CREATE_PARAMS_26: &[Field] = &[Field::required(
    "data",
    Type::Union(&[&WITH_NAME_26, &WITH_SCHEMA_26]),
)];
static ROLLBACK: Model = Model::closed(
    "PoolSnapshotRollbackOptions",
    &[
        Field::flag("recursive"),
        Field::flag("recursive_clones"),
        Field::flag("force"),
        Field::flag("recursive_rollback"),
    ],
);
static ROLLBACK_PARAMS: &[Field] = &[
    Field::required("id", TEXT),
    Field::with("options", Type::Object(&ROLLBACK), Default::EmptyObject),
];
static HOLD: Model = Model::closed("PoolSnapshotHoldOptions", &[Field::flag("recursive")]);
static HOLD_PARAMS: &[Field] = &[
    Field::required("id", TEXT),
    Field::with("options", Type::Object(&HOLD), Default::EmptyObject),
];
static RENAME: Model = Model::closed(
    "PoolSnapshotRenameOptions",
    &[
        Field::required("new_name", NONEMPTY),
        Field::flag("force"),
        Field::flag("recursive"),
    ],
);
static RENAME_PARAMS: &[Field] = &[
    Field::required("id", NONEMPTY),
    Field::required("options", Type::Object(&RENAME)),
];
static DELETE: Model = Model::closed(
    "PoolSnapshotDeleteOptions",
    &[Field::flag("defer"), Field::flag("recursive")],
);
static CLONE: Model = Model::closed(
    "PoolSnapshotCloneArgs",
    &[
        Field::required("snapshot", NONEMPTY),
        Field::required("dataset_dst", NONEMPTY),
        Field::with("dataset_properties", Type::Dict, Default::EmptyObject),
    ],
);
static CREATE_PARAMS: &[Field] = &[Field::required(
    "data",
    Type::Union(&[&WITH_NAME, &WITH_SCHEMA]),
)];
static CLONE_PARAMS: &[Field] = &[Field::required("data", Type::Object(&CLONE))];
static DELETE_PARAMS: &[Field] = &[
    Field::required(
        "id",
        Type::Text {
            min: 0,
            pattern: None,
        },
    ),
    Field::with("options", Type::Object(&DELETE), Default::EmptyObject),
];

static OLD_CREATE: Model = Model::closed(
    "",
    &[
        Field::required("dataset", NONEMPTY),
        Field::absent("name", NONEMPTY),
        Field::absent("naming_schema", NONEMPTY),
        Field::flag("recursive"),
        Field::with("exclude", Type::List(&NONEMPTY), Default::EmptyList),
        Field::flag("suspend_vms"),
        Field::flag("vmware_sync"),
        Field::with("properties", Type::Dict, Default::EmptyObject),
    ],
);
static OLD_CREATE_PARAMS: &[Field] = &[Field::with(
    "snapshot_create",
    Type::Object(&OLD_CREATE),
    Default::EmptyObject,
)];
static OLD_CLONE_PARAMS: &[Field] = &[Field::with(
    "snapshot_clone",
    Type::Object(&CLONE),
    Default::EmptyObject,
)];

/// The namespace had another name up to 25.04.2. Recorded on 24.10.2.5, 25.04.2.6 and 26.0.0-BETA.3:
/// each knows its own alone.
const FIRST_NEW: Line = Line::V25_10;
const LAST_OLD: Line = Line::V25_04;

pub(super) const METHODS: &[Method] = &[
    Method::read("pool.snapshot.query", READ, QUERY, query_snapshots).since(FIRST_NEW),
    Method::read("zfs.snapshot.query", READ, QUERY, query_snapshots)
        .old(OLD_QUERY)
        .old_in_25_04()
        .until(LAST_OLD),
    Method::read("pool.snapshot.get_instance", READ, BY_NAME, get_instance).since(FIRST_NEW),
    Method::read("zfs.snapshot.get_instance", READ, BY_NAME, get_instance)
        .old(OLD_BY_NAME)
        .old_in_25_04()
        .until(LAST_OLD),
    Method::write("pool.snapshot.create", WRITE, CREATE_PARAMS, create).only(Line::V25_10),
    Method::write("pool.snapshot.create", WRITE, CREATE_PARAMS_26, create).since(Line::V26),
    Method::write("zfs.snapshot.create", WRITE, CREATE_PARAMS, create)
        .old(OLD_CREATE_PARAMS)
        .old_in_25_04()
        .until(LAST_OLD),
    Method::write("pool.snapshot.clone", CLONING, CLONE_PARAMS, clone).since(FIRST_NEW),
    Method::write("zfs.snapshot.clone", CLONING, CLONE_PARAMS, clone)
        .old(OLD_CLONE_PARAMS)
        .old_in_25_04()
        .until(LAST_OLD),
    Method::write("pool.snapshot.delete", DELETION, DELETE_PARAMS, delete).since(FIRST_NEW),
    Method::write("zfs.snapshot.delete", DELETION, DELETE_PARAMS, delete).until(LAST_OLD),
    Method::write("pool.snapshot.rollback", ROLLING, ROLLBACK_PARAMS, rollback).since(FIRST_NEW),
    Method::write("zfs.snapshot.rollback", ROLLING, ROLLBACK_PARAMS, rollback)
        .old_in_25_04()
        .until(LAST_OLD),
    Method::write("pool.snapshot.hold", WRITE, HOLD_PARAMS, hold).since(FIRST_NEW),
    Method::write("zfs.snapshot.hold", WRITE, HOLD_PARAMS, hold)
        .old_in_25_04()
        .until(LAST_OLD),
    Method::write("pool.snapshot.release", WRITE, HOLD_PARAMS, release).since(FIRST_NEW),
    Method::write("zfs.snapshot.release", WRITE, HOLD_PARAMS, release)
        .old_in_25_04()
        .until(LAST_OLD),
    Method::write(
        "pool.snapshot.rename",
        WRITE,
        RENAME_PARAMS,
        |context, params| {
            snapshot_later::rename(
                &mut context.state.world,
                word(params, 0),
                &object(params, 1),
            )
            .map(|()| Value::Null)
        },
    )
    .since(FIRST_NEW),
];

const READ: &[&str] = &["SNAPSHOT_READ"];
const WRITE: &[&str] = &["SNAPSHOT_WRITE"];
const ROLLING: &[&str] = &["POOL_WRITE", "SNAPSHOT_WRITE"];
const CLONING: &[&str] = &["DATASET_WRITE", "SNAPSHOT_WRITE"];
const DELETION: &[&str] = &["SNAPSHOT_DELETE"];

fn create(context: &mut Context<'_>, params: &[Value]) -> Result<Value, Failure> {
    snapshot::create(&mut context.state.world, &object(params, 0))
}

fn clone(context: &mut Context<'_>, params: &[Value]) -> Result<Value, Failure> {
    snapshot::clone(&mut context.state.world, &object(params, 0))
}

fn delete(context: &mut Context<'_>, params: &[Value]) -> Result<Value, Failure> {
    snapshot::delete(
        &mut context.state.world,
        word(params, 0),
        &object(params, 1),
    )
}

fn rollback(context: &mut Context<'_>, params: &[Value]) -> Result<Value, Failure> {
    snapshot_later::rollback(
        &mut context.state.world,
        word(params, 0),
        &object(params, 1),
    )
    .map(|()| Value::Null)
}

fn hold(context: &mut Context<'_>, params: &[Value]) -> Result<Value, Failure> {
    let world = &mut context.state.world;
    snapshot_later::hold(world, word(params, 0), &object(params, 1), true).map(|()| Value::Null)
}

fn release(context: &mut Context<'_>, params: &[Value]) -> Result<Value, Failure> {
    let world = &mut context.state.world;
    snapshot_later::hold(world, word(params, 0), &object(params, 1), false).map(|()| Value::Null)
}

fn query_snapshots(context: &mut Context<'_>, params: &[Value]) -> Result<Value, Failure> {
    let options = query::options(params, 1);
    let world = &context.state.world;
    let rows = world
        .snapshots
        .values()
        .map(|found| snapshot::entry(world, found, &options))
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
    let found = snapshot::find(world, word(params, 0))?;
    query::one(
        snapshot::entry(world, found, &query::options(params, 1)),
        params,
    )
}
