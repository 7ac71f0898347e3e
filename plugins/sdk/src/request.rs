//! What a plugin is asked: the contract's request with its JSON read.

use serde::Deserialize;
use serde_json::Value;

use crate::{Fact, Template, Version, VmIdentity};

/// A request to plan the devices of one VM.
#[derive(Clone, Debug)]
pub struct Request<C> {
    /// Who the devices are for.
    pub vm: VmIdentity,
    /// The effective value under the plugin's key. `None` when the VM has no such key, or when it
    /// is just `true`; only with [`About::applies_by_default`](crate::About::applies_by_default).
    pub config: Option<C>,
    /// The device template; empty where there is none.
    pub template: Template,
    /// The `storage` section.
    pub storage: Storage,
    /// The server's version; the newest supported one when planning offline.
    pub target: Version,
    pub(crate) facts: Vec<Fact>,
    /// Members that later hosts may add. Ignore what you do not know.
    pub context: Value,
}

/// The `storage` section of the config.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Storage {
    /// The dataset that the zvols go to: `tank/kubernetes`.
    #[serde(default)]
    pub pool_path: Option<String>,
    /// The file that CD-ROMs show unless a VM type says otherwise.
    #[serde(default)]
    pub cdrom_path: Option<String>,
}

impl<C> Request<C> {
    /// A fact, as the server answered. `None` when it was not granted, when the plan is made
    /// without a server, or when it is no JSON.
    pub fn fact(&self, kind: &str) -> Option<Value> {
        let fact = self.facts.iter().find(|fact| fact.kind == kind)?;
        serde_json::from_str(&fact.value).ok()
    }
}
