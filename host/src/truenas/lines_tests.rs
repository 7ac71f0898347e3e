//! Several connections: when another one is made, where calls go, and what the loss of one means.
//! In memory and with paused time.

use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::future::join_all;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::client::Client;
use super::error::CallError;
use super::limits;
use super::method::Method;
use super::nas::{Act, CONNECT, Nas};
use super::options::ConnectOptions;
use super::timeouts;

const CALL: Duration = Duration::from_millis(100);

/// Every start of a VM takes its time; whatever `script` says goes first.
fn slow(script: impl Fn(usize, &str) -> Option<Act> + Send + Sync + 'static) -> Nas {
    Nas::new(move |number, method| {
        script(number, method)
            .or_else(|| (method == "vm.start").then(|| Act::Late(CALL, json!(true))))
    })
}

async fn client(nas: &Nas, connections: usize) -> Client {
    let options = ConnectOptions {
        connections,
        ..ConnectOptions::default()
    };
    nas.client_with(options).await
}

async fn start(client: &Client, count: usize) -> Vec<Result<Value, CallError>> {
    let call = |_| client.call(Method::VmStart, vec![json!(1)]);
    join_all((0..count).map(call)).await
}

fn calls_on(nas: &Nas, number: usize) -> usize {
    let calls = nas.calls("vm.start");
    calls.iter().filter(|one| **one == number).count()
}

#[tokio::test(start_paused = true)]
async fn what_one_connection_can_do_needs_no_other() {
    let nas = slow(|_, _| None);
    let client = client(&nas, 8).await;
    for _ in 0..3 {
        let results = start(&client, limits::RUNNING).await;
        assert!(results.iter().all(Result::is_ok), "{results:?}");
    }
    assert_eq!(nas.calls("auth.login_ex"), [0]);
}

#[tokio::test(start_paused = true)]
async fn more_calls_than_run_at_once_are_spread_over_more_connections() {
    let mut took = Vec::new();
    for connections in [1, 4] {
        let nas = slow(|_, _| None);
        let client = client(&nas, connections).await;
        let begin = Instant::now();
        let results = start(&client, 112).await;
        assert!(results.iter().all(Result::is_ok), "{results:?}");
        took.push(begin.elapsed());
        assert_eq!(nas.calls("auth.login_ex").len(), connections);
        for number in 0..connections {
            assert_eq!(calls_on(&nas, number), 112 / connections, "{number}");
        }
        let stats = client.stats();
        assert_eq!(stats.mutations, 112, "of all connections together");
    }
    assert_eq!(took, [CALL * 8, CALL * 2]);
}

