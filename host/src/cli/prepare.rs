//! From flags and files to what should be, with every problem of the input found at once.
//!
//! Nothing is sent to the server from here, except when granted facts are asked for.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

use super::args::Global;
use super::exit::Failure;
use super::fleet::{Place, Target};
use super::output::Output;
use super::scope::Servers;
use super::session;
use crate::config::{self, Config, Environment, HOST_KEYS, HostEntry, LoadOptions, SecretStore};
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::execute::{SecretError, SecretSource};
use crate::plan::Selection;
use crate::plugin::{
    LIMITS_VARIABLE, Limits, Origin, PluginFile, PluginSet, PluginSources, builtin, report,
};
use crate::resolve::{Desired, Inputs, check_shared_claims, resolve};
use crate::template::Templates;
use crate::truenas::Client;

/// The version that a plan without a server is for: the newest one that tnvm knows.
const OFFLINE_VERSION: &str = crate::release::NEWEST_VERSION;

/// Everything that a create needs, checked.
#[derive(Debug)]
pub(super) struct Prepared {
    /// The config.
    pub(super) config: Config,
    /// The variables.
    pub(super) environment: Environment,
    /// The parts of the servers that the command is about, in order of the config.
    pub(super) parts: Vec<Part>,
    /// Names of the config's other servers.
    pub(super) unasked: Vec<String>,
    templates: Templates,
    plugins: PluginSet,
}

/// One server's part.
#[derive(Clone, Debug)]
pub(super) struct Part {
    /// The server.
    pub(super) host: HostEntry,
    /// The config, with the VMs of this server alone.
    config: Config,
    /// What should be on it, as far as that is known without it.
    pub(super) desired: Desired,
}

impl Part {
    /// The name and type of each VM that is chosen.
    fn chosen(&self, selection: &Selection) -> Vec<(String, String)> {
        let vms = self.desired.vms.iter();
        vms.filter(|vm| selection.selects(&vm.name, &vm.vm_type))
            .map(|vm| (vm.name.clone(), vm.vm_type.clone()))
            .collect()
    }
}

/// Whether a server will be talked to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reach {
    /// It will.
    Server,
    /// It will not, so neither a host nor credentials nor secrets are asked for.
    Offline,
}

/// Loads and resolves everything.
pub(super) fn prepare(global: &Global, reach: Reach, output: &Output) -> Result<Prepared, Failure> {
    let (environment, mut problems) = environment(global);
    let (config, of_config) = load_config(global);
    problems.extend(of_config);
    let (templates, of_templates) = Templates::load(global.templates_dir.as_deref());
    problems.extend(of_templates);
    let (plugins, of_plugins) = load_plugins(global, config.as_ref());
    problems.extend(of_plugins);
    let (servers, of_servers) = Servers::choose(global, &environment, config.as_ref());
    if reach == Reach::Server {
        problems.extend(of_servers);
    }
    let Some(config) = config else {
        return Err(Failure::Problems(problems));
    };
    let mut parts = Vec::with_capacity(config.hosts.len());
    for host in &config.hosts {
        let config = config.of_host(host);
        let (desired, of_vms) = resolve(Inputs {
            config: &config,
            templates: &templates,
            plugins: &plugins,
            target_version: OFFLINE_VERSION,
            facts: &[],
        });
        problems.extend(of_vms);
        if reach == Reach::Server {
            problems.extend(check_secrets(&environment, &desired));
        }
        let host = host.clone();
        parts.push(Part {
            host,
            config,
            desired,
        });
    }
    let named = parts.iter().filter_map(|part| {
        let name = part.host.name.as_deref()?;
        Some((name, &part.desired))
    });
    problems.extend(check_shared_claims(named));
    if problems.has_errors() {
        return Err(Failure::Problems(problems));
    }
    output.problems(&problems);
    parts.retain_mut(|part| {
        let chosen = servers.chosen.iter().find(|one| one.name == part.host.name);
        if let Some(chosen) = chosen {
            part.host.clone_from(chosen);
        }
        chosen.is_some()
    });
    Ok(Prepared {
        config,
        environment,
        parts,
        unasked: servers.unasked,
        templates,
        plugins,
    })
}

