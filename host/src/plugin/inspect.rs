//! Reads a component's imports and exports before anything is compiled or linked.
//!
//! So that a person is told "built for another version" instead of a linker's riddle. It knows
//! nothing of wasmtime.

use semver::Version;
use wasmparser::{Encoding, Parser, Payload};

use super::abi::SPOKEN;
use super::error::PluginErrorKind;
use super::text::plain;

/// The package of the contract.
const PACKAGE: &str = "tnvm:device";

/// The export that makes a component a plugin.
const PLUGIN: &str = "tnvm:device/plugin@";

/// What the outside of a component says.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(super) struct Surface {
    /// The version of the contract that it was built for.
    pub(super) contract: Version,
    /// Whether it imports anything of WASI.
    pub(super) wasi: bool,
}

/// Reads the surface and refuses what cannot be a plugin of this host.
pub(super) fn inspect(bytes: &[u8]) -> Result<Surface, PluginErrorKind> {
    if !bytes.starts_with(b"\0asm") {
        let what = match bytes.trim_ascii_start().first() {
            None => "the file is empty".to_owned(),
            Some(b'(') => "the file is WebAssembly text; a plugin is a binary component".to_owned(),
            Some(_) => "the file is no WebAssembly at all".to_owned(),
        };
        return Err(PluginErrorKind::NotAComponent { what });
    }
    let names = names(bytes)?;
    let contract = contract(&names.exports)?;
    let foreign: Vec<String> = names
        .imports
        .iter()
        .filter(|import| !is_granted(import))
        .map(|import| plain(import))
        .collect();
    if !foreign.is_empty() {
        return Err(PluginErrorKind::ForeignImports { names: foreign });
    }
    Ok(Surface {
        contract,
        wasi: names.imports.iter().any(|import| is_wasi(import)),
    })
}

#[derive(Default)]
struct Names {
    imports: Vec<String>,
    exports: Vec<String>,
}

fn names(bytes: &[u8]) -> Result<Names, PluginErrorKind> {
    let damaged = |error: wasmparser::BinaryReaderError| PluginErrorKind::Damaged {
        chain: error.to_string(),
    };
    let mut names = Names::default();
    // How many nested modules and components the reader is inside of: their names are not ours.
    let mut depth = 0_usize;
    for payload in Parser::new(0).parse_all(bytes) {
        match payload.map_err(damaged)? {
            Payload::Version { encoding, .. } if depth == 0 && encoding == Encoding::Module => {
                return Err(PluginErrorKind::NotAComponent {
                    what: "the file is a core module; a plugin is a component: turn it into one \
                           with `wasm-tools component new`, or build it with the SDK"
                        .to_owned(),
                });
            }
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::ComponentImportSection(section) if depth == 0 => {
                for import in section {
                    names
                        .imports
                        .push(import.map_err(damaged)?.name.name.to_owned());
                }
            }
            Payload::ComponentExportSection(section) if depth == 0 => {
                for export in section {
                    names
                        .exports
                        .push(export.map_err(damaged)?.name.name.to_owned());
                }
            }
            _ => {}
        }
    }
    Ok(names)
}

/// The version of the contract among the exports, if it is spoken here.
fn contract(exports: &[String]) -> Result<Version, PluginErrorKind> {
    let wrong = |what| Err(PluginErrorKind::WrongContract { what });
    let found: Vec<&str> = exports
        .iter()
        .filter_map(|export| export.strip_prefix(PLUGIN))
        .collect();
    let Some(text) = found.first() else {
        let instead = if exports.is_empty() {
            "nothing".to_owned()
        } else {
            let texts: Vec<String> = exports.iter().map(|export| plain(export)).collect();
            texts.join(", ")
        };
        return wrong(format!(
            "it is a component, but no tnvm plugin: it exports no `tnvm:device/plugin` (this tnvm \
             speaks {}) but {instead}",
            spoken()
        ));
    };
    let versions: Vec<Version> = found
        .iter()
        .filter_map(|text| Version::parse(text).ok())
        .collect();
    // A component may speak several versions, to serve older hosts too.
    if let Some(version) = versions.iter().find(|version| is_spoken(version)) {
        return Ok(version.clone());
    }
    let Some(version) = versions.first() else {
        return wrong(format!(
            "its contract version `{}` is no version",
            plain(text)
        ));
    };
    wrong(format!(
        "it was built for {PACKAGE} {version}, and this tnvm speaks {}: {}",
        spoken(),
        difference(version)
    ))
}

fn is_spoken(version: &Version) -> bool {
    version.pre.is_empty()
        && SPOKEN
            .iter()
            .any(|(major, minor)| version.major == *major && version.minor <= *minor)
}

