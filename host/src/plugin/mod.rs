//! Device types as sandboxed components: engine, limits, loading, cache, calls.
//!
//! Knows nothing of the client, the config file or the plan; contains no `async`.

mod contract;

pub use contract::{
    BootOrder, Claim, Descriptor, FactNeed, PlanRequest, Planned, PlannedDevice, PluginDiagnostic,
    SecretRef, Subject, VmIdentity, Volume,
};
