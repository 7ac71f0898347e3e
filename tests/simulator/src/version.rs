//! Which TrueNAS is simulated, and what differs between the lines; it holds no state.
//!
//! Whatever the lines do differently is a question asked of [`Version`], by subject: the API
//! ([`api`]), VMs and devices ([`vms`]), storage ([`storage`]). Where an answer comes from stands
//! beside it.

mod api;
mod storage;
mod vms;

use std::str::FromStr;

pub use api::HalfRows;

/// A release line of TrueNAS that the simulator knows by name, oldest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Line {
    /// 24.10, the last that speaks nothing but the legacy protocol. Modelled after 24.10.2.5.
    V24_10,
    /// 25.04.0 and 25.04.1: JSON-RPC, and no `vm.*` at all.
    V25_04_0,
    /// 25.04.2, as far as tnvm meets it: updates of VMs and devices, snapshots, firmware. Modelled
    /// after 25.04.2.6; what is not told apart behaves as 25.10, which the recordings of both agree on
    /// for lifecycle and devices.
    V25_04,
    /// 25.10, the default. Modelled after 25.10.7.
    V25_10,
    /// 26. Modelled after 26.0.0-BETA.3 and the state of its branch after it.
    V26,
    /// 27, in development: it may still move. Modelled after its master of 2026-08-22.
    V27,
}

/// A simulated TrueNAS: its line and the exact version it claims.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    line: Line,
    full: String,
}

/// The versions that can be asked for, in words.
const MODELLED: &str =
    "24.10, 25.04.0, 25.04.1, 25.04.2, 25.10, 25.10.0 to 25.10.9, 26, 26.0.0-BETA.3, or 27";

/// A version that the simulator does not model.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("TrueNAS {asked} is not simulated: {why}; use {MODELLED}")]
pub struct UnknownVersion {
    asked: String,
    why: &'static str,
}

impl Default for Version {
    fn default() -> Self {
        Self::of(Line::V25_10, "25.10.7")
    }
}

impl FromStr for Version {
    type Err = UnknownVersion;

    fn from_str(asked: &str) -> Result<Self, Self::Err> {
        let refuse = |why| {
            Err(UnknownVersion {
                asked: asked.to_owned(),
                why,
            })
        };
        let one_of_a_line = asked.strip_prefix("25.10.").is_some_and(|patch| {
            patch.len() == 1 && patch.chars().all(|digit| digit.is_ascii_digit())
        });
        Ok(match asked {
            "24.10" | "24.10.2.5" => Self::of(Line::V24_10, "24.10.2.5"),
            "25.04.0" | "25.04.1" => Self::of(Line::V25_04_0, asked),
            "25.04.2" | "25.04.2.6" => Self::of(Line::V25_04, "25.04.2.6"),
            "25.10" => Self::default(),
            _ if one_of_a_line => Self::of(Line::V25_10, asked),
            "26" | "26.0" | "26.0.0" => Self::of(Line::V26, "26.0.0"),
            "26.0.0-BETA.3" => Self::of(Line::V26, asked),
            // The name is the recorded one: `system.version` of a development build.
            "27" | "27.0" | "27.0.0" => Self::of(Line::V27, "27.0.0-MASTER-20260822"),
            "25.04" => return refuse("before 25.04.2 that line has no VMs, so say which one"),
            _ => return refuse("no such release is modelled"),
        })
    }
}

impl Version {
    fn of(line: Line, full: &str) -> Self {
        Self {
            line,
            full: full.to_owned(),
        }
    }

    /// The release line.
    pub fn line(&self) -> Line {
        self.line
    }

    /// The version without its prefix, e.g. `25.10.7`.
    pub fn short(&self) -> &str {
        &self.full
    }

    /// As `system.version` answers it. Recorded on 24.10.2.5 and 25.04.2.6.
    pub fn long(&self) -> String {
        match self.line {
            Line::V24_10 => format!("TrueNAS-SCALE-{}", self.full),
            _ => format!("TrueNAS-{}", self.full),
        }
    }

    /// Whether this is that line or a newer one.
    fn since(&self, line: Line) -> bool {
        self.line >= line
    }

    /// Whether this is a beta of 26, up to BETA.3.
    fn is_beta_of_26(&self) -> bool {
        self.full == "26.0.0-BETA.3"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_is_the_25_10_line() {
        assert_eq!("25.10".parse(), Ok(Version::default()));
        assert_eq!(Version::default().short(), "25.10.7");
    }

    #[test]
    fn a_line_that_is_not_modelled_is_refused_with_the_reason() {
        for asked in ["24.04", "25.04", "25.04.3", "28", "x", "25.10.77"] {
            let error = asked.parse::<Version>().unwrap_err().to_string();
            assert!(
                error.contains(asked) && error.contains("25.04.2"),
                "{error}"
            );
        }
    }

    #[test]
    fn every_line_can_be_asked_for_by_its_short_name() {
        let line = |text: &str| text.parse::<Version>().unwrap().line();
        assert_eq!(line("24.10"), Line::V24_10);
        assert_eq!(
            (line("25.04.0"), line("25.04.1")),
            (Line::V25_04_0, Line::V25_04_0)
        );
        assert_eq!(line("25.04.2"), Line::V25_04);
        assert_eq!(line("25.10.0"), Line::V25_10);
        assert_eq!((line("26"), line("26.0.0-BETA.3")), (Line::V26, Line::V26));
        assert_eq!(line("27"), Line::V27);
    }

    #[test]
    fn the_name_of_a_version_has_the_prefix_of_its_line() {
        let long = |text: &str| text.parse::<Version>().unwrap().long();
        assert_eq!(long("24.10"), "TrueNAS-SCALE-24.10.2.5");
        assert_eq!(long("25.04.2"), "TrueNAS-25.04.2.6");
    }
}
