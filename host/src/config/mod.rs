//! Settings: the VM file in its layers, the environment, and references to secrets.
//!
//! Knows neither plugins (a key it does not own is handed on) nor the server.

mod environment;
mod expand;
mod fields;
mod hosts;
mod json;
mod layers;
mod load;
mod model;
mod names;
mod node;
mod scalar;
mod secrets;
mod sections;
mod set;
mod size;
mod text;
mod vm_type;
mod yaml;
#[cfg(test)]
mod yaml_tests;

pub use environment::{
    API_KEY, API_PASSWORD, API_USERNAME, Connection, Credentials, Environment, HOST, OTP, PROXY,
    VARIABLES, VNC_PASSWORD, Variable,
};
pub use fields::{FIELDS, Field, FieldKind};
pub use hosts::{MAX_HOSTS, SPREAD, choose_hosts};
pub use load::{LoadOptions, load, load_text};
pub use model::{
    Config, DeviceKey, FACTS, HOST_KEYS, HostEntry, HostLogin, PluginEntry, RESERVED_SECTIONS,
    Storage, TrueNasSection, VmSpec, VmTypeInfo,
};
pub use names::{MAX_NAME, MAX_VMS, vm_name};
pub use node::{Entry, Node, NodeMap, NodeValue};
pub use secrets::{DISPLAY_PASSWORD, SecretError, SecretReference, SecretStore};
pub(crate) use text::{MAX_PROBLEMS, read_source};
