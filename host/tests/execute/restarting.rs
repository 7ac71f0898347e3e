//! Restarting VMs for a change: how many are down at once, and what a restart that fails ends.

use std::sync::Arc;

use serde_json::json;
use tnvm::execute::{
    Action, Event, ExecuteOptions, Outcome, Report, Restarts, StopSignal, execute,
};
use tnvm::plan::Step;
use tnvm_simulator::{Effect, Fault, Running};

use super::changing::{id, more_memory, running};
use super::plans::{How, Known, changing, outcomes, run, run_watched};

#[tokio::test]
async fn no_more_vms_are_down_than_may_be() {
    let names = ["web01", "web02", "web03", "web04"];
    for max_unavailable in [1, 2] {
        let (simulator, client) = running("25.10", &names).await;
        let steps = || vec![more_memory(), Step::StopVm, Step::StartVm];
        let vms = names.map(|name| (name, id(&simulator, name), steps()));
        let how = How {
            max_unavailable,
            ..How::default()
        };
        let (report, events) = run_watched(&client, &changing(vms.into()), how, |_, _| {}).await;
        assert_eq!(report.count(Outcome::Restarted), 4, "{report:?}");
        let (mut down, mut most) = (0_usize, 0);
        for event in &events {
            match event {
                Event::StepBegan { step, .. } if step.action == Action::StopVm => down += 1,
                Event::StepDone { step, .. } if step.action == Action::StartVm => down -= 1,
                _ => {}
            }
            most = most.max(down);
        }
        assert_eq!(most, max_unavailable);
        let journal = simulator.journal();
        let calls = journal.calls().iter().map(|call| call.method.as_str());
        let (mut stopped, mut most) = (0_isize, 0);
        for method in calls.skip_while(|method| *method != "vm.stop") {
            stopped += isize::from(method == "vm.stop") - isize::from(method == "vm.start");
            most = most.max(stopped);
        }
        assert!(most <= max_unavailable.cast_signed(), "{most}");
    }
}

#[tokio::test]
async fn a_failed_restart_ends_the_restarts_and_nothing_else() {
    let (simulator, client) = running("25.10", &["web01", "web02", "web03"]).await;
    let steps = || vec![more_memory(), Step::StopVm, Step::StartVm];
    let plan = changing(vec![
        ("web01", id(&simulator, "web01"), steps()),
        ("web02", id(&simulator, "web02"), steps()),
        ("web03", id(&simulator, "web03"), vec![more_memory()]),
    ]);
    simulator.inject(Fault::fail("vm.start", 14, "no luck"));
    let report = run(&client, &plan).await;
    let expected = [Outcome::RolledBack, Outcome::Skipped, Outcome::Updated];
    assert_eq!(outcomes(&report), expected, "{report:?}");
    let message = report.vms[1].error.clone().unwrap().message;
    assert_eq!(
        message,
        "web02: was not begun: the restart of web01 failed, so web02 was not stopped"
    );
    let view = simulator.view();
    assert!(view.vms.values().all(|vm| vm.running));
    assert_eq!(view.vms["web01"].config["memory"], 1024);
    assert_eq!(view.vms["web02"].config["memory"], 1024);
    assert_eq!(simulator.journal().count("vm.stop"), 1);
}

/// Restarts a VM on each of two servers that share one permit; the first may be made to fail.
async fn restarted_on_two(prepare: impl Fn(&Running)) -> (Vec<Report>, usize) {
    let (one, first) = running("25.10", &["web01"]).await;
    let (two, second) = running("25.10", &["web02"]).await;
    prepare(&one);
    let steps = || vec![more_memory(), Step::StopVm, Step::StartVm];
    let plans = [
        changing(vec![("web01", id(&one, "web01"), steps())]),
        changing(vec![("web02", id(&two, "web02"), steps())]),
    ];
    let options = ExecuteOptions {
        restarts: Some(Arc::new(Restarts::new(1))),
        ..ExecuteOptions::new(&Known)
    };
    let (sender, mut events) = tokio::sync::mpsc::unbounded_channel();
    let (_stop, signal) = StopSignal::new();
    let of = |plan, client| execute(plan, client, &options, &sender, signal.clone());
    let (one, two) = tokio::join!(of(&plans[0], &first), of(&plans[1], &second));
    let (mut down, mut most) = (0_usize, 0);
    while let Ok(event) = events.try_recv() {
        match event {
            Event::StepBegan { step, .. } if step.action == Action::StopVm => down += 1,
            Event::StepDone { step, .. } if step.action == Action::StartVm => down -= 1,
            _ => {}
        }
        most = most.max(down);
    }
    (vec![one, two], most)
}

