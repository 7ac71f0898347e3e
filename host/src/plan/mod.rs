//! (Desired, Observed) → Plan: pure, without `async`, leaving no choice for later.
//!
//! Knows no client; what it needs of the server is in `Observed`.

mod create;
mod destroy;
mod observed;
mod pairing;
mod preflight;
mod render;
mod settle;
mod step;
#[cfg(test)]
mod tests;
mod totals;
mod view;

pub use crate::mark::{DEVICE_PROPERTY, MARK_PROPERTY, Mark, NotAMark};
pub use create::{plan_create, plan_create_offline};
pub use destroy::plan_destroy;
pub use observed::{Observed, ObservedDataset, ObservedDevice, ObservedVm, PowerState};
pub use render::{Line, Sign, render};
pub use step::{Change, Effect, Plan, PlanKind, Step, Totals, VmPlan};
pub use view::{DeviceAction, DeviceView, PlanView, VmAction, VmView, size, summary};
