//! Rules common to all devices: creation, update, removal, the order, and the entry.

use serde_json::{Value, json};

use super::old_attributes::old_attributes_model;
use super::{attributes_model, cdrom, disk, display, nic, passthrough, vm};
use crate::errors::{Complaint, EINVAL, Failure};
use crate::json::{Object, flag, text};
use crate::schema::Checker;
use crate::version::{Line, Version};
use crate::world::{Device, Event, World};

/// What a device is checked against.
pub(crate) struct Candidate<'a> {
    /// The VM it belongs to.
    pub(crate) vm: i64,
    /// Its id, unless it is new.
    pub(crate) id: Option<i64>,
    /// Its complete attributes.
    pub(crate) attributes: &'a Object,
    /// The attributes before an update.
    pub(crate) old: Option<&'a Object>,
}

/// Collects complaints about one device; attributes are written as the plugin writes them.
#[derive(Default)]
pub(crate) struct Complaints(Vec<Complaint>);

impl Complaints {
    /// A problem with errno 22.
    pub(crate) fn add(&mut self, attribute: &str, text: impl Into<String>) {
        self.add_errno(attribute, text, EINVAL);
    }

    /// A problem with an errno of its own.
    pub(crate) fn add_errno(&mut self, attribute: &str, text: impl Into<String>, errno: i32) {
        self.0
            .push((Some(attribute.to_owned()), text.into(), errno));
    }

    fn finish(self) -> Result<(), Failure> {
        if self.0.is_empty() {
            Ok(())
        } else {
            Err(Failure::validation(self.0))
        }
    }
}

/// `vm.device.create`: `attributes` passed the schema already, except in 24.10, which looks for the VM
/// first.
pub(crate) fn create(
    world: &mut World,
    vm_id: i64,
    order: Option<i64>,
    mut attributes: Object,
) -> Result<i64, Failure> {
    vm::find(world, vm_id)?;
    if world.version.has_dtype_beside_attributes() {
        attributes = check_old_attributes(attributes)?;
    }
    check(
        world,
        &Candidate {
            vm: vm_id,
            id: None,
            attributes: &attributes,
            old: None,
        },
    )?;
    prepare(world, None, &mut attributes)?;
    let id = world.insert_device(vm_id, None, attributes);
    reorder(world, id, vm_id, order);
    announce(world, id, "added");
    Ok(id)
}

/// `vm.device.update`. Schema 25.10.5: attributes may be partial, they are merged key by key.
pub(crate) fn update(world: &mut World, id: i64, changes: &Object) -> Result<(), Failure> {
    let device = find(world, id)?.clone();
    let vm_id = changes
        .get("vm")
        .and_then(Value::as_i64)
        .unwrap_or(device.vm);
    vm::find(world, vm_id)?;
    let mut merged = device.attributes.clone();
    if let Some(given) = changes.get("attributes").and_then(Value::as_object) {
        if world.version.has_dtype_beside_attributes() {
            refuse_inner_dtype(given)?;
            merged.retain(|key, _| key == "dtype");
        }
        merged.extend(given.clone());
    }
    if let Some(dtype) = changes.get("dtype") {
        merged.insert("dtype".into(), dtype.clone());
    }
    let mut attributes = if world.version.has_dtype_beside_attributes() {
        check_old_attributes(merged)?
    } else {
        check_merged(world, &device, merged)?
    };
    let candidate = Candidate {
        vm: vm_id,
        id: Some(id),
        attributes: &attributes,
        old: Some(&device.attributes),
    };
    check(world, &candidate)?;
    prepare(world, Some(id), &mut attributes)?;
    if let Some(stored) = world.devices.get_mut(&id) {
        stored.vm = vm_id;
        stored.attributes = attributes;
    }
    // Recorded on 25.04.2.6 and 26.0.0-BETA.3: without an order the answered one is stored, which
    // pushes others with the same away.
    let order = match changes.get("order") {
        Some(order) => order.as_i64(),
        None => Some(device.shown_order()),
    };
    reorder(world, id, vm_id, order);
    announce(world, id, "changed");
    Ok(())
}

fn check_merged(world: &World, device: &Device, merged: Object) -> Result<Object, Failure> {
    let dtype = text(&merged, "dtype").to_owned();
    let Some(model) = attributes_model(&world.version, &dtype) else {
        return Err(Failure::invalid(
            "attributes.dtype",
            format!("{dtype:?} is no device type"),
        ));
    };
    // Recorded on 26.0.0-BETA.3: with another type the keys of the old one are unknown. On 25.04.2.6 they
    // are named alone.
    let path = if world.version.names_members_alone() {
        String::new()
    } else {
        format!("attributes.{dtype}")
    };
    let attributes = Checker::of(&world.version).object(model, &Value::Object(merged), &path)?;
    if dtype != device.dtype() {
        return Err(Failure::invalid(
            "attributes.dtype",
            "Device type cannot be changed",
        ));
    }
    Ok(attributes)
}

