//! Rules of CDROM devices, and where files of VMs may lie.

use super::device::{Candidate, Complaints};
use super::disk::refuse_twice;
use crate::errors::{ENOENT, Failure};
use crate::json::text;
use crate::world::World;

/// CDROM. Recorded on 25.10.7 and 26.0.0-BETA.3: `vm.device.create`. A directory passes.
pub(super) fn check(
    world: &World,
    candidate: &Candidate<'_>,
    complaints: &mut Complaints,
) -> Result<(), Failure> {
    let path = text(candidate.attributes, "path");
    refuse_twice(world, candidate, path, complaints);
    let by_helper = world.version.uses_pylibvirt();
    if by_helper && !path.starts_with('/') {
        complaints.add("attributes.path", "Path must be an absolute path");
    } else if by_helper && path.starts_with("/mnt/") && !exists(world, path) {
        complaints.add("attributes.path", format!("Path {path} does not exist"));
    }
    if !check_in_pool(world, path, complaints) {
        return Ok(());
    }
    if !exists(world, path) {
        if by_helper {
            return Ok(());
        }
        return Err(if world.version.leaks_missing_iso() {
            let text = format!("[Errno 2] No such file or directory: '{path}'");
            Failure::exception("FileNotFoundError", text)
        } else {
            Failure::call(ENOENT, "Path not found.")
        });
    }
    let in_root = world
        .filesystem_of(path)
        .is_some_and(|dataset| !dataset.name.contains('/'));
    if in_root && world.version.refuses_iso_in_root_dataset() {
        let why = if by_helper {
            let pool = crate::world::pool_of(path.trim_start_matches("/mnt/"));
            format!(
                "The specified path is located in the root dataset of pool '{pool}'. VM resources must be stored \
                 within a child dataset of the pool, not the pool root. Create a dataset under '{pool}' (e.g., \
                 {pool}/iso) and move your files there."
            )
        } else {
            "The path must be a dataset or a directory within a dataset.".to_owned()
        };
        complaints.add("attributes.path", why);
    }
    Ok(())
}

/// Whether a path lies in an imported pool; complains when not. Recorded on 25.10.7.
pub(super) fn check_in_pool(world: &World, path: &str, complaints: &mut Complaints) -> bool {
    let inside = path
        .strip_prefix("/mnt/")
        .and_then(|rest| rest.split('/').next())
        .is_some_and(|pool| world.pool(pool).is_some());
    if !inside {
        complaints.add(
            "attributes.path",
            "The path must reside within a pool mount point",
        );
    }
    inside
}

fn exists(world: &World, path: &str) -> bool {
    world.files.contains_key(path) || world.is_directory(path)
}
