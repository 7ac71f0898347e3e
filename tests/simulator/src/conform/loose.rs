//! Which values of an answer depend on the machine or the moment, so that only their type is
//! compared. Everything that is not listed here is compared by its value.

/// Answers that tell of the hardware, the installed QEMU or the release's roles: of what lies at
/// this path only the kinds of its elements are compared, not their names and number.
const HARDWARE: &[(&str, &str)] = &[
    ("system.info", ""),
    ("vm.cpu_model_choices", ""),
    ("vm.guest_architecture_and_machine_choices", ""),
    ("vm.bootloader_ovmf_choices", ""),
    ("vm.bootloader_aavmf_choices", ""),
    ("vm.flags", ""),
    ("vm.device.bind_choices", ""),
    ("auth.me", "privilege.roles"),
    ("auth.me", "privilege.allowlist"),
    ("auth.login_ex", "user_info.privilege.roles"),
    ("auth.login_ex", "user_info.privilege.allowlist"),
    ("auth.login_ex_continue", "user_info.privilege.roles"),
];

/// Members that hold times, sizes in use, process ids, random names and the like. The first word is
/// the beginning of the method's name.
const MEMBERS: &[(&str, &[&str])] = &[
    (
        "",
        &[
            "pid",
            "$date",
            "login_id",
            "session",
            "time_started",
            "time_finished",
            "percent",
            "repr",
            "formatted",
            "frames",
            "exception",
            // A session that has ended has none.
            "credentials",
        ],
    ),
    (
        "pool.",
        &[
            "guid",
            "allocated",
            "free",
            "allocated_str",
            "free_str",
            "createtxg",
            "fragmentation",
            "topology",
        ],
    ),
    ("zfs.", &["guid", "createtxg"]),
    (
        "filesystem.",
        &[
            "size",
            "allocation_size",
            "mode",
            "mount_id",
            "atime",
            "mtime",
            "ctime",
            "btime",
            "dev",
            "inode",
            "nlink",
            "fsid",
            "fstype",
            "flags",
            "files",
            "free_files",
            "blocksize",
            "total_blocks",
            "free_blocks",
            "avail_blocks",
            "total_blocks_str",
            "free_blocks_str",
            "avail_blocks_str",
            "total_bytes",
            "free_bytes",
            "avail_bytes",
            "total_bytes_str",
            "free_bytes_str",
            "avail_bytes_str",
        ],
    ),
    (
        "vm.get_vm_memory_info",
        &[
            "arc_to_shrink",
            "current_arc_max",
            "arc_min",
            "arc_max_after_shrink",
        ],
    ),
    (
        "auth.",
        &[
            // Both sides' nonces are random.
            "rfc_str",
            "last_password_change",
            "password_age",
            "origin",
            "created_at",
        ],
    ),
    ("api_key.", &["created_at", "keyhash"]),
    (
        "interface.",
        &[
            "link_address",
            "hardware_link_address",
            "permanent_link_address",
            "vlan_tag",
        ],
    ),
];

/// Properties of a dataset of which the number depends on how full the pool is.
const SPACE: &[&str] = &[
    "available",
    "used",
    "usedbychildren",
    "usedbydataset",
    "usedbyrefreservation",
    "usedbysnapshots",
    "referenced",
    "refreservation",
    "creation",
    "guid",
    "createtxg",
    "written",
    "logicalused",
    "logicalreferenced",
    "compressratio",
    "refcompressratio",
    "unique",
    "objsetid",
];

/// Whole answers that are numbers about the moment.
const ANSWERS: &[&str] = &[
    "vm.get_available_memory",
    "vm.get_memory_usage",
    "auth.generate_token",
    "core.subscribe",
    "system.host_id",
    "system.boot_id",
];

/// How closely a value is to be compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Care {
    /// The value itself.
    Value,
    /// Its type.
    Type,
    /// The types of what it holds.
    Elements,
}

/// How closely to compare what lies at this path of a method's answer; positions in lists are left
/// out of the path.
pub(super) fn care(method: &str, path: &[&str]) -> Care {
    let joined = path.join(".");
    if HARDWARE
        .iter()
        .any(|(name, at)| *name == method && (*at == joined || is_below(&joined, at)))
    {
        return Care::Elements;
    }
    if ANSWERS.contains(&method) {
        return Care::Type;
    }
    let last = path.last().copied().unwrap_or_default();
    let storage = method.starts_with("pool.") || method.starts_with("zfs.");
    let listed = MEMBERS
        .iter()
        .any(|(begin, members)| method.starts_with(begin) && members.contains(&last));
    let spacious = storage && path.iter().any(|part| SPACE.contains(part));
    if listed || spacious {
        Care::Type
    } else {
        Care::Value
    }
}

fn is_below(path: &str, root: &str) -> bool {
    root.is_empty()
        || path
            .strip_prefix(root)
            .is_some_and(|rest| rest.starts_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_count_unless_they_tell_of_the_machine_or_the_moment() {
        assert_eq!(care("vm.query", &["name"]), Care::Value);
        assert_eq!(care("vm.query", &["status", "pid"]), Care::Type);
        assert_eq!(
            care("pool.dataset.query", &["available", "rawvalue"]),
            Care::Type
        );
        assert_eq!(
            care("pool.dataset.query", &["volsize", "rawvalue"]),
            Care::Value
        );
        assert_eq!(care("vm.cpu_model_choices", &["486"]), Care::Elements);
        assert_eq!(
            care("auth.me", &["privilege", "roles", "$set"]),
            Care::Elements
        );
        assert_eq!(care("auth.me", &["privilege", "web_shell"]), Care::Value);
    }
}
