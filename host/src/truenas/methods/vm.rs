//! `vm.*`: the VMs themselves.

use std::fmt;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::device::DeviceEntry;
use super::query::{Query, read};
use crate::truenas::client::Client;
use crate::truenas::error::CallError;
use crate::truenas::limits;
use crate::truenas::method::Method;

/// A VM as `vm.query` shows it.
#[derive(Clone, Debug, PartialEq)]
pub struct VmEntry {
    /// The server's id.
    pub id: u64,
    /// Name.
    pub name: String,
    /// Description.
    pub description: String,
    /// Power state.
    pub state: VmState,
    /// The whole entry without `devices` and `status`.
    pub fields: Map<String, Value>,
    /// Its devices, in the order of the server.
    pub devices: Vec<DeviceEntry>,
}

/// Power state of a VM: `status.state`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum VmState {
    /// Runs.
    Running,
    /// Off.
    Stopped,
    /// Paused.
    Suspended,
    /// libvirt did not say (25.10 and older).
    Error,
    /// A word that this tnvm does not know.
    Other(String),
}

impl VmState {
    fn parse(word: &str) -> Self {
        match word {
            "RUNNING" => Self::Running,
            "STOPPED" => Self::Stopped,
            "SUSPENDED" => Self::Suspended,
            "ERROR" => Self::Error,
            other => Self::Other(other.to_owned()),
        }
    }
}

impl fmt::Display for VmState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Running => "RUNNING",
            Self::Stopped => "STOPPED",
            Self::Suspended => "SUSPENDED",
            Self::Error => "ERROR",
            Self::Other(word) => word,
        })
    }
}

/// What `vm.status` says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VmStatus {
    /// Power state.
    pub state: VmState,
    /// Process id on the server while it runs.
    pub pid: Option<u64>,
    /// libvirt's own word; none before the first start (26 and newer).
    pub domain_state: Option<String>,
}

#[derive(Deserialize)]
struct RawStatus {
    state: String,
    #[serde(default)]
    pid: Option<u64>,
    #[serde(default)]
    domain_state: Option<String>,
}

#[derive(Deserialize)]
struct RawVm {
    id: u64,
    name: String,
    #[serde(default)]
    description: Option<String>,
    #[serde(default)]
    status: Option<RawStatus>,
    #[serde(default)]
    devices: Vec<Value>,
}

impl VmEntry {
    fn read(row: Value) -> Result<Self, CallError> {
        let mut fields = match &row {
            Value::Object(fields) => fields.clone(),
            _ => Map::new(),
        };
        fields.shift_remove("devices");
        fields.shift_remove("status");
        let raw: RawVm = read(Method::VmQuery, row)?;
        let devices = raw
            .devices
            .into_iter()
            .filter_map(|device| DeviceEntry::read_leniently(device, raw.id))
            .collect();
        Ok(Self {
            id: raw.id,
            name: raw.name,
            description: raw.description.unwrap_or_default(),
            state: raw
                .status
                .map_or(VmState::Error, |status| VmState::parse(&status.state)),
            fields,
            devices,
        })
    }
}

impl Client {
    /// All VMs, in the order of their ids. A row that cannot be read is left out, with a warning
    /// in the log, so that one odd VM does not hide the others.
    ///
    /// # Errors
    /// As any call.
    pub async fn query_vms(&self) -> Result<Vec<VmEntry>, CallError> {
        let query = Query::new(Vec::new());
        let rows = self.rows(Method::VmQuery, &query, limits::VM_PAGE).await?;
        let read = |row: Value| {
            let id = row.get("id").cloned();
            VmEntry::read(row)
                .inspect_err(|error| {
                    tracing::warn!(vm.id = ?id, %error, "left out a VM that cannot be read");
                })
                .ok()
        };
        Ok(rows.into_iter().filter_map(read).collect())
    }

    /// The VM with this id, if there is one.
    ///
    /// # Errors
    /// As any call.
    pub async fn vm_opt(&self, id: u64) -> Result<Option<VmEntry>, CallError> {
        self.one_vm(json!(["id", "=", id])).await
    }

    /// The VM with this name, if there is one; names are unique on a server.
    ///
    /// # Errors
    /// As any call.
    pub async fn vm_by_name(&self, name: &str) -> Result<Option<VmEntry>, CallError> {
        self.one_vm(json!(["name", "=", name])).await
    }

    async fn one_vm(&self, filter: Value) -> Result<Option<VmEntry>, CallError> {
        let query = Query::new(vec![filter]);
        let row = self.first_row(Method::VmQuery, &query).await?;
        row.map(VmEntry::read).transpose()
    }

