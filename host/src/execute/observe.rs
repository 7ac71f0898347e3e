//! The server as values: what a plan is made from, asked with as few calls as there can be.
//!
//! Knows what to ask and how to read marks; judges nothing.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::future::{OptionFuture, try_join_all};

use super::volume::mark_of;
use crate::plan::{
    DEVICE_PROPERTY, Mark, Observed, ObservedDataset, ObservedDevice, ObservedVm, PowerState,
};
use crate::truenas::{CallError, Client, DatasetEntry, DeviceEntry, VmEntry, VmState};

/// What to ask for besides all VMs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ObserveRequest {
    /// Datasets whose own rows and everything below them are wanted. Names below others of them
    /// are not asked for twice. Where zvols are to be made and all of them are asked for, the
    /// datasets around those with a mark come as well: such a zvol may grow.
    pub dataset_prefixes: Vec<String>,
    /// Whether all zvols of the server are wanted: a disk may lie anywhere.
    pub all_volumes: bool,
    /// Whether the snapshots of the zvols with a mark are wanted as well; needed only where zvols
    /// may be deleted.
    pub snapshots: bool,
    /// Paths on the server whose existence matters; each is asked for once.
    pub files: Vec<String>,
    /// Whether the interfaces for NICs and the addresses for displays are wanted.
    pub want_choices: bool,
    /// Whether the memory left for starting VMs is wanted.
    pub want_memory: bool,
    /// Whether it is wanted to know that the machine can run VMs at all.
    pub want_virtualization: bool,
}

/// Asks the server, all at once: one call for the VMs (for 500 of them), one per 50 dataset
/// prefixes, one for all zvols and, where wanted, one for each with a mark and snapshots, two for
/// the choices, one for the memory, one for virtualization, one per file. Only then, and only if there are any, one per 50
/// datasets around zvols that lie outside the prefixes.
///
/// # Errors
/// The first call that fails; a file that is not there is no failure.
pub async fn observe(client: &Client, request: &ObserveRequest) -> Result<Observed, CallError> {
    let datasets = async {
        if request.dataset_prefixes.is_empty() {
            return Ok(Vec::new());
        }
        if request.all_volumes {
            // Zvols come with all others.
            client.query_filesystems(&request.dataset_prefixes).await
        } else {
            client.query_datasets(&request.dataset_prefixes).await
        }
    };
    let volumes = request
        .all_volumes
        .then(|| volumes(client, request.snapshots));
    let volumes = OptionFuture::from(volumes);
    let files: BTreeSet<&String> = request.files.iter().collect();
    let files = try_join_all(files.into_iter().map(|path| async move {
        let stat = client.file_stat_opt(path).await?;
        Ok::<_, CallError>((path.clone(), stat.is_some()))
    }));
    let choices = request.want_choices;
    let nics = OptionFuture::from(choices.then(|| client.nic_choices()));
    let binds = OptionFuture::from(choices.then(|| client.bind_choices()));
    let memory = OptionFuture::from(request.want_memory.then(|| client.available_memory()));

    let virtualization = OptionFuture::from(
        request
            .want_virtualization
            .then(|| missing_virtualization(client)),
    );

    let (vms, datasets, volumes, files, nics, binds, memory, missing) = tokio::try_join!(
        client.query_vms(),
        datasets,
        async { volumes.await.transpose() },
        files,
        async { nics.await.transpose() },
        async { binds.await.transpose() },
        async { memory.await.transpose() },
        async { virtualization.await.transpose() },
    )?;
    let mut datasets: BTreeMap<String, ObservedDataset> = datasets
        .into_iter()
        .map(dataset)
        .chain(volumes.into_iter().flatten())
        .collect();
    if request.all_volumes && !request.dataset_prefixes.is_empty() {
        let around = client.datasets_named(&unseen_parents(&datasets)).await?;
        datasets.extend(around.into_iter().map(dataset));
    }
    let server = client.server();
    Ok(Observed {
        version: server.version.to_string(),
        hostname: server.hostname.clone(),
        vms: vms.into_iter().map(vm).collect(),
        datasets,
        nic_choices: nics,
        bind_choices: binds,
        memory_available: memory,
        missing_virtualization: missing.flatten(),
        files: files.into_iter().collect(),
    })
}

