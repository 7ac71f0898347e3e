//! A plan kept in a file: what was seen when it was made, and whether that still holds.
//!
//! Knows the shape and the checks; knows nothing of files, connections or the look of a plan.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::observed::{Observed, ObservedDevice, ObservedVm};
use super::step::{Plan, VmPlan};
use crate::resolve::Desired;

/// The version of the shape: raised when a member changes its meaning, since an older tnvm could
/// then do something else than was agreed to.
pub const SAVED_PLAN_VERSION: u32 = 1;

/// What `kind` of a saved plan says.
const KIND: &str = "tnvm-plan";

/// A plan in a file. Holds no secrets.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SavedPlan {
    /// `tnvm-plan`.
    kind: String,
    /// Of this shape.
    version: u32,
    /// The tnvm that made it.
    tnvm: String,
    /// When, RFC 3339.
    pub created: String,
    /// Which server it is for.
    pub host: HostIdentity,
    /// What was allowed.
    pub options: SavedOptions,
    /// What should be.
    pub desired: Desired,
    /// What is to be done, and was agreed to.
    pub plan: Plan,
    /// For each VM of the plan, what it and its zvols looked like: SHA-256 in hexadecimal.
    observed: BTreeMap<String, String>,
    /// SHA-256 of all of the above, in hexadecimal: against accidents, not against forgery.
    #[serde(default)]
    checksum: String,
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

/// What was allowed when the plan was made.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SavedOptions {
    /// The patterns of `--only`.
    pub only: Vec<String>,
    /// `--restart`.
    pub restart: bool,
    /// `--with-snapshots`.
    pub with_snapshots: bool,
}

/// Why a saved plan is not carried out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SavedPlanError {
    /// Not JSON of this shape.
    #[error("it is not a plan of tnvm: {0}")]
    Unreadable(String),
    /// Of a newer tnvm.
    #[error(
        "it was made by tnvm {made_by} in a newer format ({version}; this tnvm reads {SAVED_PLAN_VERSION})"
    )]
    Newer {
        /// The version of the shape.
        version: u64,
        /// The tnvm that made it.
        made_by: String,
    },
    /// The checksum is another one.
    #[error("it was changed after it was made")]
    Edited,
    /// For another server.
    #[error("it was made for {made_for}, and this is {this}")]
    OtherHost {
        /// Whom it is for.
        made_for: String,
        /// Who answers.
        this: String,
    },
    /// The server does not say which machine it is.
    #[error("it was made for one machine, and this account may not ask which machine this is")]
    UnknownHost,
    /// The server is no longer as it was.
    #[error("the server is no longer as it was when the plan was made at {created}: {what}")]
    Stale {
        /// When the plan was made.
        created: String,
        /// What moved on.
        what: String,
    },
}

impl SavedPlanError {
    /// What to do.
    #[must_use]
    pub const fn help(&self) -> &'static str {
        match self {
            Self::Unreadable(_) => "name a file that `tnvm plan --out FILE` wrote",
            Self::Newer { .. } => "apply it with that tnvm, or plan again with this one",
            Self::Edited => "change the config instead, and plan again with `tnvm plan --out FILE`",
            Self::OtherHost { .. } => {
                "connect to the server that it is for, or plan again for this one"
            }
            Self::UnknownHost => {
                "apply it with an account that may ask (`system.host_id`), as it was made, or plan again with this one"
            }
            Self::Stale { .. } => "plan again with `tnvm plan --out FILE`, and look at it anew",
        }
    }
}

impl SavedPlan {
    /// From a plan and what it was made of. `created` is RFC 3339.
    #[must_use]
    pub fn new(
        created: String,
        host: HostIdentity,
        options: SavedOptions,
        desired: Desired,
        plan: Plan,
        seen: &Observed,
    ) -> Self {
        let mut saved = Self {
            kind: KIND.to_owned(),
            version: SAVED_PLAN_VERSION,
            tnvm: env!("CARGO_PKG_VERSION").to_owned(),
            created,
            host,
            options,
            observed: fingerprints(&plan, seen),
            desired,
            plan,
            checksum: String::new(),
        };
        saved.checksum = checksum(&json!(saved));
        saved
    }

    /// The text of the file.
    #[must_use]
    pub fn text(&self) -> String {
        format!("{:#}\n", json!(self))
    }

