//! What a stop signal ends, and what it lets finish.

use tnvm::execute::{Action, Event, Outcome};

use super::plans::{How, creation, outcomes, run_watched, zvol};
use super::server::{Act, Server};

const ONE_BY_ONE: How = How {
    concurrency: 1,
    on_failure: tnvm::execute::OnFailure::Rollback,
    max_unavailable: 1,
};

fn begins(event: &Event, what: Action) -> bool {
    matches!(event, Event::StepBegan { step, .. } if step.action == what)
}

#[tokio::test]
async fn the_first_stop_finishes_the_step_in_flight_and_undoes_nothing() {
    let server = Server::start(|_, _| Act::Do).await;
    let plan = creation(&["web01", "web02"]);
    let (report, events) = run_watched(&server.client, &plan, ONE_BY_ONE, |event, handle| {
        if begins(event, Action::CreateVolume) {
            handle.stop();
        }
    })
    .await;
    assert!(report.interrupted);
    assert_eq!(outcomes(&report), [Outcome::Interrupted, Outcome::Skipped]);
    assert_eq!(server.dataset_names(), [zvol("web01")]);
    assert_eq!(server.vm_names(), ["web01"]);
    assert_eq!(server.world().calls.len(), 2);
    assert!(events.contains(&Event::Interrupted));
    let advice = report.vms[0].advice.clone().unwrap();
    assert!(advice.contains("run the same command again"), "{advice}");
}

#[tokio::test]
async fn a_failure_after_the_first_stop_is_told_and_not_rolled_back() {
    let server = Server::start(|method, _| match method {
        "pool.dataset.create" => Act::Refuse(14, "no"),
        _ => Act::Do,
    })
    .await;
    let plan = creation(&["web01"]);
    let (report, events) = run_watched(&server.client, &plan, ONE_BY_ONE, |event, handle| {
        if begins(event, Action::CreateVolume) {
            handle.stop();
        }
    })
    .await;
    assert_eq!(outcomes(&report), [Outcome::Interrupted]);
    assert!(report.vms[0].error.is_some());
    let undone = |event: &Event| matches!(event, Event::RollbackBegan { .. });
    assert!(!events.iter().any(undone));
    assert_eq!(server.count("vm.delete"), 0);
}

#[tokio::test]
async fn the_second_stop_returns_at_once_and_names_what_was_in_flight() {
    let server = Server::start(|method, _| match method {
        "pool.dataset.create" => Act::Ignore,
        _ => Act::Do,
    })
    .await;
    let plan = creation(&["web01"]);
    let (report, _) = run_watched(&server.client, &plan, ONE_BY_ONE, |event, handle| {
        if begins(event, Action::CreateVolume) {
            handle.stop();
            handle.stop();
        }
    })
    .await;
    assert_eq!(outcomes(&report), [Outcome::Interrupted]);
    assert!(report.unsettled);
    assert_eq!(
        report.vms[0].left_behind,
        [
            "zvol tank/web01-disk0 (perhaps: its answer was lost)",
            "VM web01 (id 1)"
        ]
    );
}
