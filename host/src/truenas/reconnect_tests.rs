//! A lost connection: what is asked again, what is not, who waits, and when it is over. In memory
//! and with paused time.

use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::future::join_all;
use serde_json::{Map, json};
use tokio::time::{Instant, sleep};

use super::backoff::{Backoff, Jitter};
use super::client::Client;
use super::error::CallError;
use super::loss::LossReason;
use super::method::Method;
use super::nas::{Act, CONNECT, Nas};
use super::timeouts;

/// Loses the first connection at this method.
fn cut_once_at(at: &'static str) -> Nas {
    Nas::new(move |number, method| (number == 0 && method == at).then_some(Act::Cut))
}

#[tokio::test(start_paused = true)]
async fn a_read_is_asked_again_on_the_next_connection() {
    let nas = cut_once_at("vm.query");
    let client = nas.client().await;
    let begin = Instant::now();
    client.query_vms().await.expect("an answer");
    assert_eq!(nas.calls("vm.query"), [0, 1]);
    assert_eq!(nas.calls("auth.login_ex"), [0, 1]);
    assert_eq!(begin.elapsed(), timeouts::RECONNECT[0]);
}

#[tokio::test(start_paused = true)]
async fn a_change_that_was_sent_is_not_sent_again_and_the_next_call_has_a_connection() {
    let nas = cut_once_at("vm.start");
    let client = nas.client().await;
    let begin = Instant::now();
    let error = client.start_vm(1).await.expect_err("cut");
    assert!(
        matches!(error, CallError::Disconnected { .. }) && error.may_have_run(),
        "{error:?}"
    );
    assert!(!error.is_final_loss());
    assert_eq!(begin.elapsed(), Duration::ZERO, "told at once");
    assert_eq!(nas.calls("vm.start"), [0]);
    client.start_vm(1).await.expect("a new connection");
    assert_eq!(nas.calls("vm.start"), [0, 1]);
}

#[tokio::test(start_paused = true)]
async fn a_change_that_was_not_sent_is_sent_once_on_the_next_connection() {
    // More than may be in flight; the server takes them and answers none.
    let nas = Nas::new(|number, method| match (number, method) {
        (0, "vm.create") => Some(Act::Silence),
        (0, "vm.query") => Some(Act::Cut),
        _ => None,
    });
    let client = nas.client().await;
    let flood: Vec<_> = (0..super::limits::CALLS - 1)
        .map(|_| {
            let client = client.clone();
            tokio::spawn(async move { client.call(Method::VmCreate, vec![]).await })
        })
        .collect();
    tokio::task::yield_now().await;
    let (reader, queued) = (client.clone(), client.clone());
    let reading = tokio::spawn(async move { reader.query_vms().await });
    tokio::task::yield_now().await;
    let queued = tokio::spawn(async move { queued.call(Method::VmStart, vec![json!(7)]).await });
    reading.await.expect("no panic").expect("asked again");
    queued.await.expect("no panic").expect("sent later");
    assert_eq!(nas.calls("vm.start"), [1]);
    // A change while there is no connection waits as well; those that were sent are open.
    for one in join_all(flood).await {
        let error = one.expect("no panic").expect_err("cut");
        assert!(error.may_have_run(), "{error:?}");
    }
    assert!(nas.calls("vm.create").iter().all(|number| *number == 0));
}

