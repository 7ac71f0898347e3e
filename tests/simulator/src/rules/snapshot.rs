//! Rules of `pool.snapshot.*`: creation, deletion, cloning, and the entry. Texts recorded on
//! 26.0.0-BETA.3 and on 24.10.2.5 and 25.04.2.6; 25.10 has the helper of the latter, which passes ZFS's own
//! words on (code reading).

use serde_json::{Value, json};

use super::dataset_entry;
use crate::errors::{EBUSY, EEXIST, ENOENT, Failure};
use crate::json::{Object, flag, given, text};
use crate::query::Options;
use crate::world::machine::date;
use crate::world::{Dataset, Kind, Snapshot, World, parent_of, pool_of};

/// `pool.snapshot.create`
pub(crate) fn create(world: &mut World, data: &Object) -> Result<Value, Failure> {
    let dataset = text(data, "dataset").to_owned();
    let name = if given(data, "name") {
        text(data, "name").to_owned()
    } else {
        dated(text(data, "naming_schema"))
    };
    let by_helper = world.version.uses_pylibzfs();
    // Recorded on 24.10.2.5 and 25.04.2.6; later versions have a model for each.
    if name.is_empty() {
        return Err(Failure::invalid(
            "snapshot_create.naming_schema",
            "You must specify either name or naming schema",
        ));
    }
    if !world.datasets.contains_key(&dataset) {
        return Err(match by_helper {
            true => {
                Failure::exception("ZFSPathNotFoundException", format!("'{dataset}' not found"))
            }
            false => Failure::fault(format!(
                "Failed to snapshot {dataset}@{name}: Dataset '{dataset}' not found"
            )),
        });
    }
    if world.snapshots.contains_key(&format!("{dataset}@{name}")) {
        return Err(match by_helper {
            true => Failure::Validation {
                class: "ValidationError",
                complaints: vec![(
                    Some("pool.snapshot.create".into()),
                    format!("{name} already exists."),
                    EEXIST,
                )],
            },
            false => Failure::call(
                EEXIST,
                format!(
                    "Failed to snapshot {dataset}@{name}: cannot create snapshot '{dataset}@{name}': dataset already exists"
                ),
            ),
        });
    }
    if name.contains(['/', '@', '#']) {
        return Err(match by_helper {
            true => Failure::exception("ZFSCoreException", "create snapshots failed"),
            false => Failure::invalid("snapshot_create.name", "Invalid snapshot name"),
        });
    }
    let mut targets = vec![dataset.clone()];
    if flag(data, "recursive") {
        targets = world.tree_of(&dataset);
    }
    for target in targets {
        world.take_snapshot(&target, &name);
    }
    let snapshot = find(world, &format!("{dataset}@{name}"))?;
    let mut entry = entry(world, snapshot, &Options::default());
    if let (false, Some(entry)) = (world.version.shows_whole_snapshots(), entry.as_object_mut()) {
        entry.remove("holds");
        entry.insert(
            "properties".into(),
            json!({
                "createtxg": property(&snapshot.txg.to_string(), json!(snapshot.txg)),
                "creation": property(&snapshot.created.to_string(), json!(snapshot.created)),
            }),
        );
    }
    Ok(entry)
}

/// `pool.snapshot.delete`
pub(crate) fn delete(world: &mut World, id: &str, options: &Object) -> Result<Value, Failure> {
    if !world.snapshots.contains_key(id) {
        let why = if world.version.uses_pylibzfs() {
            format!("'{id}' not found")
        } else {
            format!("Snapshot '{id}' not found")
        };
        let complaints = vec![(None, why, ENOENT)];
        return Err(Failure::Validation {
            class: "InstanceNotFound",
            complaints,
        });
    }
    let clones = world.clones_of(id);
    if !clones.is_empty() {
        let takes_them_along = flag(options, "recursive") && world.version.destroys_clones();
        if !takes_them_along && !flag(options, "defer") {
            return Err(match world.version.uses_pylibzfs() {
                true => Failure::Validation {
                    class: "ValidationError",
                    complaints: vec![(
                        Some("zfs.resource.snapshot.destroy".into()),
                        format!("'{id}' has the following clones: {}", clones.join(", ")),
                        EBUSY,
                    )],
                },
                false => Failure::invalid(
                    "options.defer",
                    format!(
                        "Please set this attribute as '{id}' snapshot has dependent clones: {}",
                        clones.join(", ")
                    ),
                ),
            });
        }
        for clone in clones {
            super::destroy::destroy(world, &clone, true)?;
        }
    }
    world.snapshots.remove(id);
    Ok(json!(true))
}

/// `pool.snapshot.clone`
pub(crate) fn clone(world: &mut World, data: &Object) -> Result<Value, Failure> {
    let (id, target) = (text(data, "snapshot"), text(data, "dataset_dst"));
    let by_helper = world.version.uses_pylibzfs();
    let Some(snapshot) = world.snapshots.get(id).cloned() else {
        return Err(match by_helper {
            true => Failure::exception("ZFSPathNotFoundException", format!("'{id}' not found")),
            false => Failure::fault(format!(
                "Failed to clone snapshot: Snapshot '{id}' not found"
            )),
        });
    };
    if world.datasets.contains_key(target) {
        return Err(match by_helper {
            true => Failure::exception(
                "ZFSPathAlreadyExistsException",
                format!("'{target}' already exists"),
            ),
            false => Failure::fault(format!(
                "Failed to clone snapshot: cannot create '{target}': dataset already exists"
            )),
        });
    }
    if !parent_of(target).is_some_and(|parent| world.datasets.contains_key(parent)) {
        return Err(Failure::call(
            ENOENT,
            format!("Failed to clone snapshot: parent of {target} does not exist"),
        ));
    }
    let kind = match world
        .datasets
        .get(&snapshot.dataset)
        .map(|dataset| dataset.kind)
    {
        Some(Kind::Volume {
            size, block_size, ..
        }) => Kind::Volume {
            size,
            block_size,
            sparse: true,
        },
        _ => Kind::Filesystem,
    };
    let mut copy = Dataset::new(target, kind);
    copy.origin = Some(id.to_owned());
    world.datasets.insert(target.to_owned(), copy);
    Ok(json!(true))
}