/// A type among the attributes, which 24.10 does not know there.
pub(crate) fn refuse_inner_dtype(attributes: &Object) -> Result<(), Failure> {
    if attributes.contains_key("dtype") {
        return Err(Failure::invalid("dtype", "Field was not expected"));
    }
    Ok(())
}

/// The attributes of 24.10, kept with their type among them as those of every version are. Recorded on
/// 24.10.2.5: complaints carry the bare member.
fn check_old_attributes(mut given: Object) -> Result<Object, Failure> {
    let dtype = given.shift_remove("dtype").unwrap_or_default();
    let model = old_attributes_model(dtype.as_str().unwrap_or_default());
    let Some(model) = model else {
        return Err(Failure::invalid(
            "vmdevice_create.dtype",
            format!("Invalid choice: {dtype}"),
        ));
    };
    let checked = Checker::Old.object(model, &Value::Object(given), "")?;
    let mut attributes = Object::from_iter([("dtype".to_owned(), dtype)]);
    attributes.extend(checked);
    Ok(attributes)
}

/// Attributes that passed the newest model, as a version keeps them: 24.10 has no serials, and drops
/// what it has consumed.
pub(crate) fn as_stored(version: &Version, mut attributes: Object) -> Object {
    if version.has_dtype_beside_attributes() {
        let foreign = [
            "serial",
            "create_zvol",
            "zvol_name",
            "zvol_volsize",
            "exists",
        ];
        attributes.retain(|key, _| !foreign.contains(&key.as_str()));
    }
    attributes
}

/// `vm.device.delete`. Texts recorded on 25.10 line and 26.0.0-BETA.3.
pub(crate) fn delete(world: &mut World, id: i64, options: &Object) -> Result<(), Failure> {
    let device = find(world, id)?.clone();
    if world
        .vms
        .get(&device.vm)
        .is_some_and(crate::world::Vm::is_active)
    {
        return Err(Failure::fault(
            "Please stop/resume associated VM before deleting VM device.",
        ));
    }
    let removed = remove_backing(world, &device, options);
    match removed {
        // `force` swallows refusals and nothing else.
        Err(Failure::Call { .. }) if flag(options, "force") => {}
        other => other?,
    }
    drop_device(world, id);
    Ok(())
}

/// Forgets a device and tells subscribers.
pub(crate) fn drop_device(world: &mut World, id: i64) {
    world.devices.remove(&id);
    world.emit(Event {
        kind: "removed",
        collection: "vm.device.query",
        id: json!(id),
        fields: None,
        extra: None,
    });
}

/// The device, or the server's way of saying there is none.
pub(crate) fn find(world: &World, id: i64) -> Result<&Device, Failure> {
    world
        .devices
        .get(&id)
        .ok_or_else(|| Failure::not_found("VMDevice", &id.to_string()))
}

/// The entry of `vm.device.query`. Recorded on 25.10.7; the password is masked for callers that may
/// not write devices (code reading: secret fields, 25.04+).
pub(crate) fn entry(version: &Version, device: &Device, show_secrets: bool) -> Value {
    let mut attributes = device.attributes.clone();
    if version.has_dtype_beside_attributes() {
        let dtype = attributes.shift_remove("dtype");
        return json!({
            "id": device.id, "dtype": dtype, "attributes": attributes, "order": device.shown_order(),
            "vm": device.vm,
        });
    }
    if !show_secrets && attributes.get("password").is_some_and(Value::is_string) {
        attributes.insert("password".into(), json!("********"));
    }
    json!({"id": device.id, "attributes": attributes, "vm": device.vm, "order": device.shown_order()})
}

/// Whether a device can be used by a VM that starts, and how the server names it when not.
/// Code reading: `vm.start`, 25.10.7; the DISK text is recorded.
pub(crate) fn unavailable(world: &World, device: &Device) -> Option<String> {
    let attributes = &device.attributes;
    let (available, label) = match device.dtype() {
        "DISK" => (
            disk::is_usable(world, text(attributes, "path")),
            text(attributes, "path").to_owned(),
        ),
        "RAW" | "CDROM" => {
            let path = text(attributes, "path");
            (
                world.files.contains_key(path) || world.is_directory(path),
                path.to_owned(),
            )
        }
        "NIC" => {
            let attach = text(attributes, "nic_attach");
            let known = match attach {
                "" => world
                    .interfaces
                    .iter()
                    .any(|interface| !interface.addresses.is_empty()),
                name => world
                    .interfaces
                    .iter()
                    .any(|interface| interface.name == name),
            };
            (
                known && nic::parses(text(attributes, "mac")),
                attach.to_owned(),
            )
        }
        "DISPLAY" => {
            let bind = text(attributes, "bind");
            (
                display::bind_choices(world)
                    .iter()
                    .any(|choice| choice == bind),
                bind.to_owned(),
            )
        }
        "ISCSI_DISK" => (true, String::new()),
        _ => (
            passthrough::is_usable(world, device),
            passthrough::label(device),
        ),
    };
    (!available).then(|| format!("{} Device: {label}", device.dtype()))
}

