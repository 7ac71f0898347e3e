//! What `apply` does to a VM that is there and ours: only what differs, in an order that can be
//! stopped anywhere.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::apply::ApplyOptions;
use super::create::{LeftOver, refuse_lost_zvol, volume_steps};
use super::defaults::with_defaults;
use super::effects::{self, Of};
use super::observed::{Observed, ObservedDevice, ObservedVm, PowerState};
use super::orders;
use super::pairing::{Standing, differences, pair_all};
use super::removal;
use super::step::{Change, EXISTS, Effect, Step};
use super::volume_rule::VolumeRule;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::mark::Mark;
use crate::release::Release;
use crate::resolve::{DesiredDevice, DesiredVm};

/// What stands for a secret in a plan.
const SECRET: &str = "(secret)";

/// What is to be done to one VM.
#[derive(Debug, Default)]
pub(super) struct Changed {
    pub(super) steps: Vec<Step>,
    pub(super) changes: Vec<Change>,
    /// Devices that go, for showing.
    pub(super) removed: Vec<DesiredDevice>,
    /// The VMs that must be done first.
    pub(super) after: BTreeSet<String>,
}

/// One VM, desired and found.
pub(super) struct Existing<'a> {
    pub(super) vm: &'a DesiredVm,
    pub(super) found: &'a ObservedVm,
    pub(super) mark: &'a Mark,
    pub(super) observed: &'a Observed,
    pub(super) release: &'a Release,
    pub(super) options: &'a ApplyOptions<'a>,
    pub(super) rule: &'a VolumeRule<'a>,
}

