//! Plan → calls: what is observed first, then the steps, side by side, undone where they fail.
//!
//! Executes a plan literally: decides nothing that the plan could have decided, and prints nothing.

mod device;
mod duplicates;
mod events;
mod failure;
mod ledger;
mod observe;
mod options;
mod patience;
mod phases;
mod report;
mod restarts;
mod rollback;
mod run;
mod schedule;
mod secrets;
mod settings;
mod stop;
mod turns;
mod verify;
mod vm;
mod volume;

pub use events::{Action, Event, Reporter, Silent, StepLabel};
pub use failure::Failure;
pub use observe::{ObserveRequest, observe};
pub use options::{DEFAULT_CONCURRENCY, DEFAULT_MAX_UNAVAILABLE, ExecuteOptions, OnFailure};
pub use patience::Patience;
pub use report::{Outcome, Report, VmReport};
pub use restarts::Restarts;
pub use schedule::execute;
pub use secrets::{SecretError, SecretSource};
pub use stop::{StopHandle, StopSignal};
