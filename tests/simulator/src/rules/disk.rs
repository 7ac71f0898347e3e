//! Rules of DISK (zvol) and RAW (file) devices.

use serde_json::{Value, json};

use super::cdrom::check_in_pool;
use super::dataset;
use super::device::{Candidate, Complaints};
use crate::errors::{ENOENT, Failure};
use crate::json::{Object, flag, given, int, text};
use crate::random;
use crate::version::Line;
use crate::world::{World, parent_of, pool_of};

/// Where zvols appear.
const PREFIX: &str = "/dev/zvol/";

/// DISK. Recorded on 25.10.7 and 26.0.0-BETA.3: `vm.device.create`.
pub(super) fn check_disk(world: &World, candidate: &Candidate<'_>, complaints: &mut Complaints) {
    let attributes = candidate.attributes;
    if flag(attributes, "create_zvol") {
        check_new_zvol(world, attributes, complaints);
    } else {
        let path = text(attributes, "path");
        match zvol_of(path) {
            None => complaints.add(
                "attributes.path",
                match world.version.line() {
                    Line::V25_04 | Line::V25_10 => "Disk path must start with \"/dev/zvol/\"",
                    Line::V26 => "Disk path must start with '/dev/zvol/'.",
                },
            ),
            Some(zvol)
                if !world
                    .datasets
                    .get(&zvol)
                    .is_some_and(crate::world::Dataset::is_volume) =>
            {
                complaints.add_errno(
                    "attributes.path",
                    match world.version.line() {
                        Line::V25_04 | Line::V25_10 => {
                            "Zvol referenced by path does not exist".to_owned()
                        }
                        Line::V26 => format!("Zvol ({zvol}) path ({path}) does not exist."),
                    },
                    ENOENT,
                );
            }
            Some(_) => refuse_twice(world, candidate, path, complaints),
        }
    }
    check_sectors(world, attributes, complaints);
    check_serial(candidate, complaints);
}

/// RAW. Recorded on 25.10.7 (pool, creation) and code reading of its device class (existence).
pub(super) fn check_raw(world: &World, candidate: &Candidate<'_>, complaints: &mut Complaints) {
    let attributes = candidate.attributes;
    let path = text(attributes, "path");
    if check_in_pool(world, path, complaints) {
        let found = world.files.contains_key(path);
        if flag(attributes, "exists") {
            if !found {
                complaints.add("attributes.path", "Path must exist.");
            }
        } else if candidate.old.is_none() {
            if found {
                complaints.add("attributes.path", "Path must not exist.");
            }
            if !given(attributes, "size") {
                complaints.add(
                    "attributes.size",
                    "Please provide a valid size for the raw file.",
                );
            }
        } else {
            // An update re-validates as if the file were to be made.
            complaints.add("attributes.path", "Path must not exist.");
        }
        refuse_twice(world, candidate, path, complaints);
    }
    check_sectors(world, attributes, complaints);
    check_serial(candidate, complaints);
}

/// Makes the zvol, consumes the keys that asked for it, gives a serial. The zvol is thick with the
/// pool's recommended block size and stays when anything later fails (recorded on 25.10.7).
pub(super) fn prepare_disk(
    world: &mut World,
    attributes: &mut Object,
    is_new: bool,
) -> Result<(), Failure> {
    if flag(attributes, "create_zvol") {
        let name = text(attributes, "zvol_name").to_owned();
        let block_size = dataset::recommended_block_size(world, pool_of(&name));
        dataset::create_checked(
            world,
            &json!({
                "name": name, "type": "VOLUME", "volsize": int(attributes, "zvol_volsize"), "volblocksize": block_size,
            }),
        )?;
        attributes.insert(
            "path".into(),
            json!(format!("{PREFIX}{}", name.replace(' ', "+"))),
        );
    }
    attributes.insert("create_zvol".into(), json!(false));
    attributes.insert("zvol_name".into(), Value::Null);
    attributes.insert("zvol_volsize".into(), Value::Null);
    if is_new {
        give_serial(attributes);
    }
    Ok(())
}

