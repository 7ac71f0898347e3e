//! What differs in datasets and snapshots.

use super::{Line, Version};

impl Version {
    /// ZFS is driven by the helper library `truenas_pylibzfs`, so what it refuses is said in other
    /// words and by other kinds of errors. Recorded on 26.0.0-BETA.3.
    pub fn uses_pylibzfs(&self) -> bool {
        self.since(Line::V26)
    }

    /// A recursive destroy takes clones along, and failures are swallowed. Code reading: 26
    /// `zfs/destroy_impl.py`.
    pub fn destroys_clones(&self) -> bool {
        self.since(Line::V26)
    }
}
