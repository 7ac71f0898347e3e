//! One server's part of a saved plan: what was seen of it, and whether that still holds.
//!
//! Knows nothing of files, nor of the other parts.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::observed::{Observed, ObservedDevice, ObservedVm};
use super::saved::SavedPlanError;
use super::step::{Plan, VmPlan};
use crate::resolve::Desired;

/// What was planned for one server.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SavedPart {
    /// The server's name in the config, where that names hosts.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub name: Option<String>,
    /// Which server it is for.
    pub host: HostIdentity,
    /// What should be.
    pub desired: Desired,
    /// What is to be done, and was agreed to.
    pub plan: Plan,
    /// For each VM of the plan, what it and its zvols looked like: SHA-256 in hexadecimal.
    observed: BTreeMap<String, String>,
}

/// Which server it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostIdentity {
    /// The stable id of the machine, where the account may ask.
    pub host_id: Option<String>,
    /// The name that it gives itself.
    pub hostname: String,
    /// The address that was connected to.
    pub endpoint: String,
    /// Its version.
    pub version: String,
}

impl SavedPart {
    /// From a plan and what it was made of.
    #[must_use]
    pub fn new(
        name: Option<String>,
        host: HostIdentity,
        desired: Desired,
        plan: Plan,
        seen: &Observed,
    ) -> Self {
        Self {
            name,
            host,
            desired,
            observed: fingerprints(&plan, seen),
            plan,
        }
    }

    /// Whether this is the server that the plan is for. `created` is when the plan was made.
    ///
    /// # Errors
    /// Another machine; the same machine with another version is [`SavedPlanError::Stale`].
    pub fn check_host(&self, created: &str, this: &HostIdentity) -> Result<(), SavedPlanError> {
        let made_for = &self.host;
        let same = match (&made_for.host_id, &this.host_id) {
            (Some(one), Some(two)) => one == two,
            // A machine that is known cannot be told from one that says nothing of itself.
            (Some(_), None) => return Err(SavedPlanError::UnknownHost),
            (None, _) => made_for.hostname == this.hostname && made_for.endpoint == this.endpoint,
        };
        if !same {
            let name = |host: &HostIdentity| format!("{} at {}", host.hostname, host.endpoint);
            return Err(SavedPlanError::OtherHost {
                made_for: name(made_for),
                this: name(this),
            });
        }
        if made_for.version != this.version {
            let what = format!(
                "it was updated from {} to {}",
                made_for.version, this.version
            );
            return Err(self.stale(created, what));
        }
        Ok(())
    }

    /// Whether the server is as it was, and planning again comes to the same. `created` is when the
    /// plan was made.
    ///
    /// # Errors
    /// [`SavedPlanError::Stale`] with the names of what moved on.
    pub fn check_state(
        &self,
        created: &str,
        again: &Plan,
        seen: &Observed,
    ) -> Result<(), SavedPlanError> {
        let now = fingerprints(again, seen);
        let names = self.observed.keys().chain(now.keys());
        let mut moved: Vec<&str> = names
            .filter(|name| self.observed.get(*name) != now.get(*name))
            .map(String::as_str)
            .collect();
        moved.sort_unstable();
        moved.dedup();
        if !moved.is_empty() {
            return Err(self.stale(created, format!("{} changed", moved.join(", "))));
        }
        // As JSON, since a plan in a file does not know the places of the config.
        if json!(self.plan) != json!(again) {
            let what = "planning again comes to another plan".to_owned();
            return Err(self.stale(created, what));
        }
        Ok(())
    }

    fn stale(&self, created: &str, what: String) -> SavedPlanError {
        let what = match &self.name {
            Some(name) => format!("{name}: {what}"),
            None => what,
        };
        SavedPlanError::Stale {
            created: created.to_owned(),
            what,
        }
    }
}

/// A hash of a value; the order of members is no matter.
pub(super) fn digest(value: &Value) -> String {
    let mut value = value.clone();
    value.sort_all_objects();
    let digest = Sha256::digest(value.to_string());
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(super) fn fingerprints(plan: &Plan, seen: &Observed) -> BTreeMap<String, String> {
    let vms = plan.vms.iter();
    vms.map(|vm| (vm.name.clone(), digest(&look(vm, seen))))
        .collect()
}

/// All that is seen of a VM: itself, and the zvols that it has or owns. How much is free around
/// them is left out; it changes all the time.
fn look(vm: &VmPlan, seen: &Observed) -> Value {
    let found = seen.vms.iter().find(|one| one.name == vm.name);
    let used: Vec<String> = found
        .iter()
        .flat_map(|one| &one.devices)
        .filter_map(ObservedDevice::zvol)
        .collect();
    let zvols: BTreeMap<&String, _> = seen
        .datasets
        .iter()
        .filter(|(name, one)| {
            one.is_volume && (one.mark.as_ref() == Some(&vm.mark) || used.contains(name))
        })
        .map(|(name, one)| {
            let mut one = one.clone();
            one.available = None;
            (name, one)
        })
        .collect();
    json!({"vm": found.map(without_secrets), "zvols": zvols})
}

/// A hash of something as short as a password could be tried out.
fn without_secrets(vm: &ObservedVm) -> ObservedVm {
    let mut vm = vm.clone();
    for device in &mut vm.devices {
        let is_secret = |name: &str| name.to_lowercase().contains("password");
        device.attributes.retain(|name, _| !is_secret(name));
    }
    vm
}
