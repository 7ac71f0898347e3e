//! Loads every folder of `template_samples` over the built-in templates.
//!
//! What comes out is in the snapshot beside the folder.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that fails should fail loudly and where it stands"
)]

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use tnvm::diagnostic::Diagnostics;
use tnvm::template::Templates;

const ROOT: &str = "tests/template_samples";

fn samples(folder: &str) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = fs::read_dir(Path::new(ROOT).join(folder))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_dir())
        .collect();
    found.sort();
    assert!(!found.is_empty());
    found
}

fn render_problems(problems: &Diagnostics, folder: &Path) -> String {
    let prefix = format!("{}/", folder.display());
    let mut out = String::new();
    for one in problems.iter() {
        if let Some(at) = &one.location {
            let shown = at.file.text.get(at.span.clone()).unwrap();
            write!(out, "{at} [{shown}]: ").unwrap();
        }
        let help = one.help.as_deref().expect("every problem has help");
        writeln!(out, "{}\n  help: {help}", one.message).unwrap();
    }
    out.replace(&prefix, "")
        .replace(folder.to_str().unwrap(), "FOLDER")
}

/// The templates that differ from the built-in ones.
fn render(templates: &Templates) -> String {
    let (built_in, _) = Templates::load(None);
    let mut out = String::new();
    for name in templates.vm_names() {
        if templates.vm(name) != built_in.vm(name) {
            let fields = templates.vm(name).unwrap().fields.to_json();
            writeln!(out, "vm {name}: {fields:#}").unwrap();
        }
    }
    for name in templates.device_names() {
        if templates.device(name) != built_in.device(name) {
            let node = templates.device(name).unwrap().node.to_json();
            writeln!(out, "device {name}: {node:#}").unwrap();
        }
    }
    out
}

fn check(kind: &str, folder: &Path, text: &str) {
    let name = folder.file_name().unwrap().to_string_lossy().into_owned();
    insta::with_settings!({
        snapshot_path => format!("template_samples/{kind}"),
        prepend_module_to_snapshot => false,
        omit_expression => true,
    }, { insta::assert_snapshot!(name, text) });
}

#[test]
fn the_built_in_templates_are_right() {
    let (templates, problems) = Templates::load(None);
    assert!(problems.is_empty(), "{problems:?}");
    assert!(templates.vm("vm").is_some());
    for (plugin, dtype) in [
        ("disk", "DISK"),
        ("nic", "NIC"),
        ("display", "DISPLAY"),
        ("cdrom", "CDROM"),
    ] {
        let node = &templates.device(plugin).unwrap().node;
        assert_eq!(node.pointer("/attributes/dtype").as_str(), Some(dtype));
    }
}

#[test]
fn valid_templates_load() {
    for folder in samples("valid") {
        let (templates, problems) = Templates::load(Some(&folder));
        assert!(
            problems.is_empty(),
            "{}",
            render_problems(&problems, &folder)
        );
        check("valid", &folder, &render(&templates));
    }
}

#[test]
fn invalid_templates_are_refused_with_place_and_help() {
    for folder in samples("invalid") {
        let (_, problems) = Templates::load(Some(&folder));
        assert!(problems.has_errors(), "{folder:?} loads");
        check("invalid", &folder, &render_problems(&problems, &folder));
    }
}

#[test]
fn a_folder_that_is_not_there_is_one_problem_and_the_built_in_templates_stay() {
    let (templates, problems) = Templates::load(Some(Path::new("no/such/folder")));
    assert_eq!(problems.iter().len(), 1);
    assert!(problems.has_errors());
    assert_eq!(templates, Templates::load(None).0);
}

#[test]
fn a_template_in_error_is_left_out() {
    let folder = Path::new(ROOT).join("invalid/vm_fields");
    let (templates, _) = Templates::load(Some(&folder));
    assert!(
        templates.vm("vm").is_none(),
        "the built-in one would be a silent replacement"
    );
    assert!(templates.device("disk").is_some());
    let folder = Path::new(ROOT).join("invalid/syntax");
    let (templates, _) = Templates::load(Some(&folder));
    assert!(
        templates.device("child").is_none(),
        "its parent is a broken file, not the built-in template of that name"
    );
}

#[test]
fn a_file_that_extends_its_own_name_changes_the_built_in_template() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("vms")).unwrap();
    let text = r#"{"extends": "vm", "memory": 1024, "time": null}"#;
    fs::write(folder.path().join("vms/vm.json"), text).unwrap();
    let (templates, problems) = Templates::load(Some(folder.path()));
    assert!(problems.is_empty(), "{problems:?}");
    let mut expected = Templates::load(None).0.vm("vm").unwrap().fields.to_json();
    let fields = expected.as_object_mut().unwrap();
    assert!(fields.shift_remove("time").is_some());
    fields.insert("memory".to_owned(), 1024.into());
    assert_eq!(templates.vm("vm").unwrap().fields.to_json(), expected);
}
