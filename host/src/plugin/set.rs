//! The plugins of a run: loads all sources, and decides which plugin answers for which key.
//!
//! It knows nothing of the config's form or of what devices are.

use std::borrow::Cow;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Map, Value};

use super::abi::{Contract, PlanError};
use super::cache::{Cache, CacheOff};
use super::contract::{Descriptor, PlanRequest, Planned, PluginDiagnostic};
use super::engine::{Engine, EngineError};
use super::error::{Call, PluginError, PluginErrorKind};
use super::limits::Limits;
use super::source::{Candidate, Origin, PluginSources, candidates, load_error, sha256};
use super::store::Context;
use super::{check, component, schema};
use crate::diagnostic::{Diagnostic, Diagnostics};

/// A plugin, ready to be called from any thread.
pub struct Plugin {
    engine: Engine,
    limits: Limits,
    origin: Origin,
    sha256: OnceLock<String>,
    size: usize,
    /// The component, where it is part of this program; else empty.
    embedded: &'static [u8],
    was_cached: bool,
    descriptor: Descriptor,
    contract: Box<dyn Contract>,
    /// Compiled when the first value is checked: listing and most runs need only some of them.
    validator: OnceLock<Result<jsonschema::Validator, String>>,
}

impl std::fmt::Debug for Plugin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Plugin")
            .field("name", &self.descriptor.name)
            .field("origin", &self.origin)
            .finish_non_exhaustive()
    }
}

impl Plugin {
    /// What it says of itself, checked.
    #[must_use]
    pub fn descriptor(&self) -> &Descriptor {
        &self.descriptor
    }

    /// Where it comes from.
    #[must_use]
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// SHA-256 of the component, in hex digits.
    #[must_use]
    pub fn sha256(&self) -> &str {
        // Known from the start for a file.
        self.sha256.get_or_init(|| sha256(self.embedded))
    }

    /// Bytes of the component.
    #[must_use]
    pub fn size(&self) -> usize {
        self.size
    }

    /// Whether its compiled code came from the cache, so that loading ran no compiler.
    #[must_use]
    pub fn was_cached(&self) -> bool {
        self.was_cached
    }

    /// The devices of one VM. Every call has a sandbox of its own and may run beside others.
    ///
    /// # Errors
    /// [`PlanError::Invalid`] where the input is at fault, [`PlanError::Failed`] where the plugin
    /// crossed a limit, trapped, or broke the contract. Other calls work on after any of them.
    pub fn plan(&self, request: &PlanRequest) -> Result<Planned, PlanError> {
        let context = self.context(Call::Plan, Some(&request.vm.name));
        let planned = self.contract.plan(context, request)?;
        check::planned(&planned, &self.descriptor, request).map_err(|kind| context.error(kind))?;
        Ok(planned)
    }

    /// Attributes as the server reports them, in the form that `plan` gives.
    ///
    /// # Errors
    /// Where the plugin refuses them, crossed a limit, trapped, or broke the contract.
    pub fn normalize(
        &self,
        attributes: &Map<String, Value>,
    ) -> Result<Map<String, Value>, PluginError> {
        self.contract
            .normalize(self.context(Call::Normalize, None), attributes)
    }

    /// All mistakes of a value under the plugin's key, by the plugin's schema. Runs no plugin.
    #[must_use]
    pub fn check_config(&self, value: &Value) -> Vec<PluginDiagnostic> {
        let schema = &self.descriptor.config_schema;
        match self.validator.get_or_init(|| schema::compile(schema)) {
            Ok(validator) => schema::check(validator, schema, value),
            // It compiled when the plugin was loaded; `plan` still checks the value itself.
            Err(reason) => {
                tracing::warn!(plugin = self.descriptor.name, reason, "schema not usable");
                Vec::new()
            }
        }
    }

    fn context<'a>(&'a self, call: Call, vm: Option<&'a str>) -> Context<'a> {
        Context {
            engine: &self.engine,
            limits: &self.limits,
            plugin: &self.descriptor.name,
            call,
            vm,
        }
    }
}

/// Something worth saying about the loading of plugins.
#[derive(Debug)]
pub enum LoadProblem {
    /// A plugin cannot be used.
    Failed(PluginError),
    /// No plugin can be used.
    Engine(EngineError),
    /// A plugin stands in for another of the same name or key.
    Replaced {
        /// The name of the plugin that is used.
        by: String,
        /// Where that comes from.
        by_origin: Origin,
        /// The name of the plugin that is not.
        replaced: String,
        /// Where that comes from.
        replaced_origin: Origin,
    },
    /// Compiled code is not kept.
    CacheOff(CacheOff),
}

impl LoadProblem {
    /// As a problem for a report: an error where a plugin is missing, else a warning.
    #[must_use]
    pub fn diagnostic(&self) -> Diagnostic {
        match self {
            Self::Failed(error) => error.diagnostic(),
            Self::Engine(error) => Diagnostic::error(error.to_string()),
            Self::Replaced {
                by,
                by_origin,
                replaced,
                replaced_origin,
            } => Diagnostic::warning(format!(
                "plugin `{by}` ({by_origin}) is used instead of plugin `{replaced}` ({replaced_origin})"
            )),
            Self::CacheOff(off) => Diagnostic::warning(off.to_string()),
        }
    }
}

/// All problems as one report.
#[must_use]
pub fn report(problems: &[LoadProblem]) -> Diagnostics {
    let mut report = Diagnostics::default();
    for problem in problems {
        report.push(problem.diagnostic());
    }
    report
}