#[tokio::test(start_paused = true)]
async fn all_clones_share_one_new_connection() {
    let nas = cut_once_at("vm.query");
    let client = nas.client().await;
    let clones: Vec<_> = (0..30).map(|_| client.clone()).collect();
    let results = join_all(clones.iter().map(Client::query_vms)).await;
    assert!(results.iter().all(Result::is_ok), "{results:?}");
    assert_eq!(nas.calls("auth.login_ex"), [0, 1]);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_restarts_is_ridden_out() {
    let nas = Nas::new(|number, method| match (number, method) {
        (0, "vm.query") | (1..=3, CONNECT) => Some(Act::Cut),
        _ => None,
    });
    let client = nas.client().await;
    let begin = Instant::now();
    client.query_vms().await.expect("an answer");
    assert_eq!(
        begin.elapsed(),
        timeouts::RECONNECT[..4].iter().sum::<Duration>()
    );
    // Where nobody listens nobody logs in.
    assert_eq!(nas.calls("auth.login_ex"), [0, 4]);
}

#[tokio::test(start_paused = true)]
async fn after_the_last_attempt_everybody_is_told() {
    let nas = Nas::new(|number, method| {
        ((number == 0 && method == "vm.query") || (number > 0 && method == CONNECT))
            .then_some(Act::Cut)
    });
    let client = nas.client().await;
    let begin = Instant::now();
    let (read, change) = tokio::join!(client.query_vms(), async {
        sleep(Duration::from_secs(1)).await;
        client.start_vm(1).await
    });
    for error in [read.expect_err("lost"), change.expect_err("lost")] {
        assert!(error.is_final_loss() && !error.may_have_run(), "{error:?}");
        assert!(error.to_string().contains("5 attempts"), "{error}");
        assert!(error.to_string().contains("cannot connect"), "{error}");
    }
    assert_eq!(
        begin.elapsed(),
        timeouts::RECONNECT.iter().sum::<Duration>()
    );
    assert!(
        client
            .query_vms()
            .await
            .is_err_and(|error| error.is_final_loss())
    );
    assert_eq!(nas.connections.load(Ordering::Relaxed), 6);
}

#[tokio::test(start_paused = true)]
async fn who_gives_up_says_after_how_long() {
    let mut nas = Nas::new(|number, method| {
        ((number == 0 && method == "vm.query") || (number > 0 && method == CONNECT))
            .then_some(Act::Cut)
    });
    nas.jitter = Jitter::Seeded(3);
    let client = nas.client().await;
    let begin = Instant::now();
    let error = client.query_vms().await.expect_err("lost");
    let mut backoff = Backoff::new(nas.jitter, 0);
    let pauses = (0..).map_while(|attempt| backoff.pause(attempt));
    let all: Duration = pauses.sum();
    let began = begin.elapsed();
    // The timer counts in milliseconds, for each pause.
    assert!(
        began >= all && began <= all + Duration::from_millis(5),
        "{began:?}"
    );
    assert!(all > timeouts::RECONNECT.iter().sum::<Duration>());
    let said = format!("within {:.0} s and 5 attempts", all.as_secs_f64());
    assert!(error.to_string().contains(&said), "{error}");
    assert!(error.help().is_some());
}

#[tokio::test(start_paused = true)]
async fn clients_that_lost_a_server_together_do_not_come_back_together() {
    let mut back = Vec::new();
    for seed in 0..20 {
        let mut nas = cut_once_at("vm.query");
        nas.jitter = Jitter::Seeded(seed);
        let client = nas.client().await;
        let begin = Instant::now();
        client.query_vms().await.expect("an answer");
        back.push(begin.elapsed());
    }
    back.sort_unstable();
    back.dedup();
    assert!(back.len() > 10, "{back:?}");
}

#[tokio::test(start_paused = true)]
async fn a_refused_login_is_never_repeated() {
    for refusal in ["AUTH_ERR", "EXPIRED", "DENIED"] {
        let nas = Nas::new(move |number, method| match (number, method) {
            (0, "vm.query") => Some(Act::Cut),
            (1.., "auth.login_ex") => Some(Act::Say(json!({"response_type": refusal}))),
            _ => None,
        });
        let client = nas.client().await;
        let error = client.query_vms().await.expect_err("refused");
        let CallError::ConnectionLost {
            why: LossReason::Refused(_),
            ..
        } = &error
        else {
            panic!("{error:?}");
        };
        sleep(Duration::from_secs(600)).await;
        assert!(client.query_vms().await.is_err());
        assert_eq!(nas.calls("auth.login_ex"), [0, 1], "{refusal}");
    }
}

#[tokio::test(start_paused = true)]
async fn another_machine_at_the_address_is_not_worked_on() {
    let nas = Nas::new(|number, method| match (number, method) {
        (0, "vm.query") => Some(Act::Cut),
        (1.., "system.host_id") => Some(Act::Say(json!("other"))),
        _ => None,
    });
    let client = nas.client().await;
    let error = client.query_vms().await.expect_err("another one");
    assert!(
        matches!(
            error,
            CallError::ConnectionLost {
                why: LossReason::OtherServer { .. },
                ..
            }
        ),
        "{error:?}"
    );
    assert_eq!(nas.calls("vm.query"), [0]);
    assert_eq!(nas.calls("auth.login_ex"), [0, 1]);
}

#[tokio::test(start_paused = true)]
async fn a_read_that_ends_every_connection_is_given_up_without_a_storm_of_logins() {
    let nas = Nas::new(|_, method| (method == "vm.query").then_some(Act::Cut));
    let client = nas.client().await;
    let error = client.query_vms().await.expect_err("cut");
    assert!(matches!(error, CallError::Disconnected { .. }), "{error:?}");
    assert_eq!(nas.calls("vm.query"), [0, 1, 2, 3]);
    // Whoever insists uses the attempts up, since no connection lasts.
    for _ in 0..20 {
        let _ = client.query_vms().await;
    }
    assert_eq!(nas.calls("auth.login_ex").len(), 6);
    assert!(
        client
            .query_vms()
            .await
            .is_err_and(|error| error.is_final_loss())
    );
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_lasted_gives_all_attempts_back() {
    let nas = Nas::new(|_, method| (method == "vm.start").then_some(Act::Cut));
    let client = nas.client().await;
    for _ in 0..10 {
        sleep(timeouts::STABLE).await;
        assert!(
            client
                .start_vm(1)
                .await
                .is_err_and(|error| !error.is_final_loss())
        );
        client.query_vms().await.expect("a new connection");
    }
}

#[tokio::test(start_paused = true)]
async fn a_job_is_followed_across_connections() {
    let row = |state: &str| json!([{"id": 5, "method": "vm.stop", "state": state, "result": null}]);
    let nas = Nas::new(move |number, method| match (number, method) {
        (_, "vm.stop") => Some(Act::Say(json!(5))),
        (0, "core.get_jobs") => Some(Act::SayAndCut(row("RUNNING"))),
        (_, "core.get_jobs") => Some(Act::Say(row("SUCCESS"))),
        _ => None,
    });
    let client = nas.client().await;
    client.stop_vm(1, true).await.expect("the end of the job");
    assert_eq!(nas.calls("vm.stop"), [0]);
    assert_eq!(nas.calls("core.subscribe"), [0, 1]);
    assert_eq!(nas.calls("core.get_jobs"), [0, 1]);
}

#[tokio::test(start_paused = true)]
async fn a_job_that_a_restarted_server_forgot_may_have_run() {
    let running = json!([{"id": 5, "method": "vm.stop", "state": "RUNNING"}]);
    let nas = Nas::new(move |number, method| match (number, method) {
        (_, "vm.stop") => Some(Act::Say(json!(5))),
        (0, "core.get_jobs") => Some(Act::SayAndCut(running.clone())),
        (_, "core.get_jobs") => Some(Act::Say(json!([]))),
        _ => None,
    });
    let client = nas.client().await;
    let error = client.stop_vm(1, true).await.expect_err("forgotten");
    assert!(error.may_have_run() && !error.is_final_loss(), "{error:?}");
}

#[tokio::test(start_paused = true)]
async fn a_job_of_a_restarted_server_with_our_id_is_not_taken_for_ours() {
    let row = |vm: u64, started: u64, state: &str| {
        let arguments = json!([vm, {"force": false, "force_after_timeout": true}]);
        json!([{"id": 5, "method": "vm.stop", "arguments": arguments, "state": state,
            "time_started": {"$date": started}, "result": null}])
    };
    for (vm, started) in [(2, 1000), (1, 2000)] {
        let nas = Nas::new(move |number, method| match (number, method) {
            (_, "vm.stop") => Some(Act::Say(json!(5))),
            (0, "core.get_jobs") => Some(Act::SayAndCut(row(1, 1000, "RUNNING"))),
            (_, "core.get_jobs") => Some(Act::Say(row(vm, started, "SUCCESS"))),
            _ => None,
        });
        let client = nas.client().await;
        let error = client.stop_vm(1, true).await.expect_err("another job");
        assert!(error.may_have_run() && !error.is_final_loss(), "{error:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_job_whose_server_stays_away_may_have_run() {
    let running = json!([{"id": 5, "method": "vm.stop", "state": "RUNNING"}]);
    let nas = Nas::new(move |number, method| match (number, method) {
        (_, "vm.stop") => Some(Act::Say(json!(5))),
        (0, "core.get_jobs") => Some(Act::SayAndCut(running.clone())),
        (1.., CONNECT) => Some(Act::Cut),
        _ => None,
    });
    let client = nas.client().await;
    let error = client.stop_vm(1, true).await.expect_err("lost");
    assert!(error.may_have_run() && error.is_final_loss(), "{error:?}");
    assert_eq!(error.method(), Method::VmStop);
}

#[tokio::test(start_paused = true)]
async fn a_logout_never_connects_again() {
    let nas = cut_once_at("vm.start");
    let client = nas.client().await;
    let clone = client.clone();
    assert!(client.start_vm(1).await.is_err());
    client.logout().await;
    let error = clone.create_vm(Map::new()).await.expect_err("closed");
    assert!(error.is_final_loss(), "{error:?}");
    sleep(Duration::from_secs(600)).await;
    assert_eq!(nas.calls("auth.login_ex"), [0]);
}

#[tokio::test(start_paused = true)]
async fn without_a_client_left_nobody_connects_again() {
    let nas = cut_once_at("vm.start");
    let client = nas.client().await;
    assert!(client.start_vm(1).await.is_err());
    drop(client);
    sleep(Duration::from_secs(600)).await;
    assert_eq!(nas.calls("auth.login_ex"), [0]);
}
