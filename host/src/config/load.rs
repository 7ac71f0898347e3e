//! The config file, from text to [`Config`].
//!
//! Knows the order of the work; each part is its own module.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use indexmap::IndexMap;

use super::expand::Expansion;
use super::layers::{Layers, TypeLayers, did_you_mean};
use super::model::{Config, HostEntry, RESERVED_SECTIONS, Storage};
use super::names::{MAX_NAME, MAX_VMS, folder_group, is_safe, make_safe, vm_name};
use super::node::{Entry, Node, NodeValue};
use super::set::Setting;
use super::text::{read_source, too_many};
use super::{hosts, sections, yaml};
use crate::diagnostic::{Diagnostic, Diagnostics, Location, SourceFile, nearest};

/// What to load.
#[derive(Clone, Debug, Default)]
pub struct LoadOptions {
    /// The config file.
    pub path: PathBuf,
    /// `--group`, which goes before the file's `group`.
    pub group: Option<String>,
    /// Every `--set path=value`, in order.
    pub set: Vec<String>,
}

/// Loads a config and reports everything that is wrong with it.
///
/// The config is there even with errors, unless the file could not be read to its end: without
/// the values in error, and good only for finding more errors in what uses it. Nothing may be
/// done with it while [`Diagnostics::has_errors`].
#[must_use]
pub fn load(options: &LoadOptions) -> (Option<Config>, Diagnostics) {
    match read_source(&options.path, "the config") {
        Ok(source) => load_source(&source, options),
        Err(found) => (None, found),
    }
}

/// As [`load`], of a text that is not in its file yet: the path only says what it is called.
#[must_use]
pub fn load_text(text: &str, options: &LoadOptions) -> (Option<Config>, Diagnostics) {
    let source = SourceFile {
        name: options.path.display().to_string(),
        text: text.to_owned(),
    };
    load_source(&Arc::new(source), options)
}

fn load_source(source: &Arc<SourceFile>, options: &LoadOptions) -> (Option<Config>, Diagnostics) {
    let mut problems = Diagnostics::default();
    let (root, found) = yaml::parse(source, 0..source.text.len());
    problems.extend(found);
    let Some(root) = root else {
        return (None, problems);
    };
    if root.as_map().is_none() {
        problems.push(
            Diagnostic::error(format!(
                "a config is a map, and this is {}",
                root.describe()
            ))
            .help("write a `storage` section and at least one VM type")
            .at(root.origin),
        );
        return (None, problems);
    }
    let parts = Parts::split(root, &options.set, &mut problems);
    let config = parts.config(options, &mut problems);
    (Some(config), in_reading_order(problems))
}

/// A person repairs a file from its top; problems without a place come first.
fn in_reading_order(problems: Diagnostics) -> Diagnostics {
    let mut all: Vec<Diagnostic> = problems.into_iter().collect();
    all.sort_by_key(|one| {
        let at = one.location.as_ref();
        at.map(|at| (at.file.name.clone(), at.span.start))
    });
    let mut sorted = Diagnostics::default();
    all.into_iter().for_each(|one| sorted.push(one));
    sorted
}

/// The file's top level, with `--set` on it.
struct Parts {
    sections: HashMap<String, Node>,
    layers: Layers,
    origin: Option<Location>,
}

impl Parts {
    fn split(root: Node, set: &[String], problems: &mut Diagnostics) -> Self {
        let origin = root.origin;
        let mut sections = HashMap::new();
        let mut types = IndexMap::new();
        if let NodeValue::Map(entries) = root.value {
            for (key, entry) in entries {
                let mut unseen = Diagnostics::default();
                let problems = match too_many(problems) {
                    true => &mut unseen,
                    false => &mut *problems,
                };
                if RESERVED_SECTIONS.contains(&key.as_str()) {
                    // `storage:` with nothing below is an empty section.
                    sections.insert(key, empty_if_null(entry.node));
                } else if types.len() >= MAX_VMS as usize {
                    let message = format!("the config has more than {MAX_VMS} VM types");
                    let help = "a group has at most as many VMs; split it into several";
                    problems.push(Diagnostic::error(message).help(help));
                } else if let Some(layers) = type_layers(&key, entry, problems) {
                    types.insert(key, layers);
                }
            }
        }
        let mut defaults = Vec::new();
        if let Some(node) = sections.remove("defaults") {
            push_defaults(node, &mut defaults, problems);
        }
        for text in set {
            match Setting::parse(text) {
                Ok(setting) => {
                    apply(&setting, &mut sections, &mut defaults, &mut types, problems);
                }
                Err(found) => problems.extend(found),
            }
        }
        Self {
            sections,
            layers: Layers::new(defaults, types),
            origin,
        }
    }

    fn config(self, options: &LoadOptions, problems: &mut Diagnostics) -> Config {
        let folder = folder_of(&options.path);
        let storage = self.storage(problems);
        let hosts = hosts::read(self.sections.get("truenas"), folder, &storage, problems);
        self.require_storage(&hosts, problems);
        let plugins = self
            .sections
            .get("plugins")
            .map(|node| sections::plugins(node, folder, problems))
            .unwrap_or_default();
        let group = self.group(options, problems);
        problems.extend(self.layers.check());
        let mut expansion = Expansion::new(&hosts);
        for (index, name) in self.layers.types.keys().enumerate() {
            if too_many(problems) {
                problems.push(
                    Diagnostic::error("there may be more problems").help("repair these first"),
                );
                break;
            }
            expansion.add_type(
                name,
                u32::try_from(index).unwrap_or(u32::MAX),
                &self.layers,
                problems,
            );
        }
        if self.layers.types.is_empty() {
            problems.push(
                Diagnostic::error("the config has no VM type")
                    .help("add one, for example `worker: {count: 3, cpu: 4, memory: 16GiB, disk: {system: 15}}`")
                    .at(self.origin.clone()),
            );
        }
        let Expansion { vms, types, .. } = expansion;
        Config {
            group,
            storage,
            hosts,
            plugins,
            vms,
            types,
        }
    }

