//! Rules of DISK (zvol) and RAW (file) devices.

use serde_json::{Value, json};

use super::cdrom::check_in_pool;
use super::dataset;
use super::device::{Candidate, Complaints};
use crate::errors::{ENOENT, Failure};
use crate::json::{Object, flag, given, int, text};
use crate::random;
use crate::world::{World, parent_of, pool_of};

/// Where zvols appear.
const PREFIX: &str = "/dev/zvol/";

/// DISK. Recorded on 25.10.7 and 26.0.0-BETA.3: `vm.device.create`.
pub(super) fn check_disk(
    world: &World,
    candidate: &Candidate<'_>,
    complaints: &mut Complaints,
) -> Result<(), Failure> {
    let attributes = candidate.attributes;
    let path = text(attributes, "path");
    let old = world.version.has_dtype_beside_attributes();
    if flag(attributes, "create_zvol") {
        // Recorded on 24.10.2.5; the schema of later versions refuses it.
        if old && !path.is_empty() {
            let why = "Must not be specified when creating zvol";
            complaints.add("attributes.path", why);
        }
        check_new_zvol(world, attributes, complaints);
    } else if old && path.is_empty() {
        // Recorded on 24.10.2.5: neither a path nor a new zvol.
        return Err(Failure::exception("KeyError", "'zvol_name'"));
    } else {
        match zvol_of(path) {
            None => complaints.add(
                "attributes.path",
                if world.version.uses_pylibvirt() {
                    "Disk path must start with '/dev/zvol/'."
                } else {
                    "Disk path must start with \"/dev/zvol/\""
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
                    if world.version.uses_pylibvirt() {
                        format!("Zvol ({zvol}) path ({path}) does not exist.")
                    } else {
                        "Zvol referenced by path does not exist".to_owned()
                    },
                    ENOENT,
                );
            }
            Some(_) => refuse_twice(world, candidate, path, complaints),
        }
    }
    check_sectors(world, attributes, complaints);
    check_serial(candidate, complaints);
    Ok(())
}

/// RAW. Recorded on 25.10.7 (pool, creation) and code reading of its device class (existence).
pub(super) fn check_raw(world: &World, candidate: &Candidate<'_>, complaints: &mut Complaints) {
    let attributes = candidate.attributes;
    let path = text(attributes, "path");
    if check_in_pool(world, path, complaints) {
        let found = world.files.contains_key(path);
        let exists = attributes
            .get("exists")
            .and_then(Value::as_bool)
            .unwrap_or(world.version.assumes_raw_files_exist());
        if exists {
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
    for (key, consumed) in [
        ("create_zvol", json!(false)),
        ("zvol_name", Value::Null),
        ("zvol_volsize", Value::Null),
    ] {
        if world.version.keeps_consumed_keys() {
            attributes.insert(key.into(), consumed);
        } else {
            attributes.shift_remove(key);
        }
    }
    if is_new && world.version.gives_serials() {
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
    if !world.version.keeps_consumed_keys() {
        attributes.shift_remove("exists");
    }
    if is_new && world.version.gives_serials() {
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
                if world.version.uses_pylibvirt() {
                    format!("Parent '{parent}' does not exist.")
                } else {
                    format!("Parent dataset {parent} does not exist.")
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
            if world.version.uses_pylibvirt() {
                "This field \"logical_sectorsize\" must be provided when physical_sectorsize is specified."
            } else {
                "This field must be provided when physical_sectorsize is specified."
            },
        ),
        // Recorded on 26.0.0-BETA.3; accepted on 25.10.7.
        Some(logical) if logical > physical && world.version.uses_pylibvirt() => complaints.add(
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
        let quote = if world.version.uses_pylibvirt() {
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
