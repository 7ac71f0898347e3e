//! The TrueNAS server: one connection, typed calls, classified errors.
//!
//! Knows nothing of configs, plans or plugins: it carries calls and says truthfully how they ended.

mod allowed;
mod auth;
mod client;
mod connect;
mod connect_error;
mod connection;
mod endpoint;
mod error;
mod fingerprint;
mod frame;
mod jobs;
mod lane;
mod limits;
mod loss;
mod method;
mod methods;
mod observer;
mod options;
mod pending;
mod profile;
mod reconnect;
#[cfg(test)]
mod reconnect_tests;
mod session;
mod stats;
mod task;
mod timeouts;
mod tls;
mod version;

pub use allowed::{Allowed, Forbidden, Purpose};
pub use auth::{Credentials, LoginRefusal};
pub use client::Client;
pub use connect_error::{ConnectError, TlsProblem};
pub use endpoint::{Endpoint, EndpointError};
pub use error::{CallError, FieldError, ServerError};
pub use fingerprint::{Fingerprint, FingerprintError};
pub use loss::{DisconnectReason, LossReason};
pub use method::Method;
pub use methods::{
    DatasetEntry, DeviceChange, DeviceEntry, FileStat, FileSystem, MASK, VmEntry, VmState,
    VmStatus, VolumeSpec,
};
pub use observer::{CallObserver, CallOutcome, CallRecord};
pub use options::{ConnectOptions, TlsOptions};
pub use session::ServerInfo;
pub use stats::CallStats;
pub use version::Version;
