//! Which ports a VM's display gets. It does not know which are in use: the host compares claims.

/// The first port of the first VM. One block of ten per type from here: 5911, 5921, 5931.
/// 5900 to 5910 stay free for displays that the server's own wizard hands out.
const FIRST: u64 = 5911;

/// How many ports a type has before it reaches the next type's.
const BLOCK: u64 = 10;

/// How far a web port is from its port. Two thousand ports thus hold a thousand VMs: their ports,
/// then their web ports, and no web port is ever another VM's port.
const WEB_OFFSET: u64 = 1000;

/// Refused by `vm.device.create` of every version: browsers block it, as X11's.
const REFUSED: u64 = 6000;

/// The ports that `vm.device.create` takes.
const RANGE: std::ops::RangeInclusive<u64> = 5900..=65535;

/// The port of VM number `index` (from 1) of type number `type_index` (from 0).
///
/// # Errors
/// One sentence when it would lie beyond 65535.
pub(crate) fn by_position(type_index: u32, index: u32) -> Result<u64, String> {
    let offset = u64::from(type_index) * BLOCK + u64::from(index).saturating_sub(1);
    // From where 6000 would be, everything moves up by one.
    let offset = offset + u64::from(offset >= REFUSED - FIRST);
    let port = FIRST + offset + WEB_OFFSET * (offset / WEB_OFFSET);
    if port + WEB_OFFSET > *RANGE.end() {
        return Err(format!(
            "the VM's ports would be {port} and {}, and ports end at {}",
            port + WEB_OFFSET,
            RANGE.end()
        ));
    }
    Ok(port)
}

/// The port of VM number `index` (from 1) of a type whose first VM has `first`.
///
/// # Errors
/// One sentence when the server would refuse `first` or the result.
pub(crate) fn from_first(first: u32, index: u32) -> Result<u64, String> {
    let first = u64::from(first);
    if first == REFUSED {
        return Err(format!("the server refuses port {REFUSED}"));
    }
    let port = first + u64::from(index).saturating_sub(1);
    let port = port + u64::from(first < REFUSED && port >= REFUSED);
    if !RANGE.contains(&first) || !RANGE.contains(&port) {
        return Err(format!(
            "port {port} is not one of {} to {}",
            RANGE.start(),
            RANGE.end()
        ));
    }
    Ok(port)
}

/// The port of the one VM that the user chose it for.
///
/// # Errors
/// One sentence when the server would refuse it.
pub(crate) fn exact(port: u32) -> Result<u64, String> {
    from_first(port, 1)
}

/// The web port that belongs to `port`.
///
/// # Errors
/// One sentence when it would lie beyond 65535.
pub(crate) fn web(port: u64) -> Result<u64, String> {
    let web = port + WEB_OFFSET;
    if !RANGE.contains(&web) {
        return Err(format!(
            "the web port, {WEB_OFFSET} more than {port}, would be beyond {}",
            RANGE.end()
        ));
    }
    Ok(web)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn types_have_blocks_of_ten() {
        assert_eq!(by_position(0, 1), Ok(5911));
        assert_eq!(by_position(0, 3), Ok(5913));
        assert_eq!(by_position(1, 1), Ok(5921));
        assert_eq!(by_position(1, 64), Ok(5984));
    }

    #[test]
    fn no_two_vms_of_the_last_type_share_a_port_and_none_is_refused() {
        let mut seen = BTreeSet::new();
        for index in 1..=2500 {
            let port = by_position(0, index).unwrap();
            assert!(seen.insert(port), "port {port} of VM {index}");
            assert!(seen.insert(web(port).unwrap()), "web port of VM {index}");
        }
        assert!(!seen.contains(&REFUSED));
        assert!(seen.range(..5900).next().is_none());
    }

    #[test]
    fn ports_end() {
        let last = (1..)
            .take_while(|index| by_position(0, *index).is_ok())
            .last()
            .unwrap();
        assert!(web(by_position(0, last).unwrap()).is_ok());
        assert!(by_position(0, last + 1).unwrap_err().contains("65535"));
        assert!(by_position(u32::MAX, u32::MAX).is_err());
    }

    #[test]
    fn a_chosen_first_port_counts_up_over_6000() {
        assert_eq!(from_first(5999, 1), Ok(5999));
        assert_eq!(from_first(5999, 2), Ok(6001));
        assert_eq!(from_first(5998, 4), Ok(6002));
        assert_eq!(from_first(6001, 2), Ok(6002));
        assert!(from_first(6000, 1).is_err());
        assert!(from_first(5899, 2).is_err());
        assert!(from_first(65535, 2).is_err());
        assert!(web(64536).is_err());
    }
}
