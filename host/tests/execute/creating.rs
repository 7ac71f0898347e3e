//! What `create` makes, and what it leaves when something fails.

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::json;
use tnvm::execute::{Event, OnFailure, Outcome};
use tnvm::plan::Step;

use super::plans::{
    How, PASSWORD, completion, create_volume, creation, device, display, mark, outcomes, run,
    run_watched, zvol,
};
use super::server::{Act, IMPATIENT, PATIENT, Server, Vm};

const ONE_BY_ONE: How = How {
    concurrency: 1,
    on_failure: OnFailure::Rollback,
    max_unavailable: 1,
};

#[tokio::test]
async fn everything_planned_is_made_marked_and_running_without_a_needless_call() {
    let server = Server::start(|_, _| Act::Do).await;
    let report = run(&server.client, &creation(&["web01", "web02"])).await;
    assert_eq!(outcomes(&report), [Outcome::Created; 2]);
    let world = server.world();
    for vm in world.vms.values() {
        assert!(vm.running);
        assert_eq!(
            vm.description,
            mark(&vm.name).description("a web server", false)
        );
        let mut devices: Vec<_> = vm.devices.values().collect();
        devices.sort_by_key(|device| device["order"].as_u64());
        assert_eq!(devices[0]["order"], 1);
        assert_eq!(
            devices[1]["attributes"],
            json!({"dtype": "DISPLAY", "password": PASSWORD})
        );
        assert_eq!(
            world.datasets[&zvol(&vm.name)].mark,
            Some(mark(&vm.name).to_string())
        );
    }
    // Per VM: itself, a zvol, three devices, a start and one look at its state.
    assert_eq!(world.calls.len(), 2 * 7);
    assert_eq!(report.calls, 2 * 7);
}

#[tokio::test]
async fn a_failure_in_any_phase_removes_that_vm_and_spares_the_others() {
    let phases = [
        ("vm.create", 2),
        ("pool.dataset.create", 2),
        ("vm.device.create", 5),
        ("vm.start", 2),
    ];
    for (method, nth) in phases {
        let mut calls = 0;
        let server = Server::start(move |name, _| {
            calls += u32::from(name == method);
            if name == method && calls == nth {
                return Act::Refuse(14, "no");
            }
            Act::Do
        })
        .await;
        let plan = creation(&["web01", "web02", "web03"]);
        let (report, _) = run_watched(&server.client, &plan, ONE_BY_ONE, |_, _| {}).await;
        let expected = [Outcome::Created, Outcome::RolledBack, Outcome::Created];
        assert_eq!(outcomes(&report), expected, "{method}");
        assert_eq!(server.vm_names(), ["web01", "web03"], "{method}");
        assert_eq!(
            server.dataset_names(),
            [zvol("web01"), zvol("web03")],
            "{method}"
        );
        assert!(server.world().vms.values().all(|vm| vm.running));
        assert!(report.vms[1].error.is_some() && report.vms[1].left_behind.is_empty());
    }
}

#[tokio::test]
async fn a_missing_secret_is_told_before_anything_is_made() {
    let server = Server::start(|_, _| Act::Do).await;
    let mut plan = creation(&["web01"]);
    let device = display("env:NOT_SET");
    plan.vms[0].steps.push(Step::CreateDevice { device });
    let report = run(&server.client, &plan).await;
    let error = report.vms[0].error.clone().unwrap();
    assert_eq!(report.vms[0].outcome, Outcome::RolledBack);
    assert_eq!(error.device.as_deref(), Some("display.spice"));
    assert!(error.message.contains("env:NOT_SET"), "{error:?}");
    assert!(server.world().calls.is_empty());
}

