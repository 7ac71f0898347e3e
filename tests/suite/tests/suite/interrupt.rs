//! Ended from outside at any moment: the same command goes on from there.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::Value;
use tnvm_simulator::{Effect, Fault, WorldBuilder, WorldView};
use tnvm_suite::{Background, Lab};

const VMS: &str =
    "web: {count: 2, cpu: 1, memory: 1GiB, disk: {a: 1, b: 2}, network: {lan: br0}}\n";

fn neighbour(world: WorldBuilder) -> WorldBuilder {
    let disk = serde_json::json!({"dtype": "DISK", "path": "/dev/zvol/tank/kubernetes/web-disk0"});
    world
        .zvol("tank/kubernetes/web-disk0", 5, &[])
        .vm("web", 512, &[disk])
        .unwrap()
        .rate_limit(false)
}

/// What a create that nobody disturbs leaves, without ids and serial numbers, which are given by chance.
fn essence(view: &WorldView) -> BTreeSet<String> {
    let mut seen: BTreeSet<String> = view.zvols.iter().map(|zvol| format!("{zvol:?}")).collect();
    for (name, vm) in &view.vms {
        seen.insert(format!(
            "{name} {} {}",
            vm.running, vm.config["description"]
        ));
        for device in &vm.devices {
            let mut attributes = device.attributes.clone();
            attributes.as_object_mut().unwrap().remove("serial");
            let fresh = seen.insert(format!("{name} {} {attributes}", device.order));
            assert!(fresh, "twice: {name} {device:?}");
        }
    }
    seen
}

fn undisturbed() -> BTreeSet<String> {
    let lab = Lab::of(neighbour);
    let _ = lab.config(VMS).tnvm(&["create"]).ended(0);
    essence(&lab.view())
}

/// The same command once more, until the server looks as if nothing had happened.
#[track_caller]
fn check_converges(lab: &Lab, context: &str) {
    let ran = lab.tnvm(&["create"]);
    assert_eq!(ran.code, 0, "{context}: {}", ran.shown());
    let (found, wanted) = (essence(&lab.view()), undisturbed());
    let differing: Vec<_> = found.symmetric_difference(&wanted).collect();
    assert!(differing.is_empty(), "{context}: {differing:#?}");
    lab.settled(&[]);
}

fn slow() -> Lab {
    let lab = Lab::slow(Duration::from_millis(40));
    lab.change(|world| {
        *world = neighbour(WorldBuilder::example(world.version.clone()))
            .with(|new| new.users = world.users.clone())
            .build()
    });
    lab.config(VMS);
    lab
}

#[test]
fn one_ctrl_c_finishes_the_calls_in_flight_and_the_same_command_goes_on() {
    let lab = slow();
    let running = lab.spawn(&["create", "-o", "json"]);
    lab.wait_until("a device", |journal| journal.count("vm.device.create") > 0);
    running.interrupt();
    let ran = running.wait().ended(130);
    ran.says(&["interrupted"]);
    let printed = ran.json();
    assert_eq!(printed["summary"]["interrupted"], true);
    let known = |vm: &Value| {
        ["interrupted", "created", "skipped"]
            .map(Value::from)
            .contains(&vm["outcome"])
    };
    let vms = printed["vms"].as_array().unwrap();
    assert!(vms.len() == 2 && vms.iter().all(known), "{}", ran.shown());
    let journal = lab.journal();
    let unanswered = journal
        .calls()
        .iter()
        .filter(|call| call.succeeded.is_none());
    assert_eq!(unanswered.count(), 0);
    assert_eq!(journal.count("vm.delete"), 0);
    check_converges(&lab, "interrupted once");
}

#[test]
fn sigterm_and_sighup_are_like_ctrl_c() {
    for signal in [Background::terminate, Background::hang_up] {
        let lab = slow();
        let running = lab.spawn(&["create"]);
        lab.wait_until("a device", |journal| journal.count("vm.device.create") > 0);
        signal(&running);
        running.wait().ended(130).says(&["interrupted"]);
        check_converges(&lab, "after a signal");
    }
}

#[test]
fn a_second_ctrl_c_ends_at_once() {
    let lab = slow();
    // Half a minute: only a program that does not wait for it ends in time.
    lab.inject(Fault::on("vm.device.create", Effect::Delay { ms: 30_000 }));
    let running = lab.spawn(&["create"]);
    lab.wait_until("a device", |journal| journal.count("vm.device.create") > 0);
    let began = std::time::Instant::now();
    running.interrupt();
    std::thread::sleep(Duration::from_millis(100));
    running.interrupt();
    let ran = running.wait().ended(130);
    assert!(began.elapsed() < Duration::from_secs(10), "{}", ran.shown());
}
