//! What a loaded config holds: every VM by name, with the values that the user set.
//!
//! Defaults of templates are not in here, and device keys are kept as written.

use std::path::PathBuf;

use indexmap::IndexMap;

use super::node::Node;
use crate::diagnostic::Location;

/// Top-level keys that are not VM types.
pub const RESERVED_SECTIONS: &[&str] = &["storage", "truenas", "defaults", "plugins", "group"];

/// Keys of a VM type that the host owns. No plugin can claim one.
pub const HOST_KEYS: &[&str] = &[
    "count",
    "names",
    "cpu",
    "topology",
    "memory",
    "min_memory",
    "extends",
    "host",
    "template",
    "start",
    "autostart",
    "description",
    "protect",
    "boot",
    "vms",
    "cpu_mode",
    "cpu_model",
    "cpuset",
    "nodeset",
    "pin_vcpus",
    "enable_cpu_topology_extension",
    "bootloader",
    "bootloader_ovmf",
    "enable_secure_boot",
    "trusted_platform_module",
    "machine_type",
    "arch_type",
    "time",
    "shutdown_timeout",
    "suspend_on_snapshot",
    "ensure_display_device",
    "hide_from_msr",
    "hyperv_enlightenments",
    "command_line_args",
    // Not to be set, but not a plugin's either: the config says what to write instead.
    "name",
    "uuid",
    "devices",
    "vcpus",
    "cores",
    "threads",
    "sockets",
];

/// The read-only facts of the server that a plugin can be granted (the closed list of the
/// contract's `fact-need`).
pub const FACTS: &[&str] = &[
    "nic-choices",
    "bind-choices",
    "disk-choices",
    "usb-choices",
    "pci-choices",
];

/// A whole config, checked as far as that is possible without plugins and server.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// The name of this set of VMs: letters, digits, `_`.
    pub group: String,
    /// Where disks and images are.
    pub storage: Storage,
    /// The servers, in order of declaration; at least one.
    pub hosts: Vec<HostEntry>,
    /// Plugins that the file names, in order.
    pub plugins: Vec<PluginEntry>,
    /// All VMs: types in order of declaration, numbers ascending.
    pub vms: Vec<VmSpec>,
    /// The VM types, in order of declaration, those without VMs included.
    pub types: Vec<VmTypeInfo>,
}

impl Config {
    /// The part of one server: its VMs alone, and where their disks are.
    #[must_use]
    pub fn of_host(&self, host: &HostEntry) -> Self {
        let vms = self.vms.iter().filter(|vm| vm.host == host.name);
        Self {
            group: self.group.clone(),
            storage: host.storage.as_ref().unwrap_or(&self.storage).clone(),
            hosts: vec![host.clone()],
            plugins: self.plugins.clone(),
            vms: vms.cloned().collect(),
            types: self.types.clone(),
        }
    }
}

/// The `storage` section.
#[derive(Clone, Debug, PartialEq)]
pub struct Storage {
    /// The dataset that zvols are made in: `tank/kubernetes`.
    pub pool_path: Option<String>,
    /// The default image: an absolute path on the server.
    pub cdrom_path: Option<String>,
    /// The section as it was written.
    pub node: Node,
}

/// One server, as far as the file says how to reach it. Never holds a secret.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HostEntry {
    /// What VMs call it by; `None`: the only server of a config that names none.
    pub name: Option<String>,
    /// Where it is.
    pub section: TrueNasSection,
    /// Who logs in.
    pub login: HostLogin,
    /// Where disks and images are on it: the section `storage` with its own laid over; `None`: as
    /// that section says.
    pub storage: Option<Storage>,
}

/// Who logs in to a server that the file names, as far as the file says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostLogin {
    /// The user.
    pub username: Option<String>,
    /// A reference to an API key: `env:NAME` or `file:PATH`.
    pub api_key: Option<String>,
    /// A reference to a password.
    pub password: Option<String>,
}

/// Where a server is. Never holds a secret.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TrueNasSection {
    /// Name or address of the server, perhaps with a port.
    pub host: Option<String>,
    /// A file with the certificates (PEM) to trust; a relative path in the file starts at the
    /// file's folder, this one is already joined with it.
    pub ca: Option<PathBuf>,
    /// SHA-256 of the server's certificate: 64 lower-case hexadecimal digits without colons.
    pub fingerprint: Option<String>,
}

/// One entry of the `plugins` section.
#[derive(Clone, Debug, PartialEq)]
pub struct PluginEntry {
    /// The name it is listed under.
    pub name: String,
    /// The component's file, already joined with the config's folder. `None`: the entry is about
    /// a plugin found elsewhere (the user's folder, the built-in set).
    pub path: Option<PathBuf>,
    /// What the file must hash to: 64 lower-case hexadecimal digits.
    pub sha256: Option<String>,
    /// Facts of the server that it may see, out of [`FACTS`].
    pub facts: Vec<String>,
    /// Its place in the file.
    pub origin: Option<Location>,
}

/// One VM type.
#[derive(Clone, Debug, PartialEq)]
pub struct VmTypeInfo {
    /// Its name.
    pub name: String,
    /// Its position in order of declaration, from 0.
    pub index: u32,
    /// How many VMs it has.
    pub count: u32,
    /// The place of its name in the file.
    pub origin: Option<Location>,
}

/// One VM as the config wants it, all layers merged.
#[derive(Clone, Debug, PartialEq)]
pub struct VmSpec {
    /// `worker02`
    pub name: String,
    /// `worker`
    pub vm_type: String,
    /// Position of the type among the types, from 0.
    pub type_index: u32,
    /// Number within the type, from 1.
    pub index: u32,
    /// How many VMs the type has.
    pub count: u32,
    /// The name of the server it is on; `None` where the config names none.
    pub host: Option<String>,
    /// The VM template's name; `vm` unless said otherwise.
    pub template: String,
    /// Where the template was named.
    pub template_origin: Option<Location>,
    /// Arguments of `vm.create` that the config sets: never `name`; `cpu` and `topology` already
    /// turned into `vcpus` (sockets), `cores` and `threads`; `memory` and `min_memory` in MiB.
    pub fields: IndexMap<String, Node>,
    /// Whether to start it.
    pub start: bool,
    /// Whether it must never be removed.
    pub protect: bool,
    /// What it boots from first, each a text: a device type (`cdrom`) or a device (`disk.logs`).
    pub boot: Vec<Node>,
    /// Every key that the host does not own, for the plugin that claims it, in order; `false`
    /// included.
    pub device_keys: Vec<DeviceKey>,
    /// All that the config says of this VM, all layers merged, under the keys and with the values
    /// that were written: what `config show --origin` shows. Without `extends` and `vms`.
    pub node: Node,
    /// What is said of this VM alone, by its entry under `vms` and by `--set type.vms.name…`, and
    /// not said again by a later layer. A map in the shape of `node`; `None` where nothing is.
    pub own: Option<Node>,
    /// The place of the type's name in the file.
    pub origin: Option<Location>,
}

/// A key of a VM that is a plugin's business.
#[derive(Clone, Debug, PartialEq)]
pub struct DeviceKey {
    /// `disk`
    pub key: String,
    /// The value, all layers merged.
    pub node: Node,
    /// Where the key was written last.
    pub key_origin: Option<Location>,
}
