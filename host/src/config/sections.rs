//! The reserved sections: storage, server, plugins, group.
//!
//! Knows no VM type.

use std::path::Path;

use super::fields::FieldKind;
use super::layers::did_you_mean;
use super::model::{FACTS, PluginEntry, Storage, TrueNasSection};
use super::names::{MAX_NAME, is_safe, make_safe};
use super::node::{Entry, Node, NodeValue};
use super::text::{MAX_PROBLEMS, too_many};
use crate::diagnostic::{Diagnostic, Diagnostics};

/// The longest dataset name that ZFS takes, in bytes.
const MAX_DATASET: usize = 255;
/// The longest plugin name (contract, `descriptor.name`).
const MAX_PLUGIN_NAME: usize = 32;

/// Reads `storage`, called `name` in what is told of it.
pub(super) fn storage(name: &str, node: &Node, problems: &mut Diagnostics) -> Storage {
    let keys = ["pool_path", "cdrom_path"];
    let section = Section::new(name, node, &keys, problems);
    let pool_path = section.text("pool_path", problems);
    if let Some((path, node)) = &pool_path
        && let Some((message, help)) = bad_dataset(path)
    {
        let problem = Diagnostic::error(format!("`pool_path: {path}` {message}"));
        problems.push(problem.help(help).at(node.origin.clone()));
    }
    let cdrom_path = section.text("cdrom_path", problems);
    if let Some((path, node)) = &cdrom_path
        && (!path.starts_with('/') || path.contains(['{', '}']))
    {
        let problem = Diagnostic::error(format!(
            "`cdrom_path: {path}` is not an absolute path the server takes"
        ))
        .help("write where the image is on the server: `/mnt/tank/iso/image.iso`, without braces");
        problems.push(problem.at(node.origin.clone()));
    }
    Storage {
        pool_path: pool_path.map(|(path, _)| path.to_owned()),
        cdrom_path: cdrom_path.map(|(path, _)| path.to_owned()),
        node: node.clone(),
    }
}

/// Reads a `truenas` without hosts. Relative paths start at `folder`.
pub(super) fn truenas(node: &Node, folder: &Path, problems: &mut Diagnostics) -> TrueNasSection {
    if secrets_within("truenas", node, problems) {
        return TrueNasSection::default();
    }
    let keys = ["host", "ca", "fingerprint", "hosts"];
    let section = Section::new("truenas", node, &keys, problems);
    server(&section, folder, problems)
}

/// Reports secrets that stand in a section, and gives whether there are any. Then nothing else of
/// it may be pointed at: it may be in the same line.
pub(super) fn secrets_within(name: &str, node: &Node, problems: &mut Diagnostics) -> bool {
    let mut secrets = false;
    for key in ["api_key", "password", "username", "token"] {
        if let Some(entry) = node.entry(key) {
            secrets = true;
            // Without a location: the line that would be shown may hold a secret.
            let place = entry.key_origin.as_ref();
            let place = place.map_or_else(String::new, ToString::to_string);
            let message = format!("`{name}.{key}` does not belong in the config ({place})");
            problems.push(Diagnostic::error(message).help("use the variables TRUENAS_API_KEY, API_USERNAME and API_PASSWORD, in the environment or in a `.env` file beside the config"));
        }
    }
    secrets
}

/// Reads where a server is, from a section that says it. Relative paths start at `folder`.
pub(super) fn server(
    section: &Section<'_>,
    folder: &Path,
    problems: &mut Diagnostics,
) -> TrueNasSection {
    let host = section.text("host", problems);
    if let Some((host, node)) = &host
        && (host.is_empty() || host.contains(char::is_whitespace))
    {
        let problem = Diagnostic::error(format!("`host: {host:?}` is not a name or address"))
            .help("write a name or address, with a port if it is not 443: `nas.lan:8443`");
        problems.push(problem.at(node.origin.clone()));
    }
    TrueNasSection {
        host: host.map(|(host, _)| host.to_owned()),
        ca: section
            .text("ca", problems)
            .map(|(path, _)| folder.join(path)),
        fingerprint: section.digest("fingerprint", problems),
    }
}

