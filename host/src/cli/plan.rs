//! `tnvm plan`: shows what an apply would do, and saves it if asked.

use std::io::Write as _;
use std::path::Path;
use std::time::SystemTime;

use super::args::{Global, PlanArgs};
use super::change::{self, Wanted};
use super::exit::{Exit, Failure};
use super::output::Output;
use super::prepare::{Reach, prepare};
use super::run::show_only;
use super::session::Session;
use crate::diagnostic::Diagnostic;
use crate::plan::{SavedPlan, Selection, plan_apply_offline};
use crate::timestamp;
use crate::truenas::Purpose;

/// Runs the command.
pub(super) async fn plan(
    global: &Global,
    args: &PlanArgs,
    output: &Output,
) -> Result<Exit, Failure> {
    if args.offline {
        let prepared = prepare(global, Reach::Offline, output)?;
        let selection = Selection::of(&args.change.only);
        let (plan, problems) = plan_apply_offline(&prepared.desired, &selection);
        if problems.has_errors() {
            return Err(Failure::Problems(problems));
        }
        show_only(&plan, None, output);
        return Ok(exit(args, !plan.is_empty()));
    }
    let options = change::options(&args.change);
    let (session, wanted, _) =
        change::from_config(global, options, None, Purpose::Look, output).await?;
    let outcome = plan_on(&session, wanted, args, output).await;
    session.close().await;
    outcome
}

async fn plan_on(
    session: &Session,
    wanted: Wanted,
    args: &PlanArgs,
    output: &Output,
) -> Result<Exit, Failure> {
    let observed = wanted.observe(session).await?;
    let (plan, problems) = wanted.plan(&observed);
    if problems.has_errors() {
        // What is refused reads best beside what it is part of.
        if !output.is_json() {
            show_only(&plan, Some(&observed), output);
        }
        return Err(Failure::Problems(problems));
    }
    output.problems(&problems);
    show_only(&plan, Some(&observed), output);
    let changes = !plan.is_empty();
    if let Some(path) = &args.out {
        let created = timestamp::rfc3339(SystemTime::now());
        let host = change::identity(session);
        let Wanted {
            desired, options, ..
        } = wanted;
        let saved = SavedPlan::new(created, host, options, desired, plan, &observed);
        save(path, &saved)?;
        output.note(&format!(
            "saved: `tnvm apply {}` does exactly this, as long as the server stays as it is",
            path.display()
        ));
    }
    Ok(exit(args, changes))
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
