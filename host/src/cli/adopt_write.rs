//! `tnvm adopt --write`: a config for VMs that exist, tried out before it is given away.

use std::io::Write as _;
use std::path::Path;

use serde_json::{Map, Value};

use super::adopt::Adopt;
use super::change::Wanted;
use super::exit::{Exit, Failure};
use super::output::Output;
use super::prepare::load_plugins;
use super::session;
use crate::config::{self, LoadOptions};
use crate::describe::{Further, describe, draft};
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::plan::{AdoptPlan, Observed, Plan, PlanView, SavedOptions, adopted, render};
use crate::plugin::PluginSet;
use crate::resolve::{Inputs, resolve};
use crate::template::Templates;

/// Writes the config. `-` is standard output.
pub(super) async fn write(this: &Adopt<'_>, path: &Path, output: &Output) -> Result<Exit, Failure> {
    let to_stdout = path == Path::new("-");
    if !to_stdout && path.exists() {
        let problem = Diagnostic::error(format!("{} exists already", path.display()))
            .help("name another file, or `-` for standard output, and copy what you need");
        return Err(Failure::Problems(problem.into()));
    }
    let observed = session::observe_everything(&this.session.client).await?;
    let (plan, problems) = this.plan(None, &observed)?;
    output.remarks(&problems);

    let after = adopted(&plan, &observed);
    let trial = Trial::new(this, path)?;
    // A draft that comes to nothing has nothing to add.
    let tried = trial.plan(&draft(&plan, &after), &plan, &observed);
    let further = tried.map_or_else(|_| Further::new(), |(tried, _)| further(&tried));
    let (text, remarks) = describe(&plan, &after, &further);
    output.remarks(&remarks);

    if to_stdout {
        output.line(text.trim_end());
    } else {
        let made =
            std::fs::File::create_new(path).and_then(|mut file| file.write_all(text.as_bytes()));
        made.map_err(|cause| {
            let problem = Diagnostic::error(format!("could not write {}: {cause}", path.display()))
                .help("name a file in a folder that can be written");
            Failure::Problems(problem.into())
        })?;
        output.note(&format!("wrote {}", path.display()));
    }
    if let Some(name) = &this.session.name {
        output.note(&format!(
            "it says nothing of hosts: write `host: {name}` to its types where you copy them"
        ));
    }
    others(&plan, &observed, output);
    let (tried, refused) = match trial.plan(&text, &plan, &observed) {
        Ok(tried) => tried,
        Err(Failure::Problems(problems)) => {
            output.note("tried out: it cannot be used before this is put right:");
            output.remarks(&problems);
            return Ok(Exit::Failed);
        }
        Err(failure) => return Err(failure),
    };
    if tried.is_empty() && !refused.has_errors() {
        output.note("tried out: once the VMs are adopted, an apply of it has nothing to do");
        return Ok(Exit::Done);
    }
    output.note("tried out: an apply of it would still change this:");
    for line in render(&PlanView::from(&tried)) {
        output.note(&line.text);
    }
    output.remarks(&refused);
    Ok(Exit::Failed)
}

/// What a text needs to be tried out as a config.
struct Trial<'a> {
    this: &'a Adopt<'a>,
    /// What the text is called.
    path: &'a Path,
    templates: Templates,
    plugins: PluginSet,
}

impl<'a> Trial<'a> {
    fn new(this: &'a Adopt<'a>, path: &'a Path) -> Result<Self, Failure> {
        let (templates, mut problems) = Templates::load(this.global.templates_dir.as_deref());
        // A config that is written names no plugins.
        let (plugins, found) = load_plugins(this.global, None);
        problems.extend(found);
        if problems.has_errors() {
            return Err(Failure::Problems(problems));
        }
        Ok(Self {
            this,
            path,
            templates,
            plugins,
        })
    }

    /// Loads the text as a config, and plans with it as if the VMs were adopted with it.
    fn plan(
        &self,
        text: &str,
        plan: &AdoptPlan,
        observed: &Observed,
    ) -> Result<(Plan, Diagnostics), Failure> {
        let options = LoadOptions {
            path: self.path.to_path_buf(),
            group: Some(plan.group.clone()),
            set: Vec::new(),
        };
        let (config, problems) = config::load_text(text, &options);
        let Some(config) = config.filter(|_| !problems.has_errors()) else {
            return Err(Failure::Problems(problems));
        };
        let version = self.this.session.client.server().version.to_string();
        let (desired, problems) = resolve(Inputs {
            config: &config,
            templates: &self.templates,
            plugins: &self.plugins,
            target_version: &version,
            facts: &[],
        });
        if problems.has_errors() {
            return Err(Failure::Problems(problems));
        }
        let options = SavedOptions {
            only: plan.vms.iter().map(|vm| vm.name.clone()).collect(),
            ..SavedOptions::default()
        };
        // The config gives the disks their names when it comes to that.
        let (as_marked, _) = self.this.plan(Some(&desired), observed)?;
        let wanted = Wanted::new(desired, options, &self.this.scope.known.environment);
        Ok(wanted.plan_from(&adopted(&as_marked, observed), &[]))
    }
}

/// The fields of the VMs that differ, as the server has them.
fn further(tried: &Plan) -> Further {
    let mut further = Further::new();
    for vm in &tried.vms {
        let fields: Map<String, Value> = vm
            .changes
            .iter()
            .filter(|change| change.device.is_none())
            // Said in a config's own words already.
            .filter(|change| !SAID.contains(&change.attribute.as_str()))
            .map(|change| (change.attribute.clone(), change.from.clone()))
            .collect();
        if !fields.is_empty() {
            further.insert(vm.name.clone(), fields);
        }
    }
    further
}

/// Fields that a config has its own keys for.
const SAID: [&str; 6] = [
    "vcpus",
    "cores",
    "threads",
    "memory",
    "min_memory",
    "description",
];

/// The group's other VMs would go with an apply of this config alone.
fn others(plan: &AdoptPlan, observed: &Observed, output: &Output) {
    let marks = observed.marks(&plan.group);
    let others: Vec<&str> = marks
        .into_iter()
        .map(|mark| mark.vm.as_str())
        .filter(|name| !plan.vms.iter().any(|vm| vm.name == *name))
        .collect();
    if !others.is_empty() {
        output.note(&format!(
            "warning: the group {} also has {}: put this into their config, or name another --group",
            plan.group,
            others.join(", ")
        ));
    }
}
