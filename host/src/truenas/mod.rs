//! The TrueNAS server: one connection, typed calls, classified errors.
//!
//! Knows nothing of configs, plans or plugins: it carries calls and says truthfully how they ended.

mod allowed;
mod auth;
mod backoff;
mod choose;
mod client;
mod connect;
mod connect_error;
mod connection;
mod end_point;
mod endpoint;
mod error;
mod fingerprint;
mod frame;
#[cfg(test)]
mod fuzz_tests;
mod jobs;
mod lane;
mod limits;
mod lines;
#[cfg(test)]
mod lines_tests;
mod login;
mod login_budget;
mod login_legacy;
mod loss;
mod method;
mod methods;
#[cfg(test)]
mod nas;
mod observer;
mod options;
mod otp;
mod pending;
mod profile;
mod proxy;
mod reconnect;
#[cfg(test)]
mod reconnect_tests;
mod refusal;
mod roles;
mod scram;
mod session;
mod stats;
mod task;
mod timeouts;
mod tls;
mod transport;
mod tunnel;
mod wire;

pub use crate::release::Version;
pub use allowed::{Allowed, Forbidden, Purpose};
pub use auth::Credentials;
pub use backoff::Jitter;
pub use client::Client;
pub use connect_error::{ConnectError, TlsProblem};
pub use endpoint::{Endpoint, EndpointError};
pub use error::{CallError, FieldError, ServerError};
pub use fingerprint::{Fingerprint, FingerprintError};
pub use login::{KeyLogin, Login, Mechanism};
pub use loss::{DisconnectReason, LossReason};
pub use method::Method;
pub use methods::{
    DatasetEntry, DeviceChange, DeviceEntry, FileStat, FileSystem, MASK, VmEntry, VmState,
    VmStatus, VolumeSpec,
};
pub use observer::{CallObserver, CallOutcome, CallRecord};
pub use options::{ConnectOptions, Insecure, TlsOptions};
pub use otp::{OtpRequest, OtpSource};
pub use proxy::{Proxies, ProxyError, ProxyProblem};
pub use refusal::LoginRefusal;
pub use roles::{Account, Involved, Roles, needed_roles};
pub use scram::ScramError;
pub use session::ServerInfo;
pub use stats::CallStats;
pub use transport::{Certificate, Transport, Trusted};
pub use wire::{Direction, WireObserver};
