//! Which role each method asks for, what an account holds, and so what a command lacks.
//!
//! Roles by the server's own tables (25.04.2 to 27; 24.10 spells out what includes what and comes
//! to the same). The server decides; this only tells beforehand.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::allowed::Purpose;
use super::client::Client;
use super::error::CallError;
use super::method::Method;

/// Everything is allowed.
const FULL_ADMIN: &str = "FULL_ADMIN";
/// Everything that reads.
const READONLY_ADMIN: &str = "READONLY_ADMIN";

/// Roles that hold others (`role.py`).
const INCLUDES: &[(&str, &[&str])] = &[
    ("VM_WRITE", &["VM_READ"]),
    ("VM_DEVICE_READ", &["VM_READ"]),
    (
        "VM_DEVICE_WRITE",
        &["VM_WRITE", "VM_DEVICE_READ", "VM_READ"],
    ),
];

/// Who we are, as the server says (`auth.me`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// The user.
    pub name: String,
    /// Its roles, with those that they include as far as the server spells them out.
    pub roles: Roles,
}

/// Roles that are held.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Roles(BTreeSet<String>);

/// What a config makes a command do; without one, everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Involved {
    /// Whether zvols are made and removed.
    pub volumes: bool,
    /// Whether files on the server are looked for.
    pub files: bool,
}

impl Involved {
    /// Everything that tnvm can do.
    pub const EVERYTHING: Self = Self {
        volumes: true,
        files: true,
    };

    /// Whether a method can be met with at all.
    fn meets(self, method: Method) -> bool {
        match method {
            Method::FileStat | Method::FileSystemStat => self.files,
            Method::DatasetCreate | Method::DatasetDelete => self.volumes,
            _ => true,
        }
    }
}

impl Roles {
    /// These.
    #[must_use]
    pub fn new<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        Self(names.into_iter().map(str::to_owned).collect())
    }

    /// Their names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    /// Whether everything is allowed.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.0.contains(FULL_ADMIN)
    }

    /// Whether a role is held, itself or within another.
    #[must_use]
    pub fn cover(&self, role: &str) -> bool {
        let within =
            |(outer, inner): &(&str, &[&str])| inner.contains(&role) && self.0.contains(*outer);
        self.is_full()
            || self.0.contains(role)
            || (role.ends_with("_READ") && self.0.contains(READONLY_ADMIN))
            || INCLUDES.iter().any(within)
    }
}

/// The roles that a command needs, each with the methods that ask for it. What a command can do
/// without (the server's name, clock and id) is not in it, nor what only `--with-snapshots` asks for.
#[must_use]
pub fn needed_roles(purpose: Purpose, involved: Involved) -> BTreeMap<&'static str, Vec<Method>> {
    let mut needed: BTreeMap<&'static str, Vec<Method>> = BTreeMap::new();
    for method in purpose.methods().filter(|one| involved.meets(*one)) {
        if let Some(role) = role_of(method).filter(|_| !is_optional(method)) {
            needed.entry(role).or_default().push(method);
        }
    }
    needed
}

/// The role that a method asks for; none: any login will do.
const fn role_of(method: Method) -> Option<&'static str> {
    Some(match method {
        Method::Login
        | Method::LoginContinue
        | Method::LegacyLogin
        | Method::LegacyKeyLogin
        | Method::Logout
        | Method::MechanismChoices
        | Method::GenerateToken
        | Method::Me
        | Method::GetJobs
        | Method::Subscribe
        | Method::SystemVersion => return None,
        Method::FileStat | Method::FileSystemStat => "FILESYSTEM_ATTRS_READ",
        Method::DatasetCreate | Method::DatasetUpdate => "DATASET_WRITE",
        Method::DatasetDelete => "DATASET_DELETE",
        Method::DatasetQuery => "DATASET_READ",
        Method::SnapshotDelete | Method::ZfsSnapshotDelete => "SNAPSHOT_DELETE",
        Method::SnapshotQuery | Method::ZfsSnapshotQuery => "SNAPSHOT_READ",
        Method::SystemHostId | Method::SystemInfo => READONLY_ADMIN,
        Method::VmAvailableMemory
        | Method::VmQuery
        | Method::VmStatus
        | Method::VmVirtualization => "VM_READ",
        Method::VmCreate
        | Method::VmDelete
        | Method::VmPowerOff
        | Method::VmStart
        | Method::VmStop
        | Method::VmUpdate => "VM_WRITE",
        Method::BindChoices
        | Method::DeviceQuery
        | Method::DiskChoices
        | Method::NicChoices
        | Method::PciChoices
        | Method::UsbChoices => "VM_DEVICE_READ",
        Method::DeviceCreate | Method::DeviceDelete | Method::DeviceUpdate => "VM_DEVICE_WRITE",
    })
}