#[tokio::test]
async fn what_was_made_before_a_failure_is_kept_when_asked() {
    let server = Server::start(|method, _| match method {
        "vm.device.create" => Act::Refuse(14, "no"),
        _ => Act::Do,
    })
    .await;
    let keep = How {
        on_failure: OnFailure::Keep,
        ..ONE_BY_ONE
    };
    let (report, _) = run_watched(&server.client, &creation(&["web01"]), keep, |_, _| {}).await;
    assert_eq!(report.vms[0].outcome, Outcome::Kept);
    assert_eq!(
        report.vms[0].left_behind,
        ["zvol tank/web01-disk0", "VM web01 (id 1)"]
    );
    assert_eq!(server.vm_names(), ["web01"]);
    // The first device failed, so the others were not tried.
    assert_eq!(server.count("vm.device.create"), 1);
    assert_eq!(server.count("vm.start"), 0);
}

#[tokio::test]
async fn a_vm_that_was_there_before_loses_only_what_the_run_added() {
    let server = Server::start(|method, _| match method {
        "vm.start" => Act::Refuse(12, "Cannot guarantee memory for guest web01"),
        _ => Act::Do,
    })
    .await;
    let old = [(
        77,
        json!({"id": 77, "order": 9, "attributes": {"dtype": "NIC"}}),
    )];
    let id = server.world().add_vm(Vm {
        name: "web01".into(),
        description: mark("web01").description("", false),
        devices: old.into(),
        ..Vm::default()
    });
    let device = display("display-password");
    let steps = vec![
        create_volume("web01"),
        Step::CreateDevice { device },
        Step::StartVm,
    ];
    let report = run(&server.client, &completion("web01", id, steps)).await;
    assert_eq!(report.vms[0].outcome, Outcome::RolledBack);
    let help = report.vms[0].error.clone().and_then(|error| error.help);
    assert!(help.is_some_and(|help| help.contains("memory")));
    let world = server.world();
    assert_eq!(world.vms[&id].devices.keys().collect::<Vec<_>>(), [&77]);
    assert!(world.datasets.is_empty());
}

#[tokio::test]
async fn a_zvol_that_is_there_already_fails_the_vm_and_is_never_deleted() {
    for owner in [None, Some(mark("web01").to_string())] {
        let server = Server::start(|_, _| Act::Do).await;
        server.world().add_zvol(&zvol("web01"), owner.as_deref(), 0);
        let report = run(&server.client, &creation(&["web01"])).await;
        assert_eq!(report.vms[0].outcome, Outcome::RolledBack);
        assert_eq!(server.dataset_names(), [zvol("web01")]);
        assert!(server.vm_names().is_empty());
        assert_eq!(server.count("pool.dataset.delete"), 0);
    }
}

/// Loses the first answer of each method that changes something, each on a server of its own.
async fn lose_each(act: Act) -> Vec<(&'static str, Server, Outcome)> {
    let methods = [
        "vm.create",
        "pool.dataset.create",
        "vm.device.create",
        "vm.start",
    ];
    join_all(methods.map(|method| lose(method, act))).await
}

/// Loses the first answer of this method as `act` says.
async fn lose(method: &'static str, act: Act) -> (&'static str, Server, Outcome) {
    let mut first = true;
    let rule = move |name: &str, _: &serde_json::Value| {
        if name == method && std::mem::take(&mut first) {
            act
        } else {
            Act::Do
        }
    };
    let server = Server::start_with(Duration::ZERO, IMPATIENT, rule).await;
    let report = run(&server.client, &creation(&["web01"])).await;
    (method, server, report.vms[0].outcome)
}

#[tokio::test]
async fn a_lost_answer_is_looked_for_and_the_call_is_not_repeated() {
    for act in [Act::DoSilently, Act::DoAndCut] {
        for (method, server, outcome) in lose_each(act).await {
            assert_eq!(outcome, Outcome::Created, "{method} {act:?}");
            let expected = if method == "vm.device.create" { 3 } else { 1 };
            assert_eq!(server.count(method), expected, "{method} {act:?}");
        }
    }
}

