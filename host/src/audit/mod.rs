//! The audit: one line of JSON for every call that may have changed the server.
//!
//! The client tells of its calls, this writes them down without secrets. Knows no command and
//! decides nothing: a line is written whether the call went well or not.

mod log;

pub use log::{AuditError, AuditLog, plan_id};
