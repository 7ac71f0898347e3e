//! From a component's bytes to linked code: the cache first, the compiler else.
//!
//! It knows nothing of sets, keys or which plugin wins.

use wasmtime::component::Component;

use super::abi::{self, Contract};
use super::cache::{About, Cache, Key};
use super::contract::Descriptor;
use super::engine::Engine;
use super::error::{Call, PluginError, PluginErrorKind, chain};
use super::inspect::{Surface, inspect};
use super::limits::Limits;
use super::source::{Candidate, Verified, load_error};
use super::store::Context;

/// A component that is ready to be called, and what it says of itself.
pub(super) struct Loaded {
    pub(super) contract: Box<dyn Contract>,
    pub(super) descriptor: Descriptor,
    pub(super) was_cached: bool,
}

/// Loads a component of which nothing is known but its bytes.
pub(super) fn load(
    engine: &Engine,
    limits: &Limits,
    cache: Option<&Cache>,
    candidate: &Candidate,
    verified: &Verified,
) -> Result<Loaded, PluginError> {
    let fail = |kind| load_error(candidate.label(), kind);
    let cached = cache.map(|cache| (cache, Key::new(engine, &verified.bytes)));
    if let Some((cache, key)) = cached
        && let Some(loaded) = from_cache(engine, cache, key)
    {
        return Ok(loaded);
    }
    let surface = inspect(&verified.bytes).map_err(fail)?;
    let lock = cached.and_then(|(cache, key)| cache.lock(key));
    let component = Component::new(engine.raw(), &verified.bytes).map_err(|error| {
        fail(PluginErrorKind::Damaged {
            chain: chain(&error),
        })
    })?;
    let contract = link(engine, &component, &surface).map_err(fail)?;
    let label = candidate.label();
    let context = Context {
        engine,
        limits,
        plugin: &label,
        call: Call::Describe,
        vm: None,
    };
    let descriptor = contract.describe(context)?;
    super::check::descriptor(&descriptor).map_err(|kind| context.error(kind))?;
    let about = About {
        surface,
        descriptor,
    };
    if let (Some((cache, key)), Some(lock)) = (cached, lock) {
        let stored = component
            .serialize()
            .map_err(|error| chain(&error))
            .and_then(|code| {
                cache
                    .store(key, &lock, &about, &code)
                    .map_err(|error| error.to_string())
            });
        if let Err(reason) = stored {
            // The next run compiles again; nothing else is lost.
            tracing::warn!(plugin = label, reason, "compiled plugin not cached");
        }
    }
    Ok(Loaded {
        contract,
        descriptor: about.descriptor,
        was_cached: false,
    })
}

fn from_cache(engine: &Engine, cache: &Cache, key: Key) -> Option<Loaded> {
    let entry = cache.load(key)?;
    let component = deserialize(engine, &entry.code)?;
    let contract = link(engine, &component, &entry.about.surface).ok()?;
    Some(Loaded {
        contract,
        descriptor: entry.about.descriptor,
        was_cached: true,
    })
}

/// Turns code from the cache into a component; `None` where wasmtime refuses it.
#[expect(
    unsafe_code,
    reason = "wasmtime cannot tell its own serialized code from bytes made to look like it"
)]
fn deserialize(engine: &Engine, code: &[u8]) -> Option<Component> {
    // SAFETY: `deserialize` demands bytes that `Component::serialize` made, unchanged. `Cache::load`
    // gives them only from a folder that nobody but the user may write to (0700, owner checked),
    // read into memory that no file backs, after a BLAKE3 over the whole body matched; and the key
    // holds the component's digest, wasmtime's compatibility hash and the layout's version.
    unsafe { Component::deserialize(engine.raw(), code) }.ok()
}

fn link(
    engine: &Engine,
    component: &Component,
    surface: &Surface,
) -> Result<Box<dyn Contract>, PluginErrorKind> {
    abi::link(engine, component, surface).map_err(|error| PluginErrorKind::WrongContract {
        what: format!(
            "it says tnvm:device {}, but what it imports or exports has another form: {}",
            surface.contract,
            chain(&error)
        ),
    })
}
