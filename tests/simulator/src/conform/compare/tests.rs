//! What counts as a difference, and of which kind.

use super::*;
use serde_json::json;

fn compare(method: &str, recorded: Value, own: Value) -> Vec<String> {
    Comparison::new(method, &mut Known::default())
        .frames(&recorded, &own)
        .iter()
        .map(|found| format!("{} {}", found.kind, found.at))
        .collect()
}

fn results(method: &str, recorded: Value, own: Value) -> Vec<String> {
    compare(method, json!({"result": recorded}), json!({"result": own}))
}

fn failure(code: i64, errno: i64, extra: Value) -> Value {
    json!({"error": {"code": code, "message": "m", "data": {
        "error": errno, "errname": "E", "reason": "r", "trace": {"class": "C"}, "extra": extra}}})
}

#[test]
fn members_types_and_values_are_told_apart() {
    let recorded = json!({"id": 7, "name": "a", "vcpus": 1, "pin_vcpus": false});
    let own = json!({"id": 1, "name": "b", "vcpus": "1", "more": 1});
    assert_eq!(
        results("vm.get_instance", recorded, own),
        ["shape pin_vcpus", "shape more", "value name", "shape vcpus"]
    );
}

#[test]
fn what_depends_on_the_moment_may_differ_but_not_its_type() {
    let row = |pid: Value| json!({"state": "RUNNING", "pid": pid});
    assert!(results("vm.status", row(json!(1)), row(json!(2))).is_empty());
    assert_eq!(
        results("vm.status", row(json!(1)), row(json!("2"))),
        ["shape pid"]
    );
}

#[test]
fn ids_must_stay_what_they_were() {
    let mut known = Known::default();
    let mut check = |recorded: i64, own: i64| {
        let (recorded, own) = (
            json!({"result": {"id": recorded}}),
            json!({"result": {"id": own}}),
        );
        Comparison::new("vm.get_instance", &mut known)
            .frames(&recorded, &own)
            .len()
    };
    assert_eq!([check(7, 1), check(7, 1), check(7, 2)], [0, 0, 1]);
}

#[test]
fn refusals_are_compared_by_code_errno_and_attributes() {
    let extra = json!([["vm_create.name", "taken", 17]]);
    let recorded = failure(-32602, 22, extra);
    assert!(compare("vm.create", recorded.clone(), recorded.clone()).is_empty());
    let other = failure(-32602, 22, json!([["vm_create.name", "taken", 22]]));
    assert_eq!(
        compare("vm.create", recorded.clone(), other),
        ["attributes extra"]
    );
    let other = failure(-32602, 22, json!([["vm_create.name", "is taken", 17]]));
    assert_eq!(
        compare("vm.create", recorded.clone(), other),
        ["wording \"vm_create.name\" (17)"]
    );
    let other = failure(-32001, 14, Value::Null);
    assert_eq!(
        compare("vm.create", recorded.clone(), other),
        ["code code", "code error", "shape extra"]
    );
    assert_eq!(
        compare("vm.create", recorded, json!({"result": 1})),
        ["outcome "]
    );
}

#[test]
fn an_answer_about_hardware_only_needs_elements_of_the_same_kind() {
    let recorded = json!({"486": "486", "qemu64": "qemu64"});
    assert!(results("vm.cpu_model_choices", recorded.clone(), json!({"x": "x"})).is_empty());
    assert_eq!(
        results("vm.cpu_model_choices", recorded, json!({"x": 1})),
        ["shape "]
    );
}

#[test]
fn a_job_that_ended_sooner_is_no_difference_but_one_that_ended_otherwise_is() {
    let row = |state: &str, error: Value| json!([{"id": 1, "state": state, "error": error}]);
    let (running, failed) = (row("RUNNING", Value::Null), row("FAILED", json!("no")));
    assert!(results("core.get_jobs", running.clone(), failed.clone()).is_empty());
    let ended = row("SUCCESS", Value::Null);
    assert_eq!(
        results("core.get_jobs", ended, failed.clone()),
        ["value state", "shape error"]
    );
    assert_eq!(
        results("core.get_jobs", failed, running),
        ["value state", "shape error"]
    );
}

#[test]
fn what_a_recording_hides_may_be_anything() {
    let recorded = json!({"attributes": {"password": HIDDEN}});
    let own = json!({"attributes": {"password": "x"}});
    assert!(results("vm.device.get_instance", recorded, own).is_empty());
}
