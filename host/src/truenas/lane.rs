//! Which turn a call waits for. Knows nothing of what is called.

/// Which turn a call waits for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Lane {
    /// Behind all calls that were asked for before.
    #[default]
    Usual,
    /// Beside them, one at a time: for what must be done in time whatever else goes on, such as
    /// renewing a lock. The server takes 20 calls in flight, 14 of them are the usual ones.
    Urgent,
}
