//! `tnvm drift`: shows what differs from the config, changes nothing.

use super::args::{DriftArgs, Global};
use super::change::{self, Wanted};
use super::exit::{Exit, Failure};
use super::fleet::Fleet;
use super::look::look;
use super::output::Output;
use super::shown::show_planned;
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
    let (fleet, _) = change::from_config(global, options, None, Purpose::Look, output, |wanted| {
        wanted
    })
    .await?;
    let outcome = drift_on(&fleet, output).await;
    fleet.close().await;
    outcome
}

async fn drift_on(fleet: &Fleet<Wanted>, output: &Output) -> Result<Exit, Failure> {
    let planned = look(fleet).await?;
    let problems = &planned.problems;
    // A refusal says that an apply would not undo it; a difference it is all the same.
    let refused = problems.iter().any(|one| one.refusal);
    if problems.has_errors() && !refused {
        return Err(Failure::Problems(problems.clone()));
    }
    for absent in &planned.absent {
        absent.tell(output);
    }
    let differs = refused || planned.has_changes();
    let asked = show_planned(&planned, output);
    output.remarks(problems);
    if differs {
        output.note(
            "the server differs from the config: `tnvm apply` makes it as the config says; or write into the config what was changed",
        );
    }
    Ok(match asked {
        Exit::Done if differs => Exit::Differences,
        // Where not everybody could be asked, it cannot be said that nothing differs.
        asked => asked,
    })
}
