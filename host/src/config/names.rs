//! Names of VMs, types and groups, by the server's rules.
//!
//! Knows no other value.

use std::path::Path;

/// The longest VM name, in characters. The server has no rule of its own for it, but libvirt
/// paths and zvol names contain the name.
pub const MAX_NAME: usize = 64;

/// The most VMs of one group. A thousand of the smallest useful size (512 MiB) fill the largest
/// machines there are, and a slip of the finger (`count: 30000`) must not become a plan.
pub const MAX_VMS: u32 = 1000;

/// `worker` and 2 make `worker02`: two digits, more when the number needs them, so that a
/// hundredth VM renames none of the others.
#[must_use]
pub fn vm_name(vm_type: &str, index: u32) -> String {
    format!("{vm_type}{index:02}")
}

/// Whether the server takes the name (`vm.create`, all versions: `^[a-zA-Z_0-9]+$`).
pub(super) fn is_safe(name: &str) -> bool {
    !name.is_empty() && name.chars().all(is_safe_char)
}

/// The name with `_` for every character that the server does not take.
pub(super) fn make_safe(name: &str) -> String {
    name.chars()
        .map(|one| if is_safe_char(one) { one } else { '_' })
        .collect()
}

/// The default name of a group: the folder that holds the config.
pub(super) fn folder_group(config: &Path) -> String {
    let folder = match config.parent() {
        Some(parent) if parent != Path::new("") => parent.to_path_buf(),
        _ => Path::new(".").to_path_buf(),
    };
    let folder = folder.canonicalize().unwrap_or(folder);
    let name = folder.file_name().map(|name| name.to_string_lossy());
    let name = make_safe(name.as_deref().unwrap_or_default());
    let name: String = name.chars().take(MAX_NAME).collect();
    // A config in the root folder has no folder name.
    if name.is_empty() {
        "default".to_owned()
    } else {
        name
    }
}

fn is_safe_char(one: char) -> bool {
    one.is_ascii_alphanumeric() || one == '_'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hundredth_vm_renames_none_of_the_others() {
        assert_eq!(vm_name("worker", 2), "worker02");
        assert_eq!(vm_name("worker", 99), "worker99");
        assert_eq!(vm_name("worker", 100), "worker100");
    }

    #[test]
    fn the_group_is_the_folder_made_safe() {
        assert_eq!(
            folder_group(Path::new("/no/such/my lab-1/config.yaml")),
            "my_lab_1"
        );
        assert_eq!(folder_group(Path::new("/config.yaml")), "default");
        assert!(is_safe(&folder_group(Path::new("config.yaml"))));
    }
}