    /// Reads the text of a file.
    ///
    /// # Errors
    /// What is not a plan, of a newer tnvm, or changed since.
    pub fn read(text: &str) -> Result<Self, SavedPlanError> {
        let unreadable = |cause: String| SavedPlanError::Unreadable(cause);
        let whole: Value =
            serde_json::from_str(text).map_err(|cause| unreadable(cause.to_string()))?;
        if whole.get("kind").and_then(Value::as_str) != Some(KIND) {
            return Err(unreadable(format!("its `kind` is not `{KIND}`")));
        }
        let version = whole.get("version").and_then(Value::as_u64);
        let version = version.ok_or_else(|| unreadable("it has no `version`".to_owned()))?;
        if version > u64::from(SAVED_PLAN_VERSION) {
            let made_by = whole.get("tnvm").and_then(Value::as_str);
            let made_by = made_by.unwrap_or("of unknown version").to_owned();
            return Err(SavedPlanError::Newer { version, made_by });
        }
        if whole.get("checksum").and_then(Value::as_str) != Some(checksum(&whole).as_str()) {
            return Err(SavedPlanError::Edited);
        }
        serde_json::from_value(whole).map_err(|cause| unreadable(cause.to_string()))
    }

    /// Whether this is the server that the plan is for.
    ///
    /// # Errors
    /// Another machine; the same machine with another version is [`SavedPlanError::Stale`].
    pub fn check_host(&self, this: &HostIdentity) -> Result<(), SavedPlanError> {
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
            return Err(self.stale(format!(
                "it was updated from {} to {}",
                made_for.version, this.version
            )));
        }
        Ok(())
    }

    /// Whether the server is as it was, and planning again comes to the same.
    ///
    /// # Errors
    /// [`SavedPlanError::Stale`] with the names of what moved on.
    pub fn check_state(&self, again: &Plan, seen: &Observed) -> Result<(), SavedPlanError> {
        let now = fingerprints(again, seen);
        let names = self.observed.keys().chain(now.keys());
        let mut moved: Vec<&str> = names
            .filter(|name| self.observed.get(*name) != now.get(*name))
            .map(String::as_str)
            .collect();
        moved.sort_unstable();
        moved.dedup();
        if !moved.is_empty() {
            return Err(self.stale(format!("{} changed", moved.join(", "))));
        }
        // As JSON, since a plan in a file does not know the places of the config.
        if json!(self.plan) != json!(again) {
            return Err(self.stale("planning again comes to another plan".to_owned()));
        }
        Ok(())
    }

    fn stale(&self, what: String) -> SavedPlanError {
        SavedPlanError::Stale {
            created: self.created.clone(),
            what,
        }
    }
}

/// Of everything but the checksum itself.
fn checksum(whole: &Value) -> String {
    let mut whole = whole.clone();
    if let Some(members) = whole.as_object_mut() {
        members.remove("checksum");
    }
    digest(&whole)
}

