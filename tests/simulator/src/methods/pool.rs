//! `pool.query` and `pool.get_instance`. Recorded on 25.10.7.

use serde_json::{Value, json};

use super::method::{Context, Method};
use super::query::{self, BY_NUMBER, OLD_BY_NUMBER, OLD_QUERY, QUERY};
use crate::errors::Failure;
use crate::json::number;
use crate::world::{Pool, World};

const READ: &[&str] = &["POOL_READ"];

pub(super) const METHODS: &[Method] = &[
    Method::read("pool.query", READ, QUERY, |context, params| {
        let world = &context.state.world;
        query::answer(
            query::Dialect::of_storage(&world.version),
            world.pools.iter().map(|pool| entry(world, pool)).collect(),
            params,
            0,
            "filters",
        )
    })
    .old(OLD_QUERY)
    .old_in_25_04(),
    Method::read("pool.get_instance", READ, BY_NUMBER, get_instance)
        .old(OLD_BY_NUMBER)
        .old_in_25_04(),
];

fn get_instance(context: &mut Context<'_>, params: &[Value]) -> Result<Value, Failure> {
    let world = &context.state.world;
    let id = number(params, 0);
    let found = world.pools.iter().find(|pool| pool.id == id);
    let pool = found.ok_or_else(|| Failure::not_found("Pool", &id.to_string()))?;
    query::one(entry(world, pool), params)
}

fn entry(world: &World, pool: &Pool) -> Value {
    let allocated = world.allocated(&pool.name);
    let free = pool.size.saturating_sub(allocated);
    let healthy = pool.status == "ONLINE";
    let mut entry = json!({
        "id": pool.id, "name": pool.name, "guid": format!("12345678901234567{:02}", pool.id), "status": pool.status,
        "path": format!("/mnt/{}", pool.name), "scan": null, "expand": null, "healthy": healthy,
        "warning": !healthy, "status_code": if healthy { "OK" } else { "UNKNOWN" }, "status_detail": null,
        "size": pool.size, "allocated": allocated, "free": free, "freeing": 0, "dedup_table_size": 0,
        "dedup_table_quota": "auto", "fragmentation": "0", "size_str": pool.size.to_string(),
        "allocated_str": allocated.to_string(), "free_str": free.to_string(), "freeing_str": "0",
        "autotrim": {"value": "off", "rawvalue": "off", "parsed": "off", "source": "DEFAULT"},
        "topology": {"data": [], "log": [], "cache": [], "spare": [], "special": [], "dedup": []},
    });
    if let Some(entry) = entry.as_object_mut() {
        world.version.shape_pool(entry);
    }
    entry
}
