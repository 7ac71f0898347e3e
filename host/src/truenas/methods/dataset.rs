//! `pool.dataset.*` and snapshots: zvols and the datasets around them.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::note;
use super::query::Query;
use crate::truenas::client::Client;
use crate::truenas::error::CallError;
use crate::truenas::limits;
use crate::truenas::method::Method;

/// A dataset or zvol.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DatasetEntry {
    /// Full name, for example `tank/vms/worker01-disk0`.
    pub name: String,
    /// Whether it is a zvol.
    pub is_volume: bool,
    /// Size of a zvol in bytes.
    pub volsize: Option<u64>,
    /// Bytes that can still be written below it.
    pub available: Option<u64>,
    /// Bytes used by it and all below.
    pub used: Option<u64>,
    /// Whether it is encrypted.
    pub encrypted: bool,
    /// Whether it is encrypted and its key is not loaded.
    pub locked: bool,
    /// Whether it is read-only, as replicated zvols are.
    pub read_only: bool,
    /// User properties set on this very dataset. Inherited ones are left out, since a mark on a
    /// parent is no mark on the child, and so are received ones: a replica is not what it was
    /// copied from.
    pub user_properties: BTreeMap<String, String>,
    /// Whether some of them stand in its comment alone, because the server forgot them when it was
    /// made (betas of 26).
    pub noted: bool,
    /// The snapshot it was cloned from.
    pub origin: Option<String>,
    /// How many snapshots it has, where asked for.
    pub snapshots: Option<u64>,
}

/// A zvol to make.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VolumeSpec {
    /// Full name; the parent must exist.
    pub dataset: String,
    /// Size in bytes, a multiple of the block size.
    pub size: u64,
    /// Without a reservation.
    pub sparse: bool,
    /// For example `16K`; none: as the pool has it.
    pub block_size: Option<String>,
    /// User properties; a key contains a colon.
    pub user_properties: Vec<(String, String)>,
}

/// The ZFS properties asked for. All would make the answer ten times as long; `encrypted` and
/// `locked` are made from the three in the last line.
const PROPERTIES: [&str; 8] = [
    "available",
    "used",
    "volsize",
    "readonly",
    "origin",
    "encryption",
    "encryptionroot",
    "keystatus",
];

/// The members of a row asked for: all but `children`, which repeats every descendant in full.
const MEMBERS: &[&str] = &[
    "id",
    "type",
    "available",
    "used",
    "volsize",
    "readonly",
    "origin",
    "encrypted",
    "key_loaded",
    "locked",
    "user_properties",
    "snapshot_count",
];

impl DatasetEntry {
    fn read(row: &Value) -> Option<Self> {
        let bool_of = |member: &str| row.get(member).and_then(Value::as_bool);
        let encrypted = bool_of("encrypted").unwrap_or(false);
        let unloaded = encrypted && bool_of("key_loaded") == Some(false);
        let read_only = row.pointer("/readonly/parsed");
        let shown = row.get("user_properties").and_then(Value::as_object);
        let mut user_properties = shown.map(own_properties).unwrap_or_default();
        let noted = note::take_in(&mut user_properties);
        Some(Self {
            name: row.get("id")?.as_str()?.to_owned(),
            is_volume: row.get("type")?.as_str()? == "VOLUME",
            volsize: bytes(row, "volsize"),
            available: bytes(row, "available"),
            used: bytes(row, "used"),
            encrypted,
            locked: bool_of("locked").unwrap_or(unloaded),
            read_only: read_only == Some(&Value::Bool(true))
                || row.pointer("/readonly/rawvalue").and_then(Value::as_str) == Some("on"),
            user_properties,
            noted,
            origin: row
                .pointer("/origin/rawvalue")
                .and_then(Value::as_str)
                .filter(|origin| !origin.is_empty() && *origin != "-")
                .map(str::to_owned),
            snapshots: row.get("snapshot_count").and_then(Value::as_u64),
        })
    }
}

