//! From VM types to VMs: names, numbers, overrides of single VMs.
//!
//! Knows nothing of the file's other sections.

use std::collections::HashMap;

use super::layers::{Layers, OfVm, did_you_mean};
use super::model::{VmSpec, VmTypeInfo};
use super::names::{MAX_VMS, vm_name};
use super::node::{Node, NodeValue};
use super::text::too_many;
use super::vm_type::{self, TYPE_KEYS, VmKeys};
use crate::diagnostic::{Diagnostic, Diagnostics, Location};

/// Values that all VMs together may hold: a thousand VMs with a thousand each. Without it a small
/// file could ask for a thousand copies of a large one.
const MAX_EXPANDED: usize = 1_000_000;

/// The VMs, as types are added.
#[derive(Default)]
pub(super) struct Expansion {
    /// The VMs so far.
    pub(super) vms: Vec<VmSpec>,
    /// The types so far.
    pub(super) types: Vec<VmTypeInfo>,
    /// The type of every name so far.
    taken: HashMap<String, String>,
    values: usize,
}

impl Expansion {
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
        let count = self.count(name, &node, problems);
        let (keys, found) = vm_type::read(&node);
        problems.extend(found);
        check_overrides(name, count, layers, problems);
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
        for index in 1..=count {
            if too_many(problems) {
                return;
            }
            let vm = vm_name(name, index);
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
                origin: origin.clone(),
            };
            self.vms.push(place.vm(vm, keys, node, own));
        }
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
            template: keys.template,
            template_origin: keys.template_origin,
            fields: keys.fields,
            start: keys.start,
            protect: keys.protect,
            device_keys: keys.device_keys,
            node,
            own,
            origin: self.origin,
        }
    }
}

fn check_overrides(name: &str, count: u32, layers: &Layers, problems: &mut Diagnostics) {
    let Some(vms) = layers.types.get(name).and_then(|one| one.own("vms")) else {
        return;
    };
    let Some(map) = vms.as_map() else {
        let message = format!(
            "`vms` must be a map from names of VMs to settings, not {}",
            vms.describe()
        );
        let help = format!("write `vms: {{{}: {{memory: 8GiB}}}}`", vm_name(name, 1));
        problems.push(Diagnostic::error(message).help(help).at(vms.origin.clone()));
        return;
    };
    for (vm, entry) in map {
        if too_many(problems) {
            return;
        }
        let index = vm
            .strip_prefix(name)
            .and_then(|number| number.parse::<u32>().ok())
            .filter(|index| *index > 0 && vm_name(name, *index) == *vm);
        if index.is_some_and(|index| index > count) {
            let message = format!("`{vm}` is not made: `{name}` has {count} VMs");
            let problem =
                Diagnostic::warning(message).help("raise `count`, or remove these settings");
            problems.push(problem.at(entry.key_origin.clone()));
        } else if index.is_none() {
            let names: Vec<String> = (1..=count).map(|index| vm_name(name, index)).collect();
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
