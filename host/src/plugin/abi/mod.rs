//! The contract with plugins on our own types; one adapter file per version of it.
//!
//! No other module knows that there are versions, and no adapter knows of another.

mod bind;
mod convert;
mod v1;

use serde_json::{Map, Value};
use wasmtime::component::Component;

use super::contract::{Descriptor, PlanRequest, Planned, PluginDiagnostic};
use super::engine::Engine;
use super::error::PluginError;
use super::inspect::Surface;
use super::store::Context;

/// The versions of the contract that this host speaks: major and newest minor of each.
pub(super) const SPOKEN: &[(u64, u64)] = &[(1, 0)];

/// A linked plugin of some version of the contract.
pub(super) trait Contract: Send + Sync {
    /// What it says of itself, unchecked.
    fn describe(&self, context: Context<'_>) -> Result<Descriptor, PluginError>;

    /// The devices of one VM, unchecked but for their JSON.
    fn plan(&self, context: Context<'_>, request: &PlanRequest) -> Result<Planned, PlanError>;

    /// Attributes in canonical form.
    fn normalize(
        &self,
        context: Context<'_>,
        attributes: &Map<String, Value>,
    ) -> Result<Map<String, Value>, PluginError>;
}

/// Why there is no plan.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// The input is at fault; at least one diagnostic is an error.
    #[error("the plugin refuses its input ({} problems)", .0.len())]
    Invalid(Vec<PluginDiagnostic>),
    /// The plugin is at fault.
    #[error(transparent)]
    Failed(#[from] PluginError),
}

/// Links a component whose surface was inspected. Everything that can be done once is done here;
/// a call then only makes a store and instantiates.
pub(super) fn link(
    engine: &Engine,
    component: &Component,
    surface: &Surface,
) -> wasmtime::Result<Box<dyn Contract>> {
    // With a second major version, the surface's version chooses the adapter here.
    v1::link(engine, component, surface.wasi)
}