impl Prepared {
    /// The servers, with the VMs of each that are chosen.
    pub(super) fn places(&self, selection: &Selection) -> Vec<Place> {
        let parts = self.parts.iter().enumerate();
        parts
            .map(|(index, part)| Place {
                index,
                name: part.host.name.clone(),
                vms: part.chosen(selection),
            })
            .collect()
    }

    /// The servers to log in to.
    pub(super) fn targets(&self, selection: &Selection) -> Vec<Target<Part>> {
        let parts = self.parts.iter();
        parts
            .map(|part| Target {
                host: part.host.clone(),
                vms: part.chosen(selection),
                part: part.clone(),
            })
            .collect()
    }

    /// Works out the VMs of a part again where its server has a say: its version, and facts that
    /// the config grants to a plugin.
    pub(super) async fn for_server(
        &self,
        part: &Part,
        client: &Client,
    ) -> Result<Desired, Failure> {
        let facts = self.granted_facts(client).await?;
        let version = client.server().version.to_string();
        let (desired, problems) = resolve(Inputs {
            config: &part.config,
            templates: &self.templates,
            plugins: &self.plugins,
            target_version: &version,
            facts: &facts,
        });
        if problems.has_errors() {
            return Err(Failure::Problems(problems));
        }
        Ok(desired)
    }

    /// The facts that plugins ask for and the config grants, each read once.
    async fn granted_facts(
        &self,
        client: &Client,
    ) -> Result<Vec<(String, Vec<(String, Value)>)>, Failure> {
        let mut granted = Vec::new();
        for plugin in self.plugins.iter() {
            let descriptor = plugin.descriptor();
            let entry = self.config.plugins.iter().find(|entry| match &entry.path {
                Some(wanted) => {
                    matches!(plugin.origin(), Origin::File { path, .. } if path == wanted)
                }
                None => entry.name == descriptor.name,
            });
            let mut values = Vec::new();
            for need in &descriptor.facts {
                if entry.is_some_and(|entry| entry.facts.contains(&need.kind)) {
                    let value = session::fact(client, &need.kind).await?;
                    values.push((need.kind.clone(), value));
                } else {
                    tracing::info!(
                        plugin = %descriptor.name,
                        fact = %need.kind,
                        reason = %need.reason,
                        "fact not granted"
                    );
                }
            }
            if !values.is_empty() {
                granted.push((descriptor.name.clone(), values));
            }
        }
        Ok(granted)
    }
}

/// The plugins, built in and added.
pub(super) fn load_plugins(global: &Global, config: Option<&Config>) -> (PluginSet, Diagnostics) {
    let entries = config.map(|one| one.plugins.as_slice()).unwrap_or_default();
    let files = entries.iter().filter_map(|entry| {
        Some(PluginFile {
            path: entry.path.clone()?,
            sha256: entry.sha256.clone(),
            origin: entry
                .origin
                .as_ref()
                .map_or_else(String::new, ToString::to_string),
        })
    });
    let files = files.collect();
    let limits = match std::env::var(LIMITS_VARIABLE) {
        Ok(text) => Limits::default().with(&text),
        Err(_) => Ok(Limits::default()),
    };
    let limits = match limits {
        Ok(limits) => limits,
        Err(cause) => {
            let problem = Diagnostic::error(format!("{LIMITS_VARIABLE}: {cause}"));
            return (PluginSet::default(), problem.into());
        }
    };
    let (plugins, problems) = PluginSet::load(PluginSources {
        builtin: builtin(),
        files,
        dir: global.plugins_dir.clone(),
        limits,
        cache_dir: cache_folder(),
        reserved_keys: HOST_KEYS.iter().map(ToString::to_string).collect(),
    });
    (plugins, report(&problems))
}

/// The secrets that devices take can all be had; else all that cannot are reported.
fn check_secrets(environment: &Environment, desired: &Desired) -> Diagnostics {
    let devices = desired.vms.iter().flat_map(|vm| &vm.devices);
    let mut references: Vec<&str> = devices
        .flat_map(|device| device.secrets.iter().map(|one| one.secret.as_str()))
        .collect();
    references.sort_unstable();
    references.dedup();
    let store = SecretStore::new(environment);
    let mut problems = store.check(references);
    problems.extend(check_passwords(&store, desired));
    problems
}

