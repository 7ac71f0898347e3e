//! `tnvm plan`: shows what an apply would do, and saves it if asked.

use std::io::Write as _;
use std::path::Path;
use std::time::SystemTime;

use super::args::{Global, PlanArgs};
use super::change::{self, Wanted};
use super::exit::{Exit, Failure};
use super::fleet::{Fleet, Member};
use super::look::{Planned, look};
use super::output::Output;
use super::prepare::{Reach, prepare};
use super::shown::{show_offline, show_planned};
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::plan::{SavedPart, SavedPlan, Selection, plan_apply_offline};
use crate::timestamp;
use crate::truenas::Purpose;

/// Runs the command.
pub(super) async fn plan(
    global: &Global,
    args: &PlanArgs,
    output: &Output,
) -> Result<Exit, Failure> {
    if args.offline {
        return offline(global, args, output);
    }
    let options = change::options(&args.change);
    let (fleet, _) = change::from_config(global, options, None, Purpose::Look, output, |wanted| {
        wanted
    })
    .await?;
    let outcome = plan_on(&fleet, args, output).await;
    fleet.close().await;
    outcome
}

fn offline(global: &Global, args: &PlanArgs, output: &Output) -> Result<Exit, Failure> {
    let prepared = prepare(global, Reach::Offline, output)?;
    let selection = Selection::of(&args.change.only);
    let places = prepared.places(&Selection::all());
    let mut plans = Vec::with_capacity(prepared.parts.len());
    let mut problems = Diagnostics::default();
    for (nth, part) in prepared.parts.iter().enumerate() {
        let others = places.iter().filter(|place| place.index != nth);
        let others: Vec<_> = others.flat_map(|place| place.vms.clone()).collect();
        let selection = selection.clone().with_elsewhere(&others);
        let (plan, found) = plan_apply_offline(&part.desired, &selection);
        problems.extend(found);
        plans.push(plan);
    }
    if problems.has_errors() {
        return Err(Failure::Problems(problems));
    }
    show_offline(&places, &plans, output);
    Ok(exit(args, plans.iter().any(|plan| !plan.is_empty())))
}

async fn plan_on(fleet: &Fleet<Wanted>, args: &PlanArgs, output: &Output) -> Result<Exit, Failure> {
    let planned = look(fleet).await?;
    if planned.problems.has_errors() && !output.is_json() {
        // What is refused reads best beside what it is part of.
        show_planned(&planned, output);
    }
    planned.tell(output)?;
    let asked = show_planned(&planned, output);
    if let Some(path) = &args.out {
        if asked != Exit::Done {
            return Err(not_saved(path));
        }
        save(path, &saved(&planned))?;
        let server = match planned.parts.len() {
            1 => "the server stays as it is",
            _ => "the servers stay as they are",
        };
        output.note(&format!(
            "saved: `tnvm apply {}` does exactly this, as long as {server}",
            path.display()
        ));
    }
    Ok(match asked {
        Exit::Done => exit(args, planned.has_changes()),
        // Whether there is something to do cannot be said.
        asked => asked,
    })
}

fn saved(planned: &Planned<'_, Wanted>) -> SavedPlan {
    let parts = planned.parts.iter().map(|part| {
        let Member {
            place,
            session,
            goal,
        } = part.member;
        SavedPart::new(
            place.name.clone(),
            change::identity(session),
            goal.desired.clone(),
            part.plan.clone(),
            &part.observed,
        )
    });
    let options = planned.parts.first().map(|part| &part.member.goal.options);
    let options = options.cloned().unwrap_or_default();
    let created = timestamp::rfc3339(SystemTime::now());
    SavedPlan::new(created, options, parts.collect())
}

/// A saved plan is for all of its servers, or it is none.
fn not_saved(path: &Path) -> Failure {
    Failure::Connection {
        message: format!(
            "{} was not written: not every host could be asked",
            path.display()
        ),
        help: Some("plan again when all answer, or for one alone with `--host NAME`".to_owned()),
    }
}

fn exit(args: &PlanArgs, changes: bool) -> Exit {
    if args.detailed_exitcode && changes {
        Exit::Differences
    } else {
        Exit::Done
    }
}

/// Writes the file whole or not at all, readable by its owner alone: it tells much of a server.
fn save(path: &Path, saved: &SavedPlan) -> Result<(), Failure> {
    let folder = match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    };
    let write = || {
        // Made with the permissions 0600.
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        file.write_all(saved.text().as_bytes())?;
        file.persist(path)?;
        Ok::<_, std::io::Error>(())
    };
    write().map_err(|cause| {
        let problem = Diagnostic::error(format!("could not write {}: {cause}", path.display()))
            .help("name a file in a folder that can be written with --out");
        Failure::Problems(problem.into())
    })
}
