//! The machinery of the kill matrix: one process per position, struck at its n-th call, and what
//! must stand on the server afterwards.
//!
//! It knows commands and worlds, and nothing of how a command is carried out: a position is a number
//! in the sequence of calls that an undisturbed run makes. `TNVM_MATRIX=create:17:after` runs one
//! position alone, `TNVM_MATRIX_VERSION=26` all of them against another TrueNAS.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tnvm_simulator::{Effect, Fault, Journal, Options, VmView, World, WorldBuilder, WorldView};
use tnvm_suite::{Background, Lab, version};

/// What stands in the way of `web` and must stand there afterwards, to the letter.
const NEIGHBOUR: &str = "web";
const NEIGHBOURS_ZVOL: &str = "tank/kubernetes/web-disk0";

/// A command, what was there before, and how one sees that nothing is left to do.
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    /// Runs in a stage of its own; what it leaves is what every position begins with.
    pub(crate) prepare: fn(&Lab),
    /// `config.yaml` of the command.
    pub(crate) config: &'static str,
    pub(crate) command: &'static [&'static str],
    /// Panics unless there is nothing left to do.
    pub(crate) converged: fn(&Lab),
}

/// What happens at a position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Strike {
    /// Killed while the call has not committed, and it never does.
    KilledBefore,
    /// Killed after the commit, before the answer.
    KilledAfter,
    /// Killed before the commit; the server goes on with the call all the same.
    KilledLate,
    /// The connection is lost and the call with it.
    DroppedBefore,
    /// The connection is lost instead of the answer.
    DroppedAfter,
    /// The connection is lost at once, the commit comes a little later.
    DroppedLate,
}

pub(crate) use Strike::{
    DroppedAfter, DroppedBefore, DroppedLate, KilledAfter, KilledBefore, KilledLate,
};

impl Strike {
    fn effect(self) -> Effect {
        match self {
            KilledBefore | KilledLate => Effect::HoldBeforeCommit,
            KilledAfter => Effect::HoldAfterCommit,
            DroppedBefore => Effect::DropBeforeCommit,
            DroppedAfter => Effect::DropAfterCommit,
            // After the first look on the new connection, which comes 250 ms after the loss.
            DroppedLate => Effect::CommitLate { ms: 400 },
        }
    }

    fn kills(self) -> bool {
        matches!(self, KilledBefore | KilledAfter | KilledLate)
    }

    /// Whether it is the same as another strike when the call changes nothing.
    fn needs_a_change(self) -> bool {
        matches!(self, KilledLate | DroppedLate)
    }
}

impl fmt::Display for Strike {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str(match self {
            KilledBefore => "before",
            KilledAfter => "after",
            KilledLate => "late",
            DroppedBefore => "dropped-before",
            DroppedAfter => "dropped-after",
            DroppedLate => "dropped-late",
        })
    }
}

/// Objects of somebody else, as much like the group's own as they can be.
fn neighbours(world: WorldBuilder) -> WorldBuilder {
    let disk = json!({"dtype": "DISK", "path": format!("/dev/zvol/{NEIGHBOURS_ZVOL}")});
    let property = ("who:owns".to_owned(), "somebody else".to_owned());
    world
        .zvol(NEIGHBOURS_ZVOL, 5, &[("tnvm:own", "nearly ours")])
        .vm(NEIGHBOUR, 512, &[disk])
        .unwrap()
        .rate_limit(false)
        .with(|world| {
            world.take_snapshot(NEIGHBOURS_ZVOL, "daily");
            let parent = world.datasets.get_mut("tank/kubernetes").unwrap();
            parent.user_properties.insert(property.0, property.1);
            world.pace.start = Duration::ZERO;
            world.pace.shutdown = Duration::ZERO;
            world.pace.settle = Duration::ZERO;
        })
}

/// Betas of 26 forget the user properties of a new zvol, so they stand in its comment until they are
/// set: where a run is killed in between, the comment goes on saying the same.
fn with_notes_resolved(view: &WorldView) -> WorldView {
    let mut view = view.clone();
    for zvol in view.zvols.values_mut() {
        let comment = zvol.user_properties.remove("comments").unwrap_or_default();
        let noted: BTreeMap<String, String> = serde_json::from_str(&comment).unwrap_or_default();
        for (key, value) in noted {
            zvol.user_properties.entry(key).or_insert(value);
        }
    }
    view
}

