//! Whatever the configs are: after an apply there is nothing left to do, from one config to any
//! other one gets by one apply, and what is not tnvm's is as it was.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use proptest::prelude::*;
use proptest::sample::subsequence;
use tnvm_simulator::{WorldBuilder, WorldView};
use tnvm_suite::Lab;

/// A VM type, of what the built-in device types can do.
#[derive(Clone, Debug)]
struct Type {
    count: u8,
    cpu: u8,
    memory: u16,
    description: Option<&'static str>,
    autostart: bool,
    start: bool,
    disks: Vec<(&'static str, u8)>,
    nics: Vec<(&'static str, &'static str, &'static str)>,
    display: Option<&'static str>,
    cdrom: bool,
}

type Sketch = BTreeMap<&'static str, Type>;

fn a_type() -> impl Strategy<Value = Type> {
    let disks = (
        subsequence(vec!["a", "b", "c"], 0..=3).prop_shuffle(),
        prop::collection::vec(1..4_u8, 3),
    )
        .prop_map(|(names, sizes)| names.into_iter().zip(sizes).collect::<Vec<_>>());
    let nics = (
        subsequence(vec!["lan", "san"], 0..=2).prop_shuffle(),
        prop::collection::vec(
            (
                prop::sample::select(vec!["br0", "br68"]),
                prop::sample::select(vec!["VIRTIO", "E1000"]),
            ),
            2,
        ),
    )
        .prop_map(|(names, rest)| {
            let pairs = names.into_iter().zip(rest);
            pairs
                .map(|(name, (bridge, kind))| (name, bridge, kind))
                .collect::<Vec<_>>()
        });
    let shape = (
        0..=2_u8,
        1..=4_u8,
        prop::sample::select(vec![256_u16, 512, 1024]),
        prop::option::of(prop::sample::select(vec!["nodes", "of [the] lab"])),
        any::<bool>(),
        prop::bool::weighted(0.8),
    );
    let display = prop::option::of(prop::sample::select(vec!["1024x768", "1280x720"]));
    (shape, disks, nics, display, any::<bool>()).prop_map(
        |((count, cpu, memory, description, autostart, start), disks, nics, display, cdrom)| Type {
            count,
            cpu,
            memory,
            description,
            autostart,
            start,
            disks,
            nics,
            display,
            cdrom,
        },
    )
}

fn a_sketch() -> impl Strategy<Value = Sketch> {
    prop::collection::btree_map(
        prop::sample::select(vec!["node", "web", "db"]),
        a_type(),
        1..=2,
    )
}

fn yaml(sketch: &Sketch) -> String {
    let mut text = String::new();
    for (name, one) in sketch {
        writeln!(text, "{name}:").unwrap();
        writeln!(text, "  count: {}", one.count).unwrap();
        writeln!(text, "  cpu: {}", one.cpu).unwrap();
        writeln!(text, "  memory: {}MiB", one.memory).unwrap();
        writeln!(text, "  autostart: {}", one.autostart).unwrap();
        writeln!(text, "  start: {}", one.start).unwrap();
        if let Some(description) = one.description {
            writeln!(text, "  description: \"{description}\"").unwrap();
        }
        if !one.disks.is_empty() {
            writeln!(text, "  disk:").unwrap();
            for (disk, size) in &one.disks {
                writeln!(text, "    {disk}: {size}GiB").unwrap();
            }
        }
        if !one.nics.is_empty() {
            writeln!(text, "  network:").unwrap();
            for (nic, bridge, kind) in &one.nics {
                writeln!(text, "    {nic}: {{bridge: {bridge}, type: {kind}}}").unwrap();
            }
        }
        match one.display {
            Some(resolution) => {
                writeln!(text, "  display: {{resolution: {resolution}}}").unwrap();
            }
            None => writeln!(text, "  display: false").unwrap(),
        }
        writeln!(text, "  cdrom: {}", one.cdrom).unwrap();
    }
    text
}

/// A disk of the second config is at least as large as in the first: shrinking is refused.
fn grown(first: &Sketch, second: &Sketch) -> Sketch {
    let mut grown = second.clone();
    for (name, one) in &mut grown {
        for (disk, size) in &mut one.disks {
            let before = first.get(name).and_then(|old| {
                let mut disks = old.disks.iter();
                disks.find(|(other, _)| other == disk)
            });
            *size = (*size).max(before.map_or(0, |(_, size)| *size));
        }
    }
    grown
}

fn neighbour(world: WorldBuilder) -> WorldBuilder {
    let disk = serde_json::json!({"dtype": "DISK", "path": "/dev/zvol/tank/kubernetes/node-disk0"});
    world
        .zvol("tank/kubernetes/node-disk0", 5, &[("tnvm:other", "mine")])
        .vm("node", 512, &[disk])
        .unwrap()
        .rate_limit(false)
}

/// How many VMs and zvols of each name prefix there should be.
fn check_counts(view: &WorldView, sketch: &Sketch) {
    let vms: usize = sketch.values().map(|one| usize::from(one.count)).sum();
    let zvols: usize = sketch
        .values()
        .map(|one| usize::from(one.count) * one.disks.len())
        .sum();
    // The neighbour has one of each.
    assert_eq!(view.vms.len(), vms + 1, "{:?}", view.vm_names());
    assert_eq!(view.zvols.len(), zvols + 1, "{:?}", view.zvol_names());
    for (name, one) in sketch {
        for number in 1..=one.count {
            let vm = &view.vms[&format!("{name}{number:02}")];
            if one.start {
                assert!(vm.running, "{name}{number:02} does not run");
            }
        }
    }
}

fn check(first: &Sketch, second: &Sketch) {
    let lab = Lab::of(neighbour);
    let before = lab.view();
    for sketch in [first, second] {
        lab.config(&yaml(sketch));
        let _ = lab.tnvm(&["apply", "--yes", "--restart"]).ended(0);
        check_counts(&lab.view(), sketch);
        lab.settled(&[]);
        let _ = lab.tnvm(&["drift"]).ended(0);
    }
    let _ = lab.tnvm(&["destroy", "--yes"]).ended(0);
    assert_eq!(lab.view(), before);
}

proptest! {
    // Each case runs the program nine times.
    #![proptest_config(ProptestConfig {
        cases: 12,
        max_shrink_iters: 40,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn from_any_config_to_any_other_and_back_to_nothing(
        first in a_sketch(),
        second in a_sketch(),
    ) {
        check(&first, &grown(&first, &second));
    }
}
