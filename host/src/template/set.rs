//! The templates by name.
//!
//! Knows values only; reading and checking are done before.

use std::path::Path;

use indexmap::IndexMap;

use super::load;
use crate::config::Node;
use crate::diagnostic::Diagnostics;

/// All templates, inheritance resolved.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Templates {
    pub(super) vms: IndexMap<String, VmTemplate>,
    pub(super) devices: IndexMap<String, DeviceTemplate>,
}

/// A VM template.
#[derive(Clone, Debug, PartialEq)]
pub struct VmTemplate {
    /// Its name: the file's without `.json`.
    pub name: String,
    /// A map of arguments of `vm.create`; null where something has to be filled in. `extends` is
    /// no longer in it.
    pub fields: Node,
}

/// A device template.
#[derive(Clone, Debug, PartialEq)]
pub struct DeviceTemplate {
    /// Its name: the file's without `.json`, and the plugin's.
    pub name: String,
    /// A map with `attributes` (a map with `dtype`), perhaps `order` and `vm`, the latter of no
    /// meaning. Neither `extends` nor a `dtype` of its own is left in it.
    pub node: Node,
}

impl Templates {
    /// Loads the built-in templates, and over them those in `folder` (`vms/NAME.json`,
    /// `devices/NAME.json`). A file replaces the built-in template of its name; with `"extends":
    /// "NAME"` it is merged over the named one by RFC 7396, and its own name means the built-in.
    ///
    /// A template with errors is left out, and every error of every file is reported.
    #[must_use]
    pub fn load(folder: Option<&Path>) -> (Self, Diagnostics) {
        load::load(folder)
    }

    /// The VM template of this name.
    #[must_use]
    pub fn vm(&self, name: &str) -> Option<&VmTemplate> {
        self.vms.get(name)
    }

    /// The device template of this plugin.
    #[must_use]
    pub fn device(&self, plugin: &str) -> Option<&DeviceTemplate> {
        self.devices.get(plugin)
    }

    /// Names of all VM templates, for "did you mean".
    pub fn vm_names(&self) -> impl Iterator<Item = &str> {
        self.vms.keys().map(String::as_str)
    }

    /// Names of all device templates.
    pub fn device_names(&self) -> impl Iterator<Item = &str> {
        self.devices.keys().map(String::as_str)
    }
}
