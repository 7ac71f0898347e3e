//! What would fail on the server, found before.

use super::apply_tests::{Part, Sketch, applied, apply, desired, errors, sketch};
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
