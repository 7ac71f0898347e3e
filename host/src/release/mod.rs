//! What each release line of TrueNAS has: one small file per line, data alone.
//!
//! `truenas` asks it how to talk, `resolve` and `plan` what may be asked for. Knows neither calls nor
//! plans; what is done about a difference is decided where it is done.
//!
//! Source of every entry: the schemas and the code of the middleware of that line. An entry stands in
//! the file of the first line that has it.

mod default;
mod facts;
mod feature;
#[cfg(test)]
mod tests;
mod v24_10;
mod v25_04_2;
mod v25_10;
mod v26;
mod v27;
mod version;
mod view;
mod words;

pub use default::Default;
pub use facts::{
    DeleteForce, DeviceUpdate, DtypePlace, Facts, Line, NicChoices, Numbers, SnapshotNamespace,
};
pub use feature::{Feature, Standing};
pub use version::Version;
pub use view::{Release, Unsupported};
pub use words::markdown;

/// The first version of the newest line.
pub const NEWEST_VERSION: &str = "27.0.0";

/// All lines, the oldest first.
static LINES: [Facts; 5] = [
    v24_10::FACTS,
    v25_04_2::FACTS,
    v25_10::FACTS,
    v26::FACTS,
    v27::FACTS,
];
