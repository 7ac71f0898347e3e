//! The methods, as tables: name, parameters, who may call, and the function behind it. Every
//! function is synchronous; one that takes time answers in steps.

mod auth;
mod core;
mod dataset;
mod device;
mod filesystem;
mod interface;
mod method;
mod pool;
mod query;
mod snapshot;
mod system;
mod vm;
mod vm_info;

pub(crate) use auth::revoke_key;
pub(crate) use method::{Access, Context, Method, Progress, Run, Step, find, names};
