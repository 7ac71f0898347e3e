//! A plan kept in a file: the parts of its servers, what was allowed, and whether it was edited.
//!
//! Knows the shape; knows nothing of files, connections or the look of a plan.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::saved_part::{SavedPart, digest};

/// The newest version of the shape: raised when a member changes its meaning, since an older tnvm
/// could then do something else than was agreed to. A plan for one server without a name is written
/// in version 1, as ever; one for named servers in version 2.
pub const SAVED_PLAN_VERSION: u32 = 2;

/// The version of a plan for one server without a name.
const VERSION_OF_ONE: u32 = 1;

/// What `kind` of a saved plan says.
const KIND: &str = "tnvm-plan";

/// A plan in a file. Holds no secrets.
#[derive(Clone, Debug, PartialEq)]
pub struct SavedPlan {
    /// The tnvm that made it.
    tnvm: String,
    /// When, RFC 3339.
    pub created: String,
    /// What was allowed.
    pub options: SavedOptions,
    /// The servers' parts; at least one.
    pub parts: Vec<SavedPart>,
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

/// What every version of the file begins with.
#[derive(Serialize, Deserialize)]
struct Head {
    kind: String,
    version: u32,
    tnvm: String,
    created: String,
    options: SavedOptions,
}

/// The parts, as they stand in the file.
#[derive(Serialize, Deserialize)]
struct Hosts {
    hosts: Vec<SavedPart>,
}

/// Why a saved plan is not carried out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SavedPlanError {
    /// Not JSON of this shape.
    #[error("it is not a plan of tnvm: {0}")]
    Unreadable(String),
    /// Of a newer tnvm.
    #[error(
        "it was made by tnvm {made_by} in a newer format ({version}; this tnvm reads up to {SAVED_PLAN_VERSION})"
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
    /// From the parts of all servers. `created` is RFC 3339.
    #[must_use]
    pub fn new(created: String, options: SavedOptions, parts: Vec<SavedPart>) -> Self {
        Self {
            tnvm: env!("CARGO_PKG_VERSION").to_owned(),
            created,
            options,
            parts,
        }
    }

    /// The text of the file. It ends with a checksum of everything before: against accidents, not
    /// against forgery.
    #[must_use]
    pub fn text(&self) -> String {
        let head = |version| Head {
            kind: KIND.to_owned(),
            version,
            tnvm: self.tnvm.clone(),
            created: self.created.clone(),
            options: self.options.clone(),
        };
        let (head, body) = match self.parts.as_slice() {
            [one] if one.name.is_none() => (head(VERSION_OF_ONE), json!(one)),
            all => (head(SAVED_PLAN_VERSION), json!({ "hosts": all })),
        };
        let mut whole = json!(head);
        if let (Some(whole), Value::Object(body)) = (whole.as_object_mut(), body) {
            whole.extend(body);
        }
        let checksum = checksum(&whole);
        if let Some(whole) = whole.as_object_mut() {
            whole.insert("checksum".to_owned(), checksum.into());
        }
        format!("{whole:#}\n")
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
        let parts = if version == u64::from(VERSION_OF_ONE) {
            serde_json::from_value(whole.clone()).map(|one| vec![one])
        } else {
            serde_json::from_value(whole.clone()).map(|Hosts { hosts }| hosts)
        };
        let parts = parts.map_err(|cause| unreadable(cause.to_string()))?;
        if parts.is_empty() {
            return Err(unreadable("it is for no server".to_owned()));
        }
        let head: Head =
            serde_json::from_value(whole).map_err(|cause| unreadable(cause.to_string()))?;
        Ok(Self {
            tnvm: head.tnvm,
            created: head.created,
            options: head.options,
            parts,
        })
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

#[cfg(test)]
mod tests {
    use super::super::saved_part::fingerprints;
    use super::*;
    use crate::plan::{
        HostIdentity, Mark, Observed, ObservedDataset, ObservedDevice, ObservedVm, Plan, PlanKind,
        PowerState, VmPlan,
    };
    use crate::resolve::Desired;

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

    fn part(name: Option<&str>) -> SavedPart {
        let desired = Desired {
            group: "lab".into(),
            vms: vec![],
        };
        let name = name.map(str::to_owned);
        let host = host(Some("a"), "nas", "25.10.7");
        SavedPart::new(name, host, desired, plan(), &seen())
    }

    fn saved() -> SavedPlan {
        let options = SavedOptions::default();
        SavedPlan::new("then".into(), options, vec![part(None)])
    }

    #[test]
    fn what_is_written_is_read() {
        assert_eq!(SavedPlan::read(&saved().text()), Ok(saved()));
        let parts = vec![part(Some("nas1")), part(Some("nas2"))];
        let several = SavedPlan::new("then".into(), SavedOptions::default(), parts);
        assert_eq!(SavedPlan::read(&several.text()), Ok(several));
    }

    #[test]
    fn a_plan_for_one_server_is_in_the_first_version_and_one_for_named_servers_in_the_second() {
        let members = |saved: &SavedPlan| {
            let whole: Value = serde_json::from_str(&saved.text()).unwrap();
            let mut names: Vec<_> = whole.as_object().unwrap().keys().cloned().collect();
            names.sort();
            (whole["version"].clone(), names.join(" "))
        };
        let one = "checksum created desired host kind observed options plan tnvm version";
        assert_eq!(members(&saved()), (json!(1), one.to_owned()));
        let mut named = saved();
        named.parts[0].name = Some("nas1".into());
        let several = "checksum created hosts kind options tnvm version";
        assert_eq!(members(&named), (json!(2), several.to_owned()));
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
        let newer = saved().text().replace("\"version\": 1,", "\"version\": 3,");
        let read = SavedPlan::read(&newer);
        assert!(
            matches!(read, Err(SavedPlanError::Newer { version: 3, .. })),
            "{read:?}"
        );
    }

    #[test]
    fn another_machine_is_refused_and_an_updated_one_too() {
        let part = part(None);
        let check = |host: HostIdentity| part.check_host("then", &host);
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
        let mut nameless = part.clone();
        nameless.host.host_id = None;
        for (hostname, same) in [("nas", true), ("nas2", false)] {
            let checked = nameless.check_host("then", &host(Some("b"), hostname, "25.10.7"));
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
            part(None).check_state("then", &plan(), &seen)
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
