//! What the server's version lacks: left out where it would say nothing, refused where it would.
//!
//! Knows what a release has, and nothing of where a value was written but its place.

use serde_json::Value;

use crate::diagnostic::{Diagnostic, Location};
use crate::release::{Feature, Release, Standing};

/// Built-in templates have this before their names; what they set nobody asked for.
const BUILT_IN: &str = "<built-in ";

/// What becomes of a value.
#[derive(Debug, PartialEq)]
pub(super) enum Verdict {
    /// It is sent.
    Send,
    /// It is not, and nothing is lost by that.
    LeaveOut,
    /// The server cannot do it.
    Refuse(Box<Diagnostic>),
}

/// Judges a field of a VM. `place` is where it was written.
pub(super) fn field(
    release: &Release,
    name: &str,
    value: &Value,
    place: Option<&Location>,
) -> Verdict {
    let is_built_in = place.is_some_and(|place| place.file.name.starts_with(BUILT_IN));
    let verdict = judge(release, Feature::Field(name), &format!("`{name}`"), place);
    match verdict {
        Verdict::Refuse(_) if is_built_in || Release::says_nothing(name, value) => {
            Verdict::LeaveOut
        }
        verdict => verdict,
    }
}

/// Judges a type of device.
pub(super) fn device(release: &Release, kind: &str, place: Option<&Location>) -> Verdict {
    let what = format!("a device of the type {kind}");
    judge(release, Feature::Device(kind), &what, place)
}

/// Judges an attribute of a device and its value.
pub(super) fn attribute(
    release: &Release,
    kind: &str,
    name: &str,
    value: &Value,
    place: Option<&Location>,
) -> Verdict {
    let what = format!("`{name}` of a device of the type {kind}");
    let verdict = judge(release, Feature::Attribute(kind, name), &what, place);
    match (verdict, value.as_str()) {
        (Verdict::Refuse(_), _) if value.is_null() => Verdict::LeaveOut,
        (Verdict::Send, Some(text)) => {
            let what = format!("`{name}: {text}` of a device of the type {kind}");
            judge(release, Feature::Value(kind, name, text), &what, place)
        }
        (verdict, _) => verdict,
    }
}

fn judge(release: &Release, feature: Feature<'_>, what: &str, place: Option<&Location>) -> Verdict {
    let runs = release.version();
    let problem = match release.standing(feature) {
        Standing::Has | Standing::Unknown => return Verdict::Send,
        Standing::Needs(first) => Diagnostic::error(format!(
            "{what} needs TrueNAS {} or newer, and the server runs {runs}",
            first.name
        ))
        .help(format!(
            "leave it out, or update the server to {} or newer",
            first.name
        )),
        Standing::Had(last) => Diagnostic::error(format!(
            "{what} is gone since TrueNAS {}, and the server runs {runs}",
            last.name
        ))
        .help("leave it out"),
    };
    Verdict::Refuse(Box::new(problem.at(place.cloned())))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;

    use super::*;
    use crate::diagnostic::SourceFile;

    fn place(file: &str) -> Location {
        let file = SourceFile {
            name: file.into(),
            text: "web:\n  enable_secure_boot: true\n".into(),
        };
        Location {
            file: Arc::new(file),
            span: 7..25,
        }
    }

    fn refused(verdict: Verdict) -> String {
        match verdict {
            Verdict::Refuse(problem) => {
                let at = problem.location.map(|at| at.to_string());
                format!("{}: {}", at.unwrap_or_default(), problem.message)
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_field_of_a_newer_version_is_refused_with_its_place_and_the_first_that_has_it() {
        let old = Release::of_text("24.10.2");
        let at = place("config.yaml");
        let verdict = field(&old, "enable_secure_boot", &json!(true), Some(&at));
        assert_eq!(
            refused(verdict),
            "config.yaml:2:3: `enable_secure_boot` needs TrueNAS 25.04.2 or newer, and the server runs 24.10.2"
        );
        let new = Release::of_text("25.04.2");
        let verdict = field(&new, "enable_secure_boot", &json!(true), Some(&at));
        assert_eq!(verdict, Verdict::Send);
    }

    #[test]
    fn what_says_nothing_or_stands_in_a_built_in_template_is_left_out() {
        let old = Release::of_text("24.10.2");
        let at = place("config.yaml");
        let says_nothing = field(&old, "enable_secure_boot", &json!(false), Some(&at));
        assert_eq!(says_nothing, Verdict::LeaveOut);
        let at = place("<built-in vms/vm.json>");
        let built_in = field(&old, "enable_secure_boot", &json!(true), Some(&at));
        assert_eq!(built_in, Verdict::LeaveOut);
    }

    #[test]
    fn devices_attributes_and_values_have_their_first_versions() {
        let (old, new) = (Release::of_text("24.10.2"), Release::of_text("27.0.0"));
        let iscsi = refused(device(&old, "ISCSI_DISK", None));
        assert!(iscsi.contains("needs TrueNAS 27 or newer"), "{iscsi}");
        assert_eq!(device(&new, "ISCSI_DISK", None), Verdict::Send);
        assert_eq!(device(&old, "HOLOGRAM", None), Verdict::Send);
        let vnc = refused(attribute(&old, "DISPLAY", "type", &json!("VNC"), None));
        assert!(vnc.contains("needs TrueNAS 25.10 or newer"), "{vnc}");
        let address = json!({"bus": 1});
        let pci = refused(attribute(&old, "NIC", "pci_address", &address, None));
        assert!(pci.contains("needs TrueNAS 27 or newer"), "{pci}");
        let null = attribute(&old, "NIC", "pci_address", &Value::Null, None);
        assert_eq!(null, Verdict::LeaveOut);
        let known = attribute(&old, "NIC", "mac", &json!("x"), None);
        assert_eq!(known, Verdict::Send);
    }
}
