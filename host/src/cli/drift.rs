//! `tnvm drift`: shows what differs from the config, changes nothing.

use super::args::{DriftArgs, Global};
use super::change::{self, Wanted};
use super::exit::{Exit, Failure};
use super::output::Output;
use super::run::show_only;
use super::session::Session;
use crate::plan::SavedOptions;
use crate::truenas::Purpose;

/// Runs the command.
pub(super) async fn drift(
    global: &Global,
    args: &DriftArgs,
    output: &Output,
) -> Result<Exit, Failure> {
    let options = SavedOptions {
        only: args.only.clone(),
        ..SavedOptions::default()
    };
    let (session, wanted, _) =
        change::from_config(global, options, None, Purpose::Look, output).await?;
    let outcome = drift_on(&session, &wanted, output).await;
    session.close().await;
    outcome
}

async fn drift_on(session: &Session, wanted: &Wanted, output: &Output) -> Result<Exit, Failure> {
    let observed = wanted.observe(session).await?;
    let (plan, problems) = wanted.plan(&observed);
    // A refusal says that an apply would not undo it; a difference it is all the same.
    let refused = problems.iter().any(|one| one.refusal);
    if problems.has_errors() && !refused {
        return Err(Failure::Problems(problems));
    }
    let differs = refused || !plan.is_empty();
    show_only(&plan, Some(&observed), output);
    output.remarks(&problems);
    if differs {
        output.note(
            "the server differs from the config: `tnvm apply` makes it as the config says; or write into the config what was changed",
        );
    }
    Ok(if differs {
        Exit::Differences
    } else {
        Exit::Done
    })
}
