//! The entry of `pool.dataset.query`: properties as objects with parsed, raw and shown values.
//! Recorded on 25.10.7 for both kinds of dataset.

use serde_json::{Map, Value, json};

use crate::query::Options;
use crate::world::machine::date;
use crate::world::{Dataset, Kind, World, parent_of, pool_of};

/// Properties with defaults, by the name in the answer, the ZFS name, the default, and whether
/// filesystems and zvols have it.
const WORDS: [(&str, &str, &str, bool, bool); 17] = [
    ("deduplication", "dedup", "off", true, true),
    ("aclmode", "aclmode", "discard", true, false),
    ("acltype", "acltype", "posix", true, false),
    ("xattr", "xattr", "sa", true, false),
    ("atime", "atime", "on", true, false),
    (
        "casesensitivity",
        "casesensitivity",
        "sensitive",
        true,
        false,
    ),
    ("checksum", "checksum", "on", true, true),
    ("exec", "exec", "on", true, false),
    ("sync", "sync", "standard", true, true),
    ("compression", "compression", "lz4", true, true),
    ("quota", "quota", "0", true, false),
    ("refquota", "refquota", "0", true, false),
    ("reservation", "reservation", "0", true, true),
    ("copies", "copies", "1", true, true),
    ("snapdir", "snapdir", "hidden", true, false),
    ("readonly", "readonly", "off", true, true),
    ("snapdev", "snapdev", "hidden", true, true),
];

/// The entry; `extra` of the options chooses properties, children, snapshots and user properties.
pub(crate) fn dataset_entry(world: &World, dataset: &Dataset, options: &Options) -> Value {
    let mut entry = Map::new();
    let wanted: Option<Vec<&str>> = options
        .extra
        .get("properties")
        .and_then(Value::as_array)
        .map(|names| names.iter().filter_map(Value::as_str).collect());
    let mut put = |name: &str, zfs_name: &str, value: Value| {
        if wanted
            .as_ref()
            .is_none_or(|names| names.contains(&zfs_name) || names.contains(&name))
        {
            entry.insert(name.to_owned(), value);
        }
    };
    let is_volume = dataset.is_volume();
    put("encrypted", "encryption", json!(dataset.locked));
    put(
        "encryption_root",
        "encryptionroot",
        if dataset.locked {
            json!(dataset.name)
        } else {
            Value::Null
        },
    );
    put("key_loaded", "keystatus", json!(false));
    put("locked", "keystatus", json!(dataset.locked));
    for (name, zfs_name, default, for_filesystem, for_volume) in WORDS {
        if (is_volume && for_volume) || (!is_volume && for_filesystem) {
            put(name, zfs_name, set_or_default(dataset, zfs_name, default));
        }
    }
    put(
        "compressratio",
        "compressratio",
        shown(json!("1.00"), "1.00", json!("1.00x"), "NONE"),
    );
    let origin = dataset.origin.as_deref().unwrap_or_default();
    // The server shows every text property in upper case, this one too.
    put(
        "origin",
        "origin",
        shown(json!(origin), origin, json!(origin.to_uppercase()), "NONE"),
    );
    match dataset.kind {
        Kind::Volume {
            size,
            block_size,
            sparse,
        } => {
            let reserved = if sparse { 0 } else { size };
            put("refreservation", "refreservation", reservation(reserved));
            put("volsize", "volsize", bytes(size, "LOCAL"));
            put("volblocksize", "volblocksize", block(block_size, "LOCAL"));
        }
        Kind::Filesystem => {
            put("refreservation", "refreservation", reservation(0));
            put("recordsize", "recordsize", block(128 << 10, "DEFAULT"));
            put(
                "special_small_block_size",
                "special_small_blocks",
                shown(json!("0"), "0", json!("0"), "DEFAULT"),
            );
        }
    }
    put(
        "key_format",
        "keyformat",
        shown(json!("none"), "none", Value::Null, "DEFAULT"),
    );
    put(
        "encryption_algorithm",
        "encryption",
        shown(json!("off"), "off", Value::Null, "DEFAULT"),
    );
    put(
        "pbkdf2iters",
        "pbkdf2iters",
        shown(json!("0"), "0", json!("0"), "DEFAULT"),
    );
    put_usage(world, dataset, &mut put);
    put("creation", "creation", creation(dataset.created));

    let mut all = Map::new();
    all.insert("id".into(), json!(dataset.name));
    all.insert(
        "type".into(),
        json!(if is_volume { "VOLUME" } else { "FILESYSTEM" }),
    );
    all.insert("name".into(), json!(dataset.name));
    all.insert("pool".into(), json!(pool_of(&dataset.name)));
    all.insert("children".into(), children(world, dataset, options));
    if options.extra_flag("retrieve_user_props", true) {
        let properties = user_properties(world, dataset);
        all.insert("user_properties".into(), Value::Object(properties));
    }
    all.extend(entry);
    let chosen = wanted.is_none_or(|names| names.contains(&"mountpoint"));
    if chosen || !world.version.shows_zfs_texts() {
        all.insert("mountpoint".into(), json!(dataset.mountpoint()));
    }
    let snapshots: Vec<Value> = world
        .snapshots_of(&dataset.name)
        .map(|snapshot| json!({"id": snapshot.id(), "name": snapshot.id(), "snapshot_name": snapshot.name}))
        .collect();
    if options.extra_flag("snapshots_count", false) {
        all.insert("snapshot_count".into(), json!(snapshots.len()));
    }
    if options.extra_flag("snapshots", false) {
        all.insert("snapshots".into(), Value::Array(snapshots));
    }
    if world.version.shows_zfs_texts() {
        as_zfs_shows(&mut all, is_volume);
    }
    if world.version.uses_pylibzfs() {
        as_pylibzfs_shows(&mut all);
    }
    Value::Object(all)
}

