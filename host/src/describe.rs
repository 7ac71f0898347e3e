//! A config for VMs that exist: what is there, in the words of a config.
//!
//! Knows the keys of the host and of the built-in device types; whether the config really comes to
//! what is there, its user has to try.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use crate::config::vm_name;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::mark::Mark;
use crate::plan::{AdoptPlan, AdoptVm, Observed, ObservedDevice, ObservedVm, PowerState, disks_of};

/// Further keys of VMs, by the names of the VMs.
pub type Further = BTreeMap<String, Map<String, Value>>;

/// A VM by its name, in the keys of a config.
type Described<'a> = (&'a str, Map<String, Value>);

/// The least that a config can say of the VMs, without their devices: what differs then is what
/// it has to say besides, and no device can keep that from being found.
#[must_use]
pub fn draft(plan: &AdoptPlan, observed: &Observed) -> String {
    text_of(plan, observed, None).0
}

/// The config in YAML, and what of the VMs it cannot say.
#[must_use]
pub fn describe(plan: &AdoptPlan, observed: &Observed, further: &Further) -> (String, Diagnostics) {
    text_of(plan, observed, Some(further))
}

fn text_of(
    plan: &AdoptPlan,
    observed: &Observed,
    further: Option<&Further>,
) -> (String, Diagnostics) {
    let mut problems = Diagnostics::default();
    let mut types: BTreeMap<&str, Vec<Described<'_>>> = BTreeMap::new();
    let mut pool_path: Option<String> = None;
    for vm in &plan.vms {
        let Some(found) = observed.vms.iter().find(|found| found.id == vm.id) else {
            continue;
        };
        let mut keys = vm_keys(found);
        match further {
            Some(further) => {
                keys.extend(further.get(&vm.name).cloned().unwrap_or_default());
                keys.extend(device_keys(vm, found, observed, &mut problems));
            }
            None => {
                keys.insert("display".to_owned(), false.into());
            }
        }
        types
            .entry(&vm.mark.vm_type)
            .or_default()
            .push((&vm.name, keys));
        let first = disks_of(found).into_iter().next();
        let parent = first.and_then(|(_, zvol)| Some(zvol.rsplit_once('/')?.0.to_owned()));
        pool_path = pool_path.or(parent);
    }
    let mut config = Map::new();
    config.insert("group".to_owned(), plan.group.as_str().into());
    // A config must say where new disks go, also where there are none yet.
    let first_pool = || {
        let mut roots = observed
            .datasets
            .keys()
            .filter_map(|name| name.split('/').next());
        roots.next().map(str::to_owned)
    };
    let pool_path = pool_path
        .or_else(first_pool)
        .unwrap_or_else(|| "POOL/DATASET".to_owned());
    config.insert("storage".to_owned(), json!({"pool_path": pool_path}));
    for (vm_type, vms) in types {
        config.insert(vm_type.to_owned(), type_keys(vm_type, &vms).into());
    }
    let text = serde_yaml::to_string(&config).unwrap_or_default();
    let text = format!("# Written by `tnvm adopt --write` from what is on the server.\n{text}");
    (text, problems)
}

