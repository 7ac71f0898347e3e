//! `tnvm apply`: makes the servers as the config, or a saved plan, says.

use std::path::Path;

use super::args::{ApplyArgs, Global};
use super::change::{self, Wanted};
use super::exit::{Exit, Failure};
use super::fleet::{Fleet, Target};
use super::look::Goal;
use super::output::Output;
use super::prepare::secrets_for;
use super::scope::{Known, known};
use super::session::{Opening, Session};
use super::work::{Question, Work};
use crate::config::{Environment, HostEntry};
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::plan::{Observed, Plan, SavedPart, SavedPlan, SavedPlanError, Step, VmPlan};
use crate::resolve::Desired;
use crate::truenas::Purpose;

/// Runs the command.
pub(super) async fn apply(
    global: &Global,
    args: &ApplyArgs,
    output: &Output,
) -> Result<Exit, Failure> {
    let saved = args.file.as_ref().map(|file| {
        refuse_unused(global, file)?;
        Ok((file.as_path(), read(file)?))
    });
    let saved: Option<(&Path, SavedPlan)> = saved.transpose()?;
    if let Some((file, _)) = &saved {
        refuse_unused(global, file)?;
    }
    let (fleet, environment) = match &saved {
        None => {
            let options = change::options(&args.change);
            let at_once = args.concurrency;
            let agreed = |wanted| Agreed {
                wanted,
                saved: None,
            };
            change::from_config(global, options, at_once, Purpose::Apply, output, agreed).await?
        }
        Some((file, saved)) => from_saved(global, args, file, saved, output).await?,
    };
    let work = Work {
        global,
        environment: &environment,
        output,
        dry_run: false,
        question: &|plans| (!args.yes).then(|| question(plans)).flatten(),
        // What is done is what was shown, and nothing else.
        as_shown: true,
        all_or_none: saved.is_some(),
        force_unlock: args.force_unlock,
        concurrency: args.concurrency,
        max_unavailable: Some(args.max_unavailable),
        on_failure: args.on_failure.into(),
    };
    let outcome = work.carry_out(&fleet).await;
    fleet.close().await;
    outcome
}

/// Connects to the servers that a saved plan is for, and looks whether they are the same.
async fn from_saved<'a>(
    global: &Global,
    args: &ApplyArgs,
    file: &'a Path,
    saved: &'a SavedPlan,
    output: &Output,
) -> Result<(Fleet<Agreed<'a>>, Environment), Failure> {
    let known = known(global, output)?;
    for part in &saved.parts {
        secrets_for(&known.environment, &part.desired, output)?;
    }
    let opening = Opening {
        global,
        environment: &known.environment,
        vms_at_once: args.concurrency,
        purpose: Purpose::Apply,
        output,
    };
    let targets = targets(&known, file, saved)?;
    let chosen = known.servers.chosen.iter();
    let chosen = chosen.filter_map(|host| host.name.clone());
    let mut unasked: Vec<String> = chosen.chain(known.servers.unasked.clone()).collect();
    unasked.retain(|name| {
        let is_asked = |target: &Target<_>| target.host.name.as_ref() == Some(name);
        !targets.iter().any(is_asked)
    });
    let fleet = Fleet::open(
        &opening,
        targets,
        unasked,
        async |session, part: &SavedPart| {
            let host = part.check_host(&saved.created, &change::identity(session));
            host.map_err(|error| not_applied(file, &error))?;
            let (desired, options) = (part.desired.clone(), saved.options.clone());
            Ok(Agreed {
                wanted: Wanted::new(desired, options, &known.environment),
                saved: Some(Saved {
                    file,
                    created: &saved.created,
                    part,
                }),
            })
        },
    )
    .await?;
    Ok((fleet, known.environment))
}

/// The server of each part: by its name, or the only one.
fn targets<'a>(
    known: &Known,
    file: &Path,
    saved: &'a SavedPlan,
) -> Result<Vec<Target<&'a SavedPart>>, Failure> {
    let mut targets = Vec::with_capacity(saved.parts.len());
    for part in &saved.parts {
        let host: HostEntry = match &part.name {
            None => known.servers.only()?.clone(),
            Some(name) => {
                let chosen = known.servers.chosen.iter();
                let mut chosen = chosen.filter(|one| one.name.as_ref() == Some(name));
                chosen
                    .next()
                    .ok_or_else(|| no_such_host(file, name))?
                    .clone()
            }
        };
        let vms = part.plan.vms.iter();
        targets.push(Target {
            host,
            vms: vms
                .map(|vm| (vm.name.clone(), vm.vm_type.clone()))
                .collect(),
            part,
        });
    }
    Ok(targets)
}

