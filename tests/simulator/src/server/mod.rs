//! The asynchronous shell: it listens, frames, waits and routes. What a call does is decided by the
//! synchronous methods behind the one lock.

mod calls;
mod connection;
mod delivery;
mod http;
mod listener;
mod outage;
mod requests;
mod running;
mod shared;
mod strikes;

pub(crate) use outage::Outage;
pub use running::{Options, Running, Simulator, StartError};