#[tokio::test(start_paused = true)]
async fn no_connection_has_more_calls_in_flight_than_the_server_takes() {
    // None of them is answered, so all that are seen are in flight.
    let nas = Nas::new(|_, method| (method == "vm.start").then_some(Act::Silence));
    let client = client(&nas, 3).await;
    tokio::select! {
        _ = start(&client, 200) => {}
        () = sleep(CALL) => {}
    }
    for number in 0..3 {
        assert_eq!(calls_on(&nas, number), limits::CALLS);
    }
    assert_eq!(nas.connections.load(Ordering::Relaxed), 3);
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_cannot_be_made_is_done_without_and_not_tried_again() {
    let nas = slow(|number, method| (number > 0 && method == CONNECT).then_some(Act::Cut));
    let client = client(&nas, 8).await;
    for count in [20, 60, 100] {
        let results = start(&client, count).await;
        assert!(results.iter().all(Result::is_ok), "{results:?}");
    }
    assert_eq!(nas.connections.load(Ordering::Relaxed), 2);
    assert_eq!(calls_on(&nas, 0), 180);
}

#[tokio::test(start_paused = true)]
async fn a_login_that_is_refused_for_a_further_connection_is_not_repeated() {
    let nas = slow(|number, method| {
        (number > 0 && method == "auth.login_ex")
            .then(|| Act::Say(json!({"response_type": "DENIED"})))
    });
    let client = client(&nas, 8).await;
    for count in [20, 60, 100] {
        assert!(start(&client, count).await.iter().all(Result::is_ok));
    }
    assert_eq!(nas.calls("auth.login_ex"), [0, 1]);
}

#[tokio::test(start_paused = true)]
async fn another_machine_behind_the_address_gets_no_calls() {
    let nas = slow(|number, method| {
        (number > 0 && method == "system.host_id").then(|| Act::Say(json!("other")))
    });
    let client = client(&nas, 2).await;
    assert!(start(&client, 60).await.iter().all(Result::is_ok));
    assert_eq!(calls_on(&nas, 0), 60);
}

/// A client whose connections are all there and idle.
async fn warm(nas: &Nas, connections: usize) -> Client {
    let client = client(nas, connections).await;
    assert!(start(&client, 112).await.iter().all(Result::is_ok));
    assert_eq!(nas.connections.load(Ordering::Relaxed), connections);
    client
}

#[tokio::test(start_paused = true)]
async fn a_read_whose_connection_is_lost_is_asked_on_another_at_once() {
    let nas = slow(|number, method| (number == 0 && method == "vm.query").then_some(Act::Cut));
    let client = warm(&nas, 2).await;
    let begin = Instant::now();
    client.query_vms().await.expect("an answer");
    assert_eq!(nas.calls("vm.query"), [0, 1]);
    assert_eq!(begin.elapsed(), Duration::ZERO, "no pause, no login");
    // The lost one comes back by itself.
    sleep(timeouts::RECONNECT[0] * 2).await;
    assert_eq!(nas.calls("auth.login_ex").len(), 3);
    let before = calls_on(&nas, 2);
    assert!(start(&client, 28).await.iter().all(Result::is_ok));
    assert_eq!(calls_on(&nas, 2), before + 14);
}

#[tokio::test(start_paused = true)]
async fn a_change_that_was_sent_is_not_repeated_on_another_connection() {
    let nas = slow(|number, method| (number == 0 && method == "vm.create").then_some(Act::Cut));
    let client = warm(&nas, 2).await;
    let error = client.call(Method::VmCreate, vec![]).await;
    let error = error.expect_err("cut");
    assert!(error.may_have_run() && !error.is_final_loss(), "{error:?}");
    assert_eq!(nas.calls("vm.create"), [0]);
}

#[tokio::test(start_paused = true)]
async fn the_loss_of_one_connection_for_good_is_not_the_end() {
    let nas = slow(|number, method| match (number, method) {
        (0, "vm.query") | (2.., CONNECT) => Some(Act::Cut),
        _ => None,
    });
    let client = warm(&nas, 2).await;
    client.query_vms().await.expect("an answer");
    sleep(Duration::from_secs(600)).await;
    let before = calls_on(&nas, 1);
    assert!(start(&client, 30).await.iter().all(Result::is_ok));
    assert_eq!(calls_on(&nas, 1), before + 30);
    // One that was there and is gone is not replaced by another: 5 attempts were made.
    assert_eq!(nas.connections.load(Ordering::Relaxed), 2 + 5);
}

#[tokio::test(start_paused = true)]
async fn when_all_are_lost_for_good_everybody_is_told() {
    let nas = slow(|number, method| match (number, method) {
        (_, "vm.query") | (2.., CONNECT) => Some(Act::Cut),
        _ => None,
    });
    let client = warm(&nas, 2).await;
    let error = client.query_vms().await.expect_err("lost");
    assert!(error.is_final_loss(), "{error:?}");
    assert!(
        error.to_string().contains("within 45 s and 5 attempts"),
        "{error}"
    );
    assert!(
        client
            .query_vms()
            .await
            .is_err_and(|error| error.is_final_loss())
    );
}

#[tokio::test(start_paused = true)]
async fn a_call_waits_for_whichever_connection_is_back_first() {
    // Both are lost; the first stays away for good, the second is back after its third pause.
    let nas = slow(|number, method| match (number, method) {
        (0 | 1, "vm.query") | (2..=5, CONNECT) => Some(Act::Cut),
        _ => None,
    });
    let client = warm(&nas, 2).await;
    client.query_vms().await.expect("an answer");
    assert_eq!(nas.calls("vm.query").len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_job_is_followed_on_another_connection_when_its_own_is_lost() {
    let row = |state: &str| json!([{"id": 5, "method": "vm.stop", "state": state, "result": null}]);
    let nas = slow(move |number, method| match (number, method) {
        (_, "vm.stop") => Some(Act::Say(json!(5))),
        (0, "core.get_jobs") => Some(Act::SayAndCut(row("RUNNING"))),
        (_, "core.get_jobs") => Some(Act::Say(row("SUCCESS"))),
        (2.., CONNECT) => Some(Act::Cut),
        _ => None,
    });
    let client = warm(&nas, 2).await;
    let begin = Instant::now();
    client.stop_vm(1, true).await.expect("the end of the job");
    assert_eq!(nas.calls("core.subscribe"), [0, 1]);
    assert_eq!(nas.calls("core.get_jobs"), [0, 1]);
    assert_eq!(begin.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_logout_ends_every_connection() {
    let nas = slow(|_, _| None);
    let client = warm(&nas, 4).await;
    client.logout().await;
    let mut left = nas.calls("auth.logout");
    left.sort_unstable();
    assert_eq!(left, [0, 1, 2, 3]);
}

#[tokio::test(start_paused = true)]
async fn one_call_at_a_time_stays_one_call_at_a_time() {
    let nas = slow(|_, _| None);
    let options = ConnectOptions {
        concurrency: 1,
        ..ConnectOptions::default()
    };
    let client = nas.client_with(options).await;
    let begin = Instant::now();
    assert!(start(&client, 30).await.iter().all(Result::is_ok));
    assert_eq!(begin.elapsed(), CALL * 30);
}

#[tokio::test(start_paused = true)]
async fn expected_calls_have_their_connections_before_they_come() {
    let nas = slow(|_, _| None);
    let client = client(&nas, 8).await;
    client.expect_calls(limits::RUNNING);
    sleep(CALL).await;
    assert_eq!(nas.calls("auth.login_ex"), [0], "one is enough");
    client.expect_calls(limits::RUNNING * 2 + 1);
    sleep(CALL).await;
    assert_eq!(nas.calls("auth.login_ex"), [0, 1, 2]);
    client.expect_calls(usize::MAX);
    sleep(CALL).await;
    assert_eq!(nas.connections.load(Ordering::Relaxed), 8);
    let begin = Instant::now();
    assert!(start(&client, 112).await.iter().all(Result::is_ok));
    assert_eq!(begin.elapsed(), CALL);
}
