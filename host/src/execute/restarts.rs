//! How many VMs may be down for their restart at once, and the end of it when one stays down.

use std::sync::OnceLock;

use tokio::sync::{Semaphore, SemaphorePermit};

/// The permits to restart. Executions on several servers share one, since a group of equals is one
/// group wherever its VMs are.
#[derive(Debug)]
pub struct Restarts {
    permits: Semaphore,
    failed: OnceLock<String>,
}

impl Restarts {
    /// For so many VMs at once; 0 counts as 1.
    #[must_use]
    pub fn new(max_unavailable: usize) -> Self {
        let permits = max_unavailable.clamp(1, Semaphore::MAX_PERMITS);
        Self {
            permits: Semaphore::new(permits),
            failed: OnceLock::new(),
        }
    }

    /// Waits for a turn; held until the VM runs again, or is known not to.
    pub(super) async fn permit(&self) -> Option<SemaphorePermit<'_>> {
        // The semaphore is never closed, so this waits its turn and cannot fail.
        self.permits.acquire().await.ok()
    }

    /// Notes a VM whose restart failed; the first is the one that is told.
    pub(super) fn note_failure(&self, vm: &str) {
        if self.failed.set(vm.to_owned()).is_ok() {
            tracing::warn!(vm = %vm, "a restart failed, no other is begun");
        }
    }

    /// The VM whose restart failed, if one did.
    pub(super) fn failed(&self) -> Option<&str> {
        self.failed.get().map(String::as_str)
    }
}
