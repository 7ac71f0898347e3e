//! The one place that configures wasmtime, together with the clock that makes its deadlines fire.
//!
//! It knows nothing of plugins, contracts or limits.

use std::hash::{Hash, Hasher};
use std::time::Duration;

use wasmtime::{Config, OptLevel, Strategy, WasmFeatures};

/// How often the clock of all deadlines ticks. 10 ms: a hundredth of the shortest limit, and cheap
/// enough (100 wake-ups a second) to run as long as the engine lives.
pub(super) const TICK: Duration = Duration::from_millis(10);

/// Stack of a guest. 1 MiB: half of what a thread of Rust has, so the host's own frames fit too.
const STACK: usize = 1024 * 1024;

/// Address space set aside per memory. 64 MiB: guests rarely pass it, and address space is not
/// exhausted by many stores at once as it would be with wasmtime's 4 GiB.
const RESERVATION: u64 = 64 * 1024 * 1024;

/// wasmtime, configured once, with its ticking clock.
#[derive(Clone)]
pub(super) struct Engine {
    inner: wasmtime::Engine,
}

/// The engine cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// wasmtime refuses the configuration: this machine lacks something it needs.
    #[error("wasmtime cannot run on this machine: {0}")]
    Refused(String),
    /// No thread for the clock, without which no deadline would ever fire.
    #[error("cannot start the thread that stops plugins which run too long: {0}")]
    Ticker(#[source] std::io::Error),
}

impl Engine {
    /// Makes the engine and starts its clock, which ends with the last clone of the engine.
    ///
    /// # Errors
    /// If wasmtime refuses the configuration or no thread can be started.
    pub(super) fn new() -> Result<Self, EngineError> {
        let inner = wasmtime::Engine::new(&config())
            .map_err(|error| EngineError::Refused(super::error::chain(&error)))?;
        let weak = inner.weak();
        // In the constructor that sets `epoch_interruption`: an engine with the flag and without
        // a clock would never stop a loop.
        std::thread::Builder::new()
            .name("tnvm-plugin-clock".to_owned())
            .spawn(move || {
                loop {
                    std::thread::sleep(TICK);
                    let Some(engine) = weak.upgrade() else { return };
                    engine.increment_epoch();
                }
            })
            .map_err(EngineError::Ticker)?;
        Ok(Self { inner })
    }

    /// wasmtime's own engine.
    pub(super) fn raw(&self) -> &wasmtime::Engine {
        &self.inner
    }

    /// Feeds everything that decides whether compiled code runs here into `hasher`.
    pub(super) fn hash_compatibility(&self, hasher: &mut impl Hasher) {
        self.inner.precompile_compatibility_hash().hash(hasher);
        // The hash does not name the compiler.
        hasher.write(b"cranelift");
    }
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Engine")
    }
}

fn config() -> Config {
    let mut config = Config::new();
    config
        .strategy(Strategy::Cranelift)
        .cranelift_opt_level(OptLevel::Speed)
        // The same request must give the same plan on every machine; NaN bits differ otherwise.
        .cranelift_nan_canonicalization(true)
        .wasm_component_model(true)
        // Deadlines by epoch, not fuel: fuel alone costs twice as much.
        .epoch_interruption(true)
        .consume_fuel(false)
        .max_wasm_stack(STACK)
        // A plugin's author learns of a failure from the panic's own text and place; addresses in
        // the component tell nobody anything, and leaving them out makes compiled code smaller and
        // quicker to load.
        .generate_address_map(false)
        .wasm_backtrace_max_frames(None)
        .native_unwind_info(cfg!(windows))
        // Mapping an image of the data for a store that lives for one call costs more than copying
        // the 20 KB: 8 % of a call (`cargo xtask bench plugins`).
        .memory_init_cow(false)
        .memory_reservation(RESERVATION)
        // Nothing that a pure function needs, and all of it surface or a source of difference.
        .wasm_relaxed_simd(false)
        .wasm_memory64(false)
        // Shared memories are also never shown to the limiter.
        .wasm_features(WasmFeatures::THREADS, false);
    config
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_ends_with_the_engine() {
        let engine = Engine::new().unwrap();
        let weak = engine.raw().weak();
        drop(engine);
        // The ticking thread holds the engine for an instant at most.
        let gone = (0..1000).any(|_| {
            std::thread::yield_now();
            weak.upgrade().is_none()
        });
        assert!(gone);
    }

    #[test]
    fn two_engines_accept_each_others_code() {
        let hash = || {
            let mut hasher = std::hash::DefaultHasher::new();
            Engine::new().unwrap().hash_compatibility(&mut hasher);
            hasher.finish()
        };
        assert_eq!(hash(), hash());
    }
}