/// What all VMs of a type have in common stands with the type, the rest with each.
fn type_keys(vm_type: &str, vms: &[Described<'_>]) -> Map<String, Value> {
    let mut keys = Map::new();
    let numbered = (1..)
        .zip(vms)
        .all(|(index, (name, _))| vm_name(vm_type, index) == *name);
    if numbered {
        keys.insert("count".to_owned(), vms.len().into());
    } else {
        let names: Vec<&str> = vms.iter().map(|(name, _)| *name).collect();
        keys.insert("names".to_owned(), names.into());
    }
    let Some((_, first)) = vms.first() else {
        return keys;
    };
    // Ports count on from the first VM where they stand with the type.
    let is_common = |key: &str, value: &Value| {
        vms.len() == 1
            || (key != "display" && vms.iter().all(|(_, other)| other.get(key) == Some(value)))
    };
    let common: Map<String, Value> = first
        .iter()
        .filter(|(key, value)| is_common(key, value))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    let own: Map<String, Value> = vms
        .iter()
        .filter_map(|(name, all)| {
            let mut all = all.clone();
            all.retain(|key, _| !common.contains_key(key));
            (!all.is_empty()).then(|| ((*name).to_owned(), all.into()))
        })
        .collect();
    keys.extend(common);
    if !own.is_empty() {
        keys.insert("vms".to_owned(), own.into());
    }
    keys
}

/// The host's own keys; others come from comparing.
fn vm_keys(vm: &ObservedVm) -> Map<String, Value> {
    let mut keys = Map::new();
    let number = |field: &str| vm.number(field).unwrap_or(1);
    let (sockets, cores, threads) = (number("vcpus"), number("cores"), number("threads"));
    if (sockets, threads) == (1, 1) {
        keys.insert("cpu".to_owned(), cores.into());
    } else {
        let topology = json!({"sockets": sockets, "cores": cores, "threads": threads});
        keys.insert("topology".to_owned(), topology);
    }
    for field in ["memory", "min_memory"] {
        if let Some(mib) = vm.number(field) {
            keys.insert(field.to_owned(), format!("{mib}MiB").into());
        }
    }
    let description = vm.fields.get("description").and_then(Value::as_str);
    let description = Mark::own_text(description.unwrap_or_default());
    if !description.is_empty() {
        keys.insert("description".to_owned(), description.into());
    }
    if vm.state == PowerState::Stopped {
        keys.insert("start".to_owned(), false.into());
    }
    if vm.protected {
        keys.insert("protect".to_owned(), true.into());
    }
    keys
}

fn device_keys(
    plan: &AdoptVm,
    vm: &ObservedVm,
    observed: &Observed,
    problems: &mut Diagnostics,
) -> Map<String, Value> {
    let mut keys = Map::new();
    let disks = disks(plan, vm, observed);
    if !disks.is_empty() {
        keys.insert("disk".to_owned(), disks.into());
    }
    let of_kind = |kind: &'static str| {
        let mut found: Vec<&ObservedDevice> = vm
            .devices
            .iter()
            .filter(|device| device.kind() == Some(kind))
            .collect();
        found.sort_by_key(|device| (device.order, device.id));
        found
    };
    let nics: Map<String, Value> = (0..)
        .zip(of_kind("NIC"))
        .map(|(nth, device)| {
            if device.text("nic_attach").is_none() {
                problems.push(
                    Diagnostic::warning(format!(
                        "its NIC {} takes whatever interface has the default route, which a config cannot say",
                        device.id
                    ))
                    .help(format!("name the interface at `network.nic{nth}.bridge`"))
                    .vm(&vm.name),
                );
            }
            (format!("nic{nth}"), nic(device))
        })
        .collect();
    if !nics.is_empty() {
        keys.insert("network".to_owned(), nics.into());
    }
    let cdroms: Vec<&str> = of_kind("CDROM")
        .into_iter()
        .filter_map(|device| device.text("path"))
        .collect();
    if !cdroms.is_empty() {
        keys.insert("cdrom".to_owned(), cdroms.into());
    }
    if let Some(boot) = boot(vm, &keys) {
        keys.insert("boot".to_owned(), boot.into());
    }
    let displays = of_kind("DISPLAY");
    let display = displays
        .first()
        .map_or(Value::Bool(false), |one| display(one));
    keys.insert("display".to_owned(), display);
    let more_displays = displays.into_iter().skip(1);
    let is_known = |device: &ObservedDevice| {
        let on_zvol = device.kind() == Some("DISK") && device.zvol().is_some();
        on_zvol || matches!(device.kind(), Some("NIC" | "CDROM" | "DISPLAY"))
    };
    let unknown = vm.devices.iter().filter(|device| !is_known(device));
    for device in unknown.chain(more_displays) {
        let kind = device.kind().unwrap_or("without a type");
        problems.push(
            Diagnostic::warning(format!(
                "the built-in device types cannot say its device {} ({kind}), so an apply of this config would remove it",
                device.id
            ))
            .help("find or write a plugin for it, or keep this VM out of the config")
            .vm(&vm.name),
        );
    }
    keys
}

