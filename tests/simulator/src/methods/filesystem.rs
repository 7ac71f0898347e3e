//! `filesystem.stat`, `listdir` and `statfs`. Shapes and refusals recorded on 25.10.7.

use serde_json::{Value, json};

use super::method::{Context, Method};
use super::query::{self, OLD_FILTERS, OLD_OPTIONS_TYPE, OPTIONS_TYPE};
use crate::errors::{EINVAL, ENOENT, ENOTDIR, Failure};
use crate::json::word;
use crate::schema::{Default, Field, Type};
use crate::version::Line;
use crate::world::machine::now_seconds;
use crate::world::{World, pool_of};

const READ: &[&str] = &["FILESYSTEM_ATTRS_READ"];
const PATH: Field = Field::required(
    "path",
    Type::Text {
        min: 1,
        pattern: None,
    },
);
/// Mode of a plain file, `-rw-r--r--`.
const FILE_MODE: u32 = 0o100_644;
/// Mode of a directory, `drwxr-xr-x`.
const DIRECTORY_MODE: u32 = 0o040_755;
/// Block size that `statfs` counts in.
const BLOCK: u64 = 4096;

static ONE_PATH: &[Field] = &[PATH];
static LIST: &[Field] = &[
    PATH,
    Field::with("query_filters", Type::List(&Type::Any), Default::EmptyList),
    Field::with("query_options", OPTIONS_TYPE, Default::EmptyObject),
];
static OLD_LIST: &[Field] = &[
    PATH,
    Field::with("query-filters", OLD_FILTERS, Default::EmptyList),
    Field::with("query-options", OLD_OPTIONS_TYPE, Default::EmptyObject),
];

pub(super) const METHODS: &[Method] = &[
    Method::read("filesystem.stat", READ, ONE_PATH, stat),
    Method::read("filesystem.listdir", READ, LIST, listdir).old(OLD_LIST),
    Method::read("filesystem.statfs", READ, ONE_PATH, statfs),
];

fn stat(context: &mut Context<'_>, params: &[Value]) -> Result<Value, Failure> {
    let world = &context.state.world;
    let path = absolute(word(params, 0))?;
    let mut found = describe(world, path)
        .ok_or_else(|| Failure::call(ENOENT, format!("Path {path} not found")))?;
    if let Some(found) = found.as_object_mut() {
        for key in ["name", "path", "xattrs", "zfs_attrs"] {
            found.remove(key);
        }
        let now = now_seconds();
        for key in ["atime", "mtime", "ctime", "btime"] {
            found.insert(key.into(), json!(now as f64));
        }
        for (key, value) in [
            ("dev", json!(113)),
            ("inode", json!(2)),
            ("nlink", json!(1)),
        ] {
            found.insert(key.into(), value);
        }
        found.insert("user".into(), json!("root"));
        found.insert("group".into(), json!("root"));
    }
    Ok(found)
}

fn listdir(context: &mut Context<'_>, params: &[Value]) -> Result<Value, Failure> {
    let world = &context.state.world;
    let path = absolute(word(params, 0))?;
    if world.files.contains_key(path) {
        return Err(Failure::call(
            ENOTDIR,
            format!("Path {path} is not a directory"),
        ));
    }
    if !world.is_directory(path) {
        return Err(Failure::call(
            ENOENT,
            format!("Directory {path} does not exist"),
        ));
    }
    let rows = world
        .entries_in(path)
        .iter()
        .filter_map(|name| describe(world, &format!("{}/{name}", path.trim_end_matches('/'))))
        .collect();
    query::answer(
        query::Dialect::of(&world.version),
        rows,
        params,
        1,
        "query_filters",
    )
}

fn statfs(context: &mut Context<'_>, params: &[Value]) -> Result<Value, Failure> {
    let world = &context.state.world;
    let path = absolute(word(params, 0))?;
    let there = world.files.contains_key(path) || world.is_directory(path);
    let dataset = world.filesystem_of(path).filter(|_| there);
    let dataset = dataset.ok_or_else(|| Failure::call(ENOENT, format!("Path {path} not found")))?;
    let available = world.available(pool_of(&dataset.name)) / BLOCK;
    let total = available + dataset.used / BLOCK;
    // Recorded on 24.10.2.5: a list of one.
    let fsid = match world.version.line() {
        Line::V24_10 => json!(["15090215055516916746"]),
        _ => json!("15090215055516916746"),
    };
    Ok(json!({
        "flags": ["RW", "NOATIME", "XATTR", "POSIXACL", "CASESENSITIVE"], "fsid": fsid,
        "fstype": "zfs", "source": dataset.name, "dest": dataset.mountpoint(), "blocksize": BLOCK,
        "total_blocks": total, "free_blocks": available, "avail_blocks": available,
        "total_blocks_str": total.to_string(), "free_blocks_str": available.to_string(),
        "avail_blocks_str": available.to_string(), "files": available, "free_files": available, "name_max": 255,
        "total_bytes": total * BLOCK, "free_bytes": available * BLOCK, "avail_bytes": available * BLOCK,
        "total_bytes_str": (total * BLOCK).to_string(), "free_bytes_str": (available * BLOCK).to_string(),
        "avail_bytes_str": (available * BLOCK).to_string(),
    }))
}

fn absolute(path: &str) -> Result<&str, Failure> {
    if path.starts_with('/') {
        Ok(path)
    } else {
        Err(Failure::call(
            EINVAL,
            format!("{path}: path must be absolute"),
        ))
    }
}

fn describe(world: &World, path: &str) -> Option<Value> {
    let file = world.files.get(path);
    if file.is_none() && !world.is_directory(path) {
        return None;
    }
    let is_mountpoint = world
        .filesystem_of(path)
        .is_some_and(|dataset| dataset.mountpoint().as_deref() == Some(path));
    let attributes = if is_mountpoint {
        json!(["MOUNT_ROOT"])
    } else {
        json!([])
    };
    Some(json!({
        "name": path.rsplit('/').next(), "path": path, "realpath": path,
        "type": if file.is_some() { "FILE" } else { "DIRECTORY" }, "size": file.copied().unwrap_or(80),
        "allocation_size": file.copied().unwrap_or(0),
        "mode": if file.is_some() { FILE_MODE } else { DIRECTORY_MODE }, "mount_id": 403, "acl": false,
        "uid": 0, "gid": 0, "is_mountpoint": is_mountpoint, "is_ctldir": false, "attributes": attributes,
        "xattrs": [], "zfs_attrs": ["ARCHIVE"],
    }))
}
