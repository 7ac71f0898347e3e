//! (Desired, Observed) → Plan: pure, without `async`, leaving no choice for later.
//!
//! Knows no client; what it needs of the server is in `Observed`.

mod mark;
mod observed;
mod step;

pub use mark::{MARK_PROPERTY, Mark, NotAMark};
pub use observed::{Observed, ObservedDataset, ObservedDevice, ObservedVm, PowerState};
pub use step::{Plan, PlanKind, Step, Totals, VmPlan};
