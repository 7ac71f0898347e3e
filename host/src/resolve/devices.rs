//! The devices of one VM: each key to the plugin that claims it, each answer checked.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::{Map, Value, json};

use super::desired::DesiredDevice;
use super::orders;
use super::secrets;
use super::standing::{self, Verdict};
use super::vm::Inputs;
use crate::config::{DeviceKey, HOST_KEYS, Node, NodeValue, VmSpec};
use crate::diagnostic::{Diagnostic, Diagnostics, Location, nearest};
use crate::plugin::{
    BootOrder, PlanError, PlanRequest, PlannedDevice, Plugin, PluginDiagnostic, Subject, VmIdentity,
};
use crate::release::Release;

/// Plugins that failed for one VM and are not asked for the others: a plugin that hangs would cost
/// its whole deadline for each of a thousand VMs, to say the same every time.
#[derive(Debug, Default)]
pub(super) struct Broken(Mutex<HashSet<String>>);

impl Broken {
    fn contains(&self, plugin: &str) -> bool {
        self.names().contains(plugin)
    }

    fn add(&self, plugin: &str) {
        self.names().insert(plugin.to_owned());
    }

    /// A thread that panicked cannot have left a set of names half changed.
    fn names(&self) -> MutexGuard<'_, HashSet<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Asks every plugin that the VM concerns.
pub(super) fn resolve(
    inputs: Inputs<'_>,
    release: &Release,
    broken: &Broken,
    spec: &VmSpec,
    problems: &mut Diagnostics,
) -> Vec<DesiredDevice> {
    report_unclaimed(inputs, spec, problems);
    let mut found: Vec<(BootOrder, DesiredDevice)> = Vec::new();
    for plugin in inputs.plugins.iter() {
        let key = spec
            .device_keys
            .iter()
            .find(|one| one.key == plugin.descriptor().key);
        let Some(config) = wanted(plugin, key) else {
            continue;
        };
        if broken.contains(&plugin.descriptor().name) {
            continue;
        }
        let call = Call {
            inputs,
            release,
            broken,
            spec,
            plugin,
            key,
        };
        found.extend(call.devices(config, problems));
    }
    numbered(spec, found, problems)
}

/// The value to ask the plugin about; `None`: the plugin does not concern this VM.
fn wanted<'a>(plugin: &Plugin, key: Option<&'a DeviceKey>) -> Option<Option<&'a Node>> {
    match key.map(|one| &one.node) {
        Some(node) => match node.value {
            NodeValue::Bool(false) => None,
            // `display: true` and `display:` say no more than leaving it out does.
            NodeValue::Null | NodeValue::Bool(true) if plugin.descriptor().applies_by_default => {
                Some(None)
            }
            NodeValue::Null => None,
            _ => Some(Some(node)),
        },
        None => plugin.descriptor().applies_by_default.then_some(None),
    }
}

fn report_unclaimed(inputs: Inputs<'_>, spec: &VmSpec, problems: &mut Diagnostics) {
    for unclaimed in &spec.device_keys {
        if inputs.plugins.claiming(&unclaimed.key).is_some() {
            continue;
        }
        let known = HOST_KEYS.iter().copied().chain(inputs.plugins.keys());
        let near = nearest(&unclaimed.key, known);
        let device_types: Vec<&str> = inputs.plugins.keys().collect();
        let help = match near.first() {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!(
                "device types are loaded for {}; a plugin that claims `{}` can be added with `plugins:` or --plugins-dir",
                device_types.join(", "),
                unclaimed.key
            ),
        };
        problems.push(
            Diagnostic::error(format!("unknown key `{}` in a VM type", unclaimed.key))
                .help(help)
                .at(unclaimed.key_origin.clone()),
        );
    }
}

/// One plugin and one VM.
struct Call<'a> {
    inputs: Inputs<'a>,
    release: &'a Release,
    broken: &'a Broken,
    spec: &'a VmSpec,
    plugin: &'a Plugin,
    key: Option<&'a DeviceKey>,
}

