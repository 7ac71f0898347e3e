//! The methods, as tables: name, parameters, who may call, and the function behind it. Every
//! function is synchronous; one that takes time answers in steps.

mod auth;
mod auth_legacy;
mod core;
mod dataset;
mod device;
mod disk_image;
mod filesystem;
mod interface;
mod method;
pub(crate) mod older;
mod pool;
mod query;
mod shape;
mod snapshot;
mod system;
mod vm;
mod vm_info;
mod zfs_resource;

pub(crate) use auth::revoke_key;
pub(crate) use method::{Access, Context, Method, Progress, Run, Step, find, has_service, names};
