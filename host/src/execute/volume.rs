//! Zvols: made with their mark, deleted only with it, and never together with snapshots.

use super::create::{Found, make};
use super::destroy::until_gone;
use super::failure::StepError;
use super::ledger::Object;
use super::run::VmRun;
use crate::plan::{DEVICE_PROPERTY, MARK_PROPERTY, Mark};
use crate::plugin::Volume;
use crate::truenas::{DatasetEntry, VolumeSpec};

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
    let object = Object::Volume {
        dataset: volume.dataset.clone(),
    };
    let call = async { client.create_volume(&spec).await.map(|_| ((), None)) };
    make(this, object, call, async {
        let found = client.dataset_opt(&volume.dataset).await?;
        Ok(match found.filter(|found| is_ours(found, mark)) {
            Some(_) => Found::Ours((), None),
            None => Found::Nothing,
        })
    })
    .await
}

/// `pool.dataset.delete`, not recursive, of a zvol with this mark and without snapshots; then
/// verified gone.
///
/// Snapshots are asked for before the call: the server takes shares and tasks of a dataset away
/// before it finds that ZFS refuses, and 26 and newer do not even say that it refused (`pool.dataset.delete`).
pub(super) async fn delete(this: &VmRun<'_>, dataset: &str) -> Result<(), StepError> {
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
            if found.snapshots != Some(0) {
                let snapshots = client.snapshots_of(dataset).await?;
                if !snapshots.is_empty() {
                    return Err(StepError::Snapshots(snapshots));
                }
            }
            Ok(true)
        },
        || client.delete_dataset(dataset),
    )
    .await
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
