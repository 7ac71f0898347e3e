//! `pool.dataset.*`.

use serde_json::{Value, json};

use super::method::{Context, Method};
use super::query::{self, BY_NAME, OLD_BY_NAME, OLD_QUERY, QUERY};
use crate::errors::Failure;
use crate::json::{object, word};
use crate::rules::{dataset, dataset_entry, dataset_models};
use crate::schema::{Checker, Field, Type};
use crate::version::Line;

static POOL: &[Field] = &[Field::required(
    "pool",
    Type::Text {
        min: 0,
        pattern: None,
    },
)];

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
];

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
        Checker::of_storage(&world.version),
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
