//! `tnvm`: provisions virtual machines on TrueNAS; every device type is a sandboxed component.
//!
//! Data goes one way, and no module imports one to its left:
//! `cli` → `config` → `template` → `resolve` (with `plugin`) → `plan` → `execute` → `truenas`.
//! `diagnostic` is the one vocabulary they share for telling a person what is wrong and where,
//! `mark` the one for whose a VM or zvol is, `release` what each version of the server has. Of `resolve`, `plan` and `execute` know its values alone.
//! `describe` goes the other way, from what is there to a config; only `cli` knows it.
//! `audit` and `lock` guard every change; they know the client, and `cli` alone knows them, as it
//! does `record`, which writes a session down.

pub mod audit;
pub mod cli;
pub mod config;
pub mod describe;
pub mod diagnostic;
pub mod execute;
pub mod lock;
pub mod mark;
pub mod plan;
pub mod plugin;
pub mod record;
mod redact;
pub mod release;
pub mod resolve;
pub mod template;
pub mod timestamp;
pub mod truenas;
pub mod whoami;