/// A property in bytes: `parsed` where it is a number, else the text of `rawvalue`.
fn bytes(row: &Value, property: &str) -> Option<u64> {
    let property = row.get(property)?;
    property.get("parsed").and_then(Value::as_u64).or_else(|| {
        property
            .get("rawvalue")
            .and_then(Value::as_str)
            .and_then(|text| text.parse().ok())
    })
}

fn own_properties(properties: &Map<String, Value>) -> BTreeMap<String, String> {
    properties
        .iter()
        .filter(|(_, property)| property.get("source").and_then(Value::as_str) == Some("LOCAL"))
        .filter_map(|(key, property)| {
            let text = ["rawvalue", "value"]
                .iter()
                .find_map(|member| property.get(*member).and_then(Value::as_str))?;
            Some((key.clone(), text.to_owned()))
        })
        .collect()
}

/// The filters for "at or below" one of the names.
fn at_or_below(names: &[&str]) -> Value {
    let any: Vec<Value> = names
        .iter()
        .flat_map(|name| {
            [
                json!(["id", "=", name]),
                json!(["id", "^", format!("{name}/")]),
            ]
        })
        .collect();
    json!(["OR", any])
}

/// Names without those that are below another, and without a trailing slash: no row twice.
fn outermost(names: &[String]) -> Vec<&str> {
    let mut names: Vec<&str> = names
        .iter()
        .map(|name| name.trim_end_matches('/'))
        .filter(|name| !name.is_empty())
        .collect();
    names.sort_unstable();
    names.dedup();
    let all = names.clone();
    names.retain(|name| {
        !all.iter().any(|other| {
            name.strip_prefix(other)
                .is_some_and(|rest| rest.starts_with('/'))
        })
    });
    names
}

impl Client {
    /// The datasets and zvols at or below the given names; names that do not exist give no row.
    /// One call for 50 names. Snapshots are not counted.
    ///
    /// # Errors
    /// As any call.
    pub async fn query_datasets(
        &self,
        prefixes: &[String],
    ) -> Result<Vec<DatasetEntry>, CallError> {
        self.below(prefixes, None).await
    }

    /// As [`query_datasets`](Self::query_datasets), but no zvols: for who asks for all of those.
    ///
    /// # Errors
    /// As any call.
    pub async fn query_filesystems(
        &self,
        prefixes: &[String],
    ) -> Result<Vec<DatasetEntry>, CallError> {
        self.below(prefixes, Some(json!(["type", "=", "FILESYSTEM"])))
            .await
    }

    async fn below(
        &self,
        prefixes: &[String],
        filter: Option<Value>,
    ) -> Result<Vec<DatasetEntry>, CallError> {
        let mut found = Vec::new();
        for names in outermost(prefixes).chunks(limits::DATASETS_PER_QUERY) {
            let mut query = dataset_query(at_or_below(names), json!({"properties": PROPERTIES}));
            query.filters.extend(filter.clone());
            found.extend(self.datasets(&query).await?);
        }
        Ok(found)
    }

    /// The rows of these datasets and zvols alone; names that do not exist give no row. One call for
    /// 50 names. Snapshots are not counted.
    ///
    /// # Errors
    /// As any call.
    pub async fn datasets_named(&self, names: &[String]) -> Result<Vec<DatasetEntry>, CallError> {
        let mut found = Vec::new();
        for names in names.chunks(limits::DATASETS_PER_QUERY) {
            let query = dataset_query(
                json!(["id", "in", names]),
                json!({"properties": PROPERTIES}),
            );
            found.extend(self.datasets(&query).await?);
        }
        Ok(found)
    }

    /// All zvols of the server, with their numbers of snapshots where it counts them.
    ///
    /// # Errors
    /// As any call.
    pub async fn query_volumes(&self) -> Result<Vec<DatasetEntry>, CallError> {
        let extra = json!({"properties": PROPERTIES, "snapshots_count": true});
        let query = dataset_query(json!(["type", "=", "VOLUME"]), extra);
        self.datasets(&query).await
    }

