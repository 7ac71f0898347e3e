//! Clients that nobody of this project wrote, against the simulator of every version: does it speak
//! the protocol, or only tnvm's idea of it?

use std::path::{Path, PathBuf};
use std::process::Command;

use tnvm_suite::{Lab, root, target};

/// Versions that speak JSON-RPC.
const JSON_RPC: [&str; 4] = ["25.04.2", "25.10", "26", "27"];
/// Versions that speak the older protocol; later ones still do.
const OLDER: [&str; 5] = ["24.10", "25.04.2", "25.10", "26", "27"];
/// Where a Python of some version is looked for, after the usual one: by its minor version.
const MINORS: [u32; 6] = [14, 13, 12, 11, 10, 9];

#[test]
fn a_client_by_others_lists_creates_and_deletes_a_vm() {
    drive("independent_client", (3, 9)..=(3, 99), &JSON_RPC);
}

#[test]
fn an_asyncio_client_by_others_waits_for_jobs_and_hears_events() {
    drive(
        "independent_client_aiotruenas",
        (3, 13)..=(3, 99),
        &JSON_RPC,
    );
}

#[test]
fn a_client_of_the_older_protocol_by_others_runs_a_vm() {
    drive("independent_client_legacy", (3, 7)..=(3, 12), &OLDER);
}

type PythonVersion = (u32, u32);

/// Runs a client's script against every version, unless there is no Python for it.
#[track_caller]
fn drive(name: &str, pythons: std::ops::RangeInclusive<PythonVersion>, versions: &[&str]) {
    let Some(python) = python(&pythons) else {
        println!("skipped: no Python from {pythons:?}");
        return;
    };
    let folder = target().join("suite").join(name.replace('_', "-"));
    if let Err(reason) = prepare(name, &python, &folder) {
        println!("skipped: {reason}");
        return;
    }
    for version in versions {
        let lab = Lab::on(version.parse().unwrap(), |world| world);
        let before = lab.view();
        let output = Command::new(folder.join("bin/python"))
            .arg(root().join(format!("tests/suite/{name}.py")))
            .arg(lab.server().address().to_string())
            .arg(lab.server().api_key())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        let shown = format!(
            "{name} on {version}: {said}{}",
            String::from_utf8_lossy(&output.stderr)
        );
        assert!(output.status.success(), "{shown}");
        assert_eq!(said.lines().last(), Some("ok"), "{shown}");
        assert!(lab.journal().count("vm.create") >= 1, "{shown}");
        assert_eq!(lab.view(), before, "{shown}");
    }
}

/// The first Python of a version within these.
fn python(wanted: &std::ops::RangeInclusive<PythonVersion>) -> Option<PathBuf> {
    let usual = ("python3".to_owned(), String::new());
    // pyenv has one program of that name for all versions, and runs the one that is named.
    let others = MINORS
        .iter()
        .map(|minor| (format!("python3.{minor}"), format!("3.{minor}")));
    std::iter::once(usual)
        .chain(others)
        .find_map(|(name, version)| {
            let asked = "import sys; print(sys.executable); print(*sys.version_info[:2])";
            let output = Command::new(name)
                .args(["-c", asked])
                .env("PYENV_VERSION", version)
                .output()
                .ok()?;
            let said = String::from_utf8(output.stdout).ok()?;
            let (program, version) = said.trim().split_once('\n')?;
            let (major, minor) = version.split_once(' ')?;
            let version = (major.parse().ok()?, minor.parse().ok()?);
            wanted.contains(&version).then(|| PathBuf::from(program))
        })
}

/// Makes the environment once; afterwards it lies there complete. Why it cannot, otherwise.
fn prepare(name: &str, python: &Path, folder: &Path) -> Result<(), String> {
    let wanted = root().join(format!("tests/suite/{name}.requirements.txt"));
    let complete = folder.join("installed.txt");
    let text = std::fs::read_to_string(&wanted).unwrap();
    if std::fs::read_to_string(&complete).is_ok_and(|installed| installed == text) {
        return Ok(());
    }
    let venv = Command::new(python)
        .args(["-m", "venv"])
        .arg(folder)
        .output();
    match venv {
        Ok(output) if output.status.success() => {}
        Ok(output) => return Err(format!("{} makes no venv: {output:?}", python.display())),
        Err(cause) => return Err(format!("{} does not run: {cause}", python.display())),
    }
    let pip = Command::new(folder.join("bin/python"))
        .args([
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "-r",
        ])
        .arg(&wanted)
        .output()
        .unwrap();
    assert!(
        pip.status.success(),
        "pip: {}",
        String::from_utf8_lossy(&pip.stderr)
    );
    std::fs::write(complete, text).unwrap();
    Ok(())
}
