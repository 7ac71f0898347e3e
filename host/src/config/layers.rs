//! The layers of a VM type, and what they make together.
//!
//! Knows `extends`, `vms`, and that `cpu` and `topology` say the same; no other key.

use indexmap::IndexMap;

use super::model::RESERVED_SECTIONS;
use super::node::{Node, NodeMap, NodeValue};
use super::text::too_many;
use crate::diagnostic::{Diagnostic, Diagnostics, Location, nearest};

/// Levels of `extends`. More than three is hard to read; each costs a merge per type.
const MAX_ANCESTORS: usize = 16;

/// Keys that belong to a type itself, and that neither its heirs nor its VMs take over.
const OWN_KEYS: &[&str] = &["extends", "vms"];

/// One VM of which something is said.
pub(super) struct OfVm {
    /// All that is said of it, the type's values included.
    pub(super) merged: Node,
    /// What is said of it alone and holds.
    pub(super) own: Node,
}

/// A VM type as it was written.
pub(super) struct TypeLayers {
    /// The place of its name.
    pub(super) key_origin: Option<Location>,
    /// Its value in the file, a map.
    written: Node,
    /// What `--set` lays over it, in order.
    settings: Vec<Node>,
}

/// All types with what they share.
pub(super) struct Layers {
    /// The section `defaults`, with what `--set` lays over it.
    defaults: Vec<Node>,
    /// The types, in order of declaration.
    pub(super) types: IndexMap<String, TypeLayers>,
}

impl TypeLayers {
    /// A type without settings.
    pub(super) fn new(written: Node, key_origin: Option<Location>) -> Self {
        Self {
            key_origin,
            written,
            settings: Vec::new(),
        }
    }

    /// Lays a `--set` over it.
    pub(super) fn set(&mut self, patch: Node) {
        self.settings.push(patch);
    }

    /// Everything below a key that heirs do not take over, settings included.
    pub(super) fn own(&self, key: &str) -> Option<Node> {
        let mut own = Node::empty_map();
        for layer in self.all() {
            if let Some(entry) = layer.entry(key) {
                let patch = NodeMap::from([(key.to_owned(), entry.clone())]);
                own.merge(Node::built_in(NodeValue::Map(patch)));
            }
        }
        own.remove(key).map(|entry| entry.node)
    }

    fn all(&self) -> impl Iterator<Item = &Node> {
        std::iter::once(&self.written).chain(&self.settings)
    }
}

impl Layers {
    /// Types over shared defaults.
    pub(super) fn new(defaults: Vec<Node>, types: IndexMap<String, TypeLayers>) -> Self {
        Self { defaults, types }
    }

    /// Looks for mistakes that are about layers: parents that are not there, cycles, and one layer
    /// with both `cpu` and `topology`.
    pub(super) fn check(&self) -> Diagnostics {
        let mut problems = Diagnostics::default();
        for layer in &self.defaults {
            check_cpu(layer, &mut problems);
            for key in OWN_KEYS {
                if let Some(entry) = layer.entry(key) {
                    problems.push(
                        Diagnostic::error(format!("`{key}` cannot stand in `defaults`"))
                            .help(format!("move `{key}` into a VM type"))
                            .at(entry.key_origin.clone()),
                    );
                }
            }
        }
        for (name, layers) in &self.types {
            if too_many(&problems) {
                break;
            }
            for layer in layers.all() {
                check_cpu(layer, &mut problems);
                for (_, entry) in layer
                    .get("vms")
                    .and_then(Node::as_map)
                    .into_iter()
                    .flatten()
                {
                    check_cpu(&entry.node, &mut problems);
                }
            }
            if let Err(found) = self.ancestors(name) {
                problems.extend(found);
            }
        }
        problems
    }

    /// A type with everything it inherits. One whose ancestors cannot be told stands alone.
    pub(super) fn of_type(&self, name: &str) -> Node {
        let mut node = Node::empty_map();
        for layer in &self.defaults {
            lay(&mut node, layer);
        }
        let chain = self
            .ancestors(name)
            .unwrap_or_else(|_| vec![name.to_owned()]);
        for ancestor in chain.iter().rev() {
            for layer in self.types.get(ancestor).iter().flat_map(|one| one.all()) {
                lay(&mut node, layer);
            }
        }
        node
    }

    /// One VM of a type: its override over the type, and `--set` over both. `None`: nothing is
    /// said of this VM.
    pub(super) fn of_vm(&self, vm_type: &str, of_type: &Node, vm: &str) -> Option<OfVm> {
        let layers = self.types.get(vm_type)?;
        let said = layers
            .all()
            .any(|layer| layer.get("vms").is_some_and(|vms| vms.get(vm).is_some()));
        if !said {
            return None;
        }
        let mut merged = of_type.clone();
        let mut own = Node::empty_map();
        if let Some(written) = layers.written.get("vms").and_then(|vms| vms.get(vm)) {
            lay(&mut merged, written);
            lay(&mut own, written);
        }
        for layer in &layers.settings {
            lay(&mut merged, layer);
            take_away(&mut own, layer);
        }
        for layer in &layers.settings {
            if let Some(set) = layer.get("vms").and_then(|vms| vms.get(vm)) {
                lay(&mut merged, set);
                lay(&mut own, set);
            }
        }
        Some(OfVm { merged, own })
    }