/// The snapshot, or the server's way of saying there is none.
pub(crate) fn find<'a>(world: &'a World, id: &str) -> Result<&'a Snapshot, Failure> {
    world
        .snapshots
        .get(id)
        .ok_or_else(|| Failure::not_found(world.version.snapshot_model(), id))
}

/// The entry of `pool.snapshot.query`. `extra.properties` asks for properties.
pub(crate) fn entry(world: &World, snapshot: &Snapshot, options: &Options) -> Value {
    let chosen = options.extra.get("properties").and_then(Value::as_array);
    let all = chosen.is_none() && world.version.shows_whole_snapshots();
    let wanted = |name: &str| {
        all || chosen
            .into_iter()
            .flatten()
            .any(|chosen| chosen.as_str() == Some(name))
    };
    let mut properties = serde_json::Map::new();
    for (name, value) in known_properties(world, snapshot) {
        if wanted(name) {
            let mut value = value;
            if let (true, Some(value)) =
                (world.version.shows_whole_snapshots(), value.as_object_mut())
            {
                value.insert("source_info".into(), Value::Null);
            }
            properties.insert(name.to_owned(), value);
        }
    }
    let mut entry = json!({
        "id": snapshot.id(), "properties": properties, "pool": pool_of(&snapshot.dataset), "name": snapshot.id(),
        "type": "SNAPSHOT", "snapshot_name": snapshot.name, "dataset": snapshot.dataset,
        "createtxg": snapshot.txg.to_string(),
    });
    let holds = options.extra_flag("holds", !world.version.shows_whole_snapshots());
    if let (true, Some(entry)) = (holds, entry.as_object_mut()) {
        let holds: serde_json::Map<String, Value> = snapshot
            .holds
            .iter()
            .map(|tag| (tag.clone(), json!(snapshot.created)))
            .collect();
        entry.insert("holds".into(), Value::Object(holds));
    }
    entry
}

/// What a snapshot has to tell, in ZFS's order.
fn known_properties(world: &World, snapshot: &Snapshot) -> Vec<(&'static str, Value)> {
    let same = |text: String| property(&text, json!(text));
    let created = if world.version.shows_whole_snapshots() {
        property(&snapshot.created.to_string(), date(snapshot.created))
    } else {
        property(&snapshot.created.to_string(), json!(snapshot.created))
    };
    let mut known = vec![
        ("type", same("snapshot".to_owned())),
        ("used", property("0", json!(0))),
        ("referenced", property("98304", json!(98_304))),
        ("creation", created),
        (
            "createtxg",
            property(&snapshot.txg.to_string(), json!(snapshot.txg)),
        ),
        (
            "guid",
            property(&snapshot.txg.to_string(), json!(snapshot.txg)),
        ),
        ("compressratio", same("1.00".to_owned())),
        ("written", property("0", json!(0))),
        (
            "userrefs",
            property(
                &snapshot.holds.len().to_string(),
                json!(snapshot.holds.len()),
            ),
        ),
        ("defer_destroy", same("off".to_owned())),
        ("clones", same(world.clones_of(&snapshot.id()).join(","))),
        ("name", same(snapshot.id())),
        ("encryption", same("off".to_owned())),
    ];
    if let Some(Kind::Volume { size, .. }) = world
        .datasets
        .get(&snapshot.dataset)
        .map(|dataset| dataset.kind)
    {
        let mut volsize = property(&size.to_string(), json!(size));
        // Recorded on 24.10.2.5 and 25.04.2.6.
        let short = dataset_entry::humanized(size);
        if let (true, Some(short), Some(volsize)) = (
            world.version.shows_whole_snapshots(),
            dataset_entry::as_zfs_writes(&short),
            volsize.as_object_mut(),
        ) {
            volsize.insert("value".into(), json!(short));
        }
        known.push(("volsize", volsize));
    }
    known
}

fn property(raw: &str, parsed: Value) -> Value {
    json!({"value": raw, "rawvalue": raw, "source": "NONE", "parsed": parsed})
}

/// A naming schema with the date filled in, as far as the usual fields go (UTC).
fn dated(schema: &str) -> String {
    let seconds = crate::world::machine::now_seconds();
    let (days, rest) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let (year, month, day) = civil(days);
    [
        ("%Y", format!("{year:04}")),
        ("%m", format!("{month:02}")),
        ("%d", format!("{day:02}")),
        ("%H", format!("{:02}", rest / 3600)),
        ("%M", format!("{:02}", rest / 60 % 60)),
        ("%S", format!("{:02}", rest % 60)),
    ]
    .iter()
    .fold(schema.to_owned(), |text, (field, value)| {
        text.replace(field, value)
    })
}

/// Year, month and day of a count of days since 1970 (Gregorian calendar).
fn civil(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let of_era = shifted.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_index = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month_index + 2) / 5 + 1;
    let month = if month_index < 10 {
        month_index + 3
    } else {
        month_index - 9
    };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_follow_the_calendar() {
        assert_eq!(civil(0), (1970, 1, 1));
        assert_eq!(civil(19_782), (2024, 2, 29));
        assert_eq!(civil(20_779), (2026, 11, 22));
    }
}