/// The plugins of a run, in the order of choice: config, `--plugins-dir`, built-in.
#[derive(Debug, Default)]
pub struct PluginSet {
    plugins: Vec<Plugin>,
}

impl PluginSet {
    /// Loads everything that can be loaded; what cannot, and what was replaced, is told beside it.
    ///
    /// Nothing is printed. A run should stop where a problem's diagnostic is an error.
    #[must_use]
    pub fn load(sources: PluginSources) -> (Self, Vec<LoadProblem>) {
        let mut problems = Vec::new();
        let engine = match Engine::new() {
            Ok(engine) => engine,
            Err(error) => return (Self::default(), vec![LoadProblem::Engine(error)]),
        };
        let cache = match sources.cache_dir.as_deref().map(Cache::open).transpose() {
            Ok(cache) => cache,
            Err(off) => {
                problems.push(LoadProblem::CacheOff(off));
                None
            }
        };
        let (candidates, unreadable) = candidates(&sources);
        problems.extend(unreadable.map(LoadProblem::Failed));
        let mut set = Self::default();
        for result in load_all(&engine, &sources.limits, cache.as_ref(), candidates) {
            match result {
                Ok(plugin) => set.admit(plugin, &sources.reserved_keys, &mut problems),
                Err(error) => problems.push(LoadProblem::Failed(error)),
            }
        }
        (set, problems)
    }

    /// The plugin that answers for a key of a VM type.
    #[must_use]
    pub fn claiming(&self, key: &str) -> Option<&Plugin> {
        self.iter().find(|plugin| plugin.descriptor.key == key)
    }

    /// The keys that are claimed.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.iter().map(|plugin| plugin.descriptor.key.as_str())
    }

    /// All plugins, in a stable order.
    pub fn iter(&self) -> std::slice::Iter<'_, Plugin> {
        self.plugins.iter()
    }

    /// Takes a plugin in, unless one that was chosen before it stands in for it.
    fn admit(&mut self, plugin: Plugin, reserved: &[String], problems: &mut Vec<LoadProblem>) {
        let Descriptor { name, key, .. } = &plugin.descriptor;
        let label = || format!("`{name}` ({})", plugin.origin);
        if reserved.contains(key) {
            let key = key.clone();
            let error = load_error(label(), PluginErrorKind::ReservedKey { key });
            problems.push(LoadProblem::Failed(error));
            return;
        }
        let same_name = self.iter().find(|one| one.descriptor.name == *name);
        let Some(earlier) = same_name.or_else(|| self.claiming(key)) else {
            self.plugins.push(plugin);
            return;
        };
        let (other, other_origin) = (earlier.descriptor.name.clone(), earlier.origin.clone());
        problems.push(if same_name.is_some() || plugin.origin == Origin::Builtin {
            LoadProblem::Replaced {
                by: other,
                by_origin: other_origin,
                replaced: name.clone(),
                replaced_origin: plugin.origin,
            }
        } else {
            let kind = PluginErrorKind::KeyConflict {
                key: key.clone(),
                other,
                other_origin: other_origin.to_string(),
            };
            LoadProblem::Failed(load_error(label(), kind))
        });
    }
}

impl<'a> IntoIterator for &'a PluginSet {
    type Item = &'a Plugin;
    type IntoIter = std::slice::Iter<'a, Plugin>;
    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// Loads on all processors; results in the order of the candidates.
fn load_all(
    engine: &Engine,
    limits: &Limits,
    cache: Option<&Cache>,
    candidates: Vec<Candidate>,
) -> Vec<Result<Plugin, PluginError>> {
    let slots: Vec<OnceLock<Result<Plugin, PluginError>>> =
        candidates.iter().map(|_| OnceLock::new()).collect();
    let next = AtomicUsize::new(0);
    let work = || {
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let (Some(candidate), Some(slot)) = (candidates.get(at), slots.get(at)) else {
                return;
            };
            // Each place is taken once, so nothing was there before.
            let _ = slot.set(load_one(engine, limits, cache, candidate));
        }
    };
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 1..processors.min(candidates.len()) {
            // Without another thread this one does all the work.
            let _ = std::thread::Builder::new().spawn_scoped(scope, work);
        }
        work();
    });
    slots
        .into_iter()
        .zip(&candidates)
        .map(|(slot, candidate)| {
            slot.into_inner().unwrap_or_else(|| {
                let kind = PluginErrorKind::Host("its loading was given up".to_owned());
                Err(load_error(candidate.label(), kind))
            })
        })
        .collect()
}

fn load_one(
    engine: &Engine,
    limits: &Limits,
    cache: Option<&Cache>,
    candidate: &Candidate,
) -> Result<Plugin, PluginError> {
    let verified = candidate
        .read(limits)
        .map_err(|kind| load_error(candidate.label(), kind))?;
    let loaded = component::load(engine, limits, cache, candidate, &verified)?;
    Ok(Plugin {
        engine: engine.clone(),
        limits: limits.clone(),
        origin: candidate.origin.clone(),
        sha256: verified.sha256.map_or_else(OnceLock::new, OnceLock::from),
        size: verified.bytes.len(),
        embedded: match verified.bytes {
            Cow::Borrowed(bytes) => bytes,
            Cow::Owned(_) => &[],
        },
        was_cached: loaded.was_cached,
        descriptor: loaded.descriptor,
        contract: loaded.contract,
        validator: OnceLock::new(),
    })
}
