//! What is wrong with a user's input, and where. It does not know files and lines: the host
//! turns pointers into those.

use crate::{Diagnostic, Failure, Severity, Subject};

/// One finding about the config or the template.
#[derive(Clone, Debug, PartialEq)]
#[must_use = "a problem that is not reported does not exist for the user"]
pub struct Problem(pub(crate) Diagnostic);

impl Problem {
    /// An error in the config value. `pointer` is a JSON pointer into it (see
    /// [`pointer()`](crate::pointer())), `message` one sentence saying what is wrong.
    pub fn config(pointer: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(Subject::Config, pointer.into(), message.into())
    }

    /// An error in the device template: `/attributes/resolution`.
    pub fn template(pointer: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(Subject::Template, pointer.into(), message.into())
    }

    fn new(subject: Subject, pointer: String, message: String) -> Self {
        Self(Diagnostic {
            severity: Severity::Error,
            subject,
            pointer,
            message,
            help: None,
        })
    }

    /// What to do about it, one sentence.
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.0.help = Some(help.into());
        self
    }

    /// Only a warning: the plan goes on.
    pub fn warning(mut self) -> Self {
        self.0.severity = Severity::Warning;
        self
    }
}

/// The findings of one call.
#[derive(Debug, Default)]
pub struct Problems(Vec<Diagnostic>);

impl Problems {
    /// Adds a finding.
    pub fn push(&mut self, problem: Problem) {
        self.0.push(problem.0);
    }

    /// The value, or `None` and the finding noted: to go on looking for more.
    pub fn note<T>(&mut self, outcome: Result<T, Problem>) -> Option<T> {
        match outcome {
            Ok(value) => Some(value),
            Err(problem) => {
                self.push(problem);
                None
            }
        }
    }

    /// Whether one of the findings is an error.
    pub fn has_errors(&self) -> bool {
        self.0.iter().any(|found| found.severity == Severity::Error)
    }

    /// The warnings, or a failure with all findings where one of them is an error.
    pub(crate) fn into_warnings(self) -> Result<Vec<Diagnostic>, Failure> {
        if self.has_errors() {
            return Err(Failure::Invalid(self.0));
        }
        Ok(self.0)
    }
}
