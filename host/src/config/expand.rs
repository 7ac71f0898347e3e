//! From VM types to VMs: names, numbers, overrides of single VMs.
//!
//! Knows nothing of the file's other sections.

use std::collections::HashMap;

use super::hosts;
use super::layers::{Layers, OfVm, did_you_mean};
use super::model::{HostEntry, VmSpec, VmTypeInfo};
use super::names::{MAX_NAME, MAX_VMS, is_safe, vm_name};
use super::node::{Node, NodeValue};
use super::text::too_many;
use super::vm_type::{self, TYPE_KEYS, VmKeys};
use crate::diagnostic::{Diagnostic, Diagnostics, Location};

/// Values that all VMs together may hold: a thousand VMs with a thousand each. Without it a small
/// file could ask for a thousand copies of a large one.
const MAX_EXPANDED: usize = 1_000_000;

/// The VMs, as types are added.
pub(super) struct Expansion<'h> {
    /// The servers that VMs can be on.
    hosts: &'h [HostEntry],
    /// The VMs so far.
    pub(super) vms: Vec<VmSpec>,
    /// The types so far.
    pub(super) types: Vec<VmTypeInfo>,
    /// The type of every name so far.
    taken: HashMap<String, String>,
    values: usize,
}

impl<'h> Expansion<'h> {
    /// No VMs yet, on these servers.
    pub(super) fn new(hosts: &'h [HostEntry]) -> Self {
        Self {
            hosts,
            vms: Vec::new(),
            types: Vec::new(),
            taken: HashMap::new(),
            values: 0,
        }
    }

    /// Adds a type with its VMs.
    pub(super) fn add_type(
        &mut self,
        name: &str,
        type_index: u32,
        layers: &Layers,
        problems: &mut Diagnostics,
    ) {
        let node = layers.of_type(name);
        let origin = layers
            .types
            .get(name)
            .and_then(|one| one.key_origin.clone());
        let names = self.names(name, &node, problems);
        let count = u32::try_from(names.len()).unwrap_or(MAX_VMS);
        let (keys, found) = vm_type::read(&node);
        problems.extend(found);
        check_overrides(name, &names, layers, problems);
        self.types.push(VmTypeInfo {
            name: name.to_owned(),
            index: type_index,
            count,
            origin: origin.clone(),
        });
        self.values = self
            .values
            .saturating_add(node.size().saturating_mul(count as usize));
        if self.values > MAX_EXPANDED {
            problems.push(
                Diagnostic::error(format!(
                    "all VMs together have more than {MAX_EXPANDED} values"
                ))
                .help("lower `count`, or give the VMs fewer settings")
                .at(origin),
            );
            return;
        }
        let mut collided = Vec::new();
        for (index, vm) in (1..).zip(names) {
            if too_many(problems) {
                return;
            }
            if let Some(other) = self.taken.insert(vm.clone(), name.to_owned())
                && !collided.contains(&other)
            {
                problems.push(
                    Diagnostic::error(format!(
                        "`{name}` and `{other}` both make a VM named `{vm}`"
                    ))
                    .help("rename one of the two types")
                    .at(origin.clone()),
                );
                collided.push(other);
            }
            let (keys, node, own) = match layers.of_vm(name, &node, &vm) {
                Some(OfVm { merged, own }) => {
                    let (keys, found) = vm_type::read(&merged);
                    problems.extend(found);
                    self.values = self.values.saturating_add(merged.size());
                    (keys, merged, Some(own))
                }
                None => (keys.clone(), node.clone(), None),
            };
            let place = Place {
                vm_type: name,
                type_index,
                index,
                count,
                host: hosts::of_vm(self.hosts, keys.host.as_ref(), index, problems),
                origin: origin.clone(),
            };
            self.vms.push(place.vm(vm, keys, node, own));
        }
    }

    /// The names of a type's VMs: those it gives, else made of its own name and a number.
    fn names(&self, name: &str, node: &Node, problems: &mut Diagnostics) -> Vec<String> {
        let Some(given) = node.get("names") else {
            let count = self.count(name, node, problems);
            return (1..=count).map(|index| vm_name(name, index)).collect();
        };
        let error = |message: String, help: &str, node: &Node| {
            Diagnostic::error(message)
                .help(help)
                .at(node.origin.clone())
        };
        if let Some(count) = node.get("count") {
            problems.push(error(
                format!("`{name}` has both `names` and `count`"),
                "remove one of them: `names` says how many there are",
                count,
            ));
        }
        let NodeValue::List(items) = &given.value else {
            problems.push(error(
                format!("`names` must be a list of names, not {}", given.describe()),
                "write `names: [fileserver, mail]`",
                given,
            ));
            return Vec::new();
        };
        let free = (MAX_VMS as usize).saturating_sub(self.vms.len());
        if items.len() > free {
            problems.push(error(
                format!("with these names the group has more than {MAX_VMS} VMs"),
                "split the VMs into several groups",
                given,
            ));
            return Vec::new();
        }
        let mut names: Vec<String> = Vec::with_capacity(items.len());
        for item in items {
            match item.as_str() {
                Some(one) if !is_safe(one) || one.len() > MAX_NAME => problems.push(error(
                    format!("`{one}` cannot be the name of a VM"),
                    "the server takes letters, digits and `_` (`vm.create`); 64 of them at most",
                    item,
                )),
                Some(one) if names.iter().any(|other| other == one) => problems.push(error(
                    format!("`{one}` is named twice"),
                    "give each VM a name of its own",
                    item,
                )),
                Some(one) => names.push(one.to_owned()),
                None => problems.push(error(
                    format!("a name must be a text, not {}", item.describe()),
                    "write `names: [fileserver, mail]`",
                    item,
                )),
            }
        }
        names
    }

