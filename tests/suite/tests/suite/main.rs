//! All end-to-end tests, in one program to be linked once.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    reason = "a helper that fails fails its test"
)]

mod adopt;
mod apply;
mod connections;
mod converge;
mod crash;
mod create;
mod destroy;
mod effects;
mod effects_cells;
mod failures;
mod guard;
mod hosts;
mod hosts_failing;
mod independent;
mod input;
mod interrupt;
mod layers;
mod login;
mod logins;
mod matrix;
mod original;
mod ownership;
mod plugins;
mod recording;
mod secrets;
mod versions;
mod wording;