/// Values as ZFS writes them, and what ever was chosen, the members about encryption. Recorded on
/// 24.10.2.5 and 25.04.2.6.
fn as_zfs_shows(entry: &mut Map<String, Value>, is_volume: bool) {
    for (name, property) in entry.iter_mut() {
        let Some(property) = property.as_object_mut() else {
            continue;
        };
        let raw = property.get("rawvalue").cloned().unwrap_or_default();
        if let Some(short) = property
            .get("value")
            .and_then(Value::as_str)
            .and_then(as_zfs_writes)
        {
            property.insert("value".into(), json!(short));
        }
        match name.as_str() {
            "checksum" | "xattr" => property.insert("parsed".into(), raw),
            "compressratio" | "origin" => property.insert("value".into(), raw),
            "pbkdf2iters" | "special_small_block_size" => {
                property.insert("parsed".into(), json!(0))
            }
            _ => None,
        };
    }
    for (key, value) in [
        ("encrypted", json!(false)),
        ("encryption_root", Value::Null),
        ("key_loaded", json!(false)),
        ("locked", json!(false)),
    ] {
        entry.entry(key).or_insert(value);
    }
    if is_volume && entry.contains_key("volsize") {
        entry.insert(
            "special_small_block_size".into(),
            shown(json!(0), "0", json!("0"), "DEFAULT"),
        );
    }
    let comments = entry
        .get_mut("user_properties")
        .and_then(Value::as_object_mut)
        .and_then(|properties| properties.shift_remove("comments"));
    if let Some(comments) = comments {
        entry.insert("comments".into(), comments);
    }
}

/// Recorded on 26.0.0-BETA.3 and 27.
fn as_pylibzfs_shows(entry: &mut Map<String, Value>) {
    if entry.contains_key("volsize") || entry.contains_key("special_small_block_size") {
        entry.insert(
            "special_small_block_size".into(),
            shown(json!(0), "0", json!("0"), "DEFAULT"),
        );
    }
    if entry.contains_key("volsize")
        && let Some(reservation) = entry
            .get_mut("refreservation")
            .and_then(Value::as_object_mut)
    {
        reservation.insert("source".into(), json!("LOCAL"));
    }
}

