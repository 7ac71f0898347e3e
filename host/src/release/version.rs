//! The server's version, read leniently and comparable.

use std::cmp::Ordering;
use std::fmt;

/// A version such as `25.10.7` or `26.0.0-BETA.3`. A pre-release comes before its release.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    numbers: [u32; 4],
    pre: Option<(String, u32)>,
}

impl Version {
    /// A release.
    #[must_use]
    pub const fn new(major: u32, minor: u32, patch: u32) -> Self {
        Self {
            numbers: [major, minor, patch, 0],
            pre: None,
        }
    }

    /// Finds the version in what `system.version` says: `TrueNAS-25.10.7`,
    /// `TrueNAS-SCALE-24.10.2.4`, `26.0.0-BETA.3`, `25.10-RC.1`. Missing numbers count as 0. None
    /// when there is no number with a dot in it.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        // Product and version are joined by dashes: the version begins with the first part that
        // begins with a digit.
        let start = text
            .char_indices()
            .find(|(at, c)| {
                let before = text
                    .get(..*at)
                    .and_then(|before| before.chars().next_back());
                c.is_ascii_digit() && before.is_none_or(|before| !before.is_alphanumeric())
            })
            .map(|(at, _)| at)?;
        let rest = text.get(start..)?;
        let end = rest
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .unwrap_or(rest.len());
        let (numbers, tail) = rest.split_at_checked(end)?;
        if !numbers.contains('.') {
            return None;
        }
        let mut version = Self::new(0, 0, 0);
        let parts = numbers.split('.').filter(|part| !part.is_empty());
        for (slot, part) in version.numbers.iter_mut().zip(parts) {
            *slot = part.parse().ok()?;
        }
        let tail = tail.trim_start_matches(['-', '.', '~']);
        let word: String = tail.chars().take_while(char::is_ascii_alphabetic).collect();
        let known = [
            "ALPHA", "BETA", "RC", "MASTER", "DEVELOP", "INTERNAL", "PREBETA",
        ];
        let upper = word.to_ascii_uppercase();
        if known.contains(&upper.as_str()) {
            let number = tail
                .get(word.len()..)
                .unwrap_or_default()
                .trim_start_matches(['.', '-'])
                .chars()
                .take_while(char::is_ascii_digit)
                .collect::<String>();
            version.pre = Some((upper, number.parse().unwrap_or(0)));
        }
        Some(version)
    }

    /// The first number: the year of a release line, for example 25.
    #[must_use]
    pub fn major(&self) -> u32 {
        let [major, ..] = self.numbers;
        major
    }

    /// Whether it is at least the release `major.minor.patch`; a pre-release of it is not.
    #[must_use]
    pub fn at_least(&self, major: u32, minor: u32, patch: u32) -> bool {
        *self >= Self::new(major, minor, patch)
    }

    /// Without its pre-release part: what decides about the shape of calls, since a beta speaks
    /// like the release it leads to.
    #[must_use]
    pub fn line(&self) -> Self {
        Self {
            numbers: self.numbers,
            pre: None,
        }
    }

    /// The pre-release part, for example `("BETA", 3)`.
    #[must_use]
    pub fn pre(&self) -> Option<(&str, u32)> {
        self.pre
            .as_ref()
            .map(|(word, number)| (word.as_str(), *number))
    }
}

impl Ord for Version {
    fn cmp(&self, other: &Self) -> Ordering {
        self.numbers
            .cmp(&other.numbers)
            .then_with(|| match (&self.pre, &other.pre) {
                (None, None) => Ordering::Equal,
                (None, Some(_)) => Ordering::Greater,
                (Some(_), None) => Ordering::Less,
                (Some(one), Some(two)) => one.cmp(two),
            })
    }
}

impl PartialOrd for Version {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for Version {
    /// `25.10.7`: always three numbers, a fourth where it is not 0.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [major, minor, patch, fourth] = self.numbers;
        // The year and the month have two digits in names such as 25.04.
        write!(f, "{major}.")?;
        if major < 26 {
            write!(f, "{minor:02}.{patch}")?;
        } else {
            write!(f, "{minor}.{patch}")?;
        }
        if fourth != 0 {
            write!(f, ".{fourth}")?;
        }
        if let Some((word, number)) = &self.pre {
            write!(f, "-{word}.{number}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, shown: &str) {
        let version = Version::parse(text).map(|version| version.to_string());
        assert_eq!(version.as_deref(), Some(shown), "{text}");
    }

    #[test]
    fn all_known_forms_are_read() {
        check("TrueNAS-25.10.7", "25.10.7");
        check("TrueNAS-SCALE-24.10.2.4", "24.10.2.4");
        check("25.04.2", "25.04.2");
        check("TrueNAS-26.0.0-BETA.3", "26.0.0-BETA.3");
        check("26.0.0-MASTER-20260101-120000", "26.0.0-MASTER.20260101");
        check("TrueNAS-25.10-RC.1", "25.10.0-RC.1");
        check("27.0.0", "27.0.0");
    }

    #[test]
    fn text_without_a_version_is_none() {
        for text in ["", "TrueNAS", "TrueNAS-SCALE", "13", "v8x"] {
            assert_eq!(Version::parse(text), None, "{text}");
        }
    }

    #[test]
    fn versions_are_ordered_as_they_were_released() {
        let ordered = [
            "24.10.2.4",
            "25.04.0",
            "25.04.1",
            "25.04.2",
            "25.04.2.6",
            "25.10.0-BETA.1",
            "25.10.0-RC.1",
            "25.10.0",
            "25.10.10",
            "26.0.0-BETA.3",
            "26.0.0-BETA.10",
            "26.0.0",
        ];
        let parsed: Vec<_> = ordered
            .iter()
            .filter_map(|text| Version::parse(text))
            .collect();
        assert_eq!(parsed.len(), ordered.len());
        assert!(parsed.is_sorted());
        assert!(parsed.iter().all(|version| version.line() >= *version));
    }
}
