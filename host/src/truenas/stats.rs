//! Counts what a connection did.

use std::sync::atomic::{AtomicU64, Ordering};

use super::method::Method;

/// What a client has sent and received so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct CallStats {
    /// Calls that change nothing, login included.
    pub reads: u64,
    /// Calls that change VMs or datasets.
    pub mutations: u64,
    /// Bytes of text frames sent.
    pub bytes_sent: u64,
    /// Bytes of text frames received.
    pub bytes_received: u64,
}

#[derive(Debug, Default)]
pub(super) struct Counters {
    reads: AtomicU64,
    mutations: AtomicU64,
    sent: AtomicU64,
    received: AtomicU64,
}

impl Counters {
    pub(super) fn sent(&self, method: Method, bytes: usize) {
        let kind = if method.mutates() {
            &self.mutations
        } else {
            &self.reads
        };
        kind.fetch_add(1, Ordering::Relaxed);
        self.sent.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub(super) fn received(&self, bytes: usize) {
        self.received.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub(super) fn snapshot(&self) -> CallStats {
        CallStats {
            reads: self.reads.load(Ordering::Relaxed),
            mutations: self.mutations.load(Ordering::Relaxed),
            bytes_sent: self.sent.load(Ordering::Relaxed),
            bytes_received: self.received.load(Ordering::Relaxed),
        }
    }
}
