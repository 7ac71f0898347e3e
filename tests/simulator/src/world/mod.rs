//! The simulated machine: one plain value that synchronous functions read and change. It knows no
//! protocol, no sockets and no time but the clock's date.

mod builder;
mod defaults;
mod domain;
mod file;
mod host;
pub(crate) mod machine;
mod storage;
mod users;
mod view;

pub use builder::WorldBuilder;
pub use domain::ActiveConfig;
pub use file::{WorldError, WorldFile};
pub use host::{Interface, InterfaceKind, PciDevice, UsbDevice};
pub use machine::{Device, Event, Pace, Power, Vm, World};
pub use storage::{Dataset, Kind, Pool, Snapshot};
pub(crate) use storage::{parent_of, pool_of};
pub use users::{ApiKey, Role, Token, User};
pub use view::{DeviceView, VmView, WorldView, ZvolView};
