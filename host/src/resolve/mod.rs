//! Config, templates and plugins to what should be.
//!
//! Knows nothing of the server beyond the facts it is handed.

mod desired;

pub use desired::{Desired, DesiredDevice, DesiredVm};
