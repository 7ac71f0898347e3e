//! From files and built-in texts to finished templates.
//!
//! Knows folders, names and `extends`; what a template holds is `check`'s business.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use indexmap::IndexMap;

use super::builtin::{self, BuiltIn};
use super::check::{self, Kind};
use super::set::{DeviceTemplate, Templates, VmTemplate};
use crate::config::{Node, read_source};
use crate::diagnostic::{Diagnostic, Diagnostics, Location, SourceFile, nearest};

/// Levels of `extends`; more is a mistake, and each costs a merge.
const MAX_ANCESTORS: usize = 16;

/// See [`Templates::load`].
pub(super) fn load(folder: Option<&Path>) -> (Templates, Diagnostics) {
    let mut problems = Diagnostics::default();
    if let Some(folder) = folder {
        problems.extend(check_folder(folder));
    }
    let vms = Family::load(Kind::Vm, builtin::VMS, folder, &mut problems)
        .finish(&mut problems)
        .into_iter()
        .map(|(name, fields)| (name.clone(), VmTemplate { name, fields }))
        .collect();
    let devices = Family::load(Kind::Device, builtin::DEVICES, folder, &mut problems)
        .finish(&mut problems)
        .into_iter()
        .map(|(name, node)| (name.clone(), DeviceTemplate { name, node }))
        .collect();
    (Templates { vms, devices }, problems)
}

/// All templates of one kind, before inheritance.
struct Family {
    kind: Kind,
    built_in: IndexMap<String, Node>,
    files: IndexMap<String, Node>,
    /// Files with errors, already reported.
    broken: BTreeSet<String>,
}

/// Why a template could not be finished.
enum Failure {
    /// To be reported.
    Problem(Box<Diagnostic>),
    /// An ancestor is broken, and that is reported.
    Known,
}

impl Family {
    fn load(
        kind: Kind,
        built_in: &[BuiltIn],
        folder: Option<&Path>,
        problems: &mut Diagnostics,
    ) -> Self {
        let mut family = Self {
            kind,
            built_in: IndexMap::new(),
            files: IndexMap::new(),
            broken: BTreeSet::new(),
        };
        for (name, text) in built_in {
            let source = SourceFile {
                name: format!("<built-in {}/{name}.json>", kind.folder()),
                text: (*text).to_owned(),
            };
            match read(kind, &Arc::new(source)) {
                Ok(node) => {
                    family.built_in.insert((*name).to_owned(), node);
                }
                Err(found) => problems.extend(found),
            }
        }
        for path in folder
            .map(|one| files(&one.join(kind.folder()), problems))
            .unwrap_or_default()
        {
            let Some(name) = path
                .file_stem()
                .map(|stem| stem.to_string_lossy().into_owned())
            else {
                continue;
            };
            let node = read_source(&path, "the template").and_then(|source| read(kind, &source));
            match node {
                Ok(node) => {
                    family.files.insert(name, node);
                }
                Err(found) => {
                    problems.extend(found);
                    family.broken.insert(name);
                }
            }
        }
        family
    }

    fn finish(&self, problems: &mut Diagnostics) -> Vec<(String, Node)> {
        let mut names: Vec<&String> = self.built_in.keys().collect();
        names.extend(
            self.files
                .keys()
                .filter(|one| !self.built_in.contains_key(*one)),
        );
        let mut finished = Vec::new();
        for name in names.into_iter().filter(|one| !self.broken.contains(*one)) {
            let mut node = match self.resolve(name, self.files.contains_key(name), &mut Vec::new())
            {
                Ok(node) => node,
                Err(Failure::Problem(problem)) => {
                    problems.push(*problem);
                    continue;
                }
                Err(Failure::Known) => continue,
            };
            let found = check::complete(self.kind, name, &mut node);
            if !found.has_errors() {
                finished.push((name.clone(), node));
            }
            problems.extend(found);
        }
        finished
    }

