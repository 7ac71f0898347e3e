//! The closed list of methods that tnvm calls: the only place where their names stand.
//!
//! Knows nothing of parameters or results; those are with the typed methods.

use std::time::Duration;

use super::timeouts;

/// A method of the server. Nothing outside this list can be called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Method {
    /// `auth.login_ex`: the one login.
    Login,
    /// `auth.login_ex_continue`: the one-time code of a login.
    LoginContinue,
    /// `auth.login`: the login by password of 24.10.
    LegacyLogin,
    /// `auth.login_with_api_key`: the login by key of 24.10.
    LegacyKeyLogin,
    /// `auth.logout`.
    Logout,
    /// `auth.mechanism_choices`: which logins the server takes.
    MechanismChoices,
    /// `auth.generate_token`: lets another connection in.
    GenerateToken,
    /// `auth.me`: who we are, and our roles.
    Me,
    /// `core.get_jobs`: looks jobs up.
    GetJobs,
    /// `core.subscribe`: asks for events.
    Subscribe,
    /// `filesystem.stat`.
    FileStat,
    /// `filesystem.statfs`.
    FileSystemStat,
    /// `pool.dataset.create`.
    DatasetCreate,
    /// `pool.dataset.delete`.
    DatasetDelete,
    /// `pool.dataset.query`.
    DatasetQuery,
    /// `pool.dataset.update`.
    DatasetUpdate,
    /// `pool.snapshot.delete`: one snapshot, 25.10 and newer.
    SnapshotDelete,
    /// `zfs.snapshot.delete`: one snapshot, up to 25.04.
    ZfsSnapshotDelete,
    /// `pool.snapshot.query`: snapshots, 25.10 and newer.
    SnapshotQuery,
    /// `zfs.snapshot.query`: snapshots, up to 25.04.
    ZfsSnapshotQuery,
    /// `system.host_id`.
    SystemHostId,
    /// `system.info`.
    SystemInfo,
    /// `system.version`.
    SystemVersion,
    /// `vm.create`.
    VmCreate,
    /// `vm.delete`.
    VmDelete,
    /// `vm.get_available_memory`.
    VmAvailableMemory,
    /// `vm.poweroff`.
    VmPowerOff,
    /// `vm.query`.
    VmQuery,
    /// `vm.start`.
    VmStart,
    /// `vm.status`.
    VmStatus,
    /// `vm.stop`, a job.
    VmStop,
    /// `vm.update`.
    VmUpdate,
    /// `vm.virtualization_details`.
    VmVirtualization,
    /// `vm.device.bind_choices`.
    BindChoices,
    /// `vm.device.create`.
    DeviceCreate,
    /// `vm.device.delete`.
    DeviceDelete,
    /// `vm.device.query`.
    DeviceQuery,
    /// `vm.device.update`.
    DeviceUpdate,
    /// `vm.device.disk_choices`.
    DiskChoices,
    /// `vm.device.nic_attach_choices`.
    NicChoices,
    /// `vm.device.passthrough_device_choices`.
    PciChoices,
    /// `vm.device.usb_passthrough_choices`.
    UsbChoices,
}

impl Method {
    /// All of them, in the order of their declaration.
    pub const ALL: &[Self] = &[
        Self::Login,
        Self::LoginContinue,
        Self::LegacyLogin,
        Self::LegacyKeyLogin,
        Self::Logout,
        Self::MechanismChoices,
        Self::GenerateToken,
        Self::Me,
        Self::GetJobs,
        Self::Subscribe,
        Self::FileStat,
        Self::FileSystemStat,
        Self::DatasetCreate,
        Self::DatasetDelete,
        Self::DatasetQuery,
        Self::DatasetUpdate,
        Self::SnapshotDelete,
        Self::ZfsSnapshotDelete,
        Self::SnapshotQuery,
        Self::ZfsSnapshotQuery,
        Self::SystemHostId,
        Self::SystemInfo,
        Self::SystemVersion,
        Self::VmCreate,
        Self::VmDelete,
        Self::VmAvailableMemory,
        Self::VmPowerOff,
        Self::VmQuery,
        Self::VmStart,
        Self::VmStatus,
        Self::VmStop,
        Self::VmUpdate,
        Self::VmVirtualization,
        Self::BindChoices,
        Self::DeviceCreate,
        Self::DeviceDelete,
        Self::DeviceQuery,
        Self::DeviceUpdate,
        Self::DiskChoices,
        Self::NicChoices,
        Self::PciChoices,
        Self::UsbChoices,
    ];

