//! `tnvm list`: the server's VMs, owned or not.

use serde::Serialize;

use super::args::{Global, ListArgs};
use super::exit::{Exit, Failure};
use super::fleet::{Fleet, Member, Target};
use super::output::{Meaning, Output, cell, meant};
use super::scope::known;
use super::session::{self, Opening};
use crate::plan::{ObservedDevice, ObservedVm, PowerState, size, summary};
use crate::truenas::Purpose;

/// One VM as `-o json` gives it. Members are added, never renamed.
#[derive(Debug, Serialize)]
struct Row {
    /// The server's name in the config, or its address; with `--all-hosts`.
    #[serde(skip_serializing_if = "Option::is_none")]
    host: Option<String>,
    name: String,
    id: u64,
    state: PowerState,
    vcpus: u64,
    memory_mib: u64,
    /// Whether tnvm made it under this name.
    owned: bool,
    group: Option<String>,
    #[serde(rename = "type")]
    vm_type: Option<String>,
    autostart: Option<bool>,
    display: Option<String>,
    devices: Vec<DeviceRow>,
}

#[derive(Debug, Serialize)]
struct DeviceRow {
    id: u64,
    dtype: String,
    order: Option<u32>,
    summary: String,
    attributes: serde_json::Map<String, serde_json::Value>,
}

/// Runs the command.
pub(super) async fn list(
    global: &Global,
    args: &ListArgs,
    output: &Output,
) -> Result<Exit, Failure> {
    let known = known(global, output)?;
    let opening = Opening {
        global,
        environment: &known.environment,
        vms_at_once: None,
        purpose: Purpose::Look,
        output,
    };
    let mut hosts = known.servers.chosen.clone();
    if !args.all_hosts && hosts.len() > 1 {
        hosts.truncate(1);
        let name = hosts.iter().find_map(|one| one.name.as_deref());
        output.note(&format!(
            "this is {} alone: `--all-hosts` lists all hosts, `--host NAME` another",
            name.unwrap_or_default()
        ));
    }
    let targets = hosts.into_iter().map(|host| Target {
        host,
        vms: Vec::new(),
        part: (),
    });
    let fleet = Fleet::open(
        &opening,
        targets.collect(),
        Vec::new(),
        async |session, ()| session::observe_vms(&session.client).await,
    )
    .await?;
    let mut rows = Vec::new();
    for member in &fleet.members {
        let Member {
            place,
            session,
            goal,
        } = member;
        let name = place.name.as_ref().unwrap_or(&session.host);
        let name = args.all_hosts.then_some(name);
        let of_host = goal.iter().map(|vm| row(vm, &session.host, name));
        let mut of_host: Vec<Row> = of_host.filter(|row| row.owned || !args.owned).collect();
        of_host.sort_by(|a, b| a.name.cmp(&b.name));
        rows.extend(of_host);
    }
    if output.is_json() {
        output.json(&rows);
    } else {
        print(&rows, args.all_hosts, output);
    }
    for absent in &fleet.absent {
        absent.tell(output);
    }
    let exit = if fleet.absent.is_empty() {
        Exit::Done
    } else {
        Exit::Connection
    };
    fleet.close().await;
    Ok(exit)
}

fn row(vm: &ObservedVm, host: &str, name: Option<&String>) -> Row {
    let owner = vm.owner();
    let mut devices: Vec<DeviceRow> = vm.devices.iter().map(device_row).collect();
    devices.sort_by_key(|device| (device.order, device.id));
    Row {
        host: name.cloned(),
        name: vm.name.clone(),
        id: vm.id,
        state: vm.state,
        vcpus: ["vcpus", "cores", "threads"]
            .iter()
            .map(|field| vm.number(field).unwrap_or(1))
            .product(),
        memory_mib: vm.number("memory").unwrap_or(0),
        owned: owner.is_some(),
        group: owner.map(|mark| mark.group.clone()),
        vm_type: owner.map(|mark| mark.vm_type.clone()),
        autostart: vm
            .fields
            .get("autostart")
            .and_then(serde_json::Value::as_bool),
        display: vm
            .devices
            .iter()
            .find_map(|device| display_address(device, host)),
        devices,
    }
}

fn device_row(device: &ObservedDevice) -> DeviceRow {
    let mut attributes = device.attributes.clone();
    if let Some(password) = attributes.get_mut("password") {
        *password = "(secret)".into();
    }
    DeviceRow {
        id: device.id,
        dtype: device.kind().unwrap_or("?").to_owned(),
        order: device.order,
        summary: summary(&attributes, None),
        attributes,
    }
}

/// `spice://nas:5911`: a display that binds to every address is reached by the server's name.
fn display_address(device: &ObservedDevice, host: &str) -> Option<String> {
    let port = (device.kind()? == "DISPLAY")
        .then(|| device.attributes.get("port"))??
        .as_u64()?;
    let scheme = device.text("type")?.to_lowercase();
    let host = match device.text("bind")? {
        "0.0.0.0" | "::" => host,
        bind => bind,
    };
    let host = if host.contains(':') {
        format!("[{host}]")
    } else {
        host.to_owned()
    };
    Some(format!("{scheme}://{host}:{port}"))
}

fn print(rows: &[Row], hosts: bool, output: &Output) {
    if rows.is_empty() {
        output.note("no VMs");
        return;
    }
    let count =
        |row: &Row, dtype: &str| row.devices.iter().filter(|one| one.dtype == dtype).count();
    let cells: Vec<_> = rows
        .iter()
        .map(|row| {
            let meaning = match row.state {
                PowerState::Running => Meaning::Good,
                PowerState::Stopped => Meaning::Plain,
                PowerState::Suspended => Meaning::Attention,
                PowerState::Error => Meaning::Bad,
            };
            let mut cells = vec![
                cell(&row.name),
                cell(row.id),
                meant(format!("{:?}", row.state).to_uppercase(), meaning),
                cell(row.vcpus),
                cell(size(row.memory_mib << 20)),
                cell(count(row, "DISK")),
                cell(count(row, "NIC")),
                cell(row.display.as_deref().unwrap_or("-")),
                cell(row.group.as_deref().unwrap_or("-")),
            ];
            if hosts {
                cells.insert(0, cell(row.host.as_deref().unwrap_or("-")));
            }
            cells
        })
        .collect();
    let mut header = vec![
        "NAME", "ID", "STATE", "VCPUS", "MEMORY", "DISKS", "NICS", "DISPLAY", "GROUP",
    ];
    if hosts {
        header.insert(0, "HOST");
    }
    output.table(&header, &cells);
}