/// What it boots from, device by device, where that is not the usual order.
fn boot(vm: &ObservedVm, keys: &Map<String, Value>) -> Option<Vec<String>> {
    let name_of = |key: &str, nth: usize| match keys.get(key)? {
        Value::Object(named) => named.keys().nth(nth).map(|name| format!("{key}.{name}")),
        _ => Some(format!("{key}.{key}{nth}")),
    };
    let mut devices: Vec<&ObservedDevice> = vm
        .devices
        .iter()
        .filter(|device| matches!(device.kind(), Some("DISK" | "CDROM")))
        .collect();
    devices.sort_by_key(|device| (device.order, device.id));
    let (mut disks, mut cdroms) = (0, 0);
    let mut order = Vec::new();
    for device in &devices {
        let (key, nth) = match device.kind() {
            Some("DISK") => ("disk", &mut disks),
            _ => ("cdrom", &mut cdroms),
        };
        order.extend(name_of(key, *nth));
        *nth += 1;
    }
    let usual = devices.is_sorted_by_key(|device| device.kind() != Some("DISK"));
    (!usual).then_some(order)
}

fn disks(plan: &AdoptVm, vm: &ObservedVm, observed: &Observed) -> Map<String, Value> {
    let mut disks = Map::new();
    let mut named = BTreeSet::new();
    for (nth, (device, dataset)) in (0..).zip(disks_of(vm)) {
        let found = observed.datasets.get(&dataset);
        let marked = found.filter(|one| one.mark.as_ref() == Some(&plan.mark));
        let marked = marked.and_then(|one| one.device.as_deref());
        let planned = plan.zvols.iter().find(|zvol| zvol.dataset == dataset);
        let own = planned.map(|zvol| zvol.device.as_str()).or(marked);
        let mut keys = Map::new();
        let size = found.and_then(|one| one.volsize).filter(|_| own.is_some());
        match size {
            Some(size) => {
                keys.insert("size".to_owned(), in_words(size).into());
                if !size.is_multiple_of(LARGEST_BLOCK) {
                    // The largest power of two that divides it.
                    let block = in_words(1 << size.trailing_zeros());
                    keys.insert("block_size".to_owned(), block.into());
                }
            }
            // It stays whose it is.
            None => {
                keys.insert("path".to_owned(), dataset.into());
            }
        }
        for attribute in [
            "type",
            "iotype",
            "logical_sectorsize",
            "physical_sectorsize",
        ] {
            copy(device, attribute, attribute, &mut keys);
        }
        let name = own.map_or_else(
            || format!("disk{nth}"),
            |own| own.strip_prefix("disk.").unwrap_or(own).to_owned(),
        );
        if named.insert(name.clone()) {
            disks.insert(name, keys.into());
        }
    }
    disks
}

/// A size that is not a multiple of it has to name its block size (`pool.dataset.create`).
const LARGEST_BLOCK: u64 = 128 << 10;

fn in_words(bytes: u64) -> String {
    const UNITS: [(&str, u64); 2] = [("GiB", 1 << 30), ("KiB", 1 << 10)];
    let exact = UNITS.iter().find(|(_, one)| bytes.is_multiple_of(*one));
    match exact {
        Some((unit, one)) => format!("{}{unit}", bytes / one),
        None => format!("{bytes}B"),
    }
}

fn nic(device: &ObservedDevice) -> Value {
    let mut keys = Map::new();
    keys.insert("bridge".to_owned(), "".into());
    copy(device, "nic_attach", "bridge", &mut keys);
    // Up to 25.10 a NIC may have none, as those of the original tool do.
    keys.insert("mac".to_owned(), "server".into());
    for attribute in ["type", "mac"] {
        copy(device, attribute, attribute, &mut keys);
    }
    if device.attributes.get("trust_guest_rx_filters") == Some(&Value::Bool(true)) {
        keys.insert("trust_guest_rx_filters".to_owned(), true.into());
    }
    keys.into()
}

/// The password is left to the secret that displays have.
fn display(device: &ObservedDevice) -> Value {
    let mut keys = Map::new();
    for attribute in [
        "type",
        "port",
        "web_port",
        "resolution",
        "bind",
        "web",
        "wait",
    ] {
        copy(device, attribute, attribute, &mut keys);
    }
    keys.into()
}

fn copy(device: &ObservedDevice, attribute: &str, key: &str, keys: &mut Map<String, Value>) {
    if let Some(value) = device
        .attributes
        .get(attribute)
        .filter(|one| !one.is_null())
    {
        keys.insert(key.to_owned(), value.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_told_to_the_byte() {
        for (bytes, text) in [
            (3 << 30, "3GiB"),
            (3 << 29, "1572864KiB"),
            (128 << 10, "128KiB"),
            (512, "512B"),
            (3 * 512, "1536B"),
        ] {
            assert_eq!(in_words(bytes), text);
        }
    }
}
