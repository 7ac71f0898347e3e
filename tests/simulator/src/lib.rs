//! A TrueNAS that can be run anywhere: pools, datasets, VMs, devices, jobs, users and the rules
//! between them, spoken over the real protocol, without any hardware behind it.
//!
//! In a test:
//!
//! ```
//! use tnvm_simulator::{Options, Simulator, Version, WorldBuilder};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let world = WorldBuilder::example(Version::default()).bridge("br7", &[], &[]).build();
//! let simulator = Simulator::start(Options::with_world(world)).await?;
//! // Connect to `simulator.url()` with `simulator.api_key()`, then look at what happened:
//! assert!(simulator.view().vms.is_empty());
//! assert!(simulator.journal().mutating().is_empty());
//! simulator.stop().await;
//! # Ok(())
//! # }
//! ```
//!
//! The world is one value behind one lock, changed by synchronous functions ([`World`]); around it
//! lies an asynchronous shell that only frames, delays and routes. Which server a rule was taken
//! from stands beside the rule.

#[cfg(test)]
mod bench;
pub mod conform;
mod errors;
mod faults;
mod jobs;
mod journal;
mod json;
mod limiter;
mod methods;
mod protocol;
mod query;
mod random;
mod rules;
mod schema;
mod scram;
mod server;
mod session;
mod state;
mod tls;
mod version;
mod world;

pub use faults::{Effect, Fault, FaultsError, Noise, Occurrence};
pub use journal::{Call, ConnectionStats, Journal};
pub use server::{Options, Running, Simulator, StartError};
pub use state::ConnectionId;
pub use tls::{Certificate, TlsError};
pub use version::{HalfRows, Line, UnknownVersion, Version};
pub use world::{
    ActiveConfig, ApiKey, Assurance, Dataset, Device, DeviceView, Event, FEWEST_SCRAM_ITERATIONS,
    Interface, InterfaceKind, Kind, Logins, Pace, PciDevice, Pool, Power, Role, SCRAM_ITERATIONS,
    Snapshot, Token, TwoFactor, UsbDevice, User, Vm, VmView, World, WorldBuilder, WorldError,
    WorldFile, WorldView, ZvolView,
};
