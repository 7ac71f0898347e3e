//! The boot order of a VM as a whole: disks, then CD-ROMs, then what does not boot.
//!
//! So an installed guest does not boot its installer again (the server's own default order puts a
//! CD-ROM, 1000, before a disk, 1001: `vm.device.create`, all versions).

use std::collections::BTreeSet;

use crate::plugin::BootOrder;

/// Two devices of a VM want the same number: their positions in the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SameOrder {
    /// The number.
    pub(super) order: u32,
    /// The later device.
    pub(super) device: usize,
}

/// A number for each device, in their order: those that have a place in the list of what boots
/// first, then the others by what they are. Every number of a VM is another one, since the server
/// pushes devices upwards when one asks for a number that is taken.
pub(super) fn assign(
    wishes: &[BootOrder],
    first: &[Option<usize>],
) -> Result<Vec<u32>, Vec<SameOrder>> {
    let mut taken = BTreeSet::new();
    let mut clashes = Vec::new();
    for (device, wish) in wishes.iter().enumerate() {
        if let BootOrder::Fixed(order) = *wish
            && !taken.insert(order)
        {
            clashes.push(SameOrder { order, device });
        }
    }
    if !clashes.is_empty() {
        return Err(clashes);
    }
    let mut by_class: Vec<(usize, u8, usize)> = wishes
        .iter()
        .enumerate()
        .filter_map(|(device, wish)| {
            let place = first.get(device).copied().flatten();
            Some((place.unwrap_or(usize::MAX), class(*wish)?, device))
        })
        .collect();
    by_class.sort_unstable();
    // From 1, well below the server's own 1000: a device that someone adds by hand comes after.
    let mut free = (1..).filter(|order| !taken.contains(order));
    let mut orders: Vec<u32> = wishes
        .iter()
        .map(|wish| match wish {
            BootOrder::Fixed(order) => *order,
            _ => 0,
        })
        .collect();
    for (_, _, device) in by_class {
        if let (Some(slot), Some(order)) = (orders.get_mut(device), free.next()) {
            *slot = order;
        }
    }
    Ok(orders)
}

const fn class(wish: BootOrder) -> Option<u8> {
    match wish {
        BootOrder::Disk => Some(0),
        BootOrder::Cdrom => Some(1),
        BootOrder::None => Some(2),
        BootOrder::Fixed(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use BootOrder::{Cdrom, Disk, Fixed, None as NoBoot};

    #[test]
    fn every_disk_boots_before_every_cdrom() {
        assert_eq!(
            assign(&[Cdrom, NoBoot, Disk, Disk, Cdrom], &[]),
            Ok(vec![3, 5, 1, 2, 4])
        );
    }

    #[test]
    fn numbers_that_the_user_wrote_are_kept_and_not_given_twice() {
        assert_eq!(
            assign(&[Disk, Fixed(1), Fixed(3), Cdrom], &[]),
            Ok(vec![2, 1, 3, 4])
        );
        assert_eq!(
            assign(&[Fixed(7), Disk, Fixed(7)], &[]),
            Err(vec![SameOrder {
                order: 7,
                device: 2
            }])
        );
    }

    #[test]
    fn what_is_named_boots_first_and_in_that_order() {
        let first = [None, Some(1), Some(0), None];
        let found = assign(&[Disk, Disk, Cdrom, NoBoot], &first);
        assert_eq!(found, Ok(vec![3, 2, 1, 4]));
    }
}