    /// All zvols of the server. Their snapshots are not counted, which spares it a walk through
    /// all of them.
    ///
    /// # Errors
    /// As any call.
    pub async fn query_volumes_alone(&self) -> Result<Vec<DatasetEntry>, CallError> {
        let extra = json!({"properties": PROPERTIES});
        let query = dataset_query(json!(["type", "=", "VOLUME"]), extra);
        self.datasets(&query).await
    }

    async fn datasets(&self, query: &Query) -> Result<Vec<DatasetEntry>, CallError> {
        let rows = self
            .rows(Method::DatasetQuery, query, limits::DATASET_PAGE)
            .await?;
        let read = |row: &Value| {
            let entry = DatasetEntry::read(row);
            if entry.is_none() {
                tracing::warn!(dataset = ?row.get("id"), "left out a dataset that cannot be read");
            }
            entry
        };
        Ok(rows.iter().filter_map(read).collect())
    }

    /// The dataset or zvol with this name, with its number of snapshots where the server counts them.
    ///
    /// # Errors
    /// As any call.
    pub async fn dataset_opt(&self, name: &str) -> Result<Option<DatasetEntry>, CallError> {
        let extra = json!({
            "properties": PROPERTIES, "retrieve_children": false, "snapshots_count": true,
        });
        let query = dataset_query(json!(["id", "=", name]), extra);
        let Some(row) = self.first_row(Method::DatasetQuery, &query).await? else {
            return Ok(None);
        };
        DatasetEntry::read(&row)
            .map(Some)
            .ok_or_else(|| CallError::protocol(Method::DatasetQuery, "a row without id or type"))
    }

    /// The root datasets of the pools: all filesystems without a `/` in their names, in their order.
    ///
    /// # Errors
    /// As any call.
    pub async fn root_datasets(&self) -> Result<Vec<DatasetEntry>, CallError> {
        let mut query = dataset_query(
            json!(["id", "rnin", "/"]),
            json!({"properties": PROPERTIES}),
        );
        query.filters.push(json!(["type", "=", "FILESYSTEM"]));
        self.datasets(&query).await
    }

    /// Makes a zvol.
    ///
    /// # Errors
    /// A zvol that exists is [`CallError::Refused`] with errno 14, not 17: look before and after.
    /// As any call otherwise.
    pub async fn create_volume(&self, volume: &VolumeSpec) -> Result<(), CallError> {
        let forgets = self.profile().forgets_user_properties();
        let made = self
            .call(Method::DatasetCreate, vec![creation(volume, forgets)])
            .await?;
        if has_forgotten(&made, volume) {
            let mut changes = json!({"user_properties_update": pairs(&volume.user_properties)});
            if let (true, Some(changes)) = (forgets, changes.as_object_mut()) {
                changes.insert(note::COMMENTS.into(), json!(""));
            }
            match self.update_dataset(&volume.dataset, changes).await {
                // The comment says the same.
                Err(error) if forgets => {
                    tracing::warn!(dataset = volume.dataset, %error, "user properties stay in the comment");
                }
                other => return other,
            }
        }
        Ok(())
    }

    /// Removes one dataset or zvol without snapshots and children; nothing recursive, no force. It
    /// is not taken for done: 26 and newer answer success even where ZFS failed, so the caller
    /// looks with [`dataset_opt`](Self::dataset_opt).
    ///
    /// # Errors
    /// errno 39 where it has children or snapshots; as any call otherwise.
    pub async fn delete_dataset(&self, name: &str) -> Result<(), CallError> {
        let options = json!({"recursive": false, "force": false});
        self.call(Method::DatasetDelete, vec![json!(name), options])
            .await
            .map(drop)
    }