    /// The name on the wire.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Login => "auth.login_ex",
            Self::LoginContinue => "auth.login_ex_continue",
            Self::LegacyLogin => "auth.login",
            Self::LegacyKeyLogin => "auth.login_with_api_key",
            Self::Logout => "auth.logout",
            Self::MechanismChoices => "auth.mechanism_choices",
            Self::GenerateToken => "auth.generate_token",
            Self::Me => "auth.me",
            Self::GetJobs => "core.get_jobs",
            Self::Subscribe => "core.subscribe",
            Self::FileStat => "filesystem.stat",
            Self::FileSystemStat => "filesystem.statfs",
            Self::DatasetCreate => "pool.dataset.create",
            Self::DatasetDelete => "pool.dataset.delete",
            Self::DatasetQuery => "pool.dataset.query",
            Self::DatasetUpdate => "pool.dataset.update",
            Self::SnapshotDelete => "pool.snapshot.delete",
            Self::ZfsSnapshotDelete => "zfs.snapshot.delete",
            Self::SnapshotQuery => "pool.snapshot.query",
            Self::ZfsSnapshotQuery => "zfs.snapshot.query",
            Self::SystemHostId => "system.host_id",
            Self::SystemInfo => "system.info",
            Self::SystemVersion => "system.version",
            Self::VmCreate => "vm.create",
            Self::VmDelete => "vm.delete",
            Self::VmAvailableMemory => "vm.get_available_memory",
            Self::VmPowerOff => "vm.poweroff",
            Self::VmQuery => "vm.query",
            Self::VmStart => "vm.start",
            Self::VmStatus => "vm.status",
            Self::VmStop => "vm.stop",
            Self::VmUpdate => "vm.update",
            Self::VmVirtualization => "vm.virtualization_details",
            Self::BindChoices => "vm.device.bind_choices",
            Self::DeviceCreate => "vm.device.create",
            Self::DeviceDelete => "vm.device.delete",
            Self::DeviceQuery => "vm.device.query",
            Self::DeviceUpdate => "vm.device.update",
            Self::DiskChoices => "vm.device.disk_choices",
            Self::NicChoices => "vm.device.nic_attach_choices",
            Self::PciChoices => "vm.device.passthrough_device_choices",
            Self::UsbChoices => "vm.device.usb_passthrough_choices",
        }
    }

    /// Whether it changes the server's VMs or datasets. After a lost answer to such a call the
    /// caller has to look before it does anything again.
    #[must_use]
    pub const fn mutates(self) -> bool {
        matches!(
            self,
            Self::DatasetCreate
                | Self::DatasetDelete
                | Self::DatasetUpdate
                | Self::DeviceCreate
                | Self::DeviceDelete
                | Self::DeviceUpdate
                | Self::SnapshotDelete
                | Self::ZfsSnapshotDelete
                | Self::VmCreate
                | Self::VmDelete
                | Self::VmPowerOff
                | Self::VmStart
                | Self::VmStop
                | Self::VmUpdate
        )
    }

    /// Whether it logs in.
    #[must_use]
    pub const fn is_login(self) -> bool {
        matches!(
            self,
            Self::Login | Self::LoginContinue | Self::LegacyLogin | Self::LegacyKeyLogin
        )
    }

    /// Whether it answers with the id of a job instead of its result.
    #[must_use]
    pub const fn is_job(self) -> bool {
        matches!(self, Self::VmStop)
    }

    /// How long an answer may take, from sending the call; for a job: until it has ended.
    #[must_use]
    pub const fn timeout(self) -> Duration {
        match self {
            // Before the login the rate limit sleeps before it answers.
            Self::Login
            | Self::LoginContinue
            | Self::LegacyLogin
            | Self::LegacyKeyLogin
            | Self::MechanismChoices => timeouts::LOGIN,
            Self::Logout => timeouts::LOGOUT,
            Self::VmCreate => timeouts::VM_CREATE,
            Self::VmStart => timeouts::VM_START,
            Self::VmStop => timeouts::VM_STOP,
            Self::VmDelete | Self::VmPowerOff => timeouts::VM_DELETE,
            Self::VmUpdate => timeouts::VM_UPDATE,
            Self::DatasetCreate
            | Self::DatasetDelete
            | Self::DatasetUpdate
            | Self::DeviceCreate
            | Self::DeviceDelete
            | Self::DeviceUpdate
            | Self::SnapshotDelete
            | Self::ZfsSnapshotDelete => timeouts::STORAGE,
            Self::DatasetQuery | Self::SnapshotQuery | Self::ZfsSnapshotQuery => {
                timeouts::STORAGE_QUERY
            }
            Self::BindChoices
            | Self::DeviceQuery
            | Self::DiskChoices
            | Self::FileStat
            | Self::FileSystemStat
            | Self::GenerateToken
            | Self::GetJobs
            | Self::Me
            | Self::NicChoices
            | Self::PciChoices
            | Self::Subscribe
            | Self::SystemHostId
            | Self::SystemInfo
            | Self::SystemVersion
            | Self::UsbChoices
            | Self::VmAvailableMemory
            | Self::VmQuery
            | Self::VmStatus
            | Self::VmVirtualization => timeouts::READ,
        }
    }
}

impl std::fmt::Display for Method {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}