impl Call<'_> {
    fn devices(
        &self,
        config: Option<&Node>,
        problems: &mut Diagnostics,
    ) -> Vec<(BootOrder, DesiredDevice)> {
        let value = config.map(Node::to_json);
        let against_schema = value
            .as_ref()
            .map(|value| self.plugin.check_config(value))
            .unwrap_or_default();
        if !against_schema.is_empty() {
            self.report(against_schema, problems);
            return Vec::new();
        }
        let request = self.request(value);
        match self.plugin.plan(&request) {
            Ok(planned) => {
                self.report(planned.warnings, problems);
                let allowed = secrets::Allowed::of(request.config.as_ref(), &request.template);
                planned
                    .devices
                    .into_iter()
                    .filter_map(|device| self.checked(device, &allowed, problems))
                    .collect()
            }
            Err(PlanError::Invalid(diagnostics)) => {
                self.report(diagnostics, problems);
                Vec::new()
            }
            Err(PlanError::Failed(cause)) => {
                self.broken.add(&self.plugin.descriptor().name);
                problems.push(cause.diagnostic().at(self.place("")));
                Vec::new()
            }
        }
    }

    fn request(&self, config: Option<Value>) -> PlanRequest {
        let Inputs {
            config: whole,
            templates,
            target_version,
            facts,
            ..
        } = self.inputs;
        let name = &self.plugin.descriptor().name;
        PlanRequest {
            vm: VmIdentity {
                name: self.spec.name.clone(),
                vm_type: self.spec.vm_type.clone(),
                type_index: self.spec.type_index,
                index: self.spec.index,
                count: self.spec.count,
                group: whole.group.clone(),
            },
            config,
            template: templates
                .device(name)
                .map_or_else(|| json!({}), |one| one.node.to_json()),
            storage: whole.storage.node.to_json(),
            target_version: target_version.to_owned(),
            facts: facts
                .iter()
                .find(|(plugin, _)| plugin == name)
                .map(|(_, granted)| granted.clone())
                .unwrap_or_default(),
            context: self.context(),
        }
    }

    /// What the contract calls `context`: `own`, the part of the config value that is said of this
    /// VM alone, so that a plugin can tell it from what all VMs of the type share.
    fn context(&self) -> Value {
        let own = self.spec.own.as_ref();
        match own.and_then(|own| own.get(&self.plugin.descriptor().key)) {
            Some(own) => json!({ "own": own.to_json() }),
            None => json!({}),
        }
    }

    /// A planned device as a desired one, or a problem when it asks for a secret it may not have or
    /// for what the server's version lacks.
    fn checked(
        &self,
        device: PlannedDevice,
        allowed: &secrets::Allowed,
        problems: &mut Diagnostics,
    ) -> Option<(BootOrder, DesiredDevice)> {
        let plugin = &self.plugin.descriptor().name;
        let mut fine = true;
        for secret in &device.secrets {
            if !allowed.contains(&secret.secret) {
                fine = false;
                problems.push(
                    Diagnostic::refusal(format!(
                        "the plugin `{plugin}` asks for the secret `{}`, which the config does not give it",
                        secret.secret
                    ))
                    .help("a plugin gets `display-password` and the references written under its own key; do not use this plugin if you do not know why it asks")
                    .at(self.place(""))
                    .vm(&self.spec.name),
                );
            }
        }
        let attributes = self.supported(&device, problems);
        fine &= attributes.is_some();
        let pointer = device
            .claims
            .first()
            .map_or("", |claim| claim.pointer.as_str());
        let desired = DesiredDevice {
            name: format!("{plugin}.{}", device.name),
            plugin: plugin.clone(),
            origin: self.place(pointer),
            attributes: attributes.unwrap_or_default(),
            order: 0,
            volume: device.volume,
            secrets: device.secrets,
            claims: device.claims,
        };
        fine.then_some((device.boot_order, desired))
    }

    /// The attributes that the server's version has; none where it lacks one that is asked for.
    fn supported(
        &self,
        device: &PlannedDevice,
        problems: &mut Diagnostics,
    ) -> Option<Map<String, Value>> {
        let text = device.attributes.get("dtype").and_then(Value::as_str);
        let kind = text.unwrap_or_default();
        let mut fine = true;
        let mut refuse = |problem: Diagnostic| {
            fine = false;
            problems.push(problem);
        };
        let place = self.place(&format!("/{}", device.name));
        if let Verdict::Refuse(problem) = standing::device(self.release, kind, place.as_ref()) {
            refuse(*problem);
            return None;
        }
        let mut attributes = device.attributes.clone();
        attributes.retain(|name, value| {
            let place = self.attribute_place(&device.name, name);
            match standing::attribute(self.release, kind, name, value, place.as_ref()) {
                Verdict::Send => true,
                Verdict::LeaveOut => false,
                Verdict::Refuse(problem) => {
                    refuse(*problem);
                    false
                }
            }
        });
        fine.then_some(attributes)
    }

    /// Where an attribute was written: under the device's name, under the key itself, or in the
    /// template; else the place of the device.
    fn attribute_place(&self, device: &str, attribute: &str) -> Option<Location> {
        let node = self.key.map(|key| &key.node);
        let own = node.and_then(|node| node.get(device)?.get(attribute));
        let written = own.or_else(|| node.and_then(|node| node.get(attribute)));
        let templates = self.inputs.templates;
        let template = templates.device(&self.plugin.descriptor().name);
        let in_template = || template.and_then(|one| one.node.get("attributes")?.get(attribute));
        match written.or_else(in_template) {
            Some(node) => node.origin.clone(),
            None => self.place(&format!("/{device}")),
        }
    }

    fn report(&self, diagnostics: Vec<PluginDiagnostic>, problems: &mut Diagnostics) {
        for one in diagnostics {
            let (place, key) = match one.subject {
                Subject::Config => (
                    self.place(&one.pointer),
                    self.plugin.descriptor().key.clone(),
                ),
                Subject::Template => (
                    self.template_place(&one.pointer),
                    format!("template {}", self.plugin.descriptor().name),
                ),
            };
            problems.push(Diagnostic {
                severity: one.severity,
                message: format!("{key}: {}", one.message),
                help: one.help,
                location: place,
                host: None,
                vm: None,
                device: None,
                refusal: false,
            });
        }
    }

    /// The place of a part of the config value; of the VM type where the key is absent.
    fn place(&self, pointer: &str) -> Option<Location> {
        self.key
            .and_then(|key| {
                key.node
                    .pointer(pointer)
                    .origin
                    .clone()
                    .or_else(|| key.key_origin.clone())
            })
            .or_else(|| self.spec.origin.clone())
    }

    fn template_place(&self, pointer: &str) -> Option<Location> {
        let template = self
            .inputs
            .templates
            .device(&self.plugin.descriptor().name)?;
        template.node.pointer(pointer).origin.clone()
    }
}