/// Reads `plugins`: a map from names to a path, or to a map.
pub(super) fn plugins(node: &Node, folder: &Path, problems: &mut Diagnostics) -> Vec<PluginEntry> {
    let Some(map) = node.as_map() else {
        not_a_map(
            "plugins",
            node,
            "write `name: path/to/plugin.wasm` lines below it",
            problems,
        );
        return Vec::new();
    };
    let mut found = Vec::new();
    for (name, entry) in map {
        if too_many(problems) {
            break;
        }
        found.extend(plugin(name, entry, folder, problems));
    }
    found
}

/// Reads `group`.
pub(super) fn group(node: &Node, problems: &mut Diagnostics) -> Option<String> {
    if let Some(problem) = FieldKind::Text.check("group", node) {
        problems.push(problem);
        return None;
    }
    let name = node.as_str().unwrap_or_default();
    match bad_group(name) {
        Some(problem) => problems.push(problem.at(node.origin.clone())),
        None => return Some(name.to_owned()),
    }
    None
}

/// What is wrong with a group's name, if anything.
pub(super) fn bad_group(name: &str) -> Option<Diagnostic> {
    if name.is_empty() || name.len() > MAX_NAME {
        let message = format!("the group's name must have 1 to {MAX_NAME} characters");
        return Some(Diagnostic::error(message).help("choose a short name, such as `lab`"));
    }
    if is_safe(name) {
        return None;
    }
    let message =
        format!("the group's name `{name}` has characters other than letters, digits and `_`");
    Some(Diagnostic::error(message).help(format!("write `{}`", make_safe(name))))
}

fn plugin(
    name: &str,
    entry: &Entry,
    folder: &Path,
    problems: &mut Diagnostics,
) -> Option<PluginEntry> {
    let safe = |one: char| one.is_ascii_alphanumeric() || one == '-';
    if name.is_empty() || name.len() > MAX_PLUGIN_NAME || !name.chars().all(safe) {
        let problem = Diagnostic::error(format!("`{name}` cannot be a plugin's name"))
            .help("plugin names have letters, digits and `-`, at most 32 characters");
        problems.push(problem.at(entry.key_origin.clone()));
    }
    let mut found = PluginEntry {
        name: name.to_owned(),
        path: None,
        sha256: None,
        facts: Vec::new(),
        origin: entry.key_origin.clone(),
    };
    let node = &entry.node;
    let path = match &node.value {
        NodeValue::String(path) => Some((path.as_str(), node)),
        NodeValue::Map(_) => {
            let what = format!("plugins.{name}");
            let section = Section::new(&what, node, &["path", "sha256", "facts"], problems);
            found.sha256 = section.digest("sha256", problems);
            found.facts = facts(node.get("facts"), problems);
            section.text("path", problems)
        }
        _ => {
            let message = format!(
                "the plugin `{name}` must be a path or a map, not {}",
                node.describe()
            );
            let problem = Diagnostic::error(message)
                .help("write `name: path/to/plugin.wasm` or `name: {path, sha256, facts}`");
            problems.push(problem.at(node.origin.clone()));
            return None;
        }
    };
    if let Some((text, node)) = path {
        if text.is_empty() || text.contains("://") {
            let problem = Diagnostic::error(format!("{text:?} is not the path of a plugin's file"))
                .help("download the component and write the path of the `.wasm` file");
            problems.push(problem.at(node.origin.clone()));
        }
        found.path = Some(folder.join(text));
    }
    Some(found)
}

