//! Whether the devices of a VM stand in the order they should.
//!
//! What counts is the order of those that boot, not their numbers: a VM made by hand has 1000 and
//! 1001 where tnvm writes 1 and 2, and boots the same.

use std::collections::BTreeSet;

use serde_json::Value;

use super::pairing::Standing;
use crate::resolve::DesiredDevice;

/// The devices, by name, whose place has to be given again, in the order of the places: none while
/// those that boot stand in the right order. Else every one from the first wrong place on, those
/// that are right among them too: giving a place that is taken pushes whoever has it and all behind
/// it, and numbers them anew (`vm.device.update`, all versions).
pub(super) fn moved<'a>(
    desired: &'a [DesiredDevice],
    standings: &[Standing<'_>],
) -> BTreeSet<&'a str> {
    let mut places: Vec<(&DesiredDevice, Option<(u32, u64)>)> = desired
        .iter()
        .zip(standings)
        .map(|(device, standing)| {
            let place = standing
                .found()
                .map(|found| (found.order.unwrap_or(u32::MAX), found.id));
            (device, place)
        })
        .collect();
    places.sort_by_key(|(device, _)| device.order);
    let boots: Vec<_> = places.iter().filter(|(device, _)| boots(device)).collect();
    let all_there = boots.iter().all(|(_, place)| place.is_some());
    if all_there && boots.is_sorted_by_key(|(_, place)| *place) {
        return BTreeSet::new();
    }
    let there = places
        .into_iter()
        .filter_map(|(device, place)| Some((device, place?.0)));
    there
        .skip_while(|(device, order)| *order == device.order)
        .map(|(device, _)| device.name.as_str())
        .collect()
}

/// The types that can boot (`vm.device.create`, all versions).
fn boots(device: &DesiredDevice) -> bool {
    let kind = device.attributes.get("dtype").and_then(Value::as_str);
    matches!(kind, Some("DISK" | "RAW" | "CDROM"))
}
