//! Device types as sandboxed components: engine, limits, loading, cache, calls.
//!
//! Knows nothing of the client, the config file or the plan; contains no `async` but what closed
//! WASI demands.

mod abi;
mod cache;
mod check;
mod component;
mod contract;
mod engine;
mod error;
mod failure;
mod inspect;
mod limits;
mod logs;
mod schema;
mod set;
mod source;
mod store;
mod text;
mod wasi;

pub use abi::PlanError;
pub use cache::CacheOff;
pub use contract::{
    BootOrder, Claim, Descriptor, FactNeed, PlanRequest, Planned, PlannedDevice, PluginDiagnostic,
    SecretRef, Subject, VmIdentity, Volume,
};
pub use engine::EngineError;
pub use error::{Call, PluginError, PluginErrorKind};
pub use limits::{LIMITS_VARIABLE, Limits, LimitsError};
pub use set::{LoadProblem, Plugin, PluginSet, report};
pub use source::{Builtin, Origin, PluginFile, PluginSources, builtin};