fn difference(version: &Version) -> String {
    if !version.pre.is_empty() {
        return "a pre-release of the contract promises nothing to any other version".to_owned();
    }
    match SPOKEN.iter().find(|(major, _)| *major == version.major) {
        Some((_, minor)) => format!(
            "the plugin may use what came with the minor versions after .{minor}; a newer tnvm has it"
        ),
        None if SPOKEN.iter().all(|(major, _)| version.major > *major) => {
            "the plugin is newer by a major version; a newer tnvm has it".to_owned()
        }
        None => {
            "the plugin is older by a major version that is no longer spoken; it must be built \
                 again"
                .to_owned()
        }
    }
}

fn spoken() -> String {
    let texts: Vec<String> = SPOKEN
        .iter()
        .map(|(major, minor)| match minor {
            0 => format!("{PACKAGE} {major}.0"),
            _ => format!("{PACKAGE} {major}.0 to {major}.{minor}"),
        })
        .collect();
    texts.join(" and ")
}

fn is_granted(import: &str) -> bool {
    let ours = import
        .strip_prefix(PACKAGE)
        .and_then(|rest| rest.strip_prefix('/'))
        .and_then(|rest| rest.split_once('@'))
        .is_some_and(|(interface, _)| matches!(interface, "log" | "types"));
    ours || is_wasi(import)
}

fn is_wasi(import: &str) -> bool {
    import.starts_with("wasi:")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inspect_text(text: &str) -> Result<Surface, String> {
        inspect(&wat::parse_str(text).unwrap()).map_err(|kind| kind.to_string())
    }

    fn exporting(name: &str) -> String {
        format!(r#"(component (instance $i) (export "{name}" (instance $i)))"#)
    }

    #[track_caller]
    fn check(text: &str, expected: &[&str]) {
        let refusal = inspect_text(text).unwrap_err();
        for part in expected {
            assert!(refusal.contains(part), "{refusal} lacks {part}");
        }
    }

    #[test]
    fn a_component_of_the_spoken_version_is_read() {
        let surface = inspect_text(&exporting("tnvm:device/plugin@1.0.3")).unwrap();
        assert_eq!(
            (surface.contract, surface.wasi),
            (Version::new(1, 0, 3), false)
        );
    }

    #[test]
    fn a_core_module_is_refused_with_the_way_to_a_component() {
        check("(module)", &["core module", "wasm-tools component new"]);
    }

    #[test]
    fn other_versions_are_refused_with_both_versions_and_the_difference() {
        for (version, difference) in [
            ("1.2.0", "minor versions after .0"),
            ("2.0.0", "newer by a major version"),
            ("0.9.1", "no longer spoken"),
            ("1.0.0-rc.1", "pre-release"),
        ] {
            let name = format!("tnvm:device/plugin@{version}");
            let built_for = format!("built for tnvm:device {version}");
            check(
                &exporting(&name),
                &[&built_for, "speaks tnvm:device 1.0", difference],
            );
        }
    }

    #[test]
    fn a_component_that_speaks_a_newer_version_too_is_read() {
        let text = r#"(component (instance $i)
            (export "tnvm:device/plugin@2.0.0" (instance $i))
            (export "tnvm:device/plugin@1.0.0" (instance $i)))"#;
        assert_eq!(inspect_text(text).unwrap().contract, Version::new(1, 0, 0));
    }

    #[test]
    fn a_component_that_is_no_plugin_is_told_what_it_exports() {
        check(
            &exporting("wasi:cli/run@0.2.0"),
            &["no tnvm plugin", "wasi:cli/run@0.2.0"],
        );
        check("(component)", &["but nothing"]);
    }

    #[test]
    fn foreign_imports_are_named() {
        let text = r#"(component
            (import "acme:net/http@1.0.0" (instance))
            (import "tnvm:device/secrets@1.0.0" (instance))
            (import "tnvm:device/log@1.0.0" (instance))
            (instance $i) (export "tnvm:device/plugin@1.0.0" (instance $i)))"#;
        check(text, &["acme:net/http@1.0.0, tnvm:device/secrets@1.0.0,"]);
        assert!(!inspect_text(text).unwrap_err().contains("log"));
    }

    #[test]
    fn wasi_is_noticed_and_names_of_nested_components_are_not_ours() {
        let text = r#"(component
            (component (import "acme:a/b" (instance)))
            (import "wasi:cli/environment@0.2.0" (instance))
            (instance $i) (export "tnvm:device/plugin@1.0.0" (instance $i)))"#;
        assert!(inspect_text(text).unwrap().wasi);
    }

    #[test]
    fn files_that_are_no_wasm_say_what_they_are() {
        for (bytes, what) in [
            (&b""[..], "empty"),
            (b"(component)", "text"),
            (b"\x7fELF", "no WebAssembly"),
            (b"\0asm\x0d\0\x01\0\xff\xff", "damaged"),
        ] {
            let refusal = inspect(bytes).unwrap_err().to_string();
            assert!(refusal.contains(what), "{refusal}");
        }
    }
}
