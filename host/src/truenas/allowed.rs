//! The guard before the wire: which methods a command may call at all.
//!
//! Every command has a closed list of the changes that it may ask for; whatever else is asked for
//! by mistake is refused before it is sent. Knows no flags and no plans, and nothing of how the
//! server itself decides who may do what.

use super::method::Method;

/// What a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Looks only: `list`, `plan`, `drift`, every dry run.
    Look,
    /// `create`, with its rollback.
    Create,
    /// `destroy`.
    Destroy,
    /// `apply`, with its rollback.
    Apply,
    /// `adopt`.
    Adopt,
}

impl Purpose {
    /// All purposes.
    pub const ALL: [Self; 5] = [
        Self::Look,
        Self::Create,
        Self::Destroy,
        Self::Apply,
        Self::Adopt,
    ];

    /// The changes that it is made of. A closed list of methods: a new method is in none of them
    /// until somebody writes it here.
    ///
    /// `pool.dataset.update` is in each list of a command that changes something: the lock of a
    /// group is a user property.
    const fn changes(self) -> &'static [Method] {
        match self {
            Self::Look => &[],
            Self::Create => &[
                Method::DatasetCreate,
                Method::DatasetDelete,
                Method::DatasetUpdate,
                Method::DeviceCreate,
                Method::DeviceDelete,
                Method::VmCreate,
                Method::VmDelete,
                Method::VmPowerOff,
                Method::VmStart,
            ],
            Self::Destroy => &[
                Method::DatasetDelete,
                Method::DatasetUpdate,
                Method::SnapshotDelete,
                Method::ZfsSnapshotDelete,
                Method::VmDelete,
                Method::VmPowerOff,
            ],
            Self::Apply => &[
                Method::DatasetCreate,
                Method::DatasetDelete,
                Method::DatasetUpdate,
                Method::DeviceCreate,
                Method::DeviceDelete,
                Method::DeviceUpdate,
                Method::SnapshotDelete,
                Method::ZfsSnapshotDelete,
                Method::VmCreate,
                Method::VmDelete,
                Method::VmPowerOff,
                Method::VmStart,
                Method::VmStop,
                Method::VmUpdate,
            ],
            Self::Adopt => &[Method::DatasetUpdate, Method::VmUpdate],
        }
    }

    /// All methods that it may call.
    pub fn methods(self) -> impl Iterator<Item = Method> {
        READS.iter().chain(self.changes()).copied()
    }

    /// Its name for people.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Look => "a command that only looks",
            Self::Create => "create",
            Self::Destroy => "destroy",
            Self::Apply => "apply",
            Self::Adopt => "adopt",
        }
    }
}

/// The methods that never change a VM or a dataset: every command may call them.
const READS: &[Method] = &[
    Method::Login,
    Method::LoginContinue,
    Method::LegacyLogin,
    Method::LegacyKeyLogin,
    Method::Logout,
    Method::MechanismChoices,
    Method::GenerateToken,
    Method::Me,
    Method::GetJobs,
    Method::Subscribe,
    Method::FileStat,
    Method::FileSystemStat,
    Method::DatasetQuery,
    Method::SnapshotQuery,
    Method::ZfsSnapshotQuery,
    Method::SystemHostId,
    Method::SystemInfo,
    Method::SystemVersion,
    Method::VmAvailableMemory,
    Method::VmQuery,
    Method::VmStatus,
    Method::VmVirtualization,
    Method::BindChoices,
    Method::DeviceQuery,
    Method::DiskChoices,
    Method::NicChoices,
    Method::PciChoices,
    Method::UsbChoices,
];

/// What may be called over a connection. The default: what only looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allowed {
    scope: Scope,
    read_only: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scope {
    Everything,
    Purpose(Purpose),
}

impl Default for Allowed {
    fn default() -> Self {
        Self::of(Purpose::Look)
    }
}

impl Allowed {
    /// What a purpose needs, and nothing else.
    #[must_use]
    pub const fn of(purpose: Purpose) -> Self {
        Self {
            scope: Scope::Purpose(purpose),
            read_only: false,
        }
    }

    /// Every method of [`Method`]: for programs that use this library and guard themselves.
    #[must_use]
    pub const fn everything() -> Self {
        Self {
            scope: Scope::Everything,
            read_only: false,
        }
    }

    /// The same, but nothing that changes anything if this is set.
    #[must_use]
    pub const fn read_only(mut self, read_only: bool) -> Self {
        self.read_only = read_only;
        self
    }

    /// Why a method may not be called; none: it may.
    ///
    /// # Errors
    /// The reason for the refusal.
    pub fn check(&self, method: Method) -> Result<(), Forbidden> {
        if READS.contains(&method) {
            return Ok(());
        }
        if self.read_only {
            return Err(Forbidden::ReadOnly);
        }
        match self.scope {
            Scope::Everything => Ok(()),
            Scope::Purpose(purpose) if purpose.changes().contains(&method) => Ok(()),
            Scope::Purpose(purpose) => Err(Forbidden::Purpose(purpose)),
        }
    }
}

