//! What a template may hold.
//!
//! Knows the arguments of `vm.create` and `vm.device.create`, and no attribute of a device but
//! `dtype`: attributes are the plugins' business.

use crate::config::{Entry, FIELDS, FieldKind, MAX_PROBLEMS, Node, NodeMap, NodeValue};
use crate::diagnostic::{Diagnostic, Diagnostics, nearest};

/// The two kinds of template.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Vm,
    Device,
}

/// Keys of a device template and what each takes. `vm` is there for old files, and is replaced.
const DEVICE_KEYS: &[(&str, Option<FieldKind>)] = &[
    ("vm", Some(FieldKind::Whole(0, u64::MAX))),
    ("attributes", None),
    // The server keeps it in 32 bits.
    ("order", Some(FieldKind::Whole(0, i32::MAX as u64))),
    ("dtype", Some(FieldKind::Text)),
    ("extends", Some(FieldKind::Text)),
];

impl Kind {
    /// The folder's name.
    pub(super) const fn folder(self) -> &'static str {
        match self {
            Self::Vm => "vms",
            Self::Device => "devices",
        }
    }

    fn key(self, key: &str) -> Option<Option<FieldKind>> {
        match self {
            Self::Vm if key == "extends" => Some(Some(FieldKind::Text)),
            Self::Vm => FIELDS
                .iter()
                .find(|one| one.name == key)
                .map(|one| Some(one.kind)),
            Self::Device => DEVICE_KEYS
                .iter()
                .find(|(name, _)| *name == key)
                .map(|(_, kind)| *kind),
        }
    }

    fn keys(self) -> Vec<&'static str> {
        match self {
            Self::Vm => FIELDS
                .iter()
                .map(|one| one.name)
                .chain(["extends"])
                .collect(),
            Self::Device => DEVICE_KEYS.iter().map(|(name, _)| *name).collect(),
        }
    }
}

/// Checks one file by itself. Null is right everywhere: it waits to be filled in, or removes what
/// is inherited.
pub(super) fn file(kind: Kind, node: &Node) -> Diagnostics {
    let mut problems = Diagnostics::default();
    let Some(map) = node.as_map() else {
        let message = format!(
            "a template is a JSON object, and this is {}",
            node.describe()
        );
        let problem = Diagnostic::error(message).help("write `{ … }`");
        return problem.at(node.origin.clone()).into();
    };
    for (key, entry) in map.iter().take(MAX_PROBLEMS) {
        match kind.key(key) {
            None => problems.push(unknown(kind, key, entry)),
            Some(Some(expected)) if !entry.node.is_null() => {
                expected
                    .check(key, &entry.node)
                    .into_iter()
                    .for_each(|one| problems.push(one));
            }
            Some(_) => {}
        }
    }
    if kind == Kind::Device {
        attributes(map, &mut problems);
    }
    problems
}

/// Checks a template with all it inherits, and brings a device's `dtype` to where servers since
/// 25.04 have it.
pub(super) fn complete(kind: Kind, name: &str, node: &mut Node) -> Diagnostics {
    let mut problems = Diagnostics::default();
    if kind == Kind::Vm {
        return problems;
    }
    let outer = node.remove("dtype").filter(|entry| !entry.node.is_null());
    let origin = node.origin.clone();
    let NodeValue::Map(map) = &mut node.value else {
        return problems;
    };
    let attributes = map.get_mut("attributes").map(|entry| &mut entry.node);
    let Some(Node {
        value: NodeValue::Map(attributes),
        origin,
    }) = attributes
    else {
        let problem =
            Diagnostic::error(format!("the device template `{name}` has no `attributes`"))
                .help("add `\"attributes\": {\"dtype\": \"…\"}`");
        problems.push(problem.at(origin));
        return problems;
    };
    let inner = attributes
        .get("dtype")
        .filter(|entry| !entry.node.is_null());
    match (inner, outer) {
        (None, None) => {
            let problem = Diagnostic::error(format!(
                "the device template `{name}` has no `attributes.dtype`"
            ))
            .help("add the kind of device, for example `\"dtype\": \"DISK\"`");
            problems.push(problem.at(origin.clone()));
        }
        (None, Some(outer)) => {
            attributes.insert("dtype".to_owned(), outer);
        }
        (Some(inner), Some(outer)) if inner.node.value != outer.node.value => {
            let problem = Diagnostic::error(format!(
                "the device template `{name}` has two different `dtype`s"
            ))
            .help("keep the one in `attributes`");
            problems.push(problem.at(outer.node.origin));
        }
        (Some(_), _) => {}
    }
    problems
}

fn attributes(map: &NodeMap, problems: &mut Diagnostics) {
    let Some(node) = map
        .get("attributes")
        .map(|entry| &entry.node)
        .filter(|one| !one.is_null())
    else {
        return;
    };
    if node.as_map().is_none() {
        let message = format!("`attributes` must be an object, not {}", node.describe());
        let problem = Diagnostic::error(message).help("write `\"attributes\": { … }`");
        problems.push(problem.at(node.origin.clone()));
    }
    if let Some(dtype) = node.get("dtype").filter(|one| !one.is_null()) {
        let problem = FieldKind::Text.check("attributes.dtype", dtype);
        problem.into_iter().for_each(|one| problems.push(one));
    }
}

fn unknown(kind: Kind, key: &str, entry: &Entry) -> Diagnostic {
    let (what, all) = match kind {
        Kind::Vm => (
            "VM template",
            "it takes the arguments of `vm.create`, and `extends`".to_owned(),
        ),
        Kind::Device => (
            "device template",
            format!("its keys are {}", kind.keys().join(", ")),
        ),
    };
    let near: Vec<String> = nearest(key, kind.keys())
        .iter()
        .map(|one| format!("`{one}`"))
        .collect();
    let help = if near.is_empty() {
        all
    } else {
        format!("did you mean {}?", near.join(" or "))
    };
    Diagnostic::error(format!("a {what} has no key `{key}`"))
        .help(help)
        .at(entry.key_origin.clone())
}
