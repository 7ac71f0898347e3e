//! A client that nobody of this project wrote, against the simulator: does it speak the protocol,
//! or only tnvm's idea of it?

use std::path::Path;
use std::process::Command;

use tnvm_suite::{Lab, root, target};

const FILES: &str = "tests/suite/independent_client";

#[test]
fn a_client_by_others_lists_creates_and_deletes_a_vm() {
    let folder = target().join("suite/independent-client");
    if let Err(reason) = prepare(&folder) {
        println!("skipped: {reason}");
        return;
    }
    let lab = Lab::new();
    let before = lab.view();
    let output = Command::new(folder.join("bin/python"))
        .arg(root().join(format!("{FILES}.py")))
        .arg(lab.server().address().to_string())
        .arg(lab.server().api_key())
        .output()
        .unwrap();
    let shown = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(output.status.success(), "{shown}");
    assert_eq!(shown.lines().last(), Some("ok"), "{shown}");
    assert!(lab.journal().count("vm.create") >= 1);
    assert_eq!(lab.view(), before);
}

/// Makes the environment once; afterwards it lies there complete. Why it cannot, otherwise.
fn prepare(folder: &Path) -> Result<(), String> {
    let wanted = root().join(format!("{FILES}.requirements.txt"));
    let complete = folder.join("installed.txt");
    let text = std::fs::read_to_string(&wanted).unwrap();
    if std::fs::read_to_string(&complete).is_ok_and(|installed| installed == text) {
        return Ok(());
    }
    let venv = Command::new("python3")
        .args(["-m", "venv"])
        .arg(folder)
        .output();
    match venv {
        Ok(output) if output.status.success() => {}
        Ok(output) => return Err(format!("python3 makes no venv: {output:?}")),
        Err(cause) => return Err(format!("no python3: {cause}")),
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
