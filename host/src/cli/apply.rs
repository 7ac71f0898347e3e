//! `tnvm apply`: makes the server as the config, or a saved plan, says.

use std::path::Path;

use super::args::{ApplyArgs, Global, OnFailureArg};
use super::change::{self, Wanted};
use super::exit::{Exit, Failure};
use super::guard;
use super::output::Output;
use super::prepare::{Secrets, optional_config, secrets_for};
use super::run::{Run, run, show_only};
use super::session::{self, Session};
use crate::config::Environment;
use crate::diagnostic::Diagnostic;
use crate::execute::OnFailure;
use crate::plan::{Observed, Plan, PlanView, SavedPlan, SavedPlanError, Step};
use crate::truenas::Purpose;

/// Runs the command.
pub(super) async fn apply(
    global: &Global,
    args: &ApplyArgs,
    output: &Output,
) -> Result<Exit, Failure> {
    let Some(file) = &args.file else {
        let options = change::options(&args.change);
        let (session, wanted, environment) =
            change::from_config(global, options, args.concurrency, Purpose::Apply, output).await?;
        let this = Apply {
            session: &session,
            wanted: &wanted,
            saved: None,
            global,
            args,
            environment: &environment,
        };
        let outcome = this.run(output).await;
        session.close().await;
        return outcome;
    };
    refuse_unused(global, file)?;
    let saved = read(file)?;
    let (environment, config) = optional_config(global, output)?;
    secrets_for(&environment, &saved.desired, output)?;
    let session = session::open(
        global,
        &environment,
        config.as_ref(),
        args.concurrency,
        Purpose::Apply,
        output,
    )
    .await?;
    let (desired, options) = (saved.desired.clone(), saved.options.clone());
    let wanted = Wanted::new(desired, options, &environment);
    let this = Apply {
        session: &session,
        wanted: &wanted,
        saved: Some((file, &saved)),
        global,
        args,
        environment: &environment,
    };
    let outcome = this.run(output).await;
    session.close().await;
    outcome
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

struct Apply<'a> {
    session: &'a Session,
    wanted: &'a Wanted,
    saved: Option<(&'a Path, &'a SavedPlan)>,
    global: &'a Global,
    args: &'a ApplyArgs,
    environment: &'a Environment,
}

impl Apply<'_> {
    async fn run(&self, output: &Output) -> Result<Exit, Failure> {
        if let Some((file, saved)) = self.saved {
            let host = saved.check_host(&change::identity(self.session));
            host.map_err(|error| not_applied(file, &error))?;
        }
        let observe = async || self.wanted.observe(self.session).await;
        let (place, observed) = tokio::join!(guard::look(self.session), observe());
        let observed = observed?;
        let plan = self.plan(&observed, Some(output))?;
        if self.global.read_only && !plan.is_empty() {
            show_only(&plan, Some(&observed), output);
            return Err(guard::read_only());
        }
        let ask = !self.args.yes && !costs(&plan).is_empty();
        // What was seen before a question is old by the time of its answer.
        let mut place = place;
        if ask {
            confirm(&plan, &observed, output)?;
            place = None;
        }
        let mut lock = None;
        if !plan.is_empty() {
            self.session.expect(&plan, self.args.concurrency);
            let force = self.args.force_unlock;
            let (held, observed) =
                guard::lock(self.session, place, &plan.group, force, output, observe).await?;
            let again = observed.and_then(|observed| self.plan(&observed, None));
            let refused = match again {
                Ok(again) if again == plan => None,
                // What is done is what was shown, and nothing else.
                Ok(_) => Some(guard::changed_meanwhile()),
                Err(failure) => Some(failure),
            };
            if let Some(failure) = refused {
                guard::unlock(held).await;
                return Err(failure);
            }
            lock = held;
        } else {
            guard::sweep(self.session, place, &plan.group).await;
        }
        let secrets = Secrets::of(self.environment);
        let run_it = Run {
            plan: &plan,
            observed: Some(&observed),
            session: self.session,
            lock,
            secrets: &secrets,
            concurrency: self.args.concurrency,
            max_unavailable: Some(self.args.max_unavailable),
            on_failure: match self.args.on_failure {
                OnFailureArg::Rollback => OnFailure::Rollback,
                OnFailureArg::Keep => OnFailure::Keep,
            },
            shown: ask,
        };
        run(run_it, output).await
    }

    /// Plans, and compares with what was saved. Problems are shown where there is an output.
    fn plan(&self, observed: &Observed, output: Option<&Output>) -> Result<Plan, Failure> {
        let (plan, problems) = self.wanted.plan(observed);
        if let Some((file, saved)) = self.saved {
            let state = saved.check_state(&plan, observed);
            state.map_err(|error| not_applied(file, &error))?;
        }
        if problems.has_errors() {
            return Err(Failure::Problems(problems));
        }
        if let Some(output) = output {
            output.problems(&problems);
        }
        Ok(plan)
    }
}

/// What a plan takes away from what is there: the names of the VMs that are removed, that lose
/// something, and that are restarted.
fn costs(plan: &Plan) -> Vec<String> {
    let names = |what: &str, vms: Vec<&str>| {
        (!vms.is_empty()).then(|| format!("{what} {}", vms.join(", ")))
    };
    let of = |filter: &dyn Fn(&crate::plan::VmPlan) -> bool| {
        let vms = plan.vms.iter().filter(|vm| filter(vm));
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

fn confirm(plan: &Plan, observed: &Observed, output: &Output) -> Result<(), Failure> {
    let costs = costs(plan).join(", ");
    if output.is_json() {
        return Err(Failure::NotConfirmed(format!(
            "this {costs}, and a program cannot be asked: `-o json` needs `--yes`, or look first with `tnvm plan`; nothing was changed"
        )));
    }
    output.plan(&PlanView::of(plan, Some(observed)));
    let question = format!(
        "This {costs}. Type the group's name ({}) to go on:",
        plan.group
    );
    match output.ask(&question) {
        Some(answer) if answer == plan.group => Ok(()),
        Some(_) => Err(Failure::NotConfirmed(
            "that is not the group's name; nothing was changed".to_owned(),
        )),
        None => Err(Failure::NotConfirmed(format!(
            "this {costs}, and nobody can be asked, since standard input is not a terminal; `--yes` goes on without asking; nothing was changed"
        ))),
    }
}