fn check(world: &World, candidate: &Candidate<'_>) -> Result<(), Failure> {
    let mut complaints = Complaints::default();
    match text(candidate.attributes, "dtype") {
        "DISK" => disk::check_disk(world, candidate, &mut complaints)?,
        "RAW" => disk::check_raw(world, candidate, &mut complaints),
        "CDROM" => cdrom::check(world, candidate, &mut complaints)?,
        "NIC" => nic::check(world, candidate, &mut complaints),
        "DISPLAY" => display::check(world, candidate, &mut complaints)?,
        // The portal is only asked when the VM starts.
        "ISCSI_DISK" => {}
        _ => passthrough::check(world, candidate, &mut complaints),
    }
    complaints.finish()
}

/// What a valid device brings about before it is stored.
fn prepare(world: &mut World, id: Option<i64>, attributes: &mut Object) -> Result<(), Failure> {
    match text(attributes, "dtype") {
        "DISK" => disk::prepare_disk(world, attributes, id.is_none()),
        "RAW" => {
            disk::prepare_raw(world, attributes, id.is_none());
            Ok(())
        }
        "NIC" => {
            nic::prepare(world, attributes);
            Ok(())
        }
        "DISPLAY" => {
            display::fill_ports(world, id, attributes);
            Ok(())
        }
        _ => Ok(()),
    }
}

/// Stores an order and pushes the others of the VM upwards when it is taken. Recorded on 25.10.7:
/// `vm.device.create` with an order; the orders compared are the answered ones.
fn reorder(world: &mut World, id: i64, vm_id: i64, order: Option<i64>) {
    if let Some(device) = world.devices.get_mut(&id) {
        device.order = order;
    }
    let Some(order) = order else { return };
    let mut others: Vec<(i64, i64)> = world
        .devices_of(vm_id)
        .filter(|device| device.id != id)
        .map(|device| (device.shown_order(), device.id))
        .collect();
    if !others.iter().any(|(taken, _)| *taken == order) {
        return;
    }
    others.sort_unstable();
    let mut used = vec![order];
    for (_, other) in others.into_iter().filter(|(shown, _)| *shown >= order) {
        let mut next = order + 1;
        while used.contains(&next) {
            next += 1;
        }
        used.push(next);
        if let Some(device) = world.devices.get_mut(&other) {
            device.order = Some(next);
        }
    }
}

fn remove_backing(world: &mut World, device: &Device, options: &Object) -> Result<(), Failure> {
    if flag(options, "zvol") {
        if device.dtype() != "DISK" {
            return Err(Failure::fault(
                "The device is not a disk and has no zvol to destroy.",
            ));
        }
        let path = text(&device.attributes, "path");
        let Some(zvol) = disk::zvol_of(path) else {
            return Err(Failure::fault(
                "Unable to destroy zvol as disk device has misconfigured path",
            ));
        };
        super::destroy::destroy(world, &zvol, false)?;
    }
    if flag(options, "raw_file") {
        if device.dtype() != "RAW" {
            return Err(Failure::fault("Device is not of RAW type."));
        }
        let path = text(&device.attributes, "path");
        if world.files.remove(path).is_none() {
            return Err(Failure::fault(format!("{path} does not exist.")));
        }
    }
    Ok(())
}

/// A device as events carry it: as it is stored, the password included, and nothing of how a zvol was
/// made. Recorded on 25.10.7 and 26.0.0-BETA.3; 27 sends what it answers.
pub(super) fn entry_of_event(version: &Version, device: &Device) -> Value {
    if version.line() >= Line::V27 || version.has_dtype_beside_attributes() {
        return entry(version, device, false);
    }
    let mut attributes = device.attributes.clone();
    for name in ["create_zvol", "zvol_name", "zvol_volsize"] {
        attributes.shift_remove(name);
    }
    json!({"id": device.id, "attributes": attributes, "order": device.shown_order(), "vm": device.vm})
}

fn announce(world: &mut World, id: i64, kind: &'static str) {
    let Some(device) = world.devices.get(&id) else {
        return;
    };
    let fields =
        (!world.version.announces_rows_by_id()).then(|| entry_of_event(&world.version, device));
    world.emit(Event {
        kind,
        collection: "vm.device.query",
        id: json!(id),
        fields,
        extra: None,
    });
}

#[cfg(test)]
mod tests;
