//! Conformance: is the simulator what a real TrueNAS is? A recorded session is replayed against a
//! fresh simulator, and every answer is compared. Nothing here is used by a simulator that serves.

mod calls;
mod compare;
mod credentials;
mod difference;
mod events;
mod known;
mod learned;
mod link;
mod loose;
mod replay;
mod report;
mod scram;
mod session;
pub mod shape;
mod traits;
mod transcript;
mod world;

pub use difference::{Difference, DifferenceKind};
pub use replay::replay;
pub use report::{Counts, FrameReport, Replay, Verdict};
pub use session::{Called, Session, SessionError, session};
pub use transcript::{Transcript, TranscriptError};
pub use world::{ConformError, VERSIONS, replay_world, session_world, version_of};

/// Names of the methods that a version of the simulator has.
pub fn methods(version: &crate::version::Version) -> Vec<String> {
    crate::methods::names(version)
        .map(|method| method.name.to_owned())
        .collect()
}
