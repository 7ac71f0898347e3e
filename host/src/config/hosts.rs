//! Which servers a config is about, and which of them each VM is on.
//!
//! A config that names no hosts has one without a name. Knows nothing of logins, nor of who answers.

use std::collections::HashMap;
use std::path::Path;

use super::layers::did_you_mean;
use super::model::{HostEntry, HostLogin, Storage};
use super::node::{Entry, Node, NodeValue};
use super::secrets::SecretReference;
use super::sections::{self, Section};
use super::text::MAX_PROBLEMS;
use crate::diagnostic::{Diagnostic, Diagnostics};

/// The most servers of one config. Each is a connection with a login of its own; more than a rack
/// holds is a slip of the pen.
pub const MAX_HOSTS: usize = 32;

/// What `host` of a VM type says when its VMs are spread over all hosts.
pub const SPREAD: &str = "spread";

/// The longest name of a host, in characters: it stands in front of every line about it.
const MAX_HOST_NAME: usize = 32;

/// Reads the servers from `truenas`. Relative paths start at `folder`; `all` is the `storage` of
/// all hosts, which each may lay its own over.
pub(super) fn read(
    node: Option<&Node>,
    folder: &Path,
    all: &Storage,
    problems: &mut Diagnostics,
) -> Vec<HostEntry> {
    let Some(node) = node else {
        return vec![HostEntry::default()];
    };
    let Some(hosts) = node.entry("hosts") else {
        return vec![HostEntry {
            section: sections::truenas(node, folder, problems),
            ..HostEntry::default()
        }];
    };
    if sections::secrets_within("truenas", node, problems) {
        return vec![HostEntry::default()];
    }
    for (key, entry) in node.as_map().into_iter().flatten().take(MAX_PROBLEMS) {
        if key != "hosts" {
            let message = format!("`truenas.{key}` does not go together with `truenas.hosts`");
            let problem = Diagnostic::error(message)
                .help(format!("move `{key}` to the hosts that it is meant for"));
            problems.push(problem.at(entry.key_origin.clone()));
        }
    }
    let reader = Reader { folder, all };
    let found = reader.hosts(&hosts.node, problems);
    if found.is_empty() {
        return vec![HostEntry::default()];
    }
    found
}

/// The name of the server that a VM is on, by what its `host` says and its number in its type.
pub(super) fn of_vm(
    hosts: &[HostEntry],
    said: Option<&Node>,
    index: u32,
    problems: &mut Diagnostics,
) -> Option<String> {
    let names: Vec<&str> = hosts.iter().filter_map(|one| one.name.as_deref()).collect();
    let said = said.filter(|node| !node.is_null());
    let first = names.first().map(ToString::to_string);
    let Some(node) = said else {
        return first;
    };
    if names.is_empty() {
        problems.push(
            Diagnostic::error("`host` is set, and the config names no hosts")
                .help(
                    "name them with `truenas: {hosts: {NAME: {host: ADDRESS}}}`, or remove `host`",
                )
                .at(node.origin.clone()),
        );
        return None;
    }
    let chosen = match &node.value {
        NodeValue::String(one) if one == SPREAD => names.clone(),
        NodeValue::String(_) => known(&names, node, problems).into_iter().collect(),
        NodeValue::List(items) if !items.is_empty() => {
            // A host named twice gets twice as many VMs.
            let items = items.iter().take(MAX_PROBLEMS);
            items
                .filter_map(|item| known(&names, item, problems))
                .collect()
        }
        _ => {
            let message = format!(
                "`host` must be the name of a host, a list of such names, or `{SPREAD}`, not {}",
                node.describe()
            );
            let problem =
                Diagnostic::error(message).help(did_you_mean("", names.iter().copied(), "hosts"));
            problems.push(problem.at(node.origin.clone()));
            Vec::new()
        }
    };
    // By the number alone, so that a VM more moves none of the others.
    let nth = index.saturating_sub(1) as usize % chosen.len().max(1);
    chosen.get(nth).map(ToString::to_string).or(first)
}

/// The hosts that `wanted` chooses, by name or by the address that the config gives; without it,
/// all. `source` names where it was said: `--host`. A config that names no hosts has one, and what
/// is wanted is its address.
///
/// # Errors
/// None of several hosts is called so.
pub fn choose_hosts(
    hosts: &[HostEntry],
    wanted: Option<(&str, &str)>,
) -> Result<Vec<HostEntry>, Diagnostics> {
    let Some((source, wanted)) = wanted else {
        return Ok(hosts.to_vec());
    };
    let named: Vec<&str> = hosts.iter().filter_map(|one| one.name.as_deref()).collect();
    if named.is_empty() {
        let mut addressed = hosts.to_vec();
        for host in &mut addressed {
            host.section.host = Some(wanted.to_owned());
        }
        return Ok(addressed);
    }
    let by_name = hosts.iter().find(|one| one.name.as_deref() == Some(wanted));
    let by_address = || {
        let addressed = |one: &&HostEntry| one.section.host.as_deref() == Some(wanted);
        hosts.iter().find(addressed)
    };
    match by_name.or_else(by_address) {
        Some(host) => Ok(vec![host.clone()]),
        None => Err(Diagnostic::error(format!(
            "{source} says `{wanted}`, and the config has no host of that name"
        ))
        .help(format!(
            "{}; the VMs of this config belong to its own hosts, whose addresses stand in `truenas.hosts`",
            did_you_mean(wanted, named, "hosts")
        ))
        .into()),
    }
}

