//! What is wrong, where, and what to do: the value every stage reports problems in.
//!
//! It knows nothing of terminals; the output module draws it.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::Range;
use std::sync::Arc;

use indexmap::IndexSet;

/// A text that was read, kept so that a problem can point into it.
#[derive(Debug, PartialEq, Eq)]
pub struct SourceFile {
    /// The name to show: the path as the user gave it, or `<--set>`, `<built-in vm.json>`.
    pub name: String,
    /// The whole text.
    pub text: String,
}

/// A place in a text.
#[derive(Clone, PartialEq, Eq)]
pub struct Location {
    /// The text.
    pub file: Arc<SourceFile>,
    /// Bytes of the text, start inclusive, end exclusive.
    pub span: Range<usize>,
}

impl Location {
    /// Line and column of the start, both from 1; the column counts characters.
    #[must_use]
    pub fn line_column(&self) -> (usize, usize) {
        let before = self
            .file
            .text
            .get(..self.span.start)
            .unwrap_or(&self.file.text);
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or("").chars().count() + 1;
        (line, column)
    }
}

impl Hash for Location {
    /// Of the text only the name: equal places agree in it, and the whole text would be read again
    /// for every problem in it.
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.file.name.hash(state);
        self.span.hash(state);
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (line, column) = self.line_column();
        write!(f, "{}:{line}:{column}", self.file.name)
    }
}

impl fmt::Debug for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Severity {
    /// Worth telling; the run goes on.
    Warning,
    /// Nothing is changed while there is one.
    Error,
}

/// One problem.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Diagnostic {
    /// How bad it is.
    pub severity: Severity,
    /// What is wrong and why: one sentence without a full stop.
    pub message: String,
    /// What to do next.
    pub help: Option<String>,
    /// Where, if a text is to blame.
    pub location: Option<Location>,
    /// The server concerned, by its name in the config, where that names hosts.
    pub host: Option<String>,
    /// The VM concerned, by name.
    pub vm: Option<String>,
    /// The device concerned, by its name within the VM.
    pub device: Option<String>,
    /// Whether going on would touch what tnvm does not own, or lose something: exit code 4.
    pub refusal: bool,
}

impl Diagnostic {
    /// An error.
    pub fn error(message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            message: message.into(),
            help: None,
            location: None,
            host: None,
            vm: None,
            device: None,
            refusal: false,
        }
    }

    /// A warning.
    pub fn warning(message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Warning,
            ..Self::error(message)
        }
    }

    /// An error that protects something: going on is refused for safety.
    pub fn refusal(message: impl Into<String>) -> Self {
        Self {
            refusal: true,
            ..Self::error(message)
        }
    }

    /// Says what to do next.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Points at a place.
    #[must_use]
    pub fn at(mut self, location: impl Into<Option<Location>>) -> Self {
        self.location = location.into();
        self
    }

    /// Names the server, where it has a name.
    #[must_use]
    pub fn host(mut self, host: Option<&str>) -> Self {
        self.host = host.map(str::to_owned);
        self
    }

    /// Names the VM.
    #[must_use]
    pub fn vm(mut self, vm: impl Into<String>) -> Self {
        self.vm = Some(vm.into());
        self
    }

    /// Names the device.
    #[must_use]
    pub fn device(mut self, device: impl Into<String>) -> Self {
        self.device = Some(device.into());
        self
    }
}

/// All problems found, each once, in the order of finding.
#[derive(Clone, Debug, Default)]
pub struct Diagnostics(IndexSet<Diagnostic>);

impl Diagnostics {
    /// Adds one.
    pub fn push(&mut self, diagnostic: Diagnostic) {
        // The same mistake in a type is met once per VM; one report is enough.
        self.0.insert(diagnostic);
    }

    /// Adds all of another list.
    pub fn extend(&mut self, other: Diagnostics) {
        self.0.extend(other.0);
    }

    /// Whether any is an error.
    #[must_use]
    pub fn has_errors(&self) -> bool {
        self.0.iter().any(|one| one.severity == Severity::Error)
    }

    /// Whether there is none at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The same, each of this server, where it has a name.
    #[must_use]
    pub fn of_host(self, host: Option<&str>) -> Self {
        Self(self.0.into_iter().map(|one| one.host(host)).collect())
    }

    /// All of them.
    pub fn iter(&self) -> indexmap::set::Iter<'_, Diagnostic> {
        self.0.iter()
    }
}

impl IntoIterator for Diagnostics {
    type Item = Diagnostic;
    type IntoIter = indexmap::set::IntoIter<Diagnostic>;
    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl From<Diagnostic> for Diagnostics {
    fn from(one: Diagnostic) -> Self {
        Self(IndexSet::from([one]))
    }
}

/// The nearest of `candidates` to what was written, best first, at most three: for "did you mean".
pub fn nearest<'a>(written: &str, candidates: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    // 0.6 keeps `memroy`/`memory` and `dsik`/`disk`, and drops unrelated short words.
    const SIMILAR_ENOUGH: f64 = 0.6;
    let mut scored: Vec<(f64, &str)> = candidates
        .into_iter()
        .map(|one| (strsim::damerau_levenshtein(written, one), one))
        .map(|(distance, one)| {
            let longest = written.chars().count().max(one.chars().count()).max(1);
            #[expect(clippy::cast_precision_loss, reason = "lengths of words are small")]
            let similarity = 1.0 - distance as f64 / longest as f64;
            (similarity, one)
        })
        .filter(|(similarity, _)| *similarity >= SIMILAR_ENOUGH)
        .collect();
    scored.sort_by(|a, b| b.0.total_cmp(&a.0));
    scored.into_iter().take(3).map(|(_, one)| one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn location(text: &str, start: usize) -> Location {
        let file = SourceFile {
            name: "vms.yaml".to_owned(),
            text: text.to_owned(),
        };
        Location {
            file: Arc::new(file),
            span: start..text.len(),
        }
    }

    #[test]
    fn a_problem_is_told_once_and_in_the_order_of_finding() {
        let mut problems = Diagnostics::default();
        for (message, at) in [
            ("b", location("x: 1", 0)),
            ("a", location("x: 1", 0)),
            ("b", location("x: 1", 0)),
            ("b", location("x: 1", 3)),
            ("b", location("y: 1", 0)),
        ] {
            problems.push(Diagnostic::error(message).at(at));
        }
        let mut more = Diagnostics::from(Diagnostic::error("a").at(location("x: 1", 0)));
        more.push(Diagnostic::warning("a").at(location("x: 1", 0)));
        problems.extend(more);
        let told: Vec<_> = problems
            .iter()
            .map(|one| (one.severity, one.message.as_str()))
            .collect();
        use Severity::{Error, Warning};
        assert_eq!(
            told,
            [
                (Error, "b"),
                (Error, "a"),
                (Error, "b"),
                (Error, "b"),
                (Warning, "a")
            ]
        );
    }
}