    /// Removes one snapshot (`dataset@name`), and nothing that hangs on it: neither clones nor
    /// snapshots of the same name below. As with [`delete_dataset`](Self::delete_dataset), look
    /// afterwards.
    ///
    /// # Errors
    /// Where it has clones or is held; as any call otherwise.
    pub async fn delete_snapshot(&self, name: &str) -> Result<(), CallError> {
        let options = json!({"defer": false, "recursive": false});
        self.call(self.profile().snapshot_delete(), vec![json!(name), options])
            .await
            .map(drop)
    }

    /// Makes a zvol larger. `size` is in bytes and a multiple of the block size. A running VM sees
    /// it at its next start at the latest.
    ///
    /// # Errors
    /// [`CallError::Refused`] when it would shrink, or would take more than 80 % of what is
    /// available; as any call otherwise.
    pub async fn grow_volume(&self, dataset: &str, size: u64) -> Result<(), CallError> {
        self.update_dataset(dataset, json!({"volsize": size})).await
    }

    /// Sets user properties of a dataset; none as the value removes the property. Others are left
    /// as they are. A key contains a colon.
    ///
    /// # Errors
    /// As any call.
    pub async fn set_user_properties(
        &self,
        dataset: &str,
        properties: &[(String, Option<String>)],
    ) -> Result<(), CallError> {
        if properties.is_empty() {
            return Ok(());
        }
        let updates: Vec<Value> = properties
            .iter()
            .map(|(key, value)| match value {
                Some(value) => json!({"key": key, "value": value}),
                None => json!({"key": key, "remove": true}),
            })
            .collect();
        let mut changes = json!({"user_properties_update": updates});
        if self.profile().forgets_user_properties() {
            self.resolve_note(dataset, properties, &mut changes).await?;
        }
        self.update_dataset(dataset, changes).await
    }

    /// Where properties stand in the comment of a dataset: takes the comment away, and sets those that
    /// are not changed themselves.
    async fn resolve_note(
        &self,
        dataset: &str,
        changed: &[(String, Option<String>)],
        changes: &mut Value,
    ) -> Result<(), CallError> {
        let Some(found) = self.dataset_opt(dataset).await?.filter(|one| one.noted) else {
            return Ok(());
        };
        let is_changed = |key: &String| changed.iter().any(|(other, _)| other == key);
        let kept = found.user_properties.into_iter();
        let kept: Vec<_> = kept.filter(|(key, _)| !is_changed(key)).collect();
        if let Some(changes) = changes.as_object_mut() {
            changes.insert(note::COMMENTS.into(), json!(""));
            if let Some(Value::Array(updates)) = changes.get_mut("user_properties_update") {
                updates.extend(pairs(&kept));
            }
        }
        Ok(())
    }

    async fn update_dataset(&self, dataset: &str, changes: Value) -> Result<(), CallError> {
        self.call(Method::DatasetUpdate, vec![json!(dataset), changes])
            .await
            .map(drop)
    }

    /// The full names (`dataset@name`) of a dataset's own snapshots.
    ///
    /// # Errors
    /// As any call.
    pub async fn snapshots_of(&self, dataset: &str) -> Result<Vec<String>, CallError> {
        let method = self.profile().snapshot_query();
        let query = Query {
            filters: vec![json!(["dataset", "=", dataset])],
            select: &["id"],
            extra: Value::Null,
        };
        let rows = self.rows(method, &query, limits::DATASET_PAGE).await?;
        let name = |row: &Value| row.get("id")?.as_str().map(str::to_owned);
        Ok(rows.iter().filter_map(name).collect())
    }
}

fn dataset_query(filter: Value, extra: Value) -> Query {
    Query {
        filters: vec![filter],
        select: MEMBERS,
        extra,
    }
}

/// Whether the answer of `pool.dataset.create` shows that user properties are not there.
fn has_forgotten(made: &Value, volume: &VolumeSpec) -> bool {
    let shown = made.get("user_properties").and_then(Value::as_object);
    shown.is_some_and(|shown| {
        let mut wanted = volume.user_properties.iter();
        wanted.any(|(key, _)| !shown.contains_key(key))
    })
}

