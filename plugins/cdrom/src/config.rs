//! What stands under `cdrom` in a VM type: several spellings of one list.

use schemars::JsonSchema;
use serde::Deserialize;
use tnvm_plugin::{FromShort, IndexMap, Short, pointer};

/// CD-ROM drives: one path, a list of paths, `{path: …}`, or drives by name.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Cdroms(pub Short<Drives>);

/// CD-ROM drives by name: `{installer: /mnt/tank/iso/talos.iso}`. `path` is not a name: it gives
/// the image of the one unnamed drive.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(from = "IndexMap<String, Short<Cdrom>>")]
pub struct Drives(#[schemars(with = "IndexMap<String, Short<Cdrom>>")] pub Vec<Drive>);

/// A CD-ROM drive.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Cdrom {
    /// The image file on the server: `/mnt/POOL/DATASET/name.iso`.
    pub path: String,
}

/// One path or several.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(
    untagged,
    expecting = "a path, a list of paths, or drives by name are expected"
)]
pub enum Paths {
    /// `cdrom: /mnt/tank/iso/talos.iso`
    One(String),
    /// `cdrom: [/mnt/tank/iso/talos.iso]`
    Several(Vec<String>),
}

/// A drive however it was written.
#[derive(Debug)]
pub struct Drive {
    /// The device's name. The unnamed ones are `cdrom0`, `cdrom1`, so that going from one path
    /// to a list of one renames nothing.
    pub name: String,
    /// The image file on the server.
    pub path: String,
    /// Where the path stands in the config.
    pub place: String,
}

impl Drive {
    /// An unnamed drive.
    pub(crate) fn unnamed(index: usize, path: &str, place: String) -> Self {
        Self {
            name: format!("cdrom{index}"),
            path: path.to_owned(),
            place,
        }
    }
}

impl FromShort for Cdrom {
    type Short = String;

    fn from_short(path: String) -> Self {
        Self { path }
    }
}

impl FromShort for Drives {
    type Short = Paths;

    fn from_short(paths: Paths) -> Self {
        Self(match paths {
            Paths::One(path) => vec![Drive::unnamed(0, &path, String::new())],
            Paths::Several(paths) => (0..)
                .zip(&paths)
                .map(|(index, path)| Drive::unnamed(index, path, format!("/{index}")))
                .collect(),
        })
    }
}

impl From<IndexMap<String, Short<Cdrom>>> for Drives {
    fn from(drives: IndexMap<String, Short<Cdrom>>) -> Self {
        let drive = |(name, cdrom): (&String, &Short<Cdrom>)| match name.as_str() {
            "path" => Drive::unnamed(0, &cdrom.path, pointer(&["path"])),
            name => Drive {
                name: name.to_owned(),
                path: cdrom.path.clone(),
                place: cdrom.pointer(&[name], "path"),
            },
        };
        Self(drives.iter().map(drive).collect())
    }
}
