//! The version of a server, as far as a plugin needs it: to compare.

use std::fmt;
use std::str::FromStr;

/// A server's version: `25.10.1`. Missing parts are 0, and what follows a `-` (a pre-release) is
/// ignored: it has the features of the release that it precedes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    /// `25`
    pub major: u32,
    /// `10`
    pub minor: u32,
    /// `1`
    pub patch: u32,
}

impl Version {
    /// Whether the server is of `major.minor` or newer.
    pub fn at_least(self, major: u32, minor: u32) -> bool {
        (self.major, self.minor) >= (major, minor)
    }
}

impl FromStr for Version {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let release = text.split('-').next().unwrap_or(text);
        let mut parts = release.split('.').map(str::parse::<u32>);
        let mut next = || match parts.next() {
            Some(part) => part.map_err(|_| format!("`{text}` is not a version such as `25.10.1`")),
            None => Ok(0),
        };
        Ok(Self {
            major: next()?,
            minor: next()?,
            patch: next()?,
        })
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            major,
            minor,
            patch,
        } = self;
        write!(f, "{major}.{minor}.{patch}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compares_by_number_and_ignores_a_pre_release() {
        let parse = |text: &str| text.parse::<Version>().unwrap();
        assert!(parse("25.10.1") > parse("25.04.2.6"));
        assert!(parse("26.0.0-BETA.3").at_least(26, 0));
        assert!(!parse("25.04.2").at_least(25, 10));
        assert_eq!(parse("27").to_string(), "27.0.0");
        assert!("newest".parse::<Version>().is_err());
    }
}
