//! Removing what carries the mark, and nothing else.

use std::io::Write;
use std::process::{Command, Stdio};

use serde_json::json;
use tnvm_simulator::{Dataset, Effect, Fault, Kind, Version, WorldBuilder, WorldView};
use tnvm_suite::{Lab, target};

/// Neighbours that look as much like the group's VMs as neighbours can: a name of the same shape
/// with a zvol in the same dataset, and a copy that carries the original's mark.
fn neighbours(world: WorldBuilder) -> WorldBuilder {
    let disk = |zvol: &str| json!({"dtype": "DISK", "type": "VIRTIO", "path": format!("/dev/zvol/{zvol}")});
    world
        .zvol("tank/kubernetes/worker_foo-disk0", 5, &[])
        .zvol("tank/kubernetes/copy-disk0", 5, &[])
        .vm(
            "worker_foo",
            512,
            &[disk("tank/kubernetes/worker_foo-disk0")],
        )
        .unwrap()
        .vm("copy", 512, &[disk("tank/kubernetes/copy-disk0")])
        .unwrap()
        .with(|world| {
            let id = world.vm_named("copy").unwrap();
            let vm = world.vms.get_mut(&id).unwrap();
            vm.config
                .insert("description".into(), json!("[tnvm:v1:lab:worker:worker01]"));
        })
}

fn created(lab: &Lab) {
    let _ = lab.example().tnvm(&["create"]).ended(0);
}

/// What stands when a run that must change nothing has ended.
fn check_unchanged(lab: &Lab, arguments: &[&str], code: i32, says: &[&str]) {
    let (before, mutations): (WorldView, usize) = (lab.view(), lab.mutations());
    lab.tnvm(arguments).ended(code).says(says);
    assert_eq!(lab.view(), before);
    assert_eq!(lab.mutations(), mutations);
}

#[test]
fn the_group_goes_and_its_neighbours_stay_byte_for_byte() {
    let lab = Lab::of(neighbours);
    let before = lab.view();
    created(&lab);
    assert_eq!(lab.view().vms.len(), 6);
    let ran = lab.tnvm(&["destroy", "--yes"]).ended(0);
    ran.says(&["4 of 4 VMs gone"]);
    assert_eq!(lab.view(), before, "{}", ran.shown());
    check_unchanged(&lab, &["destroy", "--yes"], 0, &["No"]);
}

#[test]
fn without_consent_nothing_goes() {
    let lab = Lab::new();
    created(&lab);
    let plan = ["worker03", "tank/kubernetes/worker03-disk1", "4 to destroy"];
    check_unchanged(&lab, &["destroy"], 4, &plan);
    check_unchanged(&lab, &["destroy"], 4, &["--yes"]);
    check_unchanged(&lab, &["destroy", "-o", "json"], 4, &["--yes"]);
    check_unchanged(&lab, &["destroy", "--dry-run"], 0, &plan);
    let dry = lab.tnvm(&["destroy", "--dry-run", "-o", "json"]).ended(0);
    assert_eq!(dry.json()["plan"]["kind"], "destroy");
}

#[test]
fn on_a_terminal_only_the_groups_name_is_consent() {
    let lab = Lab::new();
    created(&lab);
    let full = lab.view();
    let answer = |text: &str| {
        let program = target().join(profile()).join("tnvm");
        let mut child = Command::new("script")
            .args(["--quiet", "--return", "--command"])
            .arg(format!("{} destroy", program.display()))
            .arg("/dev/null")
            .current_dir(lab.folder())
            .env("SHELL", "/bin/sh")
            .env("HOME", lab.folder())
            .env("TNVM_CACHE_DIR", target().join("suite/plugin-cache"))
            .envs(lab.environment())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .ok()?;
        let mut stdin = child.stdin.take().unwrap();
        writeln!(stdin, "{text}").unwrap();
        // Kept open: its end would be taken for Ctrl-D.
        let status = child.wait().unwrap();
        drop(stdin);
        status.code()
    };
    let Some(wrong) = answer("lap") else {
        println!("skipped: `script` of util-linux is not here");
        return;
    };
    assert_eq!((wrong, lab.view()), (4, full));
    assert_eq!(answer("lab"), Some(0));
    assert!(lab.view().vms.is_empty());
}

fn profile() -> &'static str {
    if cfg!(debug_assertions) {
        "debug"
    } else {
        "release"
    }
}

#[test]
fn a_group_is_destroyed_by_its_name_where_there_is_no_config() {
    let lab = Lab::new();
    created(&lab);
    std::fs::remove_file(lab.folder().join("config.yaml")).unwrap();
    check_unchanged(&lab, &["destroy", "--yes", "--group", "other"], 0, &["No"]);
    check_unchanged(&lab, &["destroy", "--yes"], 2, &["config.yaml"]);
    let _ = lab.tnvm(&["destroy", "--yes", "--group", "lab"]).ended(0);
    assert!(lab.view().vms.is_empty());
    assert!(lab.view().zvols.is_empty());
}

#[test]
fn a_snapshot_forbids_and_is_named() {
    let lab = Lab::new();
    created(&lab);
    lab.change(|world| {
        let zvol = "tank/kubernetes/worker02-disk0";
        let mut clone = Dataset::new(
            "tank/vms/copied",
            Kind::Volume {
                size: 15 << 30,
                block_size: 16 << 10,
                sparse: true,
            },
        );
        clone.origin = Some(format!("{zvol}@backup"));
        world.take_snapshot(zvol, "backup");
        world.datasets.insert(clone.name.clone(), clone);
    });
    let says = [
        "tank/kubernetes/worker02-disk0",
        "snapshot @backup",
        "tank/vms/copied",
        "help:",
    ];
    check_unchanged(&lab, &["destroy", "--yes"], 4, &says);
}

#[test]
fn a_protected_vm_is_refused() {
    let lab = Lab::new();
    created(&lab);
    let config = std::fs::read_to_string(lab.folder().join("config.yaml")).unwrap();
    lab.write(
        "config.yaml",
        &format!("{config}\n  vms: {{worker03: {{protect: true}}}}\n"),
    );
    check_unchanged(&lab, &["destroy", "--yes"], 4, &["worker03", "protect"]);
}

#[test]
fn a_delete_that_is_only_pretended_is_told_and_the_rest_goes() {
    let lab = Lab::on("26.0.0".parse::<Version>().unwrap(), |world| world);
    created(&lab);
    let id = lab.view().vms["worker02"].id;
    let pretend = Effect::Pretend {
        result: json!(true),
    };
    lab.inject(
        Fault::on("vm.delete", pretend)
            .containing(&format!("[{id},"))
            .every(),
    );
    let ran = lab.tnvm(&["destroy", "--yes"]).ended(1);
    ran.says(&["worker02", "not all is gone", "left behind"]);
    assert_eq!(lab.view().vm_names(), ["worker02"]);
}