fn pairs(properties: &[(String, String)]) -> Vec<Value> {
    let pairs = properties.iter();
    pairs
        .map(|(key, value)| json!({"key": key, "value": value}))
        .collect()
}

/// The argument of `pool.dataset.create`. `forgets`: whether the server keeps the comment alone.
fn creation(volume: &VolumeSpec, forgets: bool) -> Value {
    let mut creation = json!({
        "name": volume.dataset,
        "type": "VOLUME",
        "volsize": volume.size,
        "sparse": volume.sparse,
        "user_properties": pairs(&volume.user_properties),
    });
    if let (true, Some(members)) = (forgets, creation.as_object_mut()) {
        let note = note::write(&volume.user_properties);
        members.insert(note::COMMENTS.into(), json!(note));
    }
    if let (Some(block_size), Some(members)) = (&volume.block_size, creation.as_object_mut()) {
        members.insert("volblocksize".into(), json!(block_size));
    }
    creation
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zvol_is_read() {
        let row = json!({"id": "tank/a", "type": "VOLUME", "encrypted": false, "locked": false,
            "volsize": {"parsed": 1024, "rawvalue": "1024"},
            "available": {"parsed": null, "rawvalue": "77"},
            "readonly": {"parsed": true, "rawvalue": "on"},
            "origin": {"parsed": "tank/b@s", "rawvalue": "tank/b@s"},
            "user_properties": {
                "tnvm:owner": {"value": "mine", "rawvalue": "mine", "source": "LOCAL"},
                "tnvm:replica": {"value": "mine", "rawvalue": "mine", "source": "RECEIVED"},
                "tnvm:other": {"value": "theirs", "rawvalue": "theirs", "source": "INHERITED"}}});
        let entry = DatasetEntry::read(&row).expect("an entry");
        assert!(entry.is_volume && entry.read_only && !entry.locked);
        assert_eq!((entry.volsize, entry.available), (Some(1024), Some(77)));
        assert_eq!(entry.origin.as_deref(), Some("tank/b@s"));
        let own: Vec<_> = entry.user_properties.into_iter().collect();
        assert_eq!(own, [("tnvm:owner".to_owned(), "mine".to_owned())]);
    }

    #[test]
    fn an_encrypted_dataset_without_its_key_is_locked() {
        let row = json!({"id": "t", "type": "FILESYSTEM", "encrypted": true, "key_loaded": false});
        assert!(DatasetEntry::read(&row).is_some_and(|entry| entry.locked));
    }

    #[test]
    fn no_clone_has_no_origin() {
        for raw in ["", "-"] {
            let row = json!({"id": "t", "type": "VOLUME", "origin": {"rawvalue": raw}});
            assert_eq!(
                DatasetEntry::read(&row).and_then(|entry| entry.origin),
                None
            );
        }
    }

    #[test]
    fn names_below_others_are_not_asked_for_twice() {
        let names = ["tank/a/b", "tank/a/", "tank/a", "tank/ab", ""].map(str::to_owned);
        assert_eq!(outermost(&names), ["tank/a", "tank/ab"]);
    }

    #[test]
    fn a_name_is_no_prefix_of_its_neighbour() {
        assert_eq!(
            at_or_below(&["tank/a"]),
            json!(["OR", [["id", "=", "tank/a"], ["id", "^", "tank/a/"]]])
        );
    }

    #[test]
    fn the_block_size_is_sent_only_when_given() {
        let mut volume = VolumeSpec {
            dataset: "tank/a".into(),
            size: 1,
            sparse: true,
            block_size: None,
            user_properties: vec![("tnvm:owner".into(), "me".into())],
        };
        assert_eq!(creation(&volume, false).get("volblocksize"), None);
        volume.block_size = Some("16K".into());
        assert_eq!(
            creation(&volume, false).get("volblocksize"),
            Some(&json!("16K"))
        );
        assert_eq!(
            creation(&volume, false).get("user_properties"),
            Some(&json!([{"key": "tnvm:owner", "value": "me"}]))
        );
    }
}
