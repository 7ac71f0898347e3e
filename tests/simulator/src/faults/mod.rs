//! Scripted faults: which call goes wrong, and how. What an effect does to a call lies in `server`;
//! here nothing is sent and nothing waits.

mod effect;
mod file;
mod refusals;
mod script;

pub use effect::{Effect, Noise};
pub use file::FaultsError;
pub(crate) use refusals::refusal;
pub(crate) use script::Faults;
pub use script::{Fault, Occurrence};