fn facts(node: Option<&Node>, problems: &mut Diagnostics) -> Vec<String> {
    let Some(node) = node else { return Vec::new() };
    let Some(all) = node.as_list() else {
        let message = format!("`facts` must be a list, not {}", node.describe());
        let problem = Diagnostic::error(message).help("write `facts: [nic-choices]`");
        problems.push(problem.at(node.origin.clone()));
        return Vec::new();
    };
    let mut granted = Vec::new();
    // There are fewer kinds of fact than this, so nothing right is left out.
    for one in all.iter().take(MAX_PROBLEMS) {
        match one.as_str() {
            Some(fact) if FACTS.contains(&fact) => granted.push(fact.to_owned()),
            _ => {
                let help = did_you_mean(
                    one.as_str().unwrap_or_default(),
                    FACTS.iter().copied(),
                    "facts",
                );
                let message = format!("{} is not a fact that can be granted", one.describe());
                problems.push(Diagnostic::error(message).help(help).at(one.origin.clone()));
            }
        }
    }
    granted
}

/// What a dataset name breaks, and what to write.
fn bad_dataset(path: &str) -> Option<(&'static str, String)> {
    if let Some(rest) = path.strip_prefix("/mnt/") {
        let help = format!("write the dataset's name: `{}`", rest.trim_end_matches('/'));
        return Some(("is a folder, not a dataset", help));
    }
    let help = "write pool and dataset with slashes between: `tank/kubernetes`".to_owned();
    if path
        .split('/')
        .any(|part| part.trim().is_empty() || part == "." || part == "..")
    {
        return Some(("has an empty part, or a slash too much", help));
    }
    let safe = |one: char| one.is_ascii_alphanumeric() || "_-.: /".contains(one);
    if !path.chars().all(safe) {
        return Some(("has characters that ZFS does not take in a name", help));
    }
    (path.len() > MAX_DATASET).then_some(("is longer than the 255 bytes of a dataset name", help))
}

fn not_a_map(name: &str, node: &Node, help: &str, problems: &mut Diagnostics) {
    let message = format!("`{name}` must be a map, not {}", node.describe());
    problems.push(
        Diagnostic::error(message)
            .help(help)
            .at(node.origin.clone()),
    );
}

/// A section whose keys are known.
pub(super) struct Section<'n> {
    node: &'n Node,
}

impl<'n> Section<'n> {
    /// Takes a node for a section of this name, and reports the keys that it does not have.
    pub(super) fn new(
        name: &str,
        node: &'n Node,
        keys: &[&str],
        problems: &mut Diagnostics,
    ) -> Self {
        let Some(map) = node.as_map() else {
            not_a_map(
                name,
                node,
                &format!("its keys are {}", keys.join(", ")),
                problems,
            );
            return Self { node };
        };
        let unknown = map.iter().filter(|(key, _)| !keys.contains(&key.as_str()));
        for (key, entry) in unknown.take(MAX_PROBLEMS) {
            let problem = Diagnostic::error(format!("`{name}` has no setting `{key}`"))
                .help(did_you_mean(key, keys.iter().copied(), "settings"));
            problems.push(problem.at(entry.key_origin.clone()));
        }
        Self { node }
    }

    /// The text below a key, with its place.
    pub(super) fn text(
        &self,
        key: &str,
        problems: &mut Diagnostics,
    ) -> Option<(&'n str, &'n Node)> {
        let node = self.node.get(key).filter(|node| !node.is_null())?;
        if let Some(problem) = FieldKind::Text.check(key, node) {
            problems.push(problem);
        }
        Some((node.as_str()?, node))
    }

    /// A SHA-256: 64 hexadecimal digits, in pairs with colons or without, case ignored.
    fn digest(&self, key: &str, problems: &mut Diagnostics) -> Option<String> {
        let (text, node) = self.text(key, problems)?;
        let digits = text.strip_prefix("sha256:").unwrap_or(text);
        let digits = digits.replace(':', "").to_ascii_lowercase();
        if digits.len() == 64 && digits.chars().all(|one| one.is_ascii_hexdigit()) {
            return Some(digits);
        }
        let problem = Diagnostic::error(format!("`{key}` is not a SHA-256"))
            .help("write its 64 hexadecimal digits, in quotes; `sha256sum FILE` prints them");
        problems.push(problem.at(node.origin.clone()));
        None
    }
}