fn numbered(
    spec: &VmSpec,
    found: Vec<(BootOrder, DesiredDevice)>,
    problems: &mut Diagnostics,
) -> Vec<DesiredDevice> {
    let (wishes, mut devices): (Vec<BootOrder>, Vec<DesiredDevice>) = found.into_iter().unzip();
    let mut names = HashSet::new();
    for device in &devices {
        if !names.insert(device.name.as_str()) {
            problems.push(
                Diagnostic::error("the VM has two devices of this name")
                    .help("this is a fault of the plugin: tell its author")
                    .vm(&spec.name)
                    .device(&device.name),
            );
        }
    }
    let first = first_to_boot(spec, &wishes, &devices, problems);
    match orders::assign(&wishes, &first) {
        Ok(orders) => {
            for (device, order) in devices.iter_mut().zip(orders) {
                device.order = order;
            }
            devices.sort_by_key(|device| device.order);
        }
        Err(clashes) => {
            for clash in clashes {
                let device = devices.get(clash.device);
                problems.push(
                    Diagnostic::error(format!("two devices have the order {}", clash.order))
                        .help("give every device of a VM another `order`, or leave it out")
                        .at(device.and_then(|one| one.origin.clone()))
                        .vm(&spec.name),
                );
            }
        }
    }
    devices
}

/// For each device its place in the `boot` list of the config, where it has one.
fn first_to_boot(
    spec: &VmSpec,
    wishes: &[BootOrder],
    devices: &[DesiredDevice],
    problems: &mut Diagnostics,
) -> Vec<Option<usize>> {
    let mut places = vec![None; devices.len()];
    for (nth, entry) in spec.boot.iter().enumerate() {
        let text = entry.as_str().unwrap_or_default();
        let is_meant = |device: &DesiredDevice| {
            device.name == text || device.name.split('.').next() == Some(text)
        };
        let mut found = false;
        for ((device, wish), place) in devices.iter().zip(wishes).zip(&mut places) {
            if is_meant(device) && !matches!(wish, BootOrder::None) {
                found = true;
                place.get_or_insert(nth);
            }
        }
        if !found {
            let bootable = devices.iter().zip(wishes);
            let bootable = bootable.filter(|(_, wish)| !matches!(wish, BootOrder::None));
            let names: Vec<&str> = bootable.map(|(device, _)| device.name.as_str()).collect();
            let help = match nearest(text, names.iter().copied()).first() {
                Some(near) => format!("did you mean `{near}`?"),
                None if names.is_empty() => "it has no device to boot from".to_owned(),
                None => format!("it can boot from {}", names.join(", ")),
            };
            problems.push(
                Diagnostic::error(format!("it has no `{text}` to boot from"))
                    .help(help)
                    .at(entry.origin.clone())
                    .vm(&spec.name),
            );
        }
    }
    places
}
