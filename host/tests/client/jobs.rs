//! Jobs: however early or late the news comes, the end is seen.

use serde_json::{Value, json};
use tnvm::truenas::CallError;

use crate::server::{Do, Request, Server, usual};

fn row(state: &str) -> Value {
    json!({"id": 5, "method": "vm.stop", "state": state, "result": null,
        "error": "[EFAULT] VM state is currently not 'RUNNING'",
        "exc_info": {"type": "CallError", "errno": 14, "extra": null}})
}

fn event(state: &str) -> Do {
    let params =
        json!({"msg": "changed", "collection": "core.get_jobs", "id": 5, "fields": row(state)});
    Do::Send(json!({"jsonrpc": "2.0", "method": "collection_update", "params": params}))
}

/// Stops a VM on a server whose `vm.stop` is job 5. `on_stop` comes before the job's id,
/// `on_look` after each answer of `core.get_jobs`, which says `looked`.
async fn stop(
    on_stop: &'static [&'static str],
    looked: &'static str,
    on_look: &'static [&'static str],
) -> (Result<(), CallError>, Vec<String>) {
    let server = Server::start(move |request: &Request| match request.method.as_str() {
        "vm.stop" => {
            let mut acts: Vec<_> = on_stop.iter().map(|state| event(state)).collect();
            acts.push(request.result(json!(5)));
            acts
        }
        "core.get_jobs" => {
            assert_eq!(
                request.params,
                json!([[["id", "=", 5], ["method", "=", "vm.stop"]]])
            );
            let mut acts = vec![request.result(json!([row(looked)]))];
            acts.extend(on_look.iter().map(|state| event(state)));
            acts
        }
        _ => usual(request).unwrap_or_default(),
    })
    .await;
    let client = server.connect().await.unwrap();
    let result = client.stop_vm(1, true).await;
    (result, server.names())
}

#[tokio::test]
async fn events_are_asked_for_before_the_call() {
    let (result, names) = stop(&[], "RUNNING", &["RUNNING", "SUCCESS"]).await;
    result.unwrap();
    assert_eq!(names[4..], ["core.subscribe", "vm.stop", "core.get_jobs"]);
}

#[tokio::test]
async fn a_job_that_ended_before_its_id_was_known_is_looked_up() {
    let (result, names) = stop(&["RUNNING", "SUCCESS"], "SUCCESS", &[]).await;
    result.unwrap();
    assert_eq!(
        names.iter().filter(|name| *name == "core.get_jobs").count(),
        1
    );
}

#[tokio::test]
async fn a_job_that_fails_is_a_refusal_with_its_words() {
    for (looked, on_look) in [("FAILED", &[] as &[&str]), ("RUNNING", &["FAILED"])] {
        let (result, _) = stop(&[], looked, on_look).await;
        let Err(CallError::Refused(error)) = result else {
            panic!("{result:?}");
        };
        assert_eq!(error.errno, Some(14));
        assert_eq!(
            error.to_string(),
            "vm.stop was refused: VM state is currently not 'RUNNING'"
        );
    }
}

#[tokio::test]
async fn an_aborted_job_is_no_success() {
    let (result, _) = stop(&[], "RUNNING", &["ABORTED"]).await;
    assert!(matches!(result, Err(CallError::Refused(_))), "{result:?}");
}

#[tokio::test]
async fn two_jobs_ask_for_events_once() {
    let server = Server::start(|request: &Request| match request.method.as_str() {
        "vm.stop" => vec![request.result(json!(5))],
        "core.get_jobs" => vec![request.result(json!([row("SUCCESS")]))],
        _ => usual(request).unwrap_or_default(),
    })
    .await;
    let client = server.connect().await.unwrap();
    let (one, two) = tokio::join!(client.stop_vm(1, true), client.stop_vm(1, true));
    one.and(two).unwrap();
    assert_eq!(server.seen("core.subscribe").len(), 1);
}

#[tokio::test]
async fn a_job_that_the_server_forgot_is_an_error() {
    let server = Server::start(|request: &Request| match request.method.as_str() {
        "vm.stop" => vec![request.result(json!(5))],
        "core.get_jobs" => vec![request.result(json!([]))],
        _ => usual(request).unwrap_or_default(),
    })
    .await;
    let client = server.connect().await.unwrap();
    let error = client.stop_vm(1, true).await.expect_err("forgotten");
    assert!(
        matches!(error, CallError::Protocol { .. }) && error.may_have_run(),
        "{error:?}"
    );
}