    /// Makes a VM without devices, stopped. `memory` is in MiB.
    ///
    /// # Errors
    /// [`CallError::Refused`] names the field; as any call otherwise. When
    /// [`may_have_run`](CallError::may_have_run) the VM may exist: look by name.
    pub async fn create_vm(&self, fields: Map<String, Value>) -> Result<VmEntry, CallError> {
        let answer = self
            .call(Method::VmCreate, vec![Value::Object(fields)])
            .await?;
        VmEntry::read(answer)
            .map_err(|error| CallError::protocol(Method::VmCreate, format!("made, but {error}")))
    }

    /// Changes the given fields of a VM and leaves all others. `memory` is in MiB. A running VM
    /// has most of them only after its next start.
    ///
    /// # Errors
    /// [`CallError::Refused`] names the field; [`CallError::NotFound`] when there is no such VM; as
    /// any call otherwise.
    pub async fn update_vm(&self, id: u64, fields: Map<String, Value>) -> Result<(), CallError> {
        self.call(Method::VmUpdate, vec![json!(id), Value::Object(fields)])
            .await
            .map(drop)
    }

    /// Starts a VM, without overcommitting memory; returns when it runs.
    ///
    /// # Errors
    /// errno 12 when memory cannot be guaranteed, 14 when it runs already or a device is not
    /// available; as any call otherwise.
    pub async fn start_vm(&self, id: u64) -> Result<(), CallError> {
        let params = vec![json!(id), json!({"overcommit": false})];
        self.call(Method::VmStart, params).await.map(drop)
    }

    /// Switches a VM off at once, as if the power failed.
    ///
    /// # Errors
    /// When it does not run; as any call otherwise.
    pub async fn power_off_vm(&self, id: u64) -> Result<(), CallError> {
        self.call(Method::VmPowerOff, vec![json!(id)])
            .await
            .map(drop)
    }

    /// Asks a VM to shut down and waits for the job. Without `force_after_timeout` it succeeds
    /// although a guest that ignores the request still runs: read [`vm_status`](Self::vm_status).
    ///
    /// # Errors
    /// When it does not run; as any job otherwise.
    pub async fn stop_vm(&self, id: u64, force_after_timeout: bool) -> Result<(), CallError> {
        let options = json!({"force": false, "force_after_timeout": force_after_timeout});
        self.job(Method::VmStop, vec![json!(id), options])
            .await
            .map(drop)
    }

    /// The power state of a VM.
    ///
    /// # Errors
    /// [`CallError::NotFound`] when there is no such VM; as any call otherwise.
    pub async fn vm_status(&self, id: u64) -> Result<VmStatus, CallError> {
        let answer = self.call(Method::VmStatus, vec![json!(id)]).await?;
        let raw: RawStatus = read(Method::VmStatus, answer)?;
        Ok(VmStatus {
            state: VmState::parse(&raw.state),
            pid: raw.pid,
            domain_state: raw.domain_state,
        })
    }

    /// Removes a VM and its devices, and leaves its zvols. A VM that runs is switched off by that.
    /// It is not taken for done: what the server answers says nothing on 26 and newer, so the
    /// caller looks with [`vm_opt`](Self::vm_opt).
    ///
    /// # Errors
    /// [`CallError::NotFound`] when there is no such VM; as any call otherwise.
    pub async fn delete_vm(&self, id: u64) -> Result<(), CallError> {
        let state = self.vm_status(id).await?.state;
        let force = self.profile().delete_needs_force(&state);
        let options = json!({"zvols": false, "force": force});
        self.call(Method::VmDelete, vec![json!(id), options])
            .await
            .map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_taken_apart() {
        let row = json!({"id": 3, "name": "worker01", "description": "d", "memory": 512,
            "devices": [{"id": 7, "vm": 3, "order": 1001, "attributes": {"dtype": "DISK"}}],
            "status": {"state": "RUNNING", "pid": 12, "domain_state": "RUNNING"}});
        let vm = VmEntry::read(row).expect("an entry");
        assert_eq!((vm.id, vm.name.as_str()), (3, "worker01"));
        assert_eq!(vm.state, VmState::Running);
        assert_eq!(vm.fields.get("memory"), Some(&json!(512)));
        assert!(!vm.fields.contains_key("devices") && !vm.fields.contains_key("status"));
        assert_eq!(vm.devices.len(), 1);
        assert_eq!(vm.devices[0].order, Some(1001));
    }

    #[test]
    fn a_word_of_a_newer_server_is_kept() {
        let row = json!({"id": 3, "name": "a", "status": {"state": "DREAMING"}});
        let vm = VmEntry::read(row).expect("an entry");
        assert_eq!(vm.state, VmState::Other("DREAMING".into()));
    }

    #[test]
    fn an_odd_device_does_not_spoil_its_vm() {
        let row =
            json!({"id": 3, "name": "a", "devices": [{"id": "x"}, {"id": 1, "attributes": {}}]});
        assert_eq!(VmEntry::read(row).expect("an entry").devices.len(), 1);
    }

    #[test]
    fn a_row_without_an_id_is_an_error() {
        assert!(VmEntry::read(json!({"name": "a"})).is_err());
    }
}