    /// The template over all that it extends. `trail` are the files on the way here.
    fn resolve(&self, name: &str, file: bool, trail: &mut Vec<String>) -> Result<Node, Failure> {
        let source = if file { &self.files } else { &self.built_in };
        let Some(mut node) = source.get(name).cloned() else {
            return Err(Failure::Known);
        };
        let Some(extends) = node.remove("extends").map(|entry| entry.node) else {
            return Ok(node);
        };
        let Some(parent) = extends.as_str() else {
            return Ok(node);
        };
        let parent_is_file = file && parent != name && self.files.contains_key(parent);
        if file {
            trail.push(name.to_owned());
        }
        if let Some(start) = trail.iter().position(|one| parent_is_file && one == parent) {
            let circle = trail.get(start..).unwrap_or_default().to_vec();
            return Err(self.circle(circle));
        }
        if trail.len() > MAX_ANCESTORS {
            let message =
                format!("the template `{name}` inherits over more than {MAX_ANCESTORS} others");
            return Err(problem(
                message,
                "extend one further up".to_owned(),
                extends.origin,
            ));
        }
        if !parent_is_file && !self.built_in.contains_key(parent) {
            if self.broken.contains(parent) {
                return Err(Failure::Known);
            }
            return Err(self.no_parent(name, parent, extends.origin.clone()));
        }
        // A broken file must not quietly be replaced by the built-in template it overrides.
        if file && parent != name && self.broken.contains(parent) {
            return Err(Failure::Known);
        }
        let mut base = self.resolve(parent, parent_is_file, trail)?;
        base.merge(node);
        Ok(base)
    }

    fn no_parent(&self, name: &str, parent: &str, at: Option<Location>) -> Failure {
        if name == parent {
            let message = format!(
                "the template `{name}` extends itself, and there is no built-in template of that name"
            );
            return problem(
                message,
                "name another template, or remove `extends`".to_owned(),
                at,
            );
        }
        let names = self.built_in.keys().chain(self.files.keys());
        let near: Vec<String> = nearest(parent, names.map(String::as_str))
            .into_iter()
            .filter(|one| *one != name)
            .map(|one| format!("`{one}`"))
            .collect();
        let help = if near.is_empty() {
            format!(
                "add `{}/{parent}.json`, or remove `extends`",
                self.kind.folder()
            )
        } else {
            format!("did you mean {}?", near.join(" or "))
        };
        let message = format!("the template `{name}` extends `{parent}`, which does not exist");
        problem(message, help, at)
    }

    /// Told the same way from whichever member it was found, so that it is reported once.
    fn circle(&self, mut members: Vec<String>) -> Failure {
        let first = (0..members.len()).min_by_key(|at| members.get(*at).cloned());
        members.rotate_left(first.unwrap_or(0));
        let first = members.first().cloned().unwrap_or_default();
        let extends = self.files.get(&first).and_then(|node| node.get("extends"));
        let at = extends.and_then(|one| one.origin.clone());
        members.push(first);
        let message = format!(
            "templates extend each other in a circle: {}",
            members.join(" -> ")
        );
        problem(message, "remove `extends` from one of them".to_owned(), at)
    }
}

fn problem(message: String, help: String, at: Option<Location>) -> Failure {
    Failure::Problem(Box::new(Diagnostic::error(message).help(help).at(at)))
}

fn read(kind: Kind, source: &Arc<SourceFile>) -> Result<Node, Diagnostics> {
    let node = Node::from_json(source)?;
    let problems = check::file(kind, &node);
    if problems.has_errors() {
        Err(problems)
    } else {
        Ok(node)
    }
}

fn check_folder(folder: &Path) -> Diagnostics {
    let shown = folder.display();
    let layout = "a folder of templates has `vms/NAME.json` and `devices/NAME.json`";
    if !folder.is_dir() {
        let problem = Diagnostic::error(format!("the folder of templates `{shown}` is not there"));
        return problem.help(format!("check the path; {layout}")).into();
    }
    let has = |kind: Kind| folder.join(kind.folder()).is_dir();
    if !has(Kind::Vm) && !has(Kind::Device) {
        let message =
            format!("the folder of templates `{shown}` has neither `vms` nor `devices` in it");
        return Diagnostic::error(message).help(layout).into();
    }
    Diagnostics::default()
}

/// The JSON files of a folder, by name; none if there is no such folder.
fn files(folder: &Path, problems: &mut Diagnostics) -> Vec<PathBuf> {
    if !folder.is_dir() {
        return Vec::new();
    }
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) => {
            let message = format!("the folder `{}` cannot be read: {error}", folder.display());
            problems.push(Diagnostic::error(message).help("allow your user to read it"));
            return Vec::new();
        }
    };
    let mut found: Vec<PathBuf> = entries
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .filter(|path| path.extension().is_some_and(|end| end == "json"))
        .collect();
    found.sort();
    found
}
