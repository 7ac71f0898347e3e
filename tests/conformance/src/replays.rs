//! Replays all transcripts of a folder, several at once.

use std::collections::BTreeMap;
use std::error::Error;
use std::path::{Path, PathBuf};

use tnvm_simulator::conform::{self, Replay, Transcript};
use tokio::task::JoinSet;

/// How many at once: they mostly wait.
const AT_ONCE: usize = 8;

/// The project's own transcripts.
pub(crate) fn own_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../simulator/transcripts")
}

/// Replays everything below a folder, by default the project's own; by version.
pub(crate) async fn run(
    folder: Option<&Path>,
) -> Result<BTreeMap<String, Vec<Replay>>, Box<dyn Error>> {
    let folder = folder.map_or_else(own_folder, Path::to_owned);
    let mut files = Vec::new();
    collect(&folder, &mut files)?;
    files.sort();
    if files.is_empty() {
        return Err(format!("there are no transcripts (*.jsonl) in {}", folder.display()).into());
    }
    let mut running = JoinSet::new();
    let mut done = Vec::new();
    for (position, file) in files.into_iter().enumerate() {
        while running.len() >= AT_ONCE {
            done.extend(running.join_next().await);
        }
        running.spawn(async move { (position, one(&file).await) });
    }
    done.extend(running.join_all().await.into_iter().map(Ok));
    let mut replays = Vec::new();
    for ended in done {
        let (position, replay) = ended?;
        replays.push((position, replay?));
    }
    replays.sort_by_key(|(position, _)| *position);
    let mut by_version: BTreeMap<String, Vec<Replay>> = BTreeMap::new();
    for (_, replay) in replays {
        by_version
            .entry(replay.version.clone())
            .or_default()
            .push(replay);
    }
    Ok(by_version)
}

async fn one(file: &Path) -> Result<Replay, String> {
    let transcript = Transcript::read(file).map_err(|error| error.to_string())?;
    let world = conform::replay_world(&transcript, None).map_err(|error| error.to_string())?;
    conform::replay(&transcript, world)
        .await
        .map_err(|error| error.to_string())
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> Result<(), String> {
    let unreadable = |error| format!("cannot read {}: {error}", folder.display());
    for entry in std::fs::read_dir(folder).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        if path.is_dir() {
            collect(&path, files)?;
        } else if path.extension().is_some_and(|kind| kind == "jsonl") {
            files.push(path);
        }
    }
    Ok(())
}
