//! The one place that prints: data to standard output, all else to standard error.
//!
//! Decides colour, width and shape; decides nothing else.
use std::collections::HashMap;
use std::fmt;
use std::io::{IsTerminal, Write};

use comfy_table::presets::NOTHING;
use comfy_table::{Cell, Color, Table};
use miette::{GraphicalReportHandler, GraphicalTheme, LabeledSpan, NamedSource, SourceCode};
use serde::Serialize;

use super::args::{Colour, Format, Global};
use super::exit::Failure;
use super::mask::masked;
use crate::diagnostic::{Diagnostic, Diagnostics, Severity};
use crate::plan::{PlanView, Sign, render};

/// Where and how to print.
#[derive(Clone, Copy, Debug)]
pub(super) struct Output {
    format: Format,
    colour_stdout: bool,
    colour_stderr: bool,
    terminal: bool,
}

impl Output {
    /// Decides once, from the flags, `NO_COLOR` and what the streams are.
    #[must_use]
    pub(super) fn new(global: &Global) -> Self {
        let wanted = |terminal: bool| match global.color {
            Colour::Always => true,
            Colour::Never => false,
            // https://no-color.org: present and not empty.
            Colour::Auto => {
                terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
            }
        };
        let terminal = std::io::stderr().is_terminal();
        Self {
            format: global.output,
            colour_stdout: wanted(std::io::stdout().is_terminal()),
            colour_stderr: wanted(terminal),
            terminal,
        }
    }

    /// Whether data is printed for programs.
    #[must_use]
    pub(super) fn is_json(&self) -> bool {
        self.format == Format::Json
    }

    /// Whether standard error is a terminal: progress may redraw.
    #[must_use]
    pub(super) fn is_terminal(&self) -> bool {
        self.terminal
    }

    /// Whether standard error may be coloured.
    #[must_use]
    pub(super) fn colours_stderr(&self) -> bool {
        self.colour_stderr
    }

    /// Prints data as indented JSON.
    pub(super) fn json(&self, value: &impl Serialize) {
        match serde_json::to_string_pretty(value) {
            Ok(text) => self.stdout(&text),
            Err(cause) => self.note(&format!("could not write JSON: {cause}")),
        }
    }

    /// Prints a plan as text.
    pub(super) fn plan(&self, plan: &PlanView) {
        for line in render(plan) {
            let code = match line.sign {
                Sign::Add => "32",
                Sign::Change | Sign::Replace => "33",
                Sign::Remove => "31",
                Sign::Keep => "",
            };
            self.stdout(&paint(self.colour_stdout, code, &line.text));
        }
    }

    /// Prints rows under a header. A cell is its text and what it means.
    pub(super) fn table(&self, header: &[&str], rows: &[Vec<TableCell>]) {
        let mut table = Table::new();
        table.load_preset(NOTHING);
        if !header.is_empty() {
            table.set_header(header.to_vec());
        }
        if self.colour_stdout {
            table.enforce_styling();
        } else {
            table.force_no_tty();
        }
        for row in rows {
            table.add_row(row.iter().map(|cell| {
                let shown = Cell::new(&cell.text);
                match cell.meaning {
                    Meaning::Plain => shown,
                    Meaning::Good => shown.fg(Color::Green),
                    Meaning::Attention => shown.fg(Color::Yellow),
                    Meaning::Bad => shown.fg(Color::Red),
                }
            }));
        }
        self.stdout(&table.trim_fmt());
    }

    /// Prints a line of data for people.
    pub(super) fn line(&self, text: &str) {
        self.stdout(text);
    }

    /// Prints a word to the user beside the data.
    pub(super) fn note(&self, text: &str) {
        // A closed standard error (`2>&-`) is no reason to stop changing VMs halfway.
        let _ = writeln!(std::io::stderr().lock(), "{text}");
    }

    /// Prints all problems, each with its place and help, and how many of them are errors.
    pub(super) fn problems(&self, problems: &Diagnostics) {
        self.remarks(problems);
        let errors = problems
            .iter()
            .filter(|one| one.severity == Severity::Error);
        match errors.count() {
            0 => {}
            1 => self.note("1 error; nothing was changed"),
            count => self.note(&format!("{count} errors; nothing was changed")),
        }
    }

    /// Prints all problems, each with its place and help.
    pub(super) fn remarks(&self, problems: &Diagnostics) {
        let theme = if self.colour_stderr {
            GraphicalTheme::unicode()
        } else {
            GraphicalTheme::unicode_nocolor()
        };
        let handler = GraphicalReportHandler::new_themed(theme).with_links(false);
        for (problem, vms) in grouped(problems) {
            let mut text = String::new();
            let shown = Shown::new(problem, &vms);
            if handler.render_report(&mut text, &shown).is_err() {
                text = shown.to_string();
            }
            self.note(text.trim_end());
        }
    }

    /// Prints why a command could not do its work.
    pub(super) fn failure(&self, failure: &Failure) {
        match failure {
            Failure::Problems(problems) => self.problems(problems),
            Failure::Connection { message, help } => {
                self.error(message);
                if let Some(help) = help {
                    self.note(&format!("  help: {help}"));
                }
            }
            Failure::Unreachable(all) => all.iter().for_each(|one| self.failure(one)),
            Failure::Refused { message, help } => {
                self.error(message);
                self.note(&format!("  help: {help}"));
            }
            Failure::Interrupted => self.note("interrupted; nothing was changed"),
            Failure::NotConfirmed(message) => self.error(message),
        }
    }

    /// Prints one error line.
    pub(super) fn error(&self, message: &str) {
        self.note(&format!(
            "{} {message}",
            paint(self.colour_stderr, "31", "error:")
        ));
    }

