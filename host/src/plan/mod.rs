//! (Desired, Observed) → Plan: pure, without `async`, leaving no choice for later.
//!
//! Knows no client; what it needs of the server is in `Observed`.

mod across;
mod adopt;
mod adopt_disks;
#[cfg(test)]
mod adopt_tests;
mod apply;
#[cfg(test)]
mod apply_tests;
mod claims;
mod create;
mod defaults;
mod destroy;
pub mod effects;
mod existing;
#[cfg(test)]
mod golden_tests;
mod observed;
mod orders;
#[cfg(test)]
mod ownership_tests;
mod pairing;
mod preflight;
#[cfg(test)]
mod preflight_tests;
mod release;
mod removal;
mod render;
mod saved;
mod saved_part;
mod selection;
mod settle;
mod step;
#[cfg(test)]
mod tests;
mod totals;
mod view;
mod volume_rule;
mod words;

pub use crate::mark::{DEVICE_PROPERTY, MARK_PROPERTY, Mark, NotAMark};
pub use across::{HostPart, check_across};
pub use adopt::{AdoptPlan, AdoptRequest, AdoptVm, AdoptZvol, adopted, plan_adopt};
pub use adopt_disks::disks_of;
pub use apply::{ApplyOptions, plan_apply, plan_apply_offline};
pub use create::{plan_create, plan_create_offline};
pub use destroy::{DestroyOptions, plan_destroy};
pub use observed::{Observed, ObservedDataset, ObservedDevice, ObservedVm, PowerState};
pub use release::{ReleasePlan, ReleaseRequest, ReleaseVm, plan_release};
pub use render::{Line, Sign, overall, render};
pub use saved::{SAVED_PLAN_VERSION, SavedOptions, SavedPlan, SavedPlanError};
pub use saved_part::{HostIdentity, SavedPart};
pub use selection::Selection;
pub use step::{Change, Effect, Plan, PlanKind, Step, Totals, VmPlan};
pub use view::{
    Available, ChangeView, DatasetSpace, DeviceAction, DeviceView, PLAN_FORMAT, PlanView, VmAction,
    VmView,
};
pub use words::{size, summary};