/// Everything that is there, without what is given by chance: ids, serial numbers, UUIDs.
fn essence(view: &WorldView) -> BTreeSet<String> {
    let view = &with_notes_resolved(view);
    let mut seen = BTreeSet::new();
    // A disk that comes while another goes gets the number that is free at that moment, so by whom
    // a zvol is owned and for which disk counts, and not its number.
    let named: Vec<(&String, String)> = view
        .zvols
        .iter()
        .filter_map(|(name, zvol)| {
            let property = |key: &str| zvol.user_properties.get(key);
            let (owner, device) = (property("tnvm:owner")?, property("tnvm:device")?);
            Some((name, format!("{device} of {owner}")))
        })
        .collect();
    let mut see = |text: String| {
        let mut text = text;
        for (name, owned) in &named {
            text = text.replace(name.as_str(), owned);
        }
        let fresh = seen.insert(text.clone());
        assert!(fresh, "twice: {text}");
    };
    for (name, zvol) in &view.zvols {
        see(format!("zvol {name} {zvol:?}"));
    }
    for name in view
        .filesystems
        .iter()
        .chain(&view.snapshots)
        .chain(&view.files)
    {
        see(name.clone());
    }
    for (name, properties) in &view.filesystem_properties {
        see(format!("properties of {name}: {properties:?}"));
    }
    for (name, vm) in &view.vms {
        let without = |value: &Value, key: &str| {
            let mut value = value.clone();
            value.as_object_mut().unwrap().remove(key);
            value
        };
        see(format!(
            "VM {name} {} {}",
            vm.running,
            without(&vm.config, "uuid")
        ));
        for device in &vm.devices {
            let attributes = without(&device.attributes, "serial");
            see(format!("device {name} {} {attributes}", device.order));
        }
        let Some(active) = &vm.active else { continue };
        let config = without(&active.config, "uuid");
        see(format!("domain {name} {config} {:?}", active.volumes));
        for device in &active.devices {
            let attributes = without(&device.attributes, "serial");
            see(format!(
                "device of domain {name} {} {attributes}",
                device.order
            ));
        }
    }
    seen
}

/// The neighbours, to the letter, ids included.
fn foreign(view: &WorldView) -> (Option<VmView>, String) {
    let kept = format!(
        "{:?} {:?} {:?} {:?} {:?}",
        view.zvols.get(NEIGHBOURS_ZVOL),
        view.snapshots,
        view.filesystems,
        view.filesystem_properties,
        view.files
    );
    (view.vms.get(NEIGHBOUR).cloned(), kept)
}

/// A scenario with all that its positions have in common.
pub(crate) struct Matrix {
    scenario: &'static Scenario,
    world: World,
    calls: Vec<tnvm_simulator::Call>,
    wanted: BTreeSet<String>,
}

impl Matrix {
    pub(crate) fn of(scenario: &'static Scenario) -> Self {
        let world = {
            let lab = Lab::on(version(), neighbours);
            lab.config(scenario.config);
            (scenario.prepare)(&lab);
            lab.change(|world| world.clone())
        };
        let mut matrix = Self {
            scenario,
            world,
            calls: Vec::new(),
            wanted: BTreeSet::new(),
        };
        let lab = matrix.lab();
        let before = foreign(&lab.view());
        let _ = lab.tnvm(scenario.command).ended(0);
        matrix.calls = lab.journal().calls().to_vec();
        matrix.wanted = essence(&lab.view());
        assert_eq!(foreign(&lab.view()), before);
        (scenario.converged)(&lab);
        matrix
    }

    /// How many calls there are until the login is answered: before, there is nothing to reconnect.
    pub(crate) fn until_login(&self) -> usize {
        let is_login = |call: &tnvm_simulator::Call| call.method.starts_with("auth.login");
        self.calls.iter().rposition(is_login).map_or(0, |at| at + 1)
    }

