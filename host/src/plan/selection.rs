//! Which VMs a command is about: `--only NAME|TYPE|GLOB`, several of them joined by "or".

use std::collections::BTreeSet;

use crate::diagnostic::{Diagnostic, Diagnostics, nearest};

/// Patterns that choose VMs by their name or their type; none chooses all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    patterns: Vec<String>,
    elsewhere: Vec<(String, String)>,
}

impl Selection {
    /// Every VM.
    #[must_use]
    pub fn all() -> Self {
        Self::default()
    }

    /// VMs whose name or type is one of these, or matches one with `*` (any text) or `?` (any
    /// character). No pattern: every VM.
    #[must_use]
    pub fn of(patterns: &[String]) -> Self {
        Self {
            patterns: patterns.to_vec(),
            elsewhere: Vec::new(),
        }
    }

    /// Knows besides these VMs (name and type) of other servers, which a pattern may be about.
    #[must_use]
    pub fn with_elsewhere(mut self, vms: &[(String, String)]) -> Self {
        self.elsewhere = vms.to_vec();
        self
    }

    /// Whether every VM is chosen.
    #[must_use]
    pub fn is_all(&self) -> bool {
        self.patterns.is_empty()
    }

    /// Whether a VM is chosen.
    #[must_use]
    pub fn selects(&self, vm: &str, vm_type: &str) -> bool {
        self.is_all()
            || self
                .patterns
                .iter()
                .any(|pattern| matches(pattern, vm) || matches(pattern, vm_type))
    }

    /// A problem for each pattern that chooses none of these VMs (name and type), and none of
    /// another server: a slip of the pen must not pass for "nothing to do".
    #[must_use]
    pub fn check<'a>(&self, vms: impl IntoIterator<Item = (&'a str, &'a str)>) -> Diagnostics {
        let mut unused: BTreeSet<&str> = self.patterns.iter().map(String::as_str).collect();
        let mut words: BTreeSet<String> = BTreeSet::new();
        let mut note = |vm: &str, vm_type: &str| {
            unused.retain(|pattern| !matches(pattern, vm) && !matches(pattern, vm_type));
            words.extend([vm.to_owned(), vm_type.to_owned()]);
        };
        vms.into_iter().for_each(|(vm, vm_type)| note(vm, vm_type));
        self.elsewhere
            .iter()
            .for_each(|(vm, vm_type)| note(vm, vm_type));
        let mut problems = Diagnostics::default();
        for pattern in unused {
            let near = nearest(pattern, words.iter().map(String::as_str));
            let help = match near.first() {
                Some(near) => format!("did you mean `{near}`?"),
                None => "give the name of a VM, a VM type, or a pattern such as `worker*`".into(),
            };
            problems.push(
                Diagnostic::error(format!("--only {pattern}: no VM is chosen by it")).help(help),
            );
        }
        problems
    }
}

/// Whether a text is what a pattern with `*` and `?` says. Linear in both but for the backtracking
/// of the last star, which is all that such patterns need.
fn matches(pattern: &str, text: &str) -> bool {
    let pattern: Vec<char> = pattern.chars().collect();
    let text: Vec<char> = text.chars().collect();
    let (mut p, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(&one) if one == '?' || text.get(t) == Some(&one) => {
                p += 1;
                t += 1;
            }
            _ => match star {
                Some((at, taken)) => {
                    star = Some((at, taken + 1));
                    p = at + 1;
                    t = taken + 1;
                }
                None => return false,
            },
        }
    }
    pattern.iter().skip(p).all(|one| *one == '*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_chooses_by_name_or_type() {
        for (pattern, vm, vm_type, chosen) in [
            ("worker01", "worker01", "worker", true),
            ("worker", "worker01", "worker", true),
            ("worker", "workers01", "workers", false),
            ("w*1", "worker01", "worker", true),
            ("w*1", "worker02", "worker", false),
            ("*", "anything", "x", true),
            ("worker0?", "worker07", "worker", true),
            ("worker0?", "worker17", "worker", false),
            ("*a*b*", "xaxbx", "y", true),
            ("", "a", "b", false),
        ] {
            let selection = Selection::of(&[pattern.to_owned()]);
            assert_eq!(selection.selects(vm, vm_type), chosen, "{pattern} {vm}");
        }
        assert!(Selection::all().selects("a", "b"));
    }

    #[test]
    fn a_pattern_that_chooses_nothing_is_told_with_what_is_near() {
        let selection = Selection::of(&["worker01".into(), "workr02".into()]);
        let problems = selection.check([("worker01", "worker"), ("worker02", "worker")]);
        let shown: Vec<_> = problems
            .iter()
            .map(|one| (one.message.clone(), one.help.clone()))
            .collect();
        assert_eq!(
            shown,
            [(
                "--only workr02: no VM is chosen by it".to_owned(),
                Some("did you mean `worker02`?".to_owned())
            )]
        );
    }

    #[test]
    fn a_pattern_may_be_about_a_vm_of_another_server() {
        let selection = Selection::of(&["db".into()]);
        assert!(selection.check([("web01", "web")]).has_errors());
        let selection = selection.with_elsewhere(&[("db01".into(), "db".into())]);
        assert!(selection.check([("web01", "web")]).is_empty());
    }
}
