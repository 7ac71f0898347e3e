//! Config, templates and plugins to what should be.
//!
//! Knows nothing of the server beyond the facts it is handed.

mod claims;
mod desired;
mod devices;
mod orders;
mod secrets;
mod standing;
mod vm;

pub use claims::check_shared_claims;
pub use desired::{Desired, DesiredDevice, DesiredVm};
pub use vm::{Inputs, resolve};
