//! What a transcript shows of its host before it changes anything, put into the world that it is
//! replayed on: pools, datasets, files, interfaces, VMs, accounts. It compares nothing.

use serde_json::{Value, json};

use super::calls::{Recorded, answered};
use super::compare::HIDDEN;
use super::transcript::Transcript;
use crate::json::Object;
use crate::methods;
use crate::rules::models;
use crate::schema::Checker;
use crate::world::{ApiKey, Dataset, Interface, InterfaceKind, Kind, Role, User, World};

/// Members of a VM's entry that are no columns of its row.
const NOT_STORED: [&str; 4] = ["id", "devices", "status", "display_available"];

/// Puts into the world what the transcript shows of it.
pub(super) fn learn(world: &mut World, transcript: &Transcript) {
    let calls = answered(transcript);
    for call in &calls {
        learn_login(world, call);
    }
    let before_changes = calls.iter().take_while(|call| {
        methods::find(&world.version, call.method).is_none_or(|method| !method.mutates)
    });
    for call in before_changes.collect::<Vec<_>>() {
        if let Some(result) = call.result() {
            learn_answer(world, call, result);
        }
    }
}

/// Who could log in can do so here, with what the recording shows of the secret.
fn learn_login(world: &mut World, call: &Recorded<'_>) {
    let worked = match (call.method, call.result()) {
        ("auth.login_ex", Some(result)) => result.get("response_type") == Some(&json!("SUCCESS")),
        ("auth.login" | "auth.login_with_api_key", Some(result)) => *result == json!(true),
        _ => false,
    };
    if !worked {
        return;
    }
    let first = call.params.first().unwrap_or(&Value::Null);
    let text = |value: Option<&Value>| value.and_then(Value::as_str).map(str::to_owned);
    let (name, password, key) = match call.method {
        "auth.login_ex" => (
            text(first.get("username")),
            text(first.get("password")),
            text(first.get("api_key")),
        ),
        "auth.login" => (text(Some(first)), text(call.params.get(1)), None),
        _ => (None, None, text(Some(first))),
    };
    let name = name.unwrap_or_else(|| "truenas_admin".to_owned());
    if !world.users.iter().any(|user| user.name == name) {
        world
            .users
            .push(User::new(&name, "secret", Role::FullAdmin));
    }
    if let Some(password) = password.filter(|password| password != HIDDEN)
        && let Some(user) = world.users.iter_mut().find(|user| user.name == name)
    {
        user.password = password;
    }
    if let Some((id, secret)) = key.as_deref().and_then(|key| key.split_once('-'))
        && let Ok(id) = id.parse()
    {
        world.api_keys.retain(|key| key.user != name);
        world.api_keys.push(ApiKey {
            id,
            name: name.clone(),
            user: name,
            secret: secret.to_owned(),
            revoked: None,
            expired: false,
        });
    }
}

fn learn_answer(world: &mut World, call: &Recorded<'_>, result: &Value) {
    let everything = call.params.is_empty() || call.params == [json!([])];
    let rows = result.as_array().map(Vec::as_slice).unwrap_or_default();
    match call.method {
        "pool.query" if everything => learn_pools(world, rows),
        "pool.dataset.query" => rows.iter().for_each(|row| learn_dataset(world, row)),
        "pool.dataset.get_instance" => learn_dataset(world, result),
        "filesystem.stat" => learn_file(world, result),
        "vm.device.nic_attach_choices" => learn_interfaces(world, result),
        "vm.device.bind_choices" => learn_addresses(world, result),
        "vm.query" => rows.iter().for_each(|row| learn_vm(world, row)),
        "vm.get_instance" => learn_vm(world, result),
        _ => {}
    }
}

fn name_of(row: &Value) -> Option<&str> {
    row.get("name").or_else(|| row.get("id"))?.as_str()
}

fn learn_pools(world: &mut World, rows: &[Value]) {
    let names: Vec<&str> = rows.iter().filter_map(name_of).collect();
    let is_listed = |dataset: &str| {
        let pool = dataset.split('/').next().unwrap_or_default();
        names.contains(&pool)
    };
    world.pools.retain(|pool| is_listed(&pool.name));
    world.datasets.retain(|name, _| is_listed(name));
    world
        .files
        .retain(|path, _| is_listed(path.trim_start_matches("/mnt/")));
    for row in rows {
        if let (Some(name), Some(size)) = (name_of(row), row.get("size").and_then(Value::as_u64)) {
            world.add_pool(name, size);
        }
    }
}

fn learn_dataset(world: &mut World, row: &Value) {
    let Some(name) = name_of(row) else { return };
    let pool = name.split('/').next().unwrap_or_default();
    if !world.pools.iter().any(|known| known.name == pool) {
        world.add_pool(pool, 1 << 40);
    }
    let parsed = |property: &str| row.get(property)?.get("parsed")?.as_u64();
    let kind = match row.get("type").and_then(Value::as_str) {
        Some("VOLUME") => Kind::Volume {
            size: parsed("volsize").unwrap_or(1 << 30),
            block_size: parsed("volblocksize").unwrap_or(16 << 10),
            sparse: parsed("refreservation").unwrap_or(0) == 0,
        },
        Some(_) => Kind::Filesystem,
        None => return,
    };
    let mut dataset = Dataset::new(name, kind);
    let properties = row.get("user_properties").and_then(Value::as_object);
    for (key, property) in properties.into_iter().flatten() {
        let local = property.get("source") == Some(&json!("LOCAL"));
        if let (true, Some(value)) = (local, property.get("rawvalue").and_then(Value::as_str)) {
            dataset
                .user_properties
                .insert(key.clone(), value.to_owned());
        }
    }
    world.datasets.insert(name.to_owned(), dataset);
}