    /// Whether somebody can answer a question.
    #[must_use]
    pub(super) fn can_ask(&self) -> bool {
        std::io::stdin().is_terminal() && self.terminal
    }

    /// Asks for something that is not shown while it is typed; `None` when nobody can answer.
    #[must_use]
    pub(super) fn ask_hidden(&self, question: &str) -> Option<String> {
        if !self.can_ask() {
            return None;
        }
        let mut stderr = std::io::stderr().lock();
        let _ = write!(stderr, "{question} ").and_then(|()| stderr.flush());
        drop(stderr);
        console::Term::stderr().read_secure_line().ok()
    }

    /// Asks a question and reads one line; `None` when nobody can answer.
    #[must_use]
    pub(super) fn ask(&self, question: &str) -> Option<String> {
        if !std::io::stdin().is_terminal() {
            return None;
        }
        let mut stderr = std::io::stderr().lock();
        let _ = write!(stderr, "{question} ").and_then(|()| stderr.flush());
        let mut answer = String::new();
        std::io::stdin().read_line(&mut answer).ok()?;
        Some(answer.trim().to_owned())
    }

    fn stdout(&self, text: &str) {
        // `tnvm list | head` closes the pipe early; that is not an error of tnvm.
        let _ = writeln!(std::io::stdout().lock(), "{text}");
    }
}

/// A cell of a table.
#[derive(Clone, Debug)]
pub(super) struct TableCell {
    text: String,
    meaning: Meaning,
}

/// What a cell says, beside its words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// Nothing further.
    Plain,
    /// As it should be.
    Good,
    /// Worth a look.
    Attention,
    /// Failed.
    Bad,
}

/// A plain cell.
pub(super) fn cell(text: impl fmt::Display) -> TableCell {
    meant(text, Meaning::Plain)
}

/// A cell with a meaning.
pub(super) fn meant(text: impl fmt::Display, meaning: Meaning) -> TableCell {
    TableCell {
        text: text.to_string(),
        meaning,
    }
}

fn paint(colour: bool, code: &str, text: &str) -> String {
    if colour && !code.is_empty() {
        format!("\u{1b}[{code}m{text}\u{1b}[0m")
    } else {
        text.to_owned()
    }
}

/// Problems that differ only in the VM are one: forty workers on a bridge that is not there are
/// told once, with their names.
fn grouped(problems: &Diagnostics) -> Vec<(&Diagnostic, Vec<&str>)> {
    let mut groups: Vec<(&Diagnostic, Vec<&str>)> = Vec::new();
    let mut known = HashMap::new();
    for problem in problems.iter() {
        let place = problem
            .location
            .as_ref()
            .map(|one| (&one.file.name, &one.span));
        let key = (
            &problem.message,
            &problem.help,
            &problem.host,
            &problem.device,
            place,
            problem.vm.is_some(),
        );
        let group = *known.entry(key).or_insert(groups.len());
        match groups.get_mut(group) {
            Some((_, vms)) => vms.extend(problem.vm.as_deref()),
            None => groups.push((problem, problem.vm.as_deref().into_iter().collect())),
        }
    }
    groups
}

/// `worker01`, `worker01 and worker02`, `worker01 and 39 others`.
fn names(vms: &[&str]) -> String {
    match vms {
        [] => String::new(),
        [one] => (*one).to_owned(),
        [one, two] => format!("{one} and {two}"),
        [one, others @ ..] => format!("{one} and {} others", others.len()),
    }
}

/// A diagnostic in miette's terms.
#[derive(Debug)]
struct Shown<'a> {
    diagnostic: &'a Diagnostic,
    vms: String,
    source: Option<NamedSource<String>>,
}

impl<'a> Shown<'a> {
    fn new(diagnostic: &'a Diagnostic, vms: &[&str]) -> Self {
        let source = diagnostic
            .location
            .as_ref()
            .map(|place| NamedSource::new(&place.file.name, masked(&place.file.text)));
        Self {
            diagnostic,
            vms: names(vms),
            source,
        }
    }
}

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let one = self.diagnostic;
        if let Some(host) = &one.host {
            write!(f, "{host}: ")?;
        }
        if !self.vms.is_empty() {
            write!(f, "{}: ", self.vms)?;
        }
        if let Some(device) = &one.device {
            write!(f, "{device}: ")?;
        }
        f.write_str(&one.message)
    }
}

impl std::error::Error for Shown<'_> {}

impl miette::Diagnostic for Shown<'_> {
    fn severity(&self) -> Option<miette::Severity> {
        Some(match self.diagnostic.severity {
            Severity::Error => miette::Severity::Error,
            Severity::Warning => miette::Severity::Warning,
        })
    }

    fn help(&self) -> Option<Box<dyn fmt::Display + '_>> {
        let help = self.diagnostic.help.as_ref()?;
        Some(Box::new(help))
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        Some(self.source.as_ref()?)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let place = self.diagnostic.location.as_ref()?;
        let label = LabeledSpan::underline(place.span.clone());
        Some(Box::new(std::iter::once(label)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn problems_that_differ_only_in_the_vm_are_told_once() {
        let mut problems = Diagnostics::default();
        for vm in ["a01", "a02", "a03"] {
            problems.push(Diagnostic::error("no such bridge").vm(vm).device("nic.lan"));
        }
        problems.push(Diagnostic::error("no such bridge").device("nic.lan"));
        problems.push(Diagnostic::error("another").vm("a01"));
        let told: Vec<String> = grouped(&problems)
            .iter()
            .map(|(problem, vms)| Shown::new(problem, vms).to_string())
            .collect();
        assert_eq!(
            told,
            [
                "a01 and 2 others: nic.lan: no such bridge",
                "nic.lan: no such bridge",
                "a01: another"
            ]
        );
    }
}