    fn storage(&self, problems: &mut Diagnostics) -> Storage {
        if let Some(node) = self.sections.get("storage") {
            return sections::storage("storage", node, problems);
        }
        Storage {
            pool_path: None,
            cdrom_path: None,
            node: Node::empty_map(),
        }
    }

    /// Every server needs one, be it that of all.
    fn require_storage(&self, hosts: &[HostEntry], problems: &mut Diagnostics) {
        if self.sections.contains_key("storage") || hosts.iter().all(|one| one.storage.is_some()) {
            return;
        }
        let near = nearest("storage", self.layers.types.keys().map(String::as_str));
        let help = match near.first() {
            Some(near) => format!("is `{near}` meant to be `storage`?"),
            None => {
                "add `storage: {pool_path: POOL/DATASET}`: where the VMs' disks are made".to_owned()
            }
        };
        problems.push(
            Diagnostic::error("the config has no `storage` section")
                .help(help)
                .at(self.origin.clone()),
        );
    }

    fn group(&self, options: &LoadOptions, problems: &mut Diagnostics) -> String {
        let written = self
            .sections
            .get("group")
            .and_then(|node| sections::group(node, problems));
        if let Some(flag) = &options.group {
            if let Some(problem) = sections::bad_group(flag) {
                problems.push(problem);
            }
            return flag.clone();
        }
        written.unwrap_or_else(|| folder_group(&options.path))
    }
}

fn type_layers(name: &str, entry: Entry, problems: &mut Diagnostics) -> Option<TypeLayers> {
    let near = nearest(name, RESERVED_SECTIONS.iter().copied());
    let node = empty_if_null(entry.node);
    if node.as_map().is_none() {
        let message = format!(
            "`{name}` must be a map of settings, as every VM type, not {}",
            node.describe()
        );
        let help = match near.first() {
            Some(section) => format!("did you mean `{section}`?"),
            None => format!("write `{name}: {{count: 1, …}}`"),
        };
        problems.push(Diagnostic::error(message).help(help).at(node.origin));
        return None;
    }
    if !is_safe(name) {
        let message = format!(
            "`{name}` cannot be a VM type: the server takes only letters, digits and `_` in the names of VMs"
        );
        let help = format!("rename it to `{}`", make_safe(name));
        problems.push(
            Diagnostic::error(message)
                .help(help)
                .at(entry.key_origin.clone()),
        );
    } else if vm_name(name, MAX_VMS).len() > MAX_NAME {
        let message = format!(
            "`{name}` is too long for a VM type: names of VMs have at most {MAX_NAME} characters"
        );
        let problem = Diagnostic::error(message).help("choose a shorter name");
        problems.push(problem.at(entry.key_origin.clone()));
    } else if let Some(section) = near.first() {
        let message = format!(
            "`{name}` is taken for a VM type, and is written almost like the section `{section}`"
        );
        let help = format!("rename it to `{section}` if you mean the section");
        problems.push(
            Diagnostic::warning(message)
                .help(help)
                .at(entry.key_origin.clone()),
        );
    }
    Some(TypeLayers::new(node, entry.key_origin))
}

fn push_defaults(node: Node, defaults: &mut Vec<Node>, problems: &mut Diagnostics) {
    if node.as_map().is_some() {
        defaults.push(node);
        return;
    }
    let message = format!(
        "`defaults` must be a map of settings, not {}",
        node.describe()
    );
    let problem =
        Diagnostic::error(message).help("write the settings that every VM type starts from");
    problems.push(problem.at(node.origin));
}

fn apply(
    setting: &Setting,
    sections: &mut HashMap<String, Node>,
    defaults: &mut Vec<Node>,
    types: &mut IndexMap<String, TypeLayers>,
    problems: &mut Diagnostics,
) {
    let Some((head, at)) = setting.head() else {
        return;
    };
    let patch = setting.patch();
    match types.get_mut(head) {
        Some(layers) if patch.as_map().is_some() => layers.set(patch),
        Some(_) => {
            let message = format!("`--set {head}=…` would replace a whole VM type");
            let help = format!("name what to set, for example `--set {head}.count=5`");
            problems.push(Diagnostic::error(message).help(help).at(at.clone()));
        }
        None if head == "defaults" => push_defaults(patch, defaults, problems),
        None if RESERVED_SECTIONS.contains(&head.as_str()) => {
            sections
                .entry(head.clone())
                .or_insert_with(Node::empty_map)
                .merge(patch);
        }
        None => {
            let known = types
                .keys()
                .map(String::as_str)
                .chain(RESERVED_SECTIONS.iter().copied());
            let help = did_you_mean(head, known, "VM types and sections");
            let message =
                format!("`--set` names `{head}`, which is no VM type and no section of the config");
            problems.push(Diagnostic::error(message).help(help).at(at.clone()));
        }
    }
}

fn empty_if_null(node: Node) -> Node {
    if !node.is_null() {
        return node;
    }
    Node {
        origin: node.origin,
        ..Node::empty_map()
    }
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    }
}