/// Whether a run goes on without it, or asks for it only where the user says `--with-snapshots`.
const fn is_optional(method: Method) -> bool {
    matches!(
        method,
        Method::SystemHostId
            | Method::SystemInfo
            | Method::SnapshotDelete
            | Method::ZfsSnapshotDelete
    )
}

impl Client {
    /// Who we are, and what we may do.
    ///
    /// # Errors
    /// As any call; of 24.10 also where an API key stands for no account.
    pub async fn account(&self) -> Result<Account, CallError> {
        let answer = self.call(Method::Me, Vec::new()).await?;
        let name = answer.get("pw_name").and_then(Value::as_str);
        let roles = answer.pointer("/privilege/roles/$set");
        let roles = roles.or_else(|| answer.pointer("/privilege/roles"));
        match (name, roles.and_then(Value::as_array)) {
            (Some(name), Some(roles)) => Ok(Account {
                name: name.to_owned(),
                roles: Roles::new(roles.iter().filter_map(Value::as_str)),
            }),
            _ => Err(CallError::protocol(
                Method::Me,
                "the answer has no name or no roles",
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn missing(held: &[&str], purpose: Purpose) -> Vec<&'static str> {
        let held = Roles::new(held.iter().copied());
        let needed = needed_roles(purpose, Involved::EVERYTHING);
        needed
            .into_keys()
            .filter(|role| !held.cover(role))
            .collect()
    }

    #[test]
    fn roles_hold_what_they_include() {
        for purpose in Purpose::ALL {
            assert_eq!(missing(&["FULL_ADMIN"], purpose), [""; 0], "{purpose:?}");
        }
        assert_eq!(missing(&["READONLY_ADMIN"], Purpose::Look), [""; 0]);
        let makers = [
            "VM_DEVICE_WRITE",
            "DATASET_WRITE",
            "DATASET_DELETE",
            "READONLY_ADMIN",
        ];
        assert_eq!(missing(&makers, Purpose::Create), [""; 0]);
        let devices = Roles::new(["VM_DEVICE_WRITE"]);
        assert!(devices.cover("VM_WRITE") && devices.cover("VM_READ"));
        assert!(!Roles::new(["VM_WRITE"]).cover("VM_DEVICE_READ"));
    }

    #[test]
    fn what_is_missing_is_what_the_methods_of_the_command_ask_for() {
        assert_eq!(
            missing(&["READONLY_ADMIN"], Purpose::Create),
            [
                "DATASET_DELETE",
                "DATASET_WRITE",
                "VM_DEVICE_WRITE",
                "VM_WRITE"
            ]
        );
        assert_eq!(
            missing(&["READONLY_ADMIN", "VM_WRITE"], Purpose::Adopt),
            ["DATASET_WRITE"]
        );
        assert_eq!(
            missing(&[], Purpose::Look),
            [
                "DATASET_READ",
                "FILESYSTEM_ATTRS_READ",
                "SNAPSHOT_READ",
                "VM_DEVICE_READ",
                "VM_READ"
            ]
        );
    }

    #[test]
    fn a_config_without_zvols_and_files_needs_less() {
        let involved = Involved {
            volumes: false,
            files: false,
        };
        let needed = needed_roles(Purpose::Apply, involved);
        assert!(!needed.contains_key("DATASET_DELETE"));
        assert!(!needed.contains_key("FILESYSTEM_ATTRS_READ"));
        // The lock of the group is a property of a dataset.
        assert_eq!(
            needed.get("DATASET_WRITE"),
            Some(&vec![Method::DatasetUpdate])
        );
    }
}
