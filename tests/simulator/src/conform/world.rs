//! The world that a transcript is replayed on: of the recorded version, made from a world file.

use super::transcript::Transcript;
use crate::version::{UnknownVersion, Version};
use crate::world::{World, WorldBuilder, WorldError, WorldFile};

/// The world file that is used unless another is given.
const OWN: &str = include_str!("world.yaml");

/// The versions that conformance is checked for, oldest first: those that recordings of a real server
/// exist of, and the newest of each line.
pub const VERSIONS: [&str; 6] = ["24.10", "25.04.2", "25.10", "26.0.0-BETA.3", "26", "27"];

/// Why a transcript cannot be replayed.
#[derive(Debug, thiserror::Error)]
pub enum ConformError {
    /// Its server is none that is simulated.
    #[error("{name}: {source}")]
    Version {
        /// The transcript.
        name: String,
        /// Why not.
        source: UnknownVersion,
    },
    /// Its first line names no version.
    #[error(
        "{name}: its first line says that the server is {server:?}, in which there is no version"
    )]
    NoVersion {
        /// The transcript.
        name: String,
        /// What it says.
        server: String,
    },
    /// The world file does not fit.
    #[error(transparent)]
    World(#[from] WorldError),
    /// The built-in world file is broken.
    #[error("the built-in world file: {0}")]
    OwnWorld(#[from] serde_yaml::Error),
}

/// The version that a transcript was recorded on, as the simulator knows it.
///
/// # Errors
/// When its first line names none, or one that is not simulated.
pub fn version_of(transcript: &Transcript) -> Result<Version, ConformError> {
    let name = transcript.name.clone();
    let words = transcript.server.split_whitespace();
    let word = words
        .filter_map(|word| {
            let word = word.rsplit("SCALE-").next().unwrap_or(word);
            let word = word.trim_start_matches("TrueNAS-");
            word.starts_with(|letter: char| letter.is_ascii_digit())
                .then_some(word)
        })
        .next_back();
    let Some(word) = word else {
        // The head of the repository is the line in development.
        if transcript.server.ends_with("HEAD") {
            let parsed = "27".parse();
            return parsed.map_err(|source| ConformError::Version { name, source });
        }
        return Err(ConformError::NoVersion {
            name,
            server: transcript.server.clone(),
        });
    };
    // A patch level that is not known by name is the newest of its line.
    let line: Vec<&str> = word.split('.').take(2).collect();
    let parsed = word.parse().or_else(|unknown| {
        let major = line.first().copied().unwrap_or_default();
        let shorter = if major.parse::<u32>().is_ok_and(|major| major < 26) {
            line.join(".")
        } else {
            major.to_owned()
        };
        shorter.parse().map_err(|_| unknown)
    });
    parsed.map_err(|source| ConformError::Version { name, source })
}

/// The world for a transcript, from this world file or the built-in one.
///
/// # Errors
/// When the transcript's version is not simulated or the world file does not fit.
pub fn replay_world(
    transcript: &Transcript,
    file: Option<&WorldFile>,
) -> Result<World, ConformError> {
    let builder = WorldBuilder::bare(version_of(transcript)?);
    let own = WorldFile::parse(OWN)?;
    let builder = builder.file_applied(file.unwrap_or(&own))?;
    Ok(builder.build())
}

/// The world that our own sessions run on, in a version.
///
/// # Errors
/// When the built-in world file is broken.
pub fn session_world(version: Version) -> Result<World, ConformError> {
    let builder = WorldBuilder::bare(version);
    Ok(builder.file_applied(&WorldFile::parse(OWN)?)?.build())
}
