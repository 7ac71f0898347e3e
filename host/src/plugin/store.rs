//! The one function that makes stores: none exists without limiter, deadline and copy limit.
//!
//! It knows nothing of contracts; `wasi` adds its state by [`HasState`].

use std::time::Duration;

use wasmtime::Store;

use super::engine::{Engine, TICK};
use super::error::{Call, PluginError, PluginErrorKind};
use super::limits::{Limiter, Limits};
use super::logs::Logs;

/// What every store holds.
#[derive(Debug)]
pub(super) struct State {
    /// Holds the store to its limits.
    pub(super) limiter: Limiter,
    /// The guest's log.
    pub(super) logs: Logs,
}

/// A store's data that holds a [`State`].
pub(super) trait HasState: Send + Sized + 'static {
    /// For a new store. `seed` gives the text that stands for the request, where one is needed.
    fn new(state: State, seed: &dyn Fn() -> String) -> Self;

    /// The state.
    fn state(&mut self) -> &mut State;

    /// After the call: passes on what was held back.
    fn finish(&mut self) {}

    /// Runs the call where it may run: here, unless the data needs another thread.
    fn on_a_fit_thread<R: Send>(call: impl FnOnce() -> R + Send) -> Result<R, PluginErrorKind> {
        Ok(call())
    }
}

impl HasState for State {
    fn new(state: State, _seed: &dyn Fn() -> String) -> Self {
        state
    }

    fn state(&mut self) -> &mut State {
        self
    }
}

/// Who calls what, and under which limits.
#[derive(Clone, Copy, Debug)]
pub(super) struct Context<'a> {
    /// The engine.
    pub(super) engine: &'a Engine,
    /// The limits.
    pub(super) limits: &'a Limits,
    /// The plugin's name, for log and errors.
    pub(super) plugin: &'a str,
    /// The call.
    pub(super) call: Call,
    /// The VM concerned.
    pub(super) vm: Option<&'a str>,
}

impl Context<'_> {
    /// How long the call may take.
    pub(super) fn time(&self) -> Duration {
        match self.call {
            Call::Load | Call::Describe => self.limits.describe,
            Call::Plan | Call::Normalize => self.limits.plan,
        }
    }

    /// The state of a new store.
    pub(super) fn state(&self) -> State {
        State {
            limiter: Limiter::new(self.limits),
            logs: Logs::new(self.plugin, self.vm, self.limits),
        }
    }

    /// An error of this call.
    pub(super) fn error(&self, kind: PluginErrorKind) -> PluginError {
        PluginError {
            plugin: self.plugin.to_owned(),
            call: self.call,
            vm: self.vm.map(str::to_owned),
            kind: Box::new(kind),
        }
    }
}

/// A store for one call. It is dropped after it: nothing a guest did outlives its call, and a
/// component that trapped could not be entered again anyway.
pub(super) fn store<T: HasState>(context: Context<'_>, data: T) -> Store<T> {
    let mut store = Store::new(context.engine.raw(), data);
    store.limiter(|data| &mut data.state().limiter);
    // Before instantiation, since a start function runs in it. One tick more, because the first
    // may come at once.
    store.set_epoch_deadline(ticks(context.time()).saturating_add(1));
    store.set_hostcall_fuel(context.limits.host_call);
    store
}

fn ticks(time: Duration) -> u64 {
    u64::try_from(time.as_nanos().div_ceil(TICK.as_nanos())).unwrap_or(u64::MAX / 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_of_a_tick_is_a_whole_one() {
        assert_eq!(ticks(Duration::from_secs(1)), 100);
        assert_eq!(ticks(Duration::from_millis(11)), 2);
        assert_eq!(ticks(Duration::from_nanos(1)), 1);
    }
}
