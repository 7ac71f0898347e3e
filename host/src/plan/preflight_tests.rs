//! What would fail on the server, found before.

use super::apply_tests::{Part, Sketch, applied, apply, desired, errors, sketch};
use crate::plan::ObservedDataset;
use crate::resolve::Desired;

const GIB: u64 = 1 << 30;

fn disk(gib: u64) -> Sketch {
    sketch(vec![Part::Disk { name: "a", gib }])
}

fn thick(mut desired: Desired) -> Desired {
    let devices = desired.vms.iter_mut().flat_map(|vm| &mut vm.devices);
    for volume in devices.filter_map(|device| device.volume.as_mut()) {
        volume.sparse = false;
    }
    desired
}

#[test]
fn a_zvol_grows_also_where_nothing_around_it_was_seen() {
    let mut server = applied(&desired(&[("web", "web01", disk(1))]));
    server.world.datasets.remove("tank");
    let (plan, problems) = apply(&desired(&[("web", "web01", disk(2))]), &server.world);
    assert_eq!(errors(&problems), [""; 0]);
    assert!(!plan.is_empty());
}

#[test]
fn growth_counts_where_space_is_short() {
    let group = |gib| {
        thick(desired(&[
            ("web", "web01", disk(gib)),
            ("web", "web02", disk(gib)),
        ]))
    };
    let mut server = applied(&group(1));
    server.world.datasets.get_mut("tank").unwrap().available = Some(500 * GIB);
    let (_, problems) = apply(&group(301), &server.world);
    assert_eq!(
        errors(&problems),
        ["the thick zvols need 600.0 GiB together, and tank has 500.0 GiB free"]
    );
}

#[test]
fn a_disk_on_a_zvol_that_cannot_be_used_is_told_before() {
    let mut wanted = desired(&[("web", "web01", disk(1))]);
    let device = &mut wanted.vms[0].devices[0];
    device.volume = None;
    let path = "/dev/zvol/tank/golden".into();
    device.attributes.insert("path".into(), path);
    let server = applied(&desired(&[]));
    let check = |change: &dyn Fn(&mut ObservedDataset), expected: &[&str]| {
        let mut world = server.world.clone();
        let mut zvol = ObservedDataset {
            is_volume: true,
            ..ObservedDataset::default()
        };
        change(&mut zvol);
        world.datasets.insert("tank/golden".into(), zvol);
        assert_eq!(errors(&apply(&wanted, &world).1), expected);
    };
    check(&|_| {}, &[]);
    check(
        &|zvol| zvol.locked = true,
        &["the zvol tank/golden is locked"],
    );
    check(
        &|zvol| zvol.read_only = true,
        &["the zvol tank/golden is read-only"],
    );
    check(
        &|zvol| zvol.is_volume = false,
        &["tank/golden is no zvol, so no disk can be on it"],
    );
    let (_, problems) = apply(&wanted, &server.world);
    assert_eq!(errors(&problems), ["the server has no zvol tank/golden"]);
}
