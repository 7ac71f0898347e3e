//! `system.*`. Recorded on 25.10.7.

use serde_json::{Value, json};

use super::method::{Access, Context, Method};
use crate::errors::Failure;
use crate::world::machine::{date, now_seconds};

const GENERAL: &[&str] = &["SYSTEM_GENERAL_READ"];

pub(super) const METHODS: &[Method] = &[
    Method::read("system.version", &[], &[], |context, _| {
        Ok(json!(context.state.world.version.long()))
    }),
    Method::read("system.version_short", &[], &[], |context, _| {
        Ok(json!(context.state.world.version.short()))
    }),
    Method::read(
        "system.product_type",
        &["SYSTEM_PRODUCT_READ"],
        &[],
        |context, _| Ok(json!(context.state.world.version.product_type())),
    ),
    Method::read("system.ready", GENERAL, &[], |_, _| Ok(json!(true))),
    Method::read("system.state", GENERAL, &[], |_, _| Ok(json!("READY"))),
    Method::read("system.host_id", &["READONLY_ADMIN"], &[], |context, _| {
        Ok(json!(context.state.world.host_id))
    }),
    Method::read("system.boot_id", &[], &[], |context, _| {
        Ok(json!(context.state.world.boot_id))
    })
    .open(Access::Anonymous),
    Method::read("system.info", &["READONLY_ADMIN"], &[], info),
];

fn info(context: &mut Context<'_>, _: &[Value]) -> Result<Value, Failure> {
    let world = &context.state.world;
    let now = now_seconds();
    Ok(json!({
        "version": world.version.in_system_info(), "buildtime": date(1_755_850_000), "hostname": world.hostname,
        "physmem": world.memory, "model": "Simulated CPU", "cores": world.cores, "physical_cores": world.cores / 2,
        "loadavg": [0.1, 0.1, 0.1], "uptime": "1:00:00", "uptime_seconds": 3600.0, "system_serial": "SIMULATED",
        "system_product": "tnvm-simulator", "system_product_version": "1", "license": null,
        "boottime": date(now - 3600), "datetime": date(now), "timezone": "UTC", "system_manufacturer": "tnvm",
        "ecc_memory": true,
    }))
}
