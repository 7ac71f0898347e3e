//! `--conform`: replays transcripts one after the other. How, the library knows.

use std::error::Error;

use tnvm_simulator::WorldFile;
use tnvm_simulator::conform::{self, Transcript};

use super::args::{Args, Output};
use super::output;

/// Replays all of them; whether nothing differs.
pub(super) async fn run(args: &Args) -> Result<bool, Box<dyn Error>> {
    let file = args.world.as_deref().map(WorldFile::read).transpose()?;
    let mut replays = Vec::new();
    for path in &args.conform {
        let transcript = Transcript::read(path)?;
        let world = conform::replay_world(&transcript, file.as_ref())?;
        replays.push(conform::replay(&transcript, world).await?);
    }
    match args.output {
        Output::Text => output::replays(&replays),
        Output::Json => output::replays_json(&replays)?,
    }
    Ok(replays.iter().all(conform::Replay::agrees))
}