/// The most characters of the password of a VNC display (`vm.device.create`, 25.10 and newer).
const VNC_PASSWORD: usize = 8;

/// What the server says of a display's password only when the display is made.
fn check_passwords(store: &SecretStore, desired: &Desired) -> Diagnostics {
    let mut problems = Diagnostics::default();
    for vm in &desired.vms {
        for device in &vm.devices {
            let is = |attribute: &str, value: &str| {
                device.attributes.get(attribute).and_then(Value::as_str) == Some(value)
            };
            let password = device.secrets.iter().find(|one| one.pointer == "/password");
            let password = password.and_then(|one| store.resolve(&one.secret).ok());
            let Some(password) = password.filter(|_| is("dtype", "DISPLAY")) else {
                continue;
            };
            let password = password.expose_secret();
            let problem = if password.trim().is_empty() {
                Diagnostic::error("the password of the display is blank, which the server refuses")
                    .help("set one with a visible character")
            } else if is("type", "VNC") && password.chars().count() > VNC_PASSWORD {
                Diagnostic::error(format!(
                    "the password of the display is longer than the {VNC_PASSWORD} characters that VNC takes"
                ))
                .help("set a shorter one, or make the display `type: SPICE`")
            } else {
                continue;
            };
            problems.push(
                problem
                    .at(device.origin.clone())
                    .vm(&vm.name)
                    .device(&device.name),
            );
        }
    }
    problems
}

/// Reports the secrets of these devices that cannot be had.
pub(super) fn secrets_for(
    environment: &Environment,
    desired: &Desired,
    output: &Output,
) -> Result<(), Failure> {
    let problems = check_secrets(environment, desired);
    if problems.has_errors() {
        return Err(Failure::Problems(problems));
    }
    output.problems(&problems);
    Ok(())
}

/// The secrets of these devices that can be had, by their references.
pub(super) fn resolved_secrets(
    environment: &Environment,
    desired: &Desired,
) -> BTreeMap<String, SecretString> {
    let store = SecretStore::new(environment);
    let devices = desired.vms.iter().flat_map(|vm| &vm.devices);
    let references = devices.flat_map(|device| &device.secrets);
    references
        .filter_map(|one| Some((one.secret.clone(), store.resolve(&one.secret).ok()?)))
        .collect()
}

/// The secrets of a run, in the executor's terms.
pub(super) struct Secrets(SecretStore);

impl Secrets {
    /// From the variables, and files beside the config.
    pub(super) fn of(environment: &Environment) -> Self {
        Self(SecretStore::new(environment))
    }
}

impl SecretSource for Secrets {
    fn resolve(&self, reference: &str) -> Result<SecretString, SecretError> {
        self.0
            .resolve(reference)
            .map_err(|cause| SecretError::Unavailable {
                reference: reference.to_owned(),
                reason: cause.to_string(),
            })
    }
}

/// The config where there is one.
pub(super) fn existing_config(global: &Global) -> (Option<Config>, Diagnostics) {
    if global.config.exists() {
        load_config(global)
    } else {
        (None, Diagnostics::default())
    }
}

/// The variables of the process, and of the file beside the config.
pub(super) fn environment(global: &Global) -> (Environment, Diagnostics) {
    let folder = match global.config.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    };
    Environment::load(folder, std::env::vars_os())
}

fn load_config(global: &Global) -> (Option<Config>, Diagnostics) {
    config::load(&LoadOptions {
        path: global.config.clone(),
        group: global.group.clone(),
        set: global.set.clone(),
    })
}

/// Where compiled plugins are kept: `TNVM_CACHE_DIR`, else the platform's cache folder.
fn cache_folder() -> Option<PathBuf> {
    use etcetera::BaseStrategy;
    if let Some(folder) = std::env::var_os("TNVM_CACHE_DIR") {
        return (!folder.is_empty()).then(|| PathBuf::from(folder));
    }
    let strategy = etcetera::choose_base_strategy().ok()?;
    Some(strategy.cache_dir().join("tnvm"))
}