impl HostEntry {
    /// The variable that goes before a plain one for this host: `API_PASSWORD_NAS1` of
    /// `API_PASSWORD`; none for a host without a name.
    #[must_use]
    pub fn variable(&self, plain: &str) -> Option<String> {
        let name = self.name.as_deref()?;
        Some(format!("{plain}_{}", in_variables(name)))
    }
}

struct Reader<'a> {
    folder: &'a Path,
    all: &'a Storage,
}

impl Reader<'_> {
    fn hosts(&self, node: &Node, problems: &mut Diagnostics) -> Vec<HostEntry> {
        let help = "write `hosts: {nas1: {host: nas1.lan}, nas2: {host: nas2.lan}}`";
        let map = node.as_map().filter(|map| !map.is_empty());
        let Some(map) = map.filter(|map| map.len() <= MAX_HOSTS) else {
            let message = match node.as_map() {
                None => format!("`truenas.hosts` must be a map, not {}", node.describe()),
                Some(map) if map.is_empty() => "`truenas.hosts` names no host".to_owned(),
                Some(_) => format!("the config has more than {MAX_HOSTS} hosts"),
            };
            let problem = Diagnostic::error(message).help(help);
            problems.push(problem.at(node.origin.clone()));
            return Vec::new();
        };
        let mut variables: HashMap<String, &str> = HashMap::new();
        let mut found = Vec::new();
        for (name, entry) in map {
            if let Some(problem) = bad_name(name) {
                problems.push(problem.at(entry.key_origin.clone()));
            } else if let Some(other) = variables.insert(in_variables(name), name) {
                let message = format!("the hosts `{other}` and `{name}` have the same variables");
                let variable = format!("TRUENAS_API_KEY_{}", in_variables(name));
                let problem = Diagnostic::error(message).help(format!(
                    "rename one of them; both would log in with {variable}"
                ));
                problems.push(problem.at(entry.key_origin.clone()));
            }
            found.push(self.host(name, entry, problems));
        }
        found
    }

    fn host(&self, name: &str, entry: &Entry, problems: &mut Diagnostics) -> HostEntry {
        let node = &entry.node;
        let what = format!("truenas.hosts.{name}");
        let mut host = HostEntry {
            name: Some(name.to_owned()),
            ..HostEntry::default()
        };
        // `nas1:` with nothing below: the variables say all of it.
        if node.is_null() {
            return host;
        }
        match (
            reference(&what, "api_key", node, problems),
            reference(&what, "password", node, problems),
        ) {
            (Ok(api_key), Ok(password)) => {
                host.login = HostLogin {
                    username: None,
                    api_key,
                    password,
                };
            }
            // Nor is anything else of it pointed at: it may be in the same line.
            _ => return host,
        }
        let keys = [
            "host",
            "ca",
            "fingerprint",
            "username",
            "api_key",
            "password",
            "storage",
        ];
        let section = Section::new(&what, node, &keys, problems);
        host.section = sections::server(&section, self.folder, problems);
        host.login.username = section
            .text("username", problems)
            .map(|(text, _)| text.to_owned());
        if let Some(own) = node.get("storage").filter(|node| !node.is_null()) {
            let _ = sections::storage(&format!("{what}.storage"), own, problems);
            let mut merged = self.all.node.clone();
            merged.merge(own.clone());
            // What is wrong with it has been told.
            let storage = sections::storage("storage", &merged, &mut Diagnostics::default());
            host.storage = Some(storage);
        }
        host
    }
}

/// The text that refers to a secret. What is none may be the secret itself, and is not shown.
fn reference(
    what: &str,
    key: &str,
    node: &Node,
    problems: &mut Diagnostics,
) -> Result<Option<String>, ()> {
    let Some(entry) = node.entry(key).filter(|one| !one.node.is_null()) else {
        return Ok(None);
    };
    let text = entry.node.as_str().unwrap_or_default();
    if matches!(
        SecretReference::parse(text),
        Ok(SecretReference::Env(_) | SecretReference::File(_))
    ) {
        return Ok(Some(text.to_owned()));
    }
    let place = entry.key_origin.as_ref();
    let place = place.map_or_else(String::new, ToString::to_string);
    let message = format!("`{what}.{key}` is no reference to a secret ({place})");
    problems
        .push(Diagnostic::error(message).help(
            "write `env:NAME` or `file:PATH`; a secret itself does not belong in the config",
        ));
    Err(())
}