impl Existing<'_> {
    /// Compares everything.
    pub(super) fn plan(&self, problems: &mut Diagnostics) -> Changed {
        let mut changes = Vec::new();
        let mut steps = Vec::new();
        steps.extend(self.fields(&mut changes, problems));
        let (standings, extra) = pair_all(&self.vm.devices, &self.found.devices);
        steps.extend(self.volumes(&standings, &mut changes, problems));
        steps.extend(self.updates(&standings, &mut changes));

        let missing: Vec<&DesiredDevice> = self
            .vm
            .devices
            .iter()
            .zip(&standings)
            .filter_map(|(device, standing)| {
                matches!(standing, Standing::Missing).then_some(device)
            })
            .collect();
        changes.extend(self.comings_and_goings(&missing, &extra));
        let mut after = BTreeSet::new();
        let removal = self.removal(&extra, &mut after, problems);
        let added = volume_steps(
            self.vm,
            missing.iter().copied(),
            self.mark,
            self.observed,
            LeftOver::Grows,
            problems,
        );
        let pending = changes.iter().any(|one| one.effect == Effect::NextStart);
        let waits = pending || !missing.is_empty() || !extra.is_empty();
        let restart = waits && self.must_be_off(&extra, problems);
        if restart {
            for change in &mut changes {
                if change.effect == Effect::NextStart {
                    change.effect = Effect::Restart;
                }
            }
            // First of all: whoever is killed after this leaves a VM that is off, which the next
            // apply sees and starts. A change made before the stop would be seen by nobody.
            steps.insert(0, Step::StopVm);
        }
        steps.extend(removal);
        steps.extend(added);
        steps.extend(
            missing
                .into_iter()
                .cloned()
                .map(|device| Step::CreateDevice { device }),
        );
        if restart || (self.vm.start && self.found.state == PowerState::Stopped) {
            steps.push(Step::StartVm);
        }
        if !steps.is_empty() {
            self.refuse_unclear_state(problems);
        }
        Changed {
            steps,
            changes,
            removed: extra
                .into_iter()
                .map(|one| removal::shown_device(one, self.name_of(one)))
                .collect(),
            after,
        }
    }

    /// The name of a device that goes.
    fn name_of(&self, device: &ObservedDevice) -> String {
        removal::device_name(device, self.observed, &self.vm.devices)
    }

    fn is_off(&self) -> bool {
        self.found.state == PowerState::Stopped
    }

    fn effect(&self, of: Of, attribute: &str) -> Effect {
        effects::effect(of, attribute, self.is_off(), self.release)
    }

    /// The fields that differ. One that the server does not show is one it does not have.
    fn fields(&self, changes: &mut Vec<Change>, problems: &mut Diagnostics) -> Option<Step> {
        let (mut fields, mut before) = (Map::new(), Map::new());
        for (name, wanted) in &with_defaults(&self.vm.fields, &self.found.fields, self.release) {
            if name == "name" {
                continue;
            }
            let Some(is) = self.found.fields.get(name).filter(|is| *is != wanted) else {
                continue;
            };
            let effect = self.effect(Of::Vm, name);
            changes.push(Change {
                device: None,
                attribute: name.clone(),
                from: is.clone(),
                to: wanted.clone(),
                effect,
            });
            if effect == Effect::Refused {
                problems.push(
                    Diagnostic::refusal(format!(
                        "`{name}` is {is} on the server and {wanted} in the config, and cannot be changed once the VM is made"
                    ))
                    .help("set it back, or destroy the VM and create it again")
                    .at(self.vm.origin.clone())
                    .vm(&self.vm.name),
                );
            } else {
                fields.insert(name.clone(), wanted.clone());
                before.insert(name.clone(), is.clone());
            }
        }
        (!fields.is_empty()).then_some(Step::UpdateVm { fields, before })
    }

    /// Zvols of devices that are there: they may grow.
    fn volumes(
        &self,
        standings: &[Standing<'_>],
        changes: &mut Vec<Change>,
        problems: &mut Diagnostics,
    ) -> Vec<Step> {
        let mut steps = Vec::new();
        for (device, standing) in self.vm.devices.iter().zip(standings) {
            if matches!(standing, Standing::Missing) {
                continue;
            }
            refuse_lost_zvol(self.vm, device, self.observed, problems);
            let Some(volume) = &device.volume else {
                continue;
            };
            let found = self.observed.datasets.get(&volume.dataset);
            let Some(is) = found.and_then(|one| one.volsize) else {
                continue;
            };
            if is == volume.size {
                continue;
            }
            let grows = is < volume.size;
            let row = if grows { "zvol grows" } else { "zvol shrinks" };
            changes.push(Change {
                device: Some(device.name.clone()),
                attribute: "size".to_owned(),
                from: is.into(),
                to: volume.size.into(),
                effect: self.effect(Of::Whole, row),
            });
            if grows {
                steps.push(Step::GrowVolume {
                    dataset: volume.dataset.clone(),
                    size: volume.size,
                    before: is,
                    device: device.name.clone(),
                });
            } else {
                problems.push(
                    Diagnostic::refusal(format!(
                        "{} has {is} bytes and would shrink to {}, which cuts off data",
                        volume.dataset, volume.size
                    ))
                    .help("set the size back; to make a disk smaller, add a new one, copy the data within the guest, then remove the old one")
                    .at(device.origin.clone())
                    .vm(&self.vm.name)
                    .device(&device.name),
                );
            }
        }
        steps
    }

    /// Devices that are there and differ. In the order of their new places: giving a place that is
    /// taken pushes the devices behind it upwards (`vm.device.update`, all versions), so those in
    /// front are never moved again.
    fn updates(&self, standings: &[Standing<'_>], changes: &mut Vec<Change>) -> Vec<Step> {
        let moved = orders::moved(&self.vm.devices, standings);
        let mut pairs: Vec<(&DesiredDevice, &ObservedDevice)> = self
            .vm
            .devices
            .iter()
            .zip(standings)
            .filter_map(|(device, standing)| Some((device, standing.found()?)))
            .collect();
        pairs.sort_by_key(|(device, _)| device.order);
        pairs
            .into_iter()
            .filter_map(|(device, is)| {
                self.update(device, is, moved.contains(device.name.as_str()), changes)
            })
            .collect()
    }

    fn update(
        &self,
        device: &DesiredDevice,
        is: &ObservedDevice,
        moves: bool,
        changes: &mut Vec<Change>,
    ) -> Option<Step> {
        let kind = static_kind(is.kind());
        let mut before = Map::new();
        let mut changed = Vec::new();
        let mut nulls = Map::new();
        let mut note = |attribute: &str, from: Value, to: Value, effect: Effect| {
            changes.push(Change {
                device: Some(device.name.clone()),
                attribute: attribute.to_owned(),
                from,
                to,
                effect,
            });
            changed.push(attribute.to_owned());
        };
        for (attribute, from, to) in differences(device, is) {
            let effect = self.effect(Of::Device(kind), &attribute);
            before.insert(attribute.clone(), from.clone());
            if to.is_null() {
                // Left out so far, and now to be sent.
                nulls.insert(attribute.clone(), Value::Null);
            }
            note(&attribute, from, to, effect);
        }
        for attribute in self.changed_secrets(device, is) {
            let effect = self.effect(Of::Device(kind), &attribute);
            note(&attribute, SECRET.into(), SECRET.into(), effect);
        }
        let mut order_before = None;
        if moves {
            order_before = is.order;
            if is.order == Some(device.order) {
                changed.push("order".to_owned());
            } else {
                let effect = self.effect(Of::Whole, "order");
                note("order", is.order.into(), device.order.into(), effect);
            }
        }
        let mut device = device.clone();
        device.attributes.extend(nulls);
        (!changed.is_empty()).then_some(Step::UpdateDevice {
            id: is.id,
            device,
            changed,
            before,
            order_before,
        })
    }

    /// Attributes whose secret the server shows to be another one. A masked secret says nothing.
    fn changed_secrets(&self, device: &DesiredDevice, is: &ObservedDevice) -> BTreeSet<String> {
        let whole = Value::Object(is.attributes.clone());
        device
            .secrets
            .iter()
            .filter(|one| {
                let seen = whole.pointer(&one.pointer).and_then(Value::as_str);
                seen.is_some_and(|seen| !(self.options.same_secret)(&one.secret, seen))
            })
            .map(crate::plugin::SecretRef::attribute)
            .collect()
    }

    /// Devices as a whole. One that comes in the very place of one of its type that goes replaces it,
    /// as when its file or zvol is another one.
    fn comings_and_goings(
        &self,
        missing: &[&DesiredDevice],
        extra: &[&ObservedDevice],
    ) -> Vec<Change> {
        let change = |device: &str, attribute: &str, from: Value, to: Value, effect| Change {
            device: Some(device.to_owned()),
            attribute: attribute.to_owned(),
            from,
            to,
            effect,
        };
        let comes = missing.iter().map(|device| {
            let replaced = extra.iter().find_map(|gone| replaced(device, gone));
            match replaced {
                Some((attribute, from, to)) => {
                    let effect = self.effect(Of::Whole, "device is replaced");
                    change(&device.name, attribute, from, to, effect)
                }
                None => {
                    let effect = self.effect(Of::Whole, "device is added");
                    change(&device.name, EXISTS, false.into(), true.into(), effect)
                }
            }
        });
        let goes = extra.iter().map(|device| {
            let effect = self.effect(Of::Whole, "device is removed");
            let name = self.name_of(device);
            change(&name, EXISTS, true.into(), false.into(), effect)
        });
        comes.chain(goes).collect()
    }

    /// Devices that no config wants, and zvols of this VM that no device has or gets.
    fn removal(
        &self,
        extra: &[&ObservedDevice],
        after: &mut BTreeSet<String>,
        problems: &mut Diagnostics,
    ) -> Vec<Step> {
        let mut steps: Vec<Step> = extra
            .iter()
            .map(|device| Step::DeleteDevice {
                id: device.id,
                name: self.name_of(device),
            })
            .collect();
        steps.extend(self.rule.delete_unwanted(self.mark, after, problems));
        if self.is_protected() && !steps.is_empty() {
            let names = steps.iter().filter_map(|step| match step {
                Step::DeleteDevice { name, .. } => Some(name.as_str()),
                Step::DeleteVolume { dataset, .. } => Some(dataset.as_str()),
                _ => None,
            });
            let names: Vec<&str> = names.collect();
            problems.push(removal::protected(
                &self.vm.name,
                &format!("{} would be removed from it", names.join(", ")),
            ));
        }
        steps
    }

    fn is_protected(&self) -> bool {
        self.vm.protect || self.found.protected
    }

    /// Whether the VM is stopped and started by the plan.
    fn must_be_off(&self, extra: &[&ObservedDevice], problems: &mut Diagnostics) -> bool {
        if self.is_off() {
            return false;
        }
        if !self.options.restart && !extra.is_empty() {
            let names: Vec<String> = extra.iter().map(|one| self.name_of(one)).collect();
            problems.push(
                Diagnostic::refusal(format!(
                    "runs, and {} cannot be removed from a VM that runs",
                    names.join(", ")
                ))
                .help("`--restart` shuts it down for that and starts it again; or shut it down yourself first")
                .at(self.vm.origin.clone())
                .vm(&self.vm.name),
            );
        }
        self.options.restart
    }

    fn refuse_unclear_state(&self, problems: &mut Diagnostics) {
        let (what, help) = match self.found.state {
            PowerState::Running | PowerState::Stopped => return,
            PowerState::Suspended => (
                "is suspended",
                "resume it or power it off on the server, then run the same command again",
            ),
            PowerState::Error => (
                "is in a state that the server cannot tell",
                "look at it on the server: libvirt does not answer for it",
            ),
        };
        problems.push(
            Diagnostic::refusal(format!("{what}, so nothing of it is changed"))
                .help(help)
                .at(self.vm.origin.clone())
                .vm(&self.vm.name),
        );
    }
}

/// What makes the device that comes another one than the device that goes, if it takes its place.
fn replaced(comes: &DesiredDevice, goes: &ObservedDevice) -> Option<(&'static str, Value, Value)> {
    let same_place = goes.order == Some(comes.order);
    let kind = comes.attributes.get("dtype").and_then(Value::as_str);
    if !same_place || kind != goes.kind() {
        return None;
    }
    ["path", "pptdev", "device"]
        .into_iter()
        .find_map(|attribute| {
            let to = comes.attributes.get(attribute)?;
            let from = goes.attributes.get(attribute)?;
            Some((attribute, from.clone(), to.clone()))
        })
}

/// The name of a type that the table of effects may know.
fn static_kind(kind: Option<&str>) -> &'static str {
    const KNOWN: [&str; 4] = ["DISK", "NIC", "DISPLAY", "CDROM"];
    KNOWN
        .into_iter()
        .find(|known| Some(*known) == kind)
        .unwrap_or("")
}
