//! The asynchronous shell: it listens, frames, waits and routes. What a call does is decided by the
//! synchronous methods behind the one lock.

mod calls;
mod connection;
mod http;
mod listener;
mod running;
mod shared;

pub use running::{Options, Running, Simulator, StartError};
