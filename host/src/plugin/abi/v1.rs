//! Contract 1.x: links a component and performs its calls.
//!
//! It knows nothing of what an answer must satisfy beyond being readable.

use serde_json::{Map, Value};
use tracing::Level;
use wasmtime::component::{Component, HasSelf, Linker};

use super::bind::tnvm::device::log;
use super::bind::{DevicePlugin, DevicePluginPre, exports, tnvm};
use super::convert::{self, TextSize};
use super::{Contract, PlanError};
use crate::plugin::contract::{Descriptor, PlanRequest, Planned};
use crate::plugin::engine::Engine;
use crate::plugin::error::{PluginError, PluginErrorKind};
use crate::plugin::failure::explain;
use crate::plugin::store::{Context, HasState, State, store};
use crate::plugin::text::plain;
use crate::plugin::wasi::{self, WithWasi};

/// Links against contract 1.x, with closed WASI only for a component that asks for it.
pub(super) fn link(
    engine: &Engine,
    component: &Component,
    wasi: bool,
) -> wasmtime::Result<Box<dyn Contract>> {
    if wasi {
        let mut linker = Linker::<WithWasi>::new(engine.raw());
        wasi::add_to_linker(&mut linker)?;
        Ok(Box::new(V1::link(linker, component)?))
    } else {
        Ok(Box::new(V1::link(
            Linker::<State>::new(engine.raw()),
            component,
        )?))
    }
}

struct V1<T: 'static> {
    pre: DevicePluginPre<T>,
}

impl<T: HasState> V1<T> {
    fn link(mut linker: Linker<T>, component: &Component) -> wasmtime::Result<Self> {
        log::add_to_linker::<T, HasSelf<State>>(&mut linker, T::state)?;
        tnvm::device::types::add_to_linker::<T, HasSelf<State>>(&mut linker, T::state)?;
        let pre = DevicePluginPre::new(linker.instantiate_pre(component)?)?;
        Ok(Self { pre })
    }

    /// One call in a store of its own.
    fn call<R: TextSize + Send>(
        &self,
        context: Context<'_>,
        seed: &(dyn Fn() -> String + Sync),
        run: impl FnOnce(&mut wasmtime::Store<T>, &DevicePlugin) -> wasmtime::Result<R> + Send,
    ) -> Result<R, PluginError> {
        T::on_a_fit_thread(|| {
            let mut store = store(context, T::new(context.state(), seed));
            let result = match self.pre.instantiate(&mut store) {
                Ok(guest) => {
                    run(&mut store, &guest).map_err(|error| ("its answer cannot be read", error))
                }
                Err(error) => Err(("it cannot be instantiated", error)),
            };
            store.data_mut().finish();
            let answer = result.map_err(|(what, error)| {
                context.error(explain(context, store.data_mut().state(), what, &error))
            })?;
            let (size, limit) = (answer.text_size(), context.limits.result);
            if size > limit {
                return Err(context.error(PluginErrorKind::ResultTooLarge { size, limit }));
            }
            Ok(answer)
        })
        .map_err(|lost| context.error(lost))?
    }
}

impl<T: HasState> Contract for V1<T> {
    fn describe(&self, context: Context<'_>) -> Result<Descriptor, PluginError> {
        let answer = self.call(context, &|| "describe".to_owned(), |store, guest| {
            guest.tnvm_device_plugin().call_describe(store)
        })?;
        convert::descriptor(answer).map_err(|kind| context.error(kind))
    }

    fn plan(&self, context: Context<'_>, request: &PlanRequest) -> Result<Planned, PlanError> {
        use exports::tnvm::device::plugin::Failure;
        let question = convert::request(request);
        let answer = self.call(context, &|| format!("{request:?}"), |store, guest| {
            guest.tnvm_device_plugin().call_plan(store, &question)
        })?;
        match answer {
            Ok(planned) => convert::planned(planned).map_err(|kind| context.error(kind).into()),
            Err(Failure::Invalid(diagnostics)) if diagnostics.is_empty() => {
                Err(context.error(PluginErrorKind::BadAnswer {
                    what: "it refuses its input without saying why".to_owned(),
                }))?
            }
            Err(Failure::Invalid(diagnostics)) => Err(PlanError::Invalid(
                diagnostics.into_iter().map(convert::diagnostic).collect(),
            )),
            Err(Failure::Internal(message)) => Err(context.error(reported(&message)))?,
        }
    }

    fn normalize(
        &self,
        context: Context<'_>,
        attributes: &Map<String, Value>,
    ) -> Result<Map<String, Value>, PluginError> {
        // Serializing a map of JSON values cannot fail; `Display` of `Value` is the same text.
        let text = Value::Object(attributes.clone()).to_string();
        let answer = self.call(context, &|| text.clone(), |store, guest| {
            guest.tnvm_device_plugin().call_normalize(store, &text)
        })?;
        answer
            .map_err(|message| reported(&message))
            .and_then(|text| convert::object(&text, || "the answer".to_owned()))
            .map_err(|kind| context.error(kind))
    }
}

fn reported(message: &str) -> PluginErrorKind {
    PluginErrorKind::Reported {
        message: plain(message),
    }
}

impl log::Host for State {
    fn log(
        &mut self,
        level: log::Level,
        message: String,
        fields: Vec<(String, String)>,
    ) -> wasmtime::Result<()> {
        let level = match level {
            log::Level::Trace => Level::TRACE,
            log::Level::Debug => Level::DEBUG,
            log::Level::Info => Level::INFO,
            log::Level::Warn => Level::WARN,
            log::Level::Error => Level::ERROR,
        };
        Ok(self.logs.write(level, &message, &fields)?)
    }

    fn panicked(&mut self, message: String) -> wasmtime::Result<()> {
        self.logs.panicked(&message);
        Ok(())
    }
}

impl tnvm::device::types::Host for State {}