    fn lab(&self) -> Lab {
        let lab = Lab::with(Options::with_world(self.world.clone()));
        lab.config(self.scenario.config);
        lab
    }

    /// Positions are counted from 1.
    fn check(&self, position: usize, strike: Strike) {
        let lab = self.lab();
        let before = foreign(&lab.view());
        let nth = u32::try_from(position).unwrap();
        lab.inject(Fault::on("*", strike.effect()).nth(nth));
        let running = lab.spawn(self.scenario.command);
        if strike.kills() {
            kill_when_held(&lab, running, strike);
            let _ = lab.tnvm(self.scenario.command).ended(0);
        } else {
            let _ = running.wait().ended(0);
            // Where a late commit is the last call, it comes after the end.
            let over =
                |journal: &Journal| journal.calls().iter().all(|call| call.succeeded.is_some());
            if strike == DroppedLate {
                lab.wait_until("the late commit", over);
            }
        }
        let found = essence(&lab.view());
        let differing: Vec<_> = found.symmetric_difference(&self.wanted).collect();
        assert!(differing.is_empty(), "not as undisturbed: {differing:#?}");
        assert_eq!(foreign(&lab.view()), before);
        (self.scenario.converged)(&lab);
    }

    /// Runs every position with every strike and prints the sum.
    pub(crate) fn run(&self, strikes: &[Strike], first: usize) {
        let began = Instant::now();
        let name = self.scenario.name;
        let only = std::env::var("TNVM_MATRIX").ok();
        let mut todo = Vec::new();
        for (at, call) in self.calls.iter().enumerate().skip(first) {
            for strike in strikes {
                let asked = only
                    .as_ref()
                    .is_none_or(|only| *only == format!("{name}:{}:{strike}", at + 1));
                if asked && (call.mutating || !strike.needs_a_change()) {
                    todo.push((at + 1, *strike));
                }
            }
        }
        assert!(
            only.is_some() || todo.len() >= self.calls.len() / 2,
            "{name}: {} positions of {} calls are not a matrix",
            todo.len(),
            self.calls.len()
        );
        let next = AtomicUsize::new(0);
        let failures: Mutex<BTreeMap<usize, String>> = Mutex::default();
        std::thread::scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(|| {
                    while let Some((position, strike)) =
                        todo.get(next.fetch_add(1, Ordering::SeqCst))
                    {
                        let act = std::panic::AssertUnwindSafe(|| self.check(*position, *strike));
                        if let Err(panic) = std::panic::catch_unwind(act) {
                            let why = panic.downcast_ref::<String>().cloned().unwrap_or_default();
                            let method = &self.calls[position - 1].method;
                            let told = format!("{name}:{position}:{strike} ({method}): {why}");
                            let mut failures = failures.lock().unwrap();
                            let number = failures.len();
                            failures.insert(number, told);
                        }
                    }
                });
            }
        });
        let failures = failures.into_inner().unwrap();
        println!(
            "{} matrix: {name} {} calls x {} = {} positions, {} failures, {:.1} s",
            if strikes.iter().any(|strike| strike.kills()) {
                "kill"
            } else {
                "drop"
            },
            self.calls.len() - first,
            strikes.len(),
            todo.len(),
            failures.len(),
            began.elapsed().as_secs_f64()
        );
        let told: Vec<&String> = failures.values().collect();
        assert!(told.is_empty(), "{told:#?}");
    }
}

/// As many as keep two cores busy while each waits for its process.
const THREADS: usize = 4;

/// Waits until the call is held, then kills.
fn kill_when_held(lab: &Lab, mut running: Background, strike: Strike) {
    let began = Instant::now();
    while lab.journal().held_call().is_none() {
        if running.has_ended() {
            let ran = running.wait();
            panic!("made fewer calls than undisturbed: {}", ran.shown());
        }
        assert!(began.elapsed() < Duration::from_secs(60), "was never held");
        std::thread::sleep(Duration::from_millis(1));
    }
    running.kill();
    let ran = running.wait();
    assert_eq!(ran.code, -1, "{}", ran.shown());
    if strike == KilledLate {
        lab.server().release_held();
        lab.wait_until("the late commit", |journal| journal.held_call().is_none());
    }
}