    /// How many VMs a type has; one unless it says otherwise.
    fn count(&self, name: &str, node: &Node, problems: &mut Diagnostics) -> u32 {
        let one = Node::from_value(&1.into(), node.origin.as_ref());
        let count = node.get("count").unwrap_or(&one);
        let error = |message: String, help: &str| {
            Diagnostic::error(message)
                .help(help)
                .at(count.origin.clone())
        };
        let Some(number) = count.as_u64() else {
            let negative =
                matches!(&count.value, NodeValue::Number(one) if one.as_f64() < Some(0.0));
            let (message, help) = if negative {
                (
                    format!("`{name}` cannot have {} VMs", count.to_json()),
                    "write 0 to have none, or remove the type",
                )
            } else {
                (
                    format!("`count` must be a whole number, not {}", count.describe()),
                    "write how many VMs of this type there are, for example `count: 3`",
                )
            };
            problems.push(error(message, help));
            return 0;
        };
        let free = u64::from(MAX_VMS).saturating_sub(self.vms.len() as u64);
        match u32::try_from(number) {
            Ok(fits) if number <= free => fits,
            _ => {
                let message =
                    format!("with {number} of `{name}` the group has more than {MAX_VMS} VMs");
                problems.push(error(
                    message,
                    "lower `count`, or split the VMs into several groups",
                ));
                0
            }
        }
    }
}

/// A VM's place among the VMs.
struct Place<'n> {
    vm_type: &'n str,
    type_index: u32,
    index: u32,
    count: u32,
    host: Option<String>,
    origin: Option<Location>,
}

impl Place<'_> {
    fn vm(self, name: String, keys: VmKeys, node: Node, own: Option<Node>) -> VmSpec {
        VmSpec {
            name,
            vm_type: self.vm_type.to_owned(),
            type_index: self.type_index,
            index: self.index,
            count: self.count,
            host: self.host,
            template: keys.template,
            template_origin: keys.template_origin,
            fields: keys.fields,
            start: keys.start,
            protect: keys.protect,
            boot: keys.boot,
            device_keys: keys.device_keys,
            node,
            own,
            origin: self.origin,
        }
    }
}

fn check_overrides(name: &str, names: &[String], layers: &Layers, problems: &mut Diagnostics) {
    let Some(vms) = layers.types.get(name).and_then(|one| one.own("vms")) else {
        return;
    };
    let Some(map) = vms.as_map() else {
        let message = format!(
            "`vms` must be a map from names of VMs to settings, not {}",
            vms.describe()
        );
        let first = names.first().cloned().unwrap_or_else(|| vm_name(name, 1));
        let help = format!("write `vms: {{{first}: {{memory: 8GiB}}}}`");
        problems.push(Diagnostic::error(message).help(help).at(vms.origin.clone()));
        return;
    };
    for (vm, entry) in map {
        if too_many(problems) {
            return;
        }
        let is_made = names.iter().any(|one| one == vm);
        let could_be = vm
            .strip_prefix(name)
            .and_then(|number| number.parse::<u32>().ok())
            .is_some_and(|index| index > 0 && vm_name(name, index) == *vm);
        if !is_made && could_be {
            let count = names.len();
            let message = format!("`{vm}` is not made: `{name}` has {count} VMs");
            let problem =
                Diagnostic::warning(message).help("raise `count`, or remove these settings");
            problems.push(problem.at(entry.key_origin.clone()));
        } else if !is_made {
            let help = did_you_mean(vm, names.iter().map(String::as_str), "VMs of this type");
            let problem = Diagnostic::error(format!("`{name}` has no VM named `{vm}`")).help(help);
            problems.push(problem.at(entry.key_origin.clone()));
        }
        let Some(settings) = entry.node.as_map() else {
            let message = format!(
                "`{vm}` must be a map of settings, not {}",
                entry.node.describe()
            );
            let help = format!("write `{vm}: {{memory: 8GiB}}`");
            problems.push(
                Diagnostic::error(message)
                    .help(help)
                    .at(entry.node.origin.clone()),
            );
            continue;
        };
        for (key, entry) in settings
            .iter()
            .filter(|(key, _)| TYPE_KEYS.contains(&key.as_str()))
        {
            let problem = Diagnostic::error(format!(
                "`{key}` is a matter of the whole type, and cannot be set for one VM"
            ));
            let help = format!("move `{key}` to `{name}`");
            problems.push(problem.help(help).at(entry.key_origin.clone()));
        }
    }
}