/// Makes, grows or cuts the file.
pub(super) fn prepare_raw(world: &mut World, attributes: &mut Object, is_new: bool) {
    if let Some(size) = int(attributes, "size").and_then(|size| u64::try_from(size).ok()) {
        world
            .files
            .insert(text(attributes, "path").to_owned(), size);
    }
    if is_new {
        give_serial(attributes);
    }
}

/// A serial is always the server's own: what a caller sends at creation is overwritten (recorded).
pub(super) fn give_serial(attributes: &mut Object) {
    attributes.insert("serial".into(), json!(random::alphanumeric(8)));
}

/// The zvol a device path names.
pub(crate) fn zvol_of(path: &str) -> Option<String> {
    path.strip_prefix(PREFIX)
        .filter(|rest| !rest.is_empty())
        .map(|rest| rest.replace('+', " "))
}

/// Whether the zvol behind a path is there and unlocked.
pub(super) fn is_usable(world: &World, path: &str) -> bool {
    zvol_of(path)
        .and_then(|zvol| world.datasets.get(&zvol))
        .is_some_and(|dataset| dataset.is_volume() && !dataset.locked)
}

fn check_new_zvol(world: &World, attributes: &Object, complaints: &mut Complaints) {
    let name = text(attributes, "zvol_name");
    if name.is_empty() {
        complaints.add("attributes.zvol_name", "This field is required.");
    } else if world.datasets.contains_key(name) {
        complaints.add("attributes.zvol_name", format!("'{name}' already exists."));
    } else {
        let parent = parent_of(name).unwrap_or_default();
        if !world.datasets.contains_key(parent) {
            complaints.add_errno(
                "attributes.zvol_name",
                match world.version.line() {
                    Line::V25_04 | Line::V25_10 => {
                        format!("Parent dataset {parent} does not exist.")
                    }
                    Line::V26 => format!("Parent '{parent}' does not exist."),
                },
                ENOENT,
            );
        }
    }
    if int(attributes, "zvol_volsize").unwrap_or(0) == 0 {
        complaints.add("attributes.zvol_volsize", "This field is required.");
    }
}

fn check_sectors(world: &World, attributes: &Object, complaints: &mut Complaints) {
    let (Some(physical), logical) = (
        int(attributes, "physical_sectorsize"),
        int(attributes, "logical_sectorsize"),
    ) else {
        return;
    };
    match logical {
        None => complaints.add(
            "attributes.logical_sectorsize",
            match world.version.line() {
                Line::V25_04 | Line::V25_10 => "This field must be provided when physical_sectorsize is specified.",
                Line::V26 => "This field \"logical_sectorsize\" must be provided when physical_sectorsize is specified.",
            },
        ),
        // Recorded on 26.0.0-BETA.3; accepted on 25.10.7.
        Some(logical) if logical > physical && world.version.line() == Line::V26 => complaints.add(
            "attributes.logical_sectorsize",
            "Logical sector size cannot be greater than physical sector size.",
        ),
        Some(_) => {}
    }
}

/// Code reading: storage devices, 25.04.2+; the text is ours.
fn check_serial(candidate: &Candidate<'_>, complaints: &mut Complaints) {
    if let Some(old) = candidate.old
        && given(old, "serial")
        && old.get("serial") != candidate.attributes.get("serial")
    {
        complaints.add("attributes.serial", "This field is read-only.");
    }
}

/// The same path twice in one VM. Recorded on 25.10.7; two VMs with one zvol are accepted.
pub(super) fn refuse_twice(
    world: &World,
    candidate: &Candidate<'_>,
    path: &str,
    complaints: &mut Complaints,
) {
    let dtype = text(candidate.attributes, "dtype");
    let twice = world.devices_of(candidate.vm).any(|device| {
        Some(device.id) != candidate.id
            && device.dtype() == dtype
            && text(&device.attributes, "path") == path
    });
    if twice {
        let name = world
            .vms
            .get(&candidate.vm)
            .map_or("", crate::world::Vm::name);
        let quote = if world.version.line() == Line::V26 {
            '\''
        } else {
            '"'
        };
        complaints.add(
            "attributes.path",
            format!("{name} has {quote}{path}{quote} already configured"),
        );
    }
}
