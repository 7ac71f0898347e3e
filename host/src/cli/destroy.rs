//! `tnvm destroy`: shows what goes, asks, removes it, and looks whether it is gone.

use super::args::{DestroyArgs, Global};
use super::exit::{Exit, Failure};
use super::fleet::{Fleet, Target};
use super::look::Goal;
use super::output::Output;
use super::scope::{Scope, scope};
use super::session::{self, Opening, Session};
use super::work::{Question, Work};
use crate::config::HostEntry;
use crate::diagnostic::Diagnostics;
use crate::execute::OnFailure;
use crate::plan::{DestroyOptions, Observed, Plan, Selection, plan_destroy};
use crate::resolve::Desired;
use crate::truenas::Purpose;

/// Runs the command.
pub(super) async fn destroy(
    global: &Global,
    args: &DestroyArgs,
    output: &Output,
) -> Result<Exit, Failure> {
    let scope = scope(global, output)?;
    let opening = Opening {
        global,
        environment: &scope.known.environment,
        vms_at_once: args.concurrency,
        purpose: if args.dry_run {
            Purpose::Look
        } else {
            Purpose::Destroy
        },
        output,
    };
    let selection = Selection::of(&args.only);
    let servers = scope.known.servers.clone();
    let targets = servers.chosen.into_iter().map(|host| Target {
        vms: vms_of(&scope, &host, &selection),
        host,
        part: (),
    });
    let fleet = Fleet::open(
        &opening,
        targets.collect(),
        servers.unasked,
        async |_, ()| {
            Ok(Gone {
                scope: &scope,
                args,
            })
        },
    )
    .await?;
    let work = Work {
        global,
        environment: &scope.known.environment,
        output,
        dry_run: args.dry_run,
        question: &|plans| (!args.yes).then(|| question(plans)).flatten(),
        // What is removed is what was shown and agreed to, and nothing else.
        as_shown: true,
        all_or_none: false,
        force_unlock: args.force_unlock,
        concurrency: args.concurrency,
        max_unavailable: None,
        on_failure: OnFailure::Keep,
    };
    let outcome = work.carry_out(&fleet).await;
    fleet.close().await;
    outcome
}

/// The VMs that the config puts on a server, and that go.
fn vms_of(scope: &Scope, host: &HostEntry, selection: &Selection) -> Vec<(String, String)> {
    let vms = scope.known.config.iter().flat_map(|config| &config.vms);
    vms.filter(|vm| vm.host == host.name && selection.selects(&vm.name, &vm.vm_type))
        .map(|vm| (vm.name.clone(), vm.vm_type.clone()))
        .collect()
}

/// What goes from one server.
struct Gone<'a> {
    scope: &'a Scope,
    args: &'a DestroyArgs,
}

impl Goal for Gone<'_> {
    fn group(&self) -> &str {
        &self.scope.group
    }

    fn desired(&self) -> Option<&Desired> {
        None
    }

    async fn observe(&self, session: &Session) -> Result<Observed, Failure> {
        session::observe_everything(&session.client).await
    }

    fn plan(
        &self,
        observed: &Observed,
        elsewhere: &[(String, String)],
    ) -> Result<(Plan, Diagnostics), Failure> {
        let options = DestroyOptions {
            selection: &Selection::of(&self.args.only).with_elsewhere(elsewhere),
            protected: &self.scope.protected,
            with_snapshots: self.args.with_snapshots,
        };
        Ok(plan_destroy(&self.scope.group, &options, observed))
    }
}

fn question(plans: &[&Plan]) -> Option<Question> {
    let plan = plans.iter().find(|plan| !plan.is_empty())?;
    Some(Question {
        text: format!(
            "This cannot be undone. Type the group's name ({}) to go on:",
            plan.group
        ),
        of_program: "a program cannot be asked: `-o json` needs `--yes`, or `--dry-run` to look first; nothing was changed".to_owned(),
        of_nobody: "nobody can be asked, since standard input is not a terminal; `--yes` goes on without asking; nothing was changed".to_owned(),
    })
}
