//! Which servers, which group and which variables a command is about, before any server is asked.
//!
//! Knows the config as far as that says it; knows no VM.

use super::args::Global;
use super::exit::Failure;
use super::output::Output;
use super::prepare::{environment, existing_config};
use crate::config::{Config, Environment, HostEntry, choose_hosts};
use crate::diagnostic::{Diagnostic, Diagnostics};

/// The servers of a command.
#[derive(Clone, Debug, Default)]
pub(super) struct Servers {
    /// Those that it is about, in order of the config: all, or the one that `--host` names.
    pub(super) chosen: Vec<HostEntry>,
    /// Names of the config's others.
    pub(super) unasked: Vec<String>,
}

/// The variables and servers, and the config where there is one: what `list` needs.
#[derive(Debug)]
pub(super) struct Known {
    /// The variables.
    pub(super) environment: Environment,
    /// The config, if there is one.
    pub(super) config: Option<Config>,
    /// The servers.
    pub(super) servers: Servers,
}

/// What `destroy` and `adopt` work on.
#[derive(Debug)]
pub(super) struct Scope {
    /// The group.
    pub(super) group: String,
    /// VMs that the config protects.
    pub(super) protected: Vec<String>,
    /// Everything else.
    pub(super) known: Known,
}

impl Servers {
    /// Chooses, and looks whether the chosen can be reached and logged in to, as far as that can be
    /// said without asking them.
    pub(super) fn choose(
        global: &Global,
        environment: &Environment,
        config: Option<&Config>,
    ) -> (Self, Diagnostics) {
        let unnamed = vec![HostEntry::default()];
        let all = config.map_or(&unnamed, |config| &config.hosts);
        let wanted = environment.wanted_host(global.host.as_deref());
        let wanted = wanted
            .as_ref()
            .map(|(source, host)| (*source, host.as_str()));
        let chosen = match choose_hosts(all, wanted) {
            Ok(chosen) => chosen,
            Err(problems) => return (Self::default(), problems),
        };
        let mut problems = Diagnostics::default();
        for host in &chosen {
            let missing = environment.connection(host).err();
            problems.extend(missing.unwrap_or_default());
        }
        if chosen.len() > 1 && global.fingerprint.is_some() {
            let problem = Diagnostic::error(
                "--fingerprint is of one certificate, and these are several hosts",
            )
            .help(
                "write each host's `fingerprint` under `truenas.hosts`, or choose one with --host",
            );
            problems.push(problem);
        }
        let records = global.record.as_ref();
        if chosen.len() > 1 && records.is_some_and(|path| !path.as_os_str().is_empty()) {
            let problem = Diagnostic::error("a recording is of one host, and these are several")
                .help("choose one with --host, or leave --record (TNVM_RECORD) away");
            problems.push(problem);
        }
        let unasked = all
            .iter()
            .filter(|host| !chosen.iter().any(|one| one.name == host.name));
        let unasked = unasked.filter_map(|host| host.name.clone()).collect();
        (Self { chosen, unasked }, problems)
    }

    /// The only server that the command is about.
    pub(super) fn only(&self) -> Result<&HostEntry, Failure> {
        let names = self.chosen.iter().filter_map(|one| one.name.as_deref());
        let names: Vec<&str> = names.collect();
        match self.chosen.as_slice() {
            [one] => Ok(one),
            _ => {
                let message = "the config names several hosts, and this command is about one";
                let problem = Diagnostic::error(message)
                    .help(format!("name it with `--host`: {}", names.join(", ")));
                Err(Failure::Problems(problem.into()))
            }
        }
    }
}

/// The variables and servers, and the config where there is one.
pub(super) fn known(global: &Global, output: &Output) -> Result<Known, Failure> {
    let (environment, mut problems) = environment(global);
    let (config, of_config) = existing_config(global);
    problems.extend(of_config);
    let (servers, of_servers) = Servers::choose(global, &environment, config.as_ref());
    problems.extend(of_servers);
    if problems.has_errors() {
        return Err(Failure::Problems(problems));
    }
    output.problems(&problems);
    Ok(Known {
        environment,
        config,
        servers,
    })
}

/// Finds the group: from `--group` alone, or from the config.
pub(super) fn scope(global: &Global, output: &Output) -> Result<Scope, Failure> {
    let known = known(global, output)?;
    let config = known.config.as_ref();
    let group = global
        .group
        .clone()
        .or_else(|| config.map(|one| one.group.clone()));
    let Some(group) = group else {
        let missing = Diagnostic::error(format!("there is no {}", global.config.display()))
            .help("name the config with --config, or the group alone with --group");
        return Err(Failure::Problems(missing.into()));
    };
    let protected = config.into_iter().flat_map(|one| &one.vms);
    Ok(Scope {
        group,
        protected: protected
            .filter(|vm| vm.protect)
            .map(|vm| vm.name.clone())
            .collect(),
        known,
    })
}