#[tokio::test]
async fn a_call_that_was_neither_answered_nor_done_is_made_again() {
    for (method, server, outcome) in lose_each(Act::Ignore).await {
        assert_eq!(outcome, Outcome::Created, "{method}");
        let expected = if method == "vm.device.create" { 4 } else { 2 };
        assert_eq!(server.count(method), expected, "{method}");
        let world = server.world();
        assert!(world.vms.values().all(|vm| vm.devices.len() == 3));
    }
}

#[tokio::test]
async fn a_call_that_is_never_answered_nor_done_is_a_failure_that_leaves_nothing() {
    let rule = |name: &str, _: &serde_json::Value| match name {
        "pool.dataset.create" => Act::Ignore,
        _ => Act::Do,
    };
    let server = Server::start_with(Duration::ZERO, IMPATIENT, rule).await;
    let report = run(&server.client, &creation(&["web01"])).await;
    assert_eq!(report.vms[0].outcome, Outcome::RolledBack);
    assert_eq!(server.count("pool.dataset.create"), 3);
    assert!(server.vm_names().is_empty());
}

#[tokio::test]
async fn what_could_not_be_looked_for_at_once_is_looked_for_by_the_rollback() {
    let (mut creates, mut queries) = (0, 0);
    let rule = move |method: &str, _: &serde_json::Value| {
        creates += u32::from(method == "vm.create");
        queries += u32::from(method == "vm.query");
        match method {
            "vm.create" if creates == 1 => Act::DoSilently,
            "vm.query" if queries <= 4 => Act::Refuse(14, "come back later"),
            _ => Act::Do,
        }
    };
    let server = Server::start_with(Duration::ZERO, IMPATIENT, rule).await;
    let report = run(&server.client, &creation(&["web01"])).await;
    assert_eq!(report.vms[0].outcome, Outcome::RolledBack);
    assert_eq!(report.vms[0].rolled_back, ["VM web01"]);
    assert!(server.vm_names().is_empty());
}

#[tokio::test]
async fn a_connection_that_is_lost_for_good_ends_the_run_and_names_what_may_be_left() {
    let server = Server::start(|method, _| match method {
        "pool.dataset.create" => Act::DoAndCut,
        "auth.login_ex" => Act::Refuse(13, "not again"),
        _ => Act::Do,
    })
    .await;
    let plan = creation(&["web01", "web02"]);
    let (report, _) = run_watched(&server.client, &plan, ONE_BY_ONE, |_, _| {}).await;
    assert_eq!(
        outcomes(&report),
        [Outcome::RollbackIncomplete, Outcome::Skipped]
    );
    assert_eq!(
        report.vms[0].left_behind,
        [
            "zvol tank/web01-disk0 (perhaps: its answer was lost)",
            "VM web01 (id 1)"
        ]
    );
    assert!(report.vms[0].advice.is_some() && report.vms[1].error.is_some());
}

#[tokio::test]
async fn a_rollback_that_the_server_only_pretends_is_told_as_incomplete() {
    let server = Server::start(|method, _| match method {
        "vm.start" => Act::Refuse(14, "no"),
        "pool.dataset.delete" => Act::Pretend,
        _ => Act::Do,
    })
    .await;
    let plan = creation(&["web01"]);
    let (report, events) = run_watched(&server.client, &plan, How::default(), |_, _| {}).await;
    assert_eq!(report.vms[0].outcome, Outcome::RollbackIncomplete);
    assert_eq!(report.vms[0].rolled_back, ["VM web01"]);
    assert_eq!(report.vms[0].left_behind, ["zvol tank/web01-disk0"]);
    let told = |event: &Event| matches!(event, Event::RollbackStepFailed { .. });
    assert!(events.iter().any(told));
}

#[tokio::test]
async fn one_zvol_that_cannot_be_removed_does_not_save_the_others() {
    let server = Server::start(|method, params| match method {
        "vm.start" => Act::Refuse(14, "no"),
        "pool.dataset.delete" if params[0] == "tank/web01b-disk0" => Act::Refuse(14, "no"),
        _ => Act::Do,
    })
    .await;
    let mut plan = creation(&["web01"]);
    plan.vms[0].steps.insert(2, create_volume("web01b"));
    let report = run(&server.client, &plan).await;
    assert_eq!(report.vms[0].outcome, Outcome::RollbackIncomplete);
    assert_eq!(
        report.vms[0].rolled_back,
        ["VM web01", "zvol tank/web01-disk0"]
    );
    assert_eq!(report.vms[0].left_behind, ["zvol tank/web01b-disk0"]);
}

