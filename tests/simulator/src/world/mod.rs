//! The simulated machine: one plain value that synchronous functions read and change. It knows no
//! protocol, no sockets and no time but the clock's date.

mod accounts;
mod builder;
mod defaults;
mod domain;
mod file;
mod host;
mod logins;
pub(crate) mod machine;
pub(crate) mod roles;
mod storage;
pub(crate) mod two_factor;
mod users;
mod view;

pub use builder::WorldBuilder;
pub use domain::ActiveConfig;
pub use file::{WorldError, WorldFile};
pub use host::{Interface, InterfaceKind, PciDevice, UsbDevice};
pub use logins::{Assurance, FEWEST_SCRAM_ITERATIONS, Logins, SCRAM_ITERATIONS};
pub use machine::{Device, Event, Pace, Power, Vm, World};
pub use roles::Role;
pub use storage::{Dataset, Kind, Pool, Snapshot};
pub(crate) use storage::{parent_of, pool_of};
pub use two_factor::TwoFactor;
pub use users::{ApiKey, Token, User};
pub use view::{DeviceView, VmView, WorldView, ZvolView};
