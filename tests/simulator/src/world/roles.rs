//! Roles: what an account may call, and which role includes which. It does not know which method asks
//! for what.

/// Roles that the simulated methods ask for, or that a provisioner is likely to look for.
pub(crate) const ROLES: [&str; 27] = [
    "ALERT_LIST_READ",
    "AUTH_SESSIONS_READ",
    "DATASET_DELETE",
    "DATASET_READ",
    "DATASET_WRITE",
    "FILESYSTEM_ATTRS_READ",
    "FILESYSTEM_DATA_READ",
    "FILESYSTEM_DATA_WRITE",
    "FULL_ADMIN",
    "NETWORK_INTERFACE_READ",
    "POOL_READ",
    "READONLY_ADMIN",
    "REPLICATION_TASK_READ",
    "REPLICATION_TASK_WRITE",
    "REPORTING_READ",
    "SNAPSHOT_DELETE",
    "SNAPSHOT_READ",
    "SNAPSHOT_WRITE",
    "SYSTEM_GENERAL_READ",
    "SYSTEM_PRODUCT_READ",
    "VM_DEVICE_READ",
    "VM_DEVICE_WRITE",
    "VM_READ",
    "VM_WRITE",
    "ZFS_RESOURCE_DELETE",
    "ZFS_RESOURCE_READ",
    "ZFS_RESOURCE_WRITE",
];

/// Roles that hold others. Code reading: `role.py`, 25.10.7.
const INCLUDES: [(&str, &[&str]); 4] = [
    ("VM_WRITE", &["VM_READ"]),
    ("VM_DEVICE_READ", &["VM_READ"]),
    (
        "VM_DEVICE_WRITE",
        &["VM_READ", "VM_WRITE", "VM_DEVICE_READ"],
    ),
    ("REPLICATION_TASK_WRITE", &["REPLICATION_TASK_READ"]),
];

/// What an account may do.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Everything.
    #[default]
    FullAdmin,
    /// Every read method.
    Readonly,
    /// It has no API privilege: login is refused.
    Nothing,
    /// These roles and what they include, by the server's names.
    #[serde(skip)]
    Roles(Vec<String>),
}

impl Role {
    /// These roles and what they include.
    pub fn of(names: &[&str]) -> Self {
        Self::Roles(names.iter().map(|&name| name.to_owned()).collect())
    }

    /// Whether everything is allowed.
    pub fn is_full(&self) -> bool {
        match self {
            Self::FullAdmin => true,
            Self::Readonly | Self::Nothing => false,
            Self::Roles(held) => held.iter().any(|one| one == "FULL_ADMIN"),
        }
    }

    /// Whether a method that names these roles may be called; one that names none asks for a login
    /// only. `READONLY_ADMIN` has every read role (code reading: `role.py`, 25.10.7).
    pub fn covers(&self, roles: &[&str]) -> bool {
        match self {
            Self::FullAdmin => true,
            Self::Nothing => false,
            _ if roles.is_empty() => true,
            Self::Readonly => roles.iter().any(|role| includes("READONLY_ADMIN", role)),
            Self::Roles(held) => roles
                .iter()
                .any(|role| held.iter().any(|one| includes(one, role))),
        }
    }
}

fn includes(held: &str, asked: &str) -> bool {
    match held {
        "FULL_ADMIN" => true,
        "READONLY_ADMIN" if asked.ends_with("_READ") => true,
        _ => {
            held == asked
                || INCLUDES
                    .iter()
                    .any(|(one, others)| *one == held && others.contains(&asked))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_grants_itself_and_what_it_includes() {
        let devices = Role::of(&["VM_DEVICE_WRITE"]);
        assert!(devices.covers(&["VM_READ"]) && devices.covers(&["X", "VM_WRITE"]));
        assert!(devices.covers(&[]) && !devices.covers(&["DATASET_READ"]));
        assert!(!Role::of(&["VM_WRITE"]).covers(&["VM_DEVICE_READ"]));
        let readers = Role::of(&["READONLY_ADMIN"]);
        assert!(readers.covers(&["POOL_READ"]) && !readers.covers(&["POOL_WRITE"]));
        assert!(Role::of(&["FULL_ADMIN"]).is_full() && !Role::Nothing.covers(&[]));
    }
}
