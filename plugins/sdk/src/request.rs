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
    /// What a host may say beside that, and later hosts more of it: see [`Request::own`]. Ignore
    /// what you do not know.
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
    /// The part of the config value that the user wrote for this one VM: by its entry under `vms`,
    /// or by `--set type.vms.name…`. `None` when there is none.
    ///
    /// `config` has it merged in already. It is for values that a plugin counts up over the VMs of
    /// a type, such as ports: what is said of one VM is meant exactly. It is as the user wrote it,
    /// perhaps in the short form; look a member up with `own.get("port")`.
    pub fn own(&self) -> Option<&Value> {
        self.context.get("own")
    }

    /// A fact, as the server answered. `None` when it was not granted, when the plan is made
    /// without a server, or when it is no JSON.
    pub fn fact(&self, kind: &str) -> Option<Value> {
        let fact = self.facts.iter().find(|fact| fact.kind == kind)?;
        serde_json::from_str(&fact.value).ok()
    }
}