#[tokio::test]
async fn a_device_that_is_not_available_yet_gets_a_second_start_and_no_third() {
    for (times, outcome) in [(1, Outcome::Created), (2, Outcome::RolledBack)] {
        let mut left = times;
        let server = Server::start(move |method, _| {
            if method == "vm.start" && left > 0 {
                left -= 1;
                return Act::Refuse(14, "VM will not start as device DISK 3 is not available");
            }
            Act::Do
        })
        .await;
        let report = run(&server.client, &creation(&["web01"])).await;
        assert_eq!(report.vms[0].outcome, outcome);
        assert_eq!(server.count("vm.start"), 2);
    }
}

#[tokio::test]
async fn a_start_that_leaves_the_vm_off_is_a_failure() {
    let server = Server::start(|method, _| match method {
        "vm.start" => Act::Pretend,
        _ => Act::Do,
    })
    .await;
    let report = run(&server.client, &creation(&["web01"])).await;
    assert_eq!(report.vms[0].outcome, Outcome::RolledBack);
    assert!(
        report.vms[0]
            .error
            .clone()
            .unwrap()
            .message
            .contains("Stopped")
    );
}

#[tokio::test]
async fn with_a_concurrency_of_one_there_is_one_call_at_a_time() {
    for (concurrency, one) in [(1, true), (20, false)] {
        let server = Server::start(|_, _| Act::Do).await;
        server.world().peak = 0;
        let how = How {
            concurrency,
            ..How::default()
        };
        let plan = creation(&["web01", "web02", "web03"]);
        let (report, _) = run_watched(&server.client, &plan, how, |_, _| {}).await;
        assert!(report.is_success());
        assert_eq!(server.world().peak == 1, one);
    }
}

#[tokio::test]
async fn no_event_and_no_report_shows_a_secret() {
    let server = Server::start(|method, _| match method {
        "vm.device.create" => Act::Refuse(22, "attributes are wrong"),
        _ => Act::Do,
    })
    .await;
    let plan = creation(&["web01"]);
    let (report, events) = run_watched(&server.client, &plan, How::default(), |_, _| {}).await;
    let shown = format!(
        "{report:?}{events:?}{}",
        serde_json::to_string(&report).unwrap()
    );
    assert!(shown.contains("display.spice") && !shown.contains(PASSWORD));
}

/// How near the schedule comes to the ideal of 10 calls at all times: run by hand, since it
/// measures time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "measures time; run it alone"]
async fn sixty_four_vms_keep_ten_calls_running() {
    const LATENCY: Duration = Duration::from_millis(20);
    let names: Vec<String> = (1..=64).map(|nth| format!("web{nth:02}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    for concurrency in [1, 5, 10, 15, 20, 24, 32, 40, 64] {
        let server = Server::start_with(LATENCY, PATIENT, |_, _| Act::Do).await;
        let how = How {
            concurrency,
            ..How::default()
        };
        let mut plan = creation(if concurrency == 1 {
            &names[..4]
        } else {
            &names
        });
        for vm in &mut plan.vms {
            for order in [4001, 4002] {
                let device = device(&format!("nic.n{order}"), "NIC", order);
                vm.steps.push(Step::CreateDevice { device });
            }
        }
        let (report, _) = run_watched(&server.client, &plan, how, |_, _| {}).await;
        let ideal = LATENCY.as_secs_f64() * report.calls as f64 / 10.0;
        let ratio = report.wall.as_secs_f64() / ideal;
        println!(
            "concurrency {concurrency}: {:?}, {ratio:.2} of the ideal",
            report.wall
        );
    }
}