fn no_such_host(file: &Path, name: &str) -> Failure {
    Failure::Refused {
        message: format!(
            "nothing was changed: {}: it is for the host {name} too, which is not among those of the config, or not chosen",
            file.display()
        ),
        help: "a saved plan is carried out on all of its hosts, or not at all: name them in the config, and leave `--host` away".to_owned(),
    }
}

/// A saved plan says itself what should be; what would say something else must not pass unheard.
fn refuse_unused(global: &Global, file: &Path) -> Result<(), Failure> {
    let given = [
        ("--group", global.group.is_some()),
        ("--set", !global.set.is_empty()),
        ("--templates-dir", global.templates_dir.is_some()),
        ("--plugins-dir", global.plugins_dir.is_some()),
    ];
    let given: Vec<&str> = given
        .into_iter()
        .filter_map(|(flag, is_given)| is_given.then_some(flag))
        .collect();
    if given.is_empty() {
        return Ok(());
    }
    let problem = Diagnostic::error(format!(
        "{} changes nothing of a saved plan, and {} is one",
        given.join(", "),
        file.display()
    ))
    .help("leave it away, or plan again with it: `tnvm plan --out FILE`");
    Err(Failure::Problems(problem.into()))
}

fn read(file: &Path) -> Result<SavedPlan, Failure> {
    let text = std::fs::read_to_string(file).map_err(|cause| {
        let problem = Diagnostic::error(format!("could not read {}: {cause}", file.display()))
            .help("name a file that `tnvm plan --out FILE` wrote");
        Failure::Problems(problem.into())
    })?;
    SavedPlan::read(&text).map_err(|error| not_applied(file, &error))
}

/// A saved plan is carried out as it was agreed to, or not at all.
fn not_applied(file: &Path, error: &SavedPlanError) -> Failure {
    Failure::Refused {
        message: format!("nothing was changed: {}: {error}", file.display()),
        help: error.help().to_owned(),
    }
}

/// What should be on one server, and the saved plan that it must come to, if there is one.
struct Agreed<'a> {
    wanted: Wanted,
    saved: Option<Saved<'a>>,
}

struct Saved<'a> {
    file: &'a Path,
    created: &'a str,
    part: &'a SavedPart,
}

impl Goal for Agreed<'_> {
    fn group(&self) -> &str {
        self.wanted.group()
    }

    fn desired(&self) -> Option<&Desired> {
        self.wanted.desired()
    }

    async fn observe(&self, session: &Session) -> Result<Observed, Failure> {
        self.wanted.observe(session).await
    }

    fn plan(
        &self,
        observed: &Observed,
        elsewhere: &[(String, String)],
    ) -> Result<(Plan, Diagnostics), Failure> {
        let (plan, problems) = self.wanted.plan_from(observed, elsewhere);
        if let Some(saved) = &self.saved {
            let state = saved.part.check_state(saved.created, &plan, observed);
            state.map_err(|error| not_applied(saved.file, &error))?;
        }
        Ok((plan, problems))
    }
}

/// What plans take away from what is there: the names of the VMs that are removed, that lose
/// something, and that are restarted.
fn costs(plans: &[&Plan]) -> Vec<String> {
    let names = |what: &str, vms: Vec<&str>| {
        (!vms.is_empty()).then(|| format!("{what} {}", vms.join(", ")))
    };
    let of = |filter: &dyn Fn(&VmPlan) -> bool| {
        let vms = plans
            .iter()
            .flat_map(|plan| &plan.vms)
            .filter(|vm| filter(vm));
        vms.map(|vm| vm.name.as_str()).collect::<Vec<_>>()
    };
    let loses = |step: &Step| matches!(step, Step::DeleteDevice { .. } | Step::DeleteVolume { .. });
    [
        names("removes", of(&|vm| vm.removes())),
        names(
            "removes devices or zvols of",
            of(&|vm| !vm.removes() && vm.steps.iter().any(loses)),
        ),
        names("restarts", of(&|vm| vm.restarts())),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn question(plans: &[&Plan]) -> Option<Question> {
    let group = &plans.first()?.group;
    let costs = costs(plans).join(", ");
    (!costs.is_empty()).then(|| Question {
        text: format!("This {costs}. Type the group's name ({group}) to go on:"),
        of_program: format!(
            "this {costs}, and a program cannot be asked: `-o json` needs `--yes`, or look first with `tnvm plan`; nothing was changed"
        ),
        of_nobody: format!(
            "this {costs}, and nobody can be asked, since standard input is not a terminal; `--yes` goes on without asking; nothing was changed"
        ),
    })
}
