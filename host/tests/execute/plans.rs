//! Small plans, and one way to execute them.

use std::collections::BTreeSet;

use std::time::Duration;

use secrecy::SecretString;
use serde_json::{Map, Value, json};
use tnvm::execute::{
    Event, ExecuteOptions, OnFailure, Outcome, Patience, Report, SecretError, SecretSource,
    StopHandle, StopSignal, execute,
};
use tnvm::plan::{Mark, Plan, PlanKind, Step, Totals, VmPlan};
use tnvm::plugin::{SecretRef, Volume};
use tnvm::resolve::DesiredDevice;
use tnvm::truenas::Client;
use tokio::sync::mpsc;

pub(crate) const PASSWORD: &str = "hunter2!";

pub(crate) struct Known;

impl SecretSource for Known {
    fn resolve(&self, reference: &str) -> Result<SecretString, SecretError> {
        if reference == "display-password" {
            return Ok(PASSWORD.into());
        }
        Err(SecretError::Unavailable {
            reference: reference.into(),
            reason: "it is not set".into(),
        })
    }
}

pub(crate) fn mark(vm: &str) -> Mark {
    Mark {
        group: "lab".into(),
        vm_type: "web".into(),
        vm: vm.into(),
    }
}

pub(crate) fn zvol(vm: &str) -> String {
    format!("tank/{vm}-disk0")
}

pub(crate) fn map(value: Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

pub(crate) fn device(name: &str, dtype: &str, order: u32) -> DesiredDevice {
    DesiredDevice {
        name: name.into(),
        plugin: name.split('.').next().unwrap().into(),
        attributes: map(json!({"dtype": dtype})),
        order,
        volume: None,
        secrets: vec![],
        claims: Vec::new(),
        origin: None,
    }
}

pub(crate) fn display(secret: &str) -> DesiredDevice {
    DesiredDevice {
        secrets: vec![SecretRef {
            pointer: "/password".into(),
            secret: secret.into(),
        }],
        ..device("display.spice", "DISPLAY", 2003)
    }
}

fn vm_plan(name: &str, id: Option<u64>, steps: Vec<Step>) -> VmPlan {
    VmPlan {
        name: name.into(),
        vm_type: "web".into(),
        mark: mark(name),
        id,
        vcpus: 1,
        memory_mib: 512,
        steps,
        devices: vec![],
        changes: Vec::new(),
        after: BTreeSet::new(),
    }
}

fn plan(kind: PlanKind, vms: Vec<VmPlan>) -> Plan {
    Plan {
        group: "lab".into(),
        kind,
        vms,
        totals: Totals::default(),
    }
}

pub(crate) fn create_vm(name: &str) -> Step {
    let description = mark(name).description("a web server", false);
    Step::CreateVm {
        fields: map(json!({"name": name, "description": description})),
    }
}

pub(crate) fn create_volume(name: &str) -> Step {
    Step::CreateVolume {
        volume: Volume {
            dataset: zvol(name),
            size: 1 << 30,
            sparse: true,
            block_size: None,
        },
        device: "disk.system".into(),
    }
}

/// Makes these VMs from nothing: a zvol, a disk, a display and a NIC each, and starts them.
pub(crate) fn creation(names: &[&str]) -> Plan {
    let vms = names.iter().map(|name| {
        let devices = [
            device("disk.system", "DISK", 1),
            display("display-password"),
            device("nic.system", "NIC", 3001),
        ];
        let devices = devices.map(|device| Step::CreateDevice { device });
        let mut steps = vec![create_vm(name), create_volume(name)];
        steps.extend(devices);
        steps.push(Step::StartVm);
        vm_plan(name, None, steps)
    });
    plan(PlanKind::Create, vms.collect())
}

/// Adds to a VM that is there.
pub(crate) fn completion(name: &str, id: u64, steps: Vec<Step>) -> Plan {
    plan(PlanKind::Create, vec![vm_plan(name, Some(id), steps)])
}

/// Changes VMs that are there, each with the same steps.
pub(crate) fn changing(vms: Vec<(&str, u64, Vec<Step>)>) -> Plan {
    let vms = vms.into_iter();
    let vms = vms.map(|(name, id, steps)| vm_plan(name, Some(id), steps));
    plan(PlanKind::Apply, vms.collect())
}

/// Removes a VM that runs, and its zvol.
pub(crate) fn destruction(vms: &[(&str, u64)]) -> Plan {
    let vms = vms.iter().map(|(name, id)| {
        let dataset = zvol(name);
        let steps = vec![
            Step::PowerOffVm,
            Step::DeleteVm,
            Step::DeleteVolume {
                dataset,
                snapshots: Vec::new(),
            },
        ];
        vm_plan(name, Some(*id), steps)
    });
    plan(PlanKind::Destroy, vms.collect())
}

/// How to execute; the waits are short, since the server of these tests needs none.
#[derive(Clone, Copy)]
pub(crate) struct How {
    pub(crate) concurrency: usize,
    pub(crate) on_failure: OnFailure,
    pub(crate) max_unavailable: usize,
}

impl Default for How {
    fn default() -> Self {
        Self {
            concurrency: 20,
            on_failure: OnFailure::Rollback,
            max_unavailable: 1,
        }
    }
}

/// Executes; `watch` gets each event as it happens, with the handle to stop.
pub(crate) async fn run_watched(
    client: &Client,
    plan: &Plan,
    how: How,
    mut watch: impl FnMut(&Event, &StopHandle),
) -> (Report, Vec<Event>) {
    let options = ExecuteOptions {
        concurrency: how.concurrency,
        on_failure: how.on_failure,
        max_unavailable: how.max_unavailable,
        patience: Patience {
            first_wait: Duration::from_millis(1),
            longest_wait: Duration::from_millis(4),
            looks: 4,
        },
        ..ExecuteOptions::new(&Known)
    };
    let (handle, signal) = StopSignal::new();
    let (sender, mut events) = mpsc::unbounded_channel();
    let mut seen = Vec::new();
    let work = execute(plan, client, &options, &sender, signal);
    let mut done = std::pin::pin!(sendable(work));
    let report = loop {
        tokio::select! {
            biased;
            Some(event) = events.recv() => {
                watch(&event, &handle);
                seen.push(event);
            }
            report = &mut done => break report,
        }
    };
    while let Ok(event) = events.try_recv() {
        seen.push(event);
    }
    (report, seen)
}

/// The command may hand the execution to another thread.
fn sendable<T: Future + Send>(work: T) -> T {
    work
}

pub(crate) async fn run(client: &Client, plan: &Plan) -> Report {
    run_watched(client, plan, How::default(), |_, _| {}).await.0
}

pub(crate) fn outcomes(report: &Report) -> Vec<Outcome> {
    report.vms.iter().map(|vm| vm.outcome).collect()
}
