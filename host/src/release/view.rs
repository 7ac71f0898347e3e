//! The view of one server's version on what is known: which line it belongs to, and what that has.

use indexmap::IndexMap;
use serde_json::Value;

use super::LINES;
use super::default::Default;
use super::facts::{Facts, Line, Numbers};
use super::feature::{Feature, Standing};
use super::version::Version;

/// The first major version that tnvm does not know.
const UNKNOWN_MAJOR: u32 = 28;

/// The version of a server, with what its line has. A pre-release has what the release has that it
/// leads to.
#[derive(Clone, Debug)]
pub struct Release {
    version: Version,
    facts: &'static Facts,
}

/// Why tnvm does not work with a version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unsupported {
    /// Older than 24.10.
    #[error("24.10 is the oldest version that tnvm works with")]
    TooOld,
    /// 25.04.0 and 25.04.1: `vm.*` was taken away there for a time.
    #[error("25.04.0 and 25.04.1 have no virtual machines of this kind")]
    WithoutVms,
}

impl Unsupported {
    /// What to do next.
    #[must_use]
    pub const fn help(self) -> &'static str {
        match self {
            Self::TooOld => "update the server to TrueNAS 25.10 or newer",
            Self::WithoutVms => {
                "update the server to TrueNAS 25.10 or newer; 25.04.2 is the first of its line that works"
            }
        }
    }
}

impl Release {
    /// Of a version that a server tells. One that is newer than all known ones is taken for the
    /// newest: see [`is_unknown`](Self::is_unknown).
    ///
    /// # Errors
    /// When tnvm does not work with it.
    pub fn of(version: &Version) -> Result<Self, Unsupported> {
        let release = Self::nearest(version);
        let line = version.line();
        if line >= release.facts.first() {
            return Ok(release);
        }
        Err(if release.facts.line == Line::V25_04 {
            Unsupported::WithoutVms
        } else {
            Unsupported::TooOld
        })
    }

    /// Of a version as a plan holds it. What is too old is taken for the nearest line, what cannot
    /// be read for the newest: whoever talks to a server has made sure before.
    #[must_use]
    pub fn of_text(text: &str) -> Self {
        Version::parse(text).map_or_else(Self::newest, |version| Self::nearest(&version))
    }

    /// The newest line that tnvm knows.
    #[must_use]
    pub fn newest() -> Self {
        let [.., newest] = &LINES;
        Self {
            version: newest.first(),
            facts: newest,
        }
    }

    /// Of a version that was found to work.
    pub(crate) fn nearest(version: &Version) -> Self {
        let line = version.line();
        let reached = |facts: &&'static Facts| {
            let (major, minor, _) = facts.first;
            line >= Version::new(major, minor, 0)
        };
        let [oldest, ..] = &LINES;
        Self {
            version: version.clone(),
            facts: LINES.iter().rev().find(reached).unwrap_or(oldest),
        }
    }

    /// The version.
    #[must_use]
    pub fn version(&self) -> &Version {
        &self.version
    }

    /// Whether it is newer than every version that tnvm knows.
    #[must_use]
    pub fn is_unknown(&self) -> bool {
        self.version.major() >= UNKNOWN_MAJOR
    }

    /// What is known about its line.
    #[must_use]
    pub fn facts(&self) -> &'static Facts {
        self.facts
    }

    /// How it stands to a feature.
    #[must_use]
    pub fn standing(&self, feature: Feature<'_>) -> Standing {
        let Some(came) = feature.came_with() else {
            return Standing::Unknown;
        };
        if self.facts.line < came.line {
            return Standing::Needs(came);
        }
        match feature.went_with() {
            Some(went) if self.facts.line >= went.line => Standing::Had(went),
            _ => Standing::Has,
        }
    }

    /// Whether it has a feature. What no known line has counts as there: the server decides.
    #[must_use]
    pub fn has(&self, feature: Feature<'_>) -> bool {
        matches!(self.standing(feature), Standing::Has | Standing::Unknown)
    }

    /// What `vm.create` fills in for fields that are left out, where that can be known.
    #[must_use]
    pub fn defaults(&self) -> Vec<(&'static str, Value)> {
        let mut all: IndexMap<&'static str, Default> = IndexMap::new();
        for facts in LINES.iter().filter(|one| one.line <= self.facts.line) {
            all.extend(facts.defaults.iter().copied());
        }
        all.into_iter()
            .filter_map(|(name, default)| Some((name, default.to_value()?)))
            .collect()
    }

    /// Whether a value of a field says no more than a server does that has no such field: it is what
    /// the first line with the field fills in.
    #[must_use]
    pub fn says_nothing(field: &str, value: &Value) -> bool {
        let Some(first) = Feature::Field(field).came_with() else {
            return false;
        };
        let filled_in = first.defaults.iter().find(|(name, _)| *name == field);
        filled_in
            .and_then(|(_, default)| default.to_value())
            .as_ref()
            == Some(value)
    }

    /// Whether `pool.dataset.create` forgets the user properties it is given.
    #[must_use]
    pub fn forgets_user_properties(&self) -> bool {
        self.facts.previews_forget_user_properties && self.version.pre().is_some()
    }

    /// Whether a CD-ROM image may not lie in the root dataset of its pool (`vm.device.create`).
    #[must_use]
    pub fn wants_cdrom_below_root(&self) -> bool {
        let from = self.facts.cdrom_below_root_from;
        from.is_some_and(|from| self.version.line() >= version(from))
    }
}

impl Facts {
    /// Its first version.
    #[must_use]
    pub const fn first(&self) -> Version {
        version(self.first)
    }
}

const fn version((major, minor, patch): Numbers) -> Version {
    Version::new(major, minor, patch)
}
