//! End-to-end tests: the real `tnvm` program against the simulator, over a real socket.
//!
//! A [`Lab`] is one hermetic stage: a folder, a simulated TrueNAS and an environment of its own.
//! It knows how to run the program and look at the server; it knows nothing of what is tested.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a stage that fails fails its test, loudly and where it stands"
)]

mod background;
mod hosts;
mod lab;
mod paths;
mod proxy;
mod ran;
mod terminal;

pub use background::Background;
pub use hosts::Hosts;
pub use lab::{Lab, version};
pub use paths::{plugin, root, target};
pub use proxy::HttpProxy;
pub use ran::Ran;