    /// The type and those it extends, itself first.
    fn ancestors(&self, name: &str) -> Result<Vec<String>, Diagnostics> {
        let mut chain = vec![name.to_owned()];
        let mut here = name.to_owned();
        while let Some(extends) = self.types.get(&here).and_then(|one| one.own("extends")) {
            let Some(parent) = extends.as_str() else {
                let message = format!("`extends` must name a VM type, not {}", extends.describe());
                return Err(Diagnostic::error(message)
                    .help("write the name of one other VM type")
                    .at(extends.origin)
                    .into());
            };
            if let Some(start) = chain.iter().position(|one| one == parent) {
                return Err(self.cycle(chain.get(start..).unwrap_or_default()).into());
            }
            if !self.types.contains_key(parent) {
                return Err(self.no_parent(&here, parent, extends.origin.clone()).into());
            }
            if chain.len() > MAX_ANCESTORS {
                let message = format!("`{name}` inherits over more than {MAX_ANCESTORS} types");
                return Err(Diagnostic::error(message)
                    .help("let it extend a type further up")
                    .at(extends.origin)
                    .into());
            }
            here = parent.to_owned();
            chain.push(parent.to_owned());
        }
        Ok(chain)
    }

    fn no_parent(&self, name: &str, parent: &str, at: Option<Location>) -> Diagnostic {
        let help = if RESERVED_SECTIONS.contains(&parent) {
            format!("`{parent}` is a section; every VM type has the values of `defaults` anyway")
        } else {
            let others = self
                .types
                .keys()
                .map(String::as_str)
                .filter(|one| *one != name);
            did_you_mean(parent, others, "VM types")
        };
        Diagnostic::error(format!("`{name}` extends `{parent}`, which is no VM type"))
            .help(help)
            .at(at)
    }

    /// Told the same way from whichever type it was found, so that it is reported once.
    fn cycle(&self, members: &[String]) -> Diagnostic {
        let position = |name: &String| self.types.get_index_of(name);
        let first = (0..members.len()).min_by_key(|at| members.get(*at).map(position));
        let mut members = members.to_vec();
        members.rotate_left(first.unwrap_or(0));
        let first = members.first().cloned().unwrap_or_default();
        let at = self.types.get(&first).and_then(|one| one.own("extends"));
        members.push(first);
        let cycle = members.join(" -> ");
        Diagnostic::error(format!("VM types extend each other in a circle: {cycle}"))
            .help("remove `extends` from one of them")
            .at(at.and_then(|extends| extends.origin))
    }
}

/// "did you mean" with the nearest names, or all names where none is near.
pub(super) fn did_you_mean<'a>(
    written: &str,
    candidates: impl IntoIterator<Item = &'a str>,
    all: &str,
) -> String {
    // More names than this are no help.
    const SHOWN: usize = 12;
    // And comparing with more than these is slow.
    const COMPARED: usize = 1000;
    let candidates: Vec<&str> = candidates.into_iter().take(COMPARED).collect();
    let quote = |names: &[&str], last: &str| {
        let names: Vec<String> = names.iter().map(|one| format!("`{one}`")).collect();
        names.join(last)
    };
    let near = nearest(written, candidates.iter().copied());
    if !near.is_empty() {
        return format!("did you mean {}?", quote(&near, " or "));
    }
    match candidates.get(..SHOWN) {
        None if candidates.is_empty() => format!("there are no {all}"),
        None => format!("the {all} are {}", quote(&candidates, ", ")),
        Some(some) => format!("{all} are for example {}", quote(some, ", ")),
    }
}

/// Merges a layer. What it says of the CPUs replaces what was said before, by either key.
fn lay(node: &mut Node, layer: &Node) {
    let mut layer = layer.clone();
    for key in OWN_KEYS {
        layer.remove(key);
    }
    let says = |key: &str| layer.get(key).is_some_and(|one| !one.is_null());
    for (key, other) in [("cpu", "topology"), ("topology", "cpu")] {
        if says(key) {
            node.remove(other);
        }
    }
    if layer.as_map().is_some() {
        node.merge(layer);
    }
}

/// Takes away what `layer` says anew, as far down as both are maps.
fn take_away(node: &mut Node, layer: &Node) {
    let (NodeValue::Map(entries), Some(said)) = (&mut node.value, layer.as_map()) else {
        return;
    };
    for (key, anew) in said {
        match entries.get_mut(key) {
            Some(entry) if entry.node.as_map().is_some() && anew.node.as_map().is_some() => {
                take_away(&mut entry.node, &anew.node);
            }
            Some(_) => {
                entries.shift_remove(key);
            }
            None => {}
        }
    }
}

fn check_cpu(layer: &Node, problems: &mut Diagnostics) {
    let written = |key: &str| layer.entry(key).filter(|entry| !entry.node.is_null());
    if let (Some(_), Some(topology)) = (written("cpu"), written("topology")) {
        problems.push(
            Diagnostic::error("`cpu` and `topology` say the same thing twice")
                .help("keep `cpu: N` for N cores, or `topology: {sockets, cores, threads}`")
                .at(topology.key_origin.clone()),
        );
    }
}
