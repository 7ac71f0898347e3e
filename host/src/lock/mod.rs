//! The lock of a group: two runs on one group do not interleave.
//!
//! It is advisory and kept on the server, where every machine sees it: a user property of the root
//! dataset of the first pool by name, a place that no config moves. Every run writes a property of
//! its own and then reads all of them; who finds another's of the same group withdraws. Both sides
//! write before they read, so of two runs at least one sees the other.
//!
//! Knows nothing of plans, and nothing of why a run wants the group for itself.

mod held;
mod judge;
mod record;
mod take;
#[cfg(test)]
mod tests;

pub use held::Held;
pub use record::LockRecord;
pub use take::{Lock, LockError, Look, Request, Times, look, sweep, take};
