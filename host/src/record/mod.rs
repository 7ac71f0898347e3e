//! Recordings: every frame of a session as a line of JSON, without secrets and without names and
//! addresses of the user's network, so that it can be shown to others.
//!
//! Knows frames by their members and no command. What is written is a copy: what is sent and read
//! is never changed.

mod frames;
mod names;
mod recorder;

pub use recorder::{RecordError, Recorder};
