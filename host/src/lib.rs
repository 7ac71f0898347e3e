//! `tnvm`: provisions virtual machines on TrueNAS; every device type is a sandboxed component.
//!
//! Data goes one way, and no module imports one to its left:
//! `cli` → `config` → `template` → `resolve` (with `plugin`) → `plan` → `execute` → `truenas`.
//! `diagnostic` is the one vocabulary they share for telling a person what is wrong and where.

pub mod cli;
pub mod config;
pub mod diagnostic;
pub mod execute;
pub mod plan;
pub mod plugin;
pub mod resolve;
pub mod template;
pub mod truenas;