/// `1 GiB` as ZFS writes it: `1G`.
pub(super) fn as_zfs_writes(text: &str) -> Option<String> {
    if let Some(bytes) = text.strip_suffix(" bytes") {
        return Some(bytes.to_owned());
    }
    let (number, unit) = text.split_once(' ')?;
    let letter = unit.strip_suffix("iB")?;
    Some(format!("{number}{letter}"))
}

/// User properties by name. What is set on a dataset shows on everything below it, with its source,
/// unless that sets its own (ZFS's rule for user properties, also for received ones). Comments stay where they are: the server
/// shows them apart. Recorded on 25.10.7 for those set here.
fn user_properties(world: &World, dataset: &Dataset) -> Map<String, Value> {
    let own = dataset.user_properties.iter();
    let mut all: Map<String, Value> = own
        .map(|(key, value)| {
            let own = shown(json!(value), value, json!(value), "LOCAL");
            (key.clone(), own)
        })
        .collect();
    for (key, value) in &dataset.received_properties {
        let received = shown(json!(value), value, json!(value), "RECEIVED");
        all.entry(key.clone()).or_insert(received);
    }
    let mut above = parent_of(&dataset.name);
    while let Some(name) = above {
        let set = world
            .datasets
            .get(name)
            .map(|parent| &parent.user_properties);
        for (key, value) in set.into_iter().flatten() {
            if key == "comments" || all.contains_key(key) {
                continue;
            }
            let mut inherited = shown(json!(value), value, json!(value), "INHERITED");
            if let Some(inherited) = inherited.as_object_mut() {
                inherited.insert("source_info".into(), json!(name));
            }
            all.insert(key.clone(), inherited);
        }
        above = parent_of(name);
    }
    all
}

fn put_usage(world: &World, dataset: &Dataset, put: &mut impl FnMut(&str, &str, Value)) {
    let below: u64 = world
        .tree_of(&dataset.name)
        .iter()
        .filter(|name| **name != dataset.name)
        .filter_map(|name| world.datasets.get(name))
        .map(Dataset::charged)
        .sum();
    let reserved = dataset.charged() - dataset.used;
    let available = world.available(pool_of(&dataset.name)) + reserved;
    put("used", "used", bytes(dataset.charged() + below, "NONE"));
    put("usedbychildren", "usedbychildren", bytes(below, "NONE"));
    put(
        "usedbydataset",
        "usedbydataset",
        bytes(dataset.used, "NONE"),
    );
    put(
        "usedbyrefreservation",
        "usedbyrefreservation",
        bytes(reserved, "NONE"),
    );
    put("usedbysnapshots", "usedbysnapshots", bytes(0, "NONE"));
    put("available", "available", bytes(available, "NONE"));
}

fn children(world: &World, dataset: &Dataset, options: &Options) -> Value {
    if !options.extra_flag("retrieve_children", true) {
        return json!([]);
    }
    world
        .children_of(&dataset.name)
        .map(|child| dataset_entry(world, child, options))
        .collect()
}

fn set_or_default(dataset: &Dataset, zfs_name: &str, default: &str) -> Value {
    let (raw, source) = match dataset.properties.get(zfs_name) {
        Some(value) => (value.as_str(), "LOCAL"),
        None => (default, "DEFAULT"),
    };
    let upper = json!(raw.to_uppercase());
    match zfs_name {
        "quota" | "refquota" | "reservation" if raw == "0" => {
            shown(Value::Null, raw, Value::Null, source)
        }
        "quota" | "refquota" | "reservation" => match raw.parse() {
            Ok(number) => bytes(number, source),
            Err(_) => shown(Value::Null, raw, upper, source),
        },
        "copies" => shown(json!(raw.parse::<u64>().unwrap_or(1)), raw, upper, source),
        "xattr" => shown(Value::Null, raw, upper, source),
        "atime" | "checksum" | "exec" | "readonly" if raw == "on" || raw == "off" => {
            shown(json!(raw == "on"), raw, upper, source)
        }
        _ => shown(json!(raw), raw, upper, source),
    }
}

