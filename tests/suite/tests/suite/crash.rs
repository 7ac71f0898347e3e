//! A command ends with `kill -9` at every single call, before and after the server has committed it,
//! or loses its connection there. The same command once more, or the same process by itself, puts
//! everything right and touches nothing foreign.

use crate::matrix::{
    DroppedAfter, DroppedBefore, DroppedLate, KilledAfter, KilledBefore, KilledLate, Matrix,
    Scenario, Strike,
};

/// Two VMs with two disks, a NIC, a display and a CD-ROM each.
const VMS: &str = "web: {count: 2, cpu: 1, memory: 1GiB, disk: {a: 1, b: 2}, network: {lan: br0}}
";

/// One at a time, so that positions mean the same in every run.
const CREATE: Scenario = Scenario {
    name: "create",
    prepare: |_| {},
    config: VMS,
    command: &["create", "--concurrency", "1"],
    converged: |lab| lab.settled(&[]),
};

const DESTROY: Scenario = Scenario {
    name: "destroy",
    prepare: |lab| drop(lab.tnvm(&["create"]).ended(0)),
    config: VMS,
    command: &["destroy", "--yes", "--concurrency", "1"],
    converged: |lab| {
        let before = (lab.view(), lab.mutations());
        lab.tnvm(&["destroy", "--yes"]).ended(0).says(&["No"]);
        assert_eq!((lab.view(), lab.mutations()), before);
    },
};

/// Changes of every kind: fields, a zvol that grows, an attribute, a device that goes, one that
/// comes, a VM that goes and one that comes.
const APPLY: Scenario = Scenario {
    name: "apply",
    prepare: |lab| {
        let old = format!("{VMS}old: {{count: 1, cpu: 1, memory: 1GiB, network: {{lan: br0}}}}\n");
        let _ = lab.config(&old).tnvm(&["create"]).ended(0);
    },
    config: "web: {count: 2, cpu: 2, memory: 2GiB, disk: {a: 2, c: 1}, network: {lan: br1}}\n\
             new: {count: 1, cpu: 1, memory: 1GiB, network: {lan: br0}}\n",
    command: &["apply", "--yes", "--restart", "--concurrency", "1"],
    converged: |lab| {
        let before = (lab.view(), lab.mutations());
        let _ = lab.plan(&[]).ended(0);
        assert_eq!((lab.view(), lab.mutations()), before);
    },
};

const KILLS: [Strike; 3] = [KilledBefore, KilledAfter, KilledLate];
const DROPS: [Strike; 3] = [DroppedBefore, DroppedAfter, DroppedLate];

#[test]
fn a_create_killed_at_any_call_is_finished_by_the_same_command() {
    Matrix::of(&CREATE).run(&KILLS, 0);
}

#[test]
fn a_destroy_killed_at_any_call_is_finished_by_the_same_command() {
    Matrix::of(&DESTROY).run(&KILLS, 0);
}

#[test]
fn an_apply_killed_at_any_call_is_finished_by_the_same_command() {
    Matrix::of(&APPLY).run(&KILLS, 0);
}

#[test]
fn an_apply_that_loses_its_connection_at_any_call_finishes_by_itself() {
    let matrix = Matrix::of(&APPLY);
    matrix.run(&DROPS, matrix.until_login());
}

#[test]
fn a_create_that_loses_its_connection_at_any_call_finishes_by_itself() {
    let matrix = Matrix::of(&CREATE);
    matrix.run(&DROPS, matrix.until_login());
}

#[test]
fn a_destroy_that_loses_its_connection_at_any_call_finishes_by_itself() {
    let matrix = Matrix::of(&DESTROY);
    matrix.run(&DROPS, matrix.until_login());
}