#[tokio::test]
async fn vms_of_two_servers_take_turns_too() {
    let (reports, most) = restarted_on_two(|_| {}).await;
    assert!(reports.iter().all(Report::is_success), "{reports:?}");
    assert_eq!(most, 1);
    let failing = |one: &Running| one.inject(Fault::fail("vm.start", 14, "no luck"));
    let (reports, _) = restarted_on_two(failing).await;
    assert_eq!(outcomes(&reports[1]), [Outcome::Skipped], "{reports:?}");
}

#[tokio::test]
async fn a_vm_that_is_off_already_needs_no_successful_stop() {
    for version in ["25.10", "26"] {
        let (simulator, client) = running(version, &["web01"]).await;
        let vm = id(&simulator, "web01");
        client.power_off_vm(vm).await.unwrap();
        let plan = changing(vec![("web01", vm, vec![Step::StopVm, Step::StartVm])]);
        assert_eq!(outcomes(&run(&client, &plan).await), [Outcome::Restarted]);
        assert!(simulator.view().vms["web01"].running);
    }
}

#[tokio::test]
async fn a_stop_that_leaves_the_vm_running_is_a_failure() {
    let (simulator, client) = running("25.10", &["web01"]).await;
    let pretend = Effect::Pretend {
        result: json!(null),
    };
    simulator.inject(Fault::on("vm.stop", pretend).every());
    let vm = id(&simulator, "web01");
    let steps = vec![more_memory(), Step::StopVm, Step::StartVm];
    let report = run(&client, &changing(vec![("web01", vm, steps)])).await;
    assert!(!report.is_success());
    assert_eq!(simulator.view().vms["web01"].config["memory"], 1024);
}

#[tokio::test]
async fn a_restart_that_has_begun_is_finished_after_the_first_stop() {
    let (simulator, client) = running("25.10", &["web01", "web02"]).await;
    let steps = || vec![more_memory(), Step::StopVm, Step::StartVm];
    let plan = changing(vec![
        ("web01", id(&simulator, "web01"), steps()),
        ("web02", id(&simulator, "web02"), steps()),
    ]);
    let (report, _) = run_watched(&client, &plan, How::default(), |event, handle| {
        if matches!(event, Event::StepDone { step, .. } if step.action == Action::UpdateVm) {
            handle.stop();
        }
    })
    .await;
    assert_eq!(outcomes(&report), [Outcome::Restarted, Outcome::Skipped]);
    let view = simulator.view();
    assert!(view.vms.values().all(|vm| vm.running));
    assert_eq!(view.vms["web02"].config["memory"], 1024);
}

/// Ends the restart of web01 while it is down: how, and whether its next change then fails.
async fn ended_while_down(
    end: impl Fn(&tnvm::execute::StopHandle),
    fails: bool,
) -> (tnvm_simulator::Running, tnvm::execute::Report) {
    let (simulator, client) = running("25.10", &["web01", "web02"]).await;
    let steps = || vec![Step::StopVm, more_memory(), Step::StartVm];
    let plan = changing(vec![
        ("web01", id(&simulator, "web01"), steps()),
        ("web02", id(&simulator, "web02"), steps()),
    ]);
    if fails {
        simulator.inject(Fault::fail("vm.update", 14, "no luck"));
    }
    let (report, _) = run_watched(&client, &plan, How::default(), |event, handle| {
        if matches!(event, Event::StepBegan { step, .. } if step.action == Action::StopVm) {
            end(handle);
        }
    })
    .await;
    (simulator, report)
}

#[tokio::test]
async fn a_restart_that_fails_after_the_first_stop_is_undone_and_its_vm_runs() {
    let (simulator, report) = ended_while_down(|handle| handle.stop(), true).await;
    assert_eq!(outcomes(&report), [Outcome::RolledBack, Outcome::Skipped]);
    let view = simulator.view();
    assert!(view.vms.values().all(|vm| vm.running), "{report:?}");
}

#[tokio::test]
async fn without_the_right_to_change_a_stopped_vm_is_started_and_nothing_else() {
    let withdraw = |handle: &tnvm::execute::StopHandle| {
        handle.withdraw();
        handle.withdraw();
    };
    let (simulator, report) = ended_while_down(withdraw, false).await;
    assert_eq!(outcomes(&report), [Outcome::Interrupted, Outcome::Skipped]);
    let view = simulator.view();
    assert!(view.vms.values().all(|vm| vm.running), "{report:?}");
    assert_eq!(simulator.journal().count("vm.update"), 0);
    assert_eq!(report.vms[0].left_behind, Vec::<String>::new());
}