fn known<'a>(names: &[&'a str], node: &Node, problems: &mut Diagnostics) -> Option<&'a str> {
    let written = node.as_str().unwrap_or_default();
    let found = names.iter().find(|name| **name == written);
    if found.is_none() {
        let message = match node.as_str() {
            Some(SPREAD) => format!("`{SPREAD}` means all hosts, and cannot stand in a list"),
            Some(one) => format!("there is no host `{one}`"),
            None => format!("a host is called by its name, not by {}", node.describe()),
        };
        let help = did_you_mean(written, names.iter().copied(), "hosts");
        problems.push(
            Diagnostic::error(message)
                .help(help)
                .at(node.origin.clone()),
        );
    }
    found.copied()
}

fn bad_name(name: &str) -> Option<Diagnostic> {
    if name == SPREAD {
        let message = format!("a host cannot be named `{SPREAD}`, which means all hosts");
        return Some(Diagnostic::error(message).help("choose another name, such as `nas1`"));
    }
    let safe = |one: char| one.is_ascii_alphanumeric() || one == '-' || one == '_';
    let first = name.chars().next().is_some_and(char::is_alphanumeric);
    if first && name.len() <= MAX_HOST_NAME && name.chars().all(safe) {
        return None;
    }
    let help = "names of hosts have letters, digits, `-` and `_`, at most 32 characters; the address goes below: `nas1: {host: nas1.lan}`";
    Some(Diagnostic::error(format!("`{name}` cannot be the name of a host")).help(help))
}

/// A name as it stands in the names of variables: upper case, `_` for what they do not take.
fn in_variables(name: &str) -> String {
    let upper = name.chars().map(|one| one.to_ascii_uppercase());
    upper
        .map(|one| {
            if one.is_ascii_alphanumeric() {
                one
            } else {
                '_'
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::model::TrueNasSection;
    use super::*;

    fn hosts(names: &[&str]) -> Vec<HostEntry> {
        let host = |name: &&str| HostEntry {
            name: Some((*name).to_owned()),
            section: TrueNasSection {
                host: Some(format!("{name}.lan")),
                ..TrueNasSection::default()
            },
            ..HostEntry::default()
        };
        names.iter().map(host).collect()
    }

    /// The hosts of so many VMs.
    fn dealt(said: serde_json::Value, count: u32) -> Vec<String> {
        let node = Node::from_value(&said, None);
        let mut problems = Diagnostics::default();
        let three = hosts(&["a", "b", "c"]);
        let dealt = (1..=count)
            .filter_map(|index| of_vm(&three, Some(&node), index, &mut problems))
            .collect();
        assert!(problems.is_empty(), "{problems:?}");
        dealt
    }

    #[test]
    fn vms_are_dealt_out_in_turn_and_one_more_moves_none() {
        assert_eq!(dealt(json!("spread"), 4), ["a", "b", "c", "a"]);
        assert_eq!(dealt(json!(["c", "a"]), 3), ["c", "a", "c"]);
        assert_eq!(dealt(json!(["a", "a", "b"]), 4), ["a", "a", "b", "a"]);
        assert_eq!(dealt(json!("b"), 2), ["b", "b"]);
        assert_eq!(dealt(json!(null), 2), ["a", "a"]);
        for count in 1..20 {
            let more = dealt(json!("spread"), count + 1);
            assert_eq!(dealt(json!("spread"), count), more[..count as usize]);
        }
    }

    #[test]
    fn a_host_is_chosen_by_its_name_or_its_own_address() {
        let two = hosts(&["nas1", "nas2"]);
        let chosen = |wanted: Option<&str>| {
            choose_hosts(&two, wanted.map(|one| ("--host", one))).map(|chosen| {
                let names = chosen.into_iter().filter_map(|one| one.name);
                names.collect::<Vec<_>>()
            })
        };
        assert_eq!(chosen(None).unwrap(), ["nas1", "nas2"]);
        assert_eq!(chosen(Some("nas2")).unwrap(), ["nas2"]);
        assert_eq!(chosen(Some("nas2.lan")).unwrap(), ["nas2"]);
        let problems = chosen(Some("nas3")).unwrap_err();
        let problem = problems.into_iter().next().unwrap();
        assert!(problem.message.contains("--host says `nas3`"));
        assert!(problem.help.unwrap().contains("did you mean"));
        // The only one of a config that names none: what is wanted is where it is.
        let one = choose_hosts(&[HostEntry::default()], Some(("--host", "nas9.lan"))).unwrap();
        assert_eq!(one[0].section.host.as_deref(), Some("nas9.lan"));
    }

    #[test]
    fn a_hosts_variables_end_with_its_name() {
        let host = hosts(&["nas-1"]).remove(0);
        assert_eq!(host.variable("API_PASSWORD").unwrap(), "API_PASSWORD_NAS_1");
        assert_eq!(HostEntry::default().variable("API_PASSWORD"), None);
    }
}