fn reservation(size: u64) -> Value {
    if size == 0 {
        shown(Value::Null, "0", Value::Null, "DEFAULT")
    } else {
        bytes(size, "LOCAL")
    }
}

fn bytes(number: u64, source: &str) -> Value {
    shown(
        json!(number),
        &number.to_string(),
        json!(humanized(number)),
        source,
    )
}

fn block(number: u64, source: &str) -> Value {
    let text = if number < 1024 {
        number.to_string()
    } else {
        format!("{}K", number >> 10)
    };
    shown(json!(number), &number.to_string(), json!(text), source)
}

fn creation(seconds: i64) -> Value {
    shown(
        date(seconds),
        &seconds.to_string(),
        json!(seconds.to_string()),
        "NONE",
    )
}

fn shown(parsed: Value, raw: &str, value: Value, source: &str) -> Value {
    json!({"parsed": parsed, "rawvalue": raw, "value": value, "source": source, "source_info": null})
}

/// A size as a person reads it: two decimals at most, binary units.
pub(super) fn humanized(number: u64) -> String {
    const UNITS: [(&str, u32); 5] = [
        ("PiB", 50),
        ("TiB", 40),
        ("GiB", 30),
        ("MiB", 20),
        ("KiB", 10),
    ];
    for (unit, shift) in UNITS {
        if number >> shift != 0 {
            let hundredths = u128::from(number) * 100 / (1_u128 << shift);
            let rounded = u128::from(number) * 100 % (1_u128 << shift) >= (1_u128 << shift) / 2;
            let hundredths = hundredths + u128::from(rounded);
            let text = format!("{}.{:02}", hundredths / 100, hundredths % 100);
            return format!(
                "{} {unit}",
                text.trim_end_matches('0').trim_end_matches('.')
            );
        }
    }
    format!("{number} bytes")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_property_is_inherited_and_the_nearest_one_wins() {
        let mut world = World::example(crate::Version::default());
        for (name, key, value) in [
            ("tank", "a:far", "1"),
            ("tank", "a:both", "1"),
            ("tank/kubernetes", "a:both", "2"),
        ] {
            let dataset = world.datasets.get_mut(name).unwrap();
            dataset.user_properties.insert(key.into(), value.into());
        }
        let found = user_properties(&world, &world.datasets["tank/kubernetes"]);
        assert_eq!(found["a:far"]["source"], "INHERITED");
        assert_eq!(found["a:far"]["source_info"], "tank");
        assert_eq!(
            (&found["a:both"]["source"], &found["a:both"]["value"]),
            (&json!("LOCAL"), &json!("2"))
        );
    }

    #[test]
    fn sizes_read_like_the_servers() {
        assert_eq!(humanized(1 << 30), "1 GiB");
        assert_eq!(humanized(10_555_311_331_737), "9.6 TiB");
        assert_eq!(humanized(1_073_684_480), "1023.95 MiB");
        assert_eq!(humanized(98_304), "96 KiB");
        assert_eq!(humanized(0), "0 bytes");
    }

    #[test]
    fn older_versions_show_what_zfs_writes() {
        assert_eq!(as_zfs_writes("1 GiB").as_deref(), Some("1G"));
        assert_eq!(as_zfs_writes("1023.95 MiB").as_deref(), Some("1023.95M"));
        assert_eq!(as_zfs_writes("0 bytes").as_deref(), Some("0"));
        assert_eq!(as_zfs_writes("LZ4"), None);
    }
}
