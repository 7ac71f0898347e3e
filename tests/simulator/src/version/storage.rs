//! What differs in datasets and snapshots.

use serde_json::json;

use super::{Line, Version};
use crate::json::Object;

impl Version {
    /// Members that an entry of `pool.query` has besides those of 25.10, or lacks. Recorded on every line.
    pub(crate) fn shape_pool(&self, entry: &mut Object) {
        if self.line == Line::V24_10 {
            entry.shift_remove("dedup_table_size");
            entry.shift_remove("dedup_table_quota");
        }
        if self.since(Line::V26) {
            entry.insert("all_sed".into(), json!(false));
        }
        if self.since(Line::V27) {
            entry.insert("is_upgraded".into(), json!(false));
        }
    }

    /// ZFS is driven by the helper library `truenas_pylibzfs`, so what it refuses is said in other
    /// words and by other kinds of errors. Recorded on 26.0.0-BETA.3.
    pub fn uses_pylibzfs(&self) -> bool {
        self.since(Line::V26)
    }

    /// Properties are shown as ZFS writes them: `1G`, not `1 GiB`. Recorded on 24.10.2.5 and 25.04.2.6, and
    /// the other way round on 25.10.7.
    pub fn shows_zfs_texts(&self) -> bool {
        self.line <= Line::V25_04
    }

    /// `pool.dataset.create` forgets the user properties it was given, and keeps `INHERIT` as a comment
    /// where none was given. Recorded on 26.0.0-BETA.3; right again on 27.
    pub fn forgets_user_properties(&self) -> bool {
        self.is_beta_of_26()
    }

    /// The kinds of datasets are told apart by their type, so a refusal names one model alone. Recorded on
    /// 26.0.0-BETA.3 and 27.
    pub fn tells_datasets_apart(&self) -> bool {
        self.since(Line::V26)
    }

    /// Snapshots carry all properties that ZFS knows, and no holds, unless chosen otherwise. Recorded on
    /// 24.10.2.5 and 25.04.2.6.
    pub fn shows_whole_snapshots(&self) -> bool {
        self.line <= Line::V25_04
    }

    /// The server's name of a snapshot's model. Recorded on 25.04.2.6 and 26.0.0-BETA.3.
    pub fn snapshot_model(&self) -> &'static str {
        if self.since(Line::V25_10) {
            "PoolSnapshot"
        } else {
            "ZFSSnapshot"
        }
    }

    /// A recursive destroy takes clones along, and failures are swallowed. Code reading: 26
    /// `zfs/destroy_impl.py`.
    pub fn destroys_clones(&self) -> bool {
        self.since(Line::V26)
    }
}