fn learn_file(world: &mut World, result: &Value) {
    let Some(path) = result.get("realpath").and_then(Value::as_str) else {
        return;
    };
    let size = result.get("size").and_then(Value::as_u64).unwrap_or(0);
    let Some(below) = path.strip_prefix("/mnt/") else {
        return;
    };
    let folder = match result.get("type").and_then(Value::as_str) {
        Some("FILE") => {
            world.files.insert(path.to_owned(), size);
            below.rsplit_once('/').map_or(below, |(folder, _)| folder)
        }
        Some("DIRECTORY") => below,
        _ => return,
    };
    if !world.datasets.contains_key(folder) {
        learn_dataset(world, &json!({"name": folder, "type": "FILESYSTEM"}));
    }
}

/// A map of names up to 25.10, afterwards two lists.
fn learn_interfaces(world: &mut World, result: &Value) {
    let names = |value: &Value| -> Vec<String> {
        let names = value.as_array().into_iter().flatten();
        names.filter_map(Value::as_str).map(str::to_owned).collect()
    };
    let (bridges, others) = match (result.get("BRIDGE"), result.get("MACVLAN")) {
        (Some(bridges), Some(others)) => (names(bridges), names(others)),
        _ => result
            .as_object()
            .into_iter()
            .flat_map(|map| map.keys().cloned())
            .partition(|name| name.starts_with("br")),
    };
    world
        .interfaces
        .retain(|known| bridges.contains(&known.name) || others.contains(&known.name));
    // In the server's order, as far as the answer tells it.
    let order: Vec<String> = others.iter().chain(&bridges).cloned().collect();
    let kinds = [
        (bridges, InterfaceKind::Bridge),
        (others, InterfaceKind::Physical),
    ];
    for (names, kind) in kinds {
        for name in names {
            if !world.interfaces.iter().any(|known| known.name == name) {
                world.interfaces.push(Interface {
                    name,
                    kind,
                    members: Vec::new(),
                    addresses: Vec::new(),
                    dhcp_addresses: Vec::new(),
                    description: String::new(),
                });
            }
        }
    }
    let place = |name: &String| order.iter().position(|other| other == name);
    world
        .interfaces
        .sort_by_key(|interface| place(&interface.name));
}

fn learn_addresses(world: &mut World, result: &Value) {
    let everywhere = ["0.0.0.0", "::", "127.0.0.1", "::1"];
    let listed: Vec<&str> = result
        .as_object()
        .into_iter()
        .flat_map(|map| map.keys().map(String::as_str))
        .filter(|address| !everywhere.contains(address))
        .collect();
    let bare = |address: &str| address.split('/').next().unwrap_or_default().to_owned();
    for interface in &mut world.interfaces {
        interface
            .addresses
            .retain(|address| listed.contains(&bare(address).as_str()));
    }
    for address in listed {
        let known = world.interfaces.iter().any(|interface| {
            let mut addresses = interface.addresses.iter();
            addresses.any(|known| bare(known) == address)
        });
        // Which interface has it no answer of `bind_choices` says.
        if let (false, Some(interface)) = (known, world.interfaces.first_mut()) {
            let prefix = if address.contains(':') { 64 } else { 24 };
            interface.addresses.push(format!("{address}/{prefix}"));
        }
    }
}

/// A VM of which no more is shown than that it is there.
fn learn_stranger(world: &mut World, row: &Object) {
    let Some(id) = row.get("id").and_then(Value::as_i64) else {
        return;
    };
    let name = format!("recorded_{id}");
    let mut config = Object::new();
    config.insert("name".into(), json!(name));
    config.insert("memory".into(), json!(512));
    let checker = Checker::of(&world.version);
    let model = models::vm_create(&world.version);
    if let Ok(mut config) = checker.object(model, &Value::Object(config), "") {
        crate::rules::fill_vm_defaults(&world.version, &mut config);
        world.insert_vm(config);
    }
}

fn learn_vm(world: &mut World, row: &Value) {
    let Some(row) = row.as_object() else { return };
    if !row.contains_key("name") {
        return learn_stranger(world, row);
    }
    let complete = row.contains_key("memory") && row.contains_key("devices");
    let known = row
        .get("name")
        .and_then(Value::as_str)
        .is_none_or(|name| world.vm_named(name).is_some());
    if !complete || known {
        return;
    }
    let config: Object = row
        .iter()
        .filter(|(key, _)| !NOT_STORED.contains(&key.as_str()))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    let id = world.insert_vm(config);
    for device in row
        .get("devices")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
    {
        let Some(mut attributes) = device.get("attributes").and_then(Value::as_object).cloned()
        else {
            continue;
        };
        if let Some(dtype) = device.get("dtype") {
            attributes.insert("dtype".to_owned(), dtype.clone());
        }
        let order = device.get("order").and_then(Value::as_i64);
        world.insert_device(id, order, attributes);
    }
    if row.get("status").and_then(|status| status.get("state")) == Some(&json!("RUNNING")) {
        world.begin_domain(id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::WorldBuilder;

    #[test]
    fn interfaces_are_those_of_the_answer_and_in_its_order() {
        let mut world = WorldBuilder::example("26".parse().unwrap()).build();
        let answer = json!({"BRIDGE": ["br9", "br68", "br0"], "MACVLAN": ["eno1"]});
        learn_interfaces(&mut world, &answer);
        let names: Vec<&str> = world
            .interfaces
            .iter()
            .map(|interface| interface.name.as_str())
            .collect();
        assert_eq!(names, ["eno1", "br9", "br68", "br0"]);
    }
}