/// The order of members is no matter.
fn digest(value: &Value) -> String {
    let mut value = value.clone();
    value.sort_all_objects();
    let digest = Sha256::digest(value.to_string());
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn fingerprints(plan: &Plan, seen: &Observed) -> BTreeMap<String, String> {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{Mark, ObservedDataset, PlanKind, PowerState};

    fn mark() -> Mark {
        Mark {
            group: "lab".into(),
            vm_type: "web".into(),
            vm: "web01".into(),
        }
    }

    fn seen() -> Observed {
        let zvol = ObservedDataset {
            is_volume: true,
            mark: Some(mark()),
            volsize: Some(1),
            available: Some(7),
            ..ObservedDataset::default()
        };
        Observed {
            vms: vec![ObservedVm {
                id: 1,
                name: "web01".into(),
                mark: Some(mark()),
                protected: false,
                state: PowerState::Running,
                fields: serde_json::Map::new(),
                devices: vec![ObservedDevice {
                    id: 1,
                    attributes: [
                        ("dtype".to_owned(), json!("DISPLAY")),
                        ("password".to_owned(), json!("hush")),
                    ]
                    .into_iter()
                    .collect(),
                    order: None,
                }],
            }],
            datasets: [("tank/web01-disk0".to_owned(), zvol)].into(),
            ..Observed::default()
        }
    }

    fn plan() -> Plan {
        let vm = VmPlan {
            name: "web01".into(),
            vm_type: "web".into(),
            mark: mark(),
            id: Some(1),
            vcpus: 1,
            memory_mib: 1,
            steps: vec![],
            devices: vec![],
            changes: vec![],
            after: std::collections::BTreeSet::new(),
        };
        Plan::new("lab", PlanKind::Apply, vec![vm])
    }

    fn host(host_id: Option<&str>, hostname: &str, version: &str) -> HostIdentity {
        HostIdentity {
            host_id: host_id.map(str::to_owned),
            hostname: hostname.to_owned(),
            endpoint: "wss://nas".to_owned(),
            version: version.to_owned(),
        }
    }

    fn saved() -> SavedPlan {
        let desired = Desired {
            group: "lab".into(),
            vms: vec![],
        };
        SavedPlan::new(
            "then".into(),
            host(Some("a"), "nas", "25.10.7"),
            SavedOptions::default(),
            desired,
            plan(),
            &seen(),
        )
    }

    #[test]
    fn what_is_written_is_read() {
        assert_eq!(SavedPlan::read(&saved().text()), Ok(saved()));
    }

    #[test]
    fn any_edit_is_refused() {
        let text = saved().text();
        for (from, to) in [
            ("\"web01\"", "\"web02\""),
            ("\"restart\": false", "\"restart\": true"),
            ("\"nas\"", "\"other\""),
        ] {
            let edited = text.replacen(from, to, 1);
            assert_ne!(edited, text);
            assert_eq!(
                SavedPlan::read(&edited),
                Err(SavedPlanError::Edited),
                "{from}"
            );
        }
        let added = text.replacen('{', "{\"more\": 1,", 1);
        assert_eq!(SavedPlan::read(&added), Err(SavedPlanError::Edited));
    }

    #[test]
    fn what_is_no_plan_or_a_newer_one_is_told_apart() {
        for text in ["", "{}", "[1]", "{\"kind\": \"other\"}"] {
            let read = SavedPlan::read(text);
            assert!(
                matches!(read, Err(SavedPlanError::Unreadable(_))),
                "{read:?}"
            );
        }
        let newer = saved().text().replace("\"version\": 1,", "\"version\": 2,");
        let read = SavedPlan::read(&newer);
        assert!(
            matches!(read, Err(SavedPlanError::Newer { version: 2, .. })),
            "{read:?}"
        );
    }

    #[test]
    fn another_machine_is_refused_and_an_updated_one_too() {
        let saved = saved();
        let check = |host: HostIdentity| saved.check_host(&host);
        assert_eq!(check(host(Some("a"), "renamed", "25.10.7")), Ok(()));
        // Whoever has its name may be another one.
        let unknown = check(host(None, "nas", "25.10.7"));
        assert_eq!(unknown, Err(SavedPlanError::UnknownHost));
        for other in [
            host(Some("b"), "nas", "25.10.7"),
            host(Some("b"), "nas2", "25.10.7"),
        ] {
            let checked = check(other);
            assert!(
                matches!(checked, Err(SavedPlanError::OtherHost { .. })),
                "{checked:?}"
            );
        }
        let mut nameless = saved.clone();
        nameless.host.host_id = None;
        for (hostname, same) in [("nas", true), ("nas2", false)] {
            let checked = nameless.check_host(&host(Some("b"), hostname, "25.10.7"));
            assert_eq!(checked.is_ok(), same, "{checked:?}");
        }
        let updated = check(host(Some("a"), "nas", "26.0.0"));
        assert!(
            matches!(updated, Err(SavedPlanError::Stale { .. })),
            "{updated:?}"
        );
    }

    #[test]
    fn a_server_that_moved_on_is_refused_by_name_and_free_space_is_no_matter() {
        let check = |change: &dyn Fn(&mut Observed)| {
            let mut seen = seen();
            change(&mut seen);
            saved().check_state(&plan(), &seen)
        };
        let zvol =
            |seen: &mut Observed| seen.datasets.values_mut().next().unwrap().available = Some(1);
        assert_eq!(check(&zvol), Ok(()));
        let changes: [&dyn Fn(&mut Observed); 4] = [
            &|seen| seen.vms[0].state = PowerState::Stopped,
            &|seen| seen.vms[0].id = 2,
            &|seen| seen.vms.clear(),
            &|seen| seen.datasets.values_mut().next().unwrap().volsize = Some(2),
        ];
        for change in changes {
            let error = check(change).unwrap_err().to_string();
            assert!(error.contains("web01 changed"), "{error}");
        }
    }

    #[test]
    fn no_secret_is_in_the_file_or_behind_its_hashes() {
        assert!(!saved().text().contains("hush"));
        let mut other = seen();
        other.vms[0].devices[0]
            .attributes
            .insert("password".into(), json!("hush2"));
        assert_eq!(
            fingerprints(&plan(), &seen()),
            fingerprints(&plan(), &other)
        );
    }
}