/// Why a call was not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Forbidden {
    /// Nothing may be changed at all.
    #[error("nothing may be changed (read-only)")]
    ReadOnly,
    /// The command has no business with this method.
    #[error("it is not on the list of what {} may do", .0.name())]
    Purpose(Purpose),
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether each purpose may: look, create, destroy, apply, adopt.
    const TABLE: &[(Method, [bool; 5])] = {
        const EVERYBODY: [bool; 5] = [true; 5];
        const MAKERS: [bool; 5] = [false, true, false, true, false];
        const REMOVERS: [bool; 5] = [false, true, true, true, false];
        const SNAPSHOT_REMOVERS: [bool; 5] = [false, false, true, true, false];
        const CHANGERS: [bool; 5] = [false, true, true, true, true];
        const UPDATERS: [bool; 5] = [false, false, false, true, true];
        const APPLY: [bool; 5] = [false, false, false, true, false];
        &[
            (Method::Login, EVERYBODY),
            (Method::LoginContinue, EVERYBODY),
            (Method::LegacyLogin, EVERYBODY),
            (Method::LegacyKeyLogin, EVERYBODY),
            (Method::Logout, EVERYBODY),
            (Method::MechanismChoices, EVERYBODY),
            (Method::GenerateToken, EVERYBODY),
            (Method::Me, EVERYBODY),
            (Method::GetJobs, EVERYBODY),
            (Method::Subscribe, EVERYBODY),
            (Method::FileStat, EVERYBODY),
            (Method::FileSystemStat, EVERYBODY),
            (Method::DatasetCreate, MAKERS),
            (Method::DatasetDelete, REMOVERS),
            (Method::DatasetQuery, EVERYBODY),
            (Method::DatasetUpdate, CHANGERS),
            (Method::SnapshotDelete, SNAPSHOT_REMOVERS),
            (Method::ZfsSnapshotDelete, SNAPSHOT_REMOVERS),
            (Method::SnapshotQuery, EVERYBODY),
            (Method::ZfsSnapshotQuery, EVERYBODY),
            (Method::SystemHostId, EVERYBODY),
            (Method::SystemInfo, EVERYBODY),
            (Method::SystemVersion, EVERYBODY),
            (Method::VmCreate, MAKERS),
            (Method::VmDelete, REMOVERS),
            (Method::VmAvailableMemory, EVERYBODY),
            (Method::VmPowerOff, REMOVERS),
            (Method::VmQuery, EVERYBODY),
            (Method::VmStart, MAKERS),
            (Method::VmStatus, EVERYBODY),
            (Method::VmStop, APPLY),
            (Method::VmUpdate, UPDATERS),
            (Method::VmVirtualization, EVERYBODY),
            (Method::BindChoices, EVERYBODY),
            (Method::DeviceCreate, MAKERS),
            (Method::DeviceDelete, MAKERS),
            (Method::DeviceQuery, EVERYBODY),
            (Method::DeviceUpdate, APPLY),
            (Method::DiskChoices, EVERYBODY),
            (Method::NicChoices, EVERYBODY),
            (Method::PciChoices, EVERYBODY),
            (Method::UsbChoices, EVERYBODY),
        ]
    };

    #[test]
    fn every_command_may_call_exactly_what_the_table_says() {
        let listed: Vec<Method> = TABLE.iter().map(|(method, _)| *method).collect();
        assert_eq!(listed, Method::ALL, "a method is missing in the table");
        // The last one declared; that the others are there as well, the numbers say.
        assert_eq!(Method::ALL.len(), Method::UsbChoices as usize + 1);
        for (method, expected) in TABLE {
            let found = Purpose::ALL.map(|purpose| Allowed::of(purpose).check(*method).is_ok());
            assert_eq!(found, *expected, "{method}");
        }
    }

    #[test]
    fn read_only_outweighs_every_purpose() {
        for method in Method::ALL {
            let all = Purpose::ALL.map(Allowed::of);
            for allowed in all.into_iter().chain([Allowed::everything()]) {
                let expected = if method.mutates() {
                    Err(Forbidden::ReadOnly)
                } else {
                    Ok(())
                };
                assert_eq!(allowed.read_only(true).check(*method), expected, "{method}");
            }
        }
    }

    #[test]
    fn what_nobody_named_may_only_look() {
        for method in Method::ALL {
            let allowed = Allowed::default().check(*method).is_ok();
            assert_eq!(allowed, !method.mutates(), "{method}");
            assert_eq!(Allowed::everything().check(*method), Ok(()), "{method}");
        }
    }
}
