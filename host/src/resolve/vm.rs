//! All VMs of a config: the fields of each from template and config, its devices from plugins.

use std::num::NonZero;

use serde_json::{Map, Value};

use super::claims;
use super::desired::{Desired, DesiredVm};
use super::devices::{self, Broken};
use super::standing::{self, Verdict};
use crate::config::{Config, Node, VmSpec};
use crate::diagnostic::{Diagnostic, Diagnostics, nearest};
use crate::mark::Mark;
use crate::plugin::PluginSet;
use crate::release::Release;
use crate::template::Templates;

/// Everything that decides what should be.
#[derive(Clone, Copy, Debug)]
pub struct Inputs<'a> {
    /// The VMs and the values that the user set.
    pub config: &'a Config,
    /// The templates.
    pub templates: &'a Templates,
    /// The device types.
    pub plugins: &'a PluginSet,
    /// The server's version as `25.10.7`; the newest supported one when planning offline.
    pub target_version: &'a str,
    /// Facts of the server by plugin name: only those it was granted.
    pub facts: &'a [(String, Vec<(String, Value)>)],
}

/// Works out every VM and device. What comes back is only fit for use when no diagnostic is an
/// error; then it is complete.
#[must_use]
pub fn resolve(inputs: Inputs<'_>) -> (Desired, Diagnostics) {
    let mut problems = Diagnostics::default();
    let mut vms = Vec::with_capacity(inputs.config.vms.len());
    let broken = Broken::default();
    for (vm, of_vm) in resolve_side_by_side(inputs, &broken) {
        vms.push(vm);
        problems.extend(of_vm);
    }
    claims::check(&vms, &mut problems);
    let desired = Desired {
        group: inputs.config.group.clone(),
        vms,
    };
    (desired, problems)
}

/// The VMs do not depend on each other, and the plugin calls are most of the work, so each core
/// takes a part. The result is in the order of the config whatever the threads do.
fn resolve_side_by_side(inputs: Inputs<'_>, broken: &Broken) -> Vec<(DesiredVm, Diagnostics)> {
    let specs = &inputs.config.vms;
    let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
    // Below this a thread costs more than it saves (a call takes some 50 µs, a thread the same).
    const WORTH_A_THREAD: usize = 16;
    let part = specs.len().div_ceil(cores).max(WORTH_A_THREAD);
    let one = |spec: &VmSpec| resolve_vm(inputs, broken, spec);
    if specs.len() <= part {
        return specs.iter().map(one).collect();
    }
    std::thread::scope(|scope| {
        let threads: Vec<_> = specs
            .chunks(part)
            .map(|part| {
                scope.spawn(move || {
                    part.iter()
                        .map(|spec| resolve_vm(inputs, broken, spec))
                        .collect()
                })
            })
            .collect();
        threads
            .into_iter()
            .flat_map(|thread| -> Vec<_> {
                thread
                    .join()
                    .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            })
            .collect()
    })
}

fn resolve_vm(inputs: Inputs<'_>, broken: &Broken, spec: &VmSpec) -> (DesiredVm, Diagnostics) {
    let mut problems = Diagnostics::default();
    let release = Release::of_text(inputs.target_version);
    let fields = fields(inputs, &release, spec, &mut problems);
    let devices = devices::resolve(inputs, &release, broken, spec, &mut problems);
    let vm = DesiredVm {
        name: spec.name.clone(),
        vm_type: spec.vm_type.clone(),
        fields,
        start: spec.start,
        protect: spec.protect,
        devices,
        origin: spec.origin.clone(),
    };
    (vm, problems)
}

/// The arguments of `vm.create`: what the template says, then what the config says, then what only
/// tnvm knows; nothing that the server's version lacks. A null of the template is a gap to be filled,
/// not a value to send.
fn fields(
    inputs: Inputs<'_>,
    release: &Release,
    spec: &VmSpec,
    problems: &mut Diagnostics,
) -> Map<String, Value> {
    let mut fields = Map::new();
    fields.insert("name".to_owned(), Value::from(spec.name.clone()));
    match inputs.templates.vm(&spec.template) {
        Some(template) => {
            let of_template = template.fields.as_map().into_iter().flatten();
            for (key, entry) in of_template {
                if !entry.node.is_null() && key != "name" {
                    let node = spec.fields.get(key).unwrap_or(&entry.node);
                    insert(&mut fields, release, key, node, problems);
                }
            }
        }
        None => {
            let names: Vec<&str> = inputs.templates.vm_names().collect();
            let near = nearest(&spec.template, names.iter().copied());
            let help = match near.first() {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("there is {}", names.join(", ")),
            };
            problems.push(
                Diagnostic::error(format!("there is no VM template `{}`", spec.template))
                    .help(help)
                    .at(spec.template_origin.clone().or_else(|| spec.origin.clone())),
            );
        }
    }
    for (key, node) in &spec.fields {
        if !fields.contains_key(key) {
            insert(&mut fields, release, key, node, problems);
        }
    }
    // A `memory` that is written and wrong has been reported, and left out of the fields.
    if !fields.contains_key("memory") && spec.node.get("memory").is_none() {
        problems.push(
            Diagnostic::error(format!("the VM type `{}` has no `memory`", spec.vm_type))
                .help("say how much, for instance `memory: 4GiB`; a bare number is MiB")
                .at(spec.origin.clone()),
        );
    }
    // The template of the original tool leaves these open; one vCPU is what the server would take.
    for one_by_default in ["cores", "threads", "vcpus"] {
        fields.entry(one_by_default).or_insert(Value::from(1));
    }
    let mark = Mark {
        group: inputs.config.group.clone(),
        vm_type: spec.vm_type.clone(),
        vm: spec.name.clone(),
    };
    let text = fields
        .get("description")
        .and_then(Value::as_str)
        .unwrap_or("");
    let description = mark.description(text, spec.protect);
    fields.insert("description".to_owned(), Value::from(description));
    fields
}

/// Adds a field that the server has; one that it lacks is left out or refused.
fn insert(
    fields: &mut Map<String, Value>,
    release: &Release,
    key: &str,
    node: &Node,
    problems: &mut Diagnostics,
) {
    let value = node.to_json();
    match standing::field(release, key, &value, node.origin.as_ref()) {
        Verdict::Send => {
            fields.insert(key.to_owned(), value);
        }
        Verdict::LeaveOut => {}
        Verdict::Refuse(problem) => problems.push(*problem),
    }
}