/// Why there can be no VMs; none as well where the account may not ask.
async fn missing_virtualization(client: &Client) -> Result<Option<String>, CallError> {
    match client.missing_virtualization().await {
        Err(CallError::NotAuthorized(_) | CallError::Unsupported { .. }) => Ok(None),
        other => other,
    }
}

/// The datasets around zvols with a mark that have not been seen.
fn unseen_parents(datasets: &BTreeMap<String, ObservedDataset>) -> Vec<String> {
    let marked = datasets.iter().filter(|(_, one)| one.mark.is_some());
    let parents = marked.filter_map(|(name, _)| Some(name.rsplit_once('/')?.0.to_owned()));
    let unseen: BTreeSet<String> = parents
        .filter(|parent| !datasets.contains_key(parent))
        .collect();
    unseen.into_iter().collect()
}

/// All zvols; where wanted, those with a mark with the names of their snapshots.
async fn volumes(
    client: &Client,
    snapshots: bool,
) -> Result<Vec<(String, ObservedDataset)>, CallError> {
    if !snapshots {
        let found = client.query_volumes_alone().await?;
        return Ok(found.into_iter().map(dataset).collect());
    }
    let found = client.query_volumes().await?;
    try_join_all(found.into_iter().map(|entry| async move {
        let is_marked = mark_of(&entry).is_some();
        // Where the server does not count them there may be some.
        let may_have_some = entry.snapshots != Some(0);
        let snapshots = if is_marked && may_have_some {
            client.snapshots_of(&entry.name).await?
        } else {
            Vec::new()
        };
        let (name, mut observed) = dataset(entry);
        observed.snapshots = snapshots;
        Ok((name, observed))
    }))
    .await
}

/// The plan's word for a power state. A word that this tnvm does not know counts as one that the
/// server could not tell: neither running nor off for sure.
pub(super) fn power_state(state: &VmState) -> PowerState {
    match state {
        VmState::Running => PowerState::Running,
        VmState::Stopped => PowerState::Stopped,
        VmState::Suspended => PowerState::Suspended,
        _ => PowerState::Error,
    }
}

fn vm(vm: VmEntry) -> ObservedVm {
    ObservedVm {
        id: vm.id,
        mark: Mark::in_description(&vm.description),
        protected: Mark::is_protected(&vm.description),
        name: vm.name,
        state: power_state(&vm.state),
        fields: vm.fields,
        devices: vm.devices.into_iter().map(device).collect(),
    }
}

fn device(device: DeviceEntry) -> ObservedDevice {
    ObservedDevice {
        id: device.id,
        attributes: device.attributes,
        order: device.order,
    }
}

fn dataset(dataset: DatasetEntry) -> (String, ObservedDataset) {
    let observed = ObservedDataset {
        is_volume: dataset.is_volume,
        mark: mark_of(&dataset),
        device: dataset.user_properties.get(DEVICE_PROPERTY).cloned(),
        volsize: dataset.volsize,
        available: dataset.available,
        locked: dataset.locked,
        read_only: dataset.read_only,
        snapshots: Vec::new(),
        origin: dataset.origin.clone(),
    };
    (dataset.name, observed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::MARK_PROPERTY;

    #[test]
    fn a_state_of_a_newer_server_counts_as_unknown() {
        assert_eq!(
            power_state(&VmState::Other("DREAMING".into())),
            PowerState::Error
        );
    }

    #[test]
    fn a_property_that_is_no_mark_leaves_a_dataset_foreign() {
        for (text, owned) in [("tnvm:v1:lab:web:web01", true), ("mine", false)] {
            let entry = DatasetEntry {
                user_properties: [(MARK_PROPERTY.to_owned(), text.to_owned())].into(),
                ..DatasetEntry::default()
            };
            assert_eq!(dataset(entry).1.mark.is_some(), owned, "{text}");
        }
    }
}
