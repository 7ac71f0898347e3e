//! Zvols: made with their mark, grown and deleted only with it, and never deleted together with
//! clones, nor with snapshots unless the plan says so.

use super::failure::StepError;
use super::ledger::Object;
use super::run::VmRun;
use super::verify::{ask, make, seen, until_gone};
use crate::plan::{DEVICE_PROPERTY, MARK_PROPERTY, Mark};
use crate::plugin::Volume;
use crate::truenas::{CallError, DatasetEntry, VolumeSpec};

/// `pool.dataset.create` with the mark, and the device it is for, as user properties.
pub(super) async fn create(
    this: &VmRun<'_>,
    volume: &Volume,
    device: &str,
) -> Result<(), StepError> {
    let client = this.client();
    let mark = &this.plan.mark;
    let spec = VolumeSpec {
        dataset: volume.dataset.clone(),
        size: volume.size,
        sparse: volume.sparse,
        block_size: volume.block_size.clone(),
        user_properties: vec![
            (MARK_PROPERTY.to_owned(), mark.to_string()),
            (DEVICE_PROPERTY.to_owned(), device.to_owned()),
        ],
    };
    let call = || async { client.create_volume(&spec).await.map(|()| ((), None)) };
    make(this, object(&volume.dataset), call, || async {
        let found = find(this, &volume.dataset).await?;
        Ok(found.map(|()| ((), None)))
    })
    .await
}

/// The zvol, as the ledger has it.
pub(super) fn object(dataset: &str) -> Object {
    Object::Volume {
        dataset: dataset.to_owned(),
    }
}

/// `pool.dataset.update` of a zvol with this mark to this many bytes. One that has them is done;
/// one that has more is never shrunk.
pub(super) async fn grow(this: &VmRun<'_>, dataset: &str, size: u64) -> Result<(), StepError> {
    let client = this.client();
    let found = seen(this, || client.dataset_opt(dataset)).await?;
    let found = found.ok_or(StepError::Stale("the zvol is gone"))?;
    if !is_ours(&found, &this.plan.mark) {
        return Err(StepError::Foreign);
    }
    match found.volsize {
        Some(is) if is == size => return Ok(()),
        Some(is) if is > size => return Err(StepError::Larger { is, wanted: size }),
        _ => {}
    }
    let call = || client.grow_volume(dataset, size);
    ask(this, call, || async {
        let found = client.dataset_opt(dataset).await?;
        Ok(found.filter(|found| found.volsize == Some(size)).map(drop))
    })
    .await
}

/// `pool.dataset.delete` of a zvol with this mark; then verified gone. Of its snapshots those go with
/// it that are named here; others forbid it.
///
/// Nothing recursive: what is not named here is in nobody's way but that of the zvol itself. 26 and
/// newer would destroy clones with it. Snapshots and clones are looked for before: the server takes
/// shares and tasks of a dataset away before it finds that ZFS refuses, and 26 and newer do not even
/// say that it refused (`pool.dataset.delete`). So are VMs that have the zvol as a disk, since no
/// server minds (`pool.dataset.delete`, all versions).
pub(super) async fn delete(
    this: &VmRun<'_>,
    dataset: &str,
    agreed: &[String],
) -> Result<(), StepError> {
    let client = this.client();
    until_gone(
        this,
        || async move {
            let Some(found) = client.dataset_opt(dataset).await? else {
                return Ok(false);
            };
            if !is_ours(&found, &this.plan.mark) {
                return Err(StepError::Foreign);
            }
            let holders = client.disk_holders(dataset).await?;
            if !holders.is_empty() {
                return Err(StepError::InUse(holders));
            }
            if found.snapshots != Some(0) {
                let mut others = client.snapshots_of(dataset).await?;
                let all = others.len();
                others.retain(|one| !agreed.contains(one));
                if !others.is_empty() {
                    return Err(StepError::Snapshots(others));
                }
                let clones = if all == 0 {
                    Vec::new()
                } else {
                    clones_of(this, dataset).await?
                };
                if !clones.is_empty() {
                    return Err(StepError::Clones(clones));
                }
            }
            Ok(true)
        },
        || async move {
            if !agreed.is_empty() {
                for snapshot in client.snapshots_of(dataset).await? {
                    // One that came since the look stays, and forbids the delete.
                    if agreed.contains(&snapshot) {
                        client.delete_snapshot(&snapshot).await?;
                    }
                }
            }
            client.delete_dataset(dataset).await
        },
    )
    .await
}

/// Whether a zvol with the VM's own mark is there.
pub(super) async fn find(this: &VmRun<'_>, dataset: &str) -> Result<Option<()>, CallError> {
    let found = this.client().dataset_opt(dataset).await?;
    let ours = found.filter(|found| is_ours(found, &this.plan.mark));
    Ok(ours.map(drop))
}

/// The zvols that were cloned from a snapshot of this one. Of a zvol's snapshot only zvols can be
/// cloned.
async fn clones_of(this: &VmRun<'_>, dataset: &str) -> Result<Vec<String>, StepError> {
    let all = this.client().query_volumes().await?.into_iter();
    let is_clone = |found: &DatasetEntry| {
        let origin = found
            .origin
            .as_deref()
            .and_then(|origin| origin.split_once('@'));
        origin.is_some_and(|(source, _)| source == dataset)
    };
    Ok(all.filter(is_clone).map(|found| found.name).collect())
}

/// A zvol with the VM's own mark. A filesystem is never ours, whatever it carries.
fn is_ours(found: &DatasetEntry, mark: &Mark) -> bool {
    found.is_volume && mark_of(found).as_ref() == Some(mark)
}

/// The mark that a dataset carries itself.
pub(super) fn mark_of(found: &DatasetEntry) -> Option<Mark> {
    found.user_properties.get(MARK_PROPERTY)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(is_volume: bool, property: &str, ours: bool) {
        let found = DatasetEntry {
            name: "tank/web01-disk0".into(),
            is_volume,
            user_properties: [(MARK_PROPERTY.to_owned(), property.to_owned())].into(),
            ..DatasetEntry::default()
        };
        let mark = "tnvm:v1:lab:web:web01".parse().unwrap();
        assert_eq!(is_ours(&found, &mark), ours, "{property}");
    }

    #[test]
    fn only_a_zvol_with_the_very_mark_is_ours() {
        check(true, "tnvm:v1:lab:web:web01", true);
        check(true, "tnvm:v1:lab:web:web011", false);
        check(true, "tnvm:v1:other:web:web01", false);
        check(true, "", false);
        check(false, "tnvm:v1:lab:web:web01", false);
    }
}
