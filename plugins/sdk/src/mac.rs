//! MAC addresses of guests.

use std::fmt;
use std::str::FromStr;

use crate::derived_bytes;

/// The MAC address of a guest's NIC. Shown with colons and in lower case, the only spelling that
/// every supported server both accepts and starts a VM with: 25.04.2 and 25.10 also store dashes
/// and bare digits, which libvirt then cannot parse.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Mac([u8; 6]);

/// The first byte of a derived address: locally administered, unicast. So it can meet no maker's
/// card, and five bytes are left to tell NICs apart. The server's own `vm.random_mac` leaves three,
/// of which 1 000 NICs would have two alike once in thirty groups.
const LOCALLY_ADMINISTERED: u8 = 0x02;

impl Mac {
    /// The address of NIC `nic` of VM `vm` in `group`: `02` and five derived bytes. The formula
    /// never changes (see [`derived_bytes`], purpose `tnvm-mac-1`).
    ///
    /// Two NICs may meet: with 1 000 of them the odds are about 1 in two million. Claim the
    /// address, so that the host notices.
    pub fn derived(group: &str, vm: &str, nic: &str) -> Self {
        let [b, c, d, e, f] = derived_bytes("tnvm-mac-1", &[group, vm, nic]);
        Self([LOCALLY_ADMINISTERED, b, c, d, e, f])
    }
}

impl FromStr for Mac {
    type Err = String;

    /// Six bytes in hexadecimal, with colons or dashes, upper or lower case.
    fn from_str(text: &str) -> Result<Self, String> {
        let malformed = || format!("`{text}` is not a MAC address such as `00:a0:98:12:34:56`");
        let separator = if text.contains('-') { '-' } else { ':' };
        let mut bytes = [0; 6];
        let mut parts = text.split(separator);
        for byte in &mut bytes {
            let part = parts.next().ok_or_else(malformed)?;
            if part.len() != 2 || !part.bytes().all(|digit| digit.is_ascii_hexdigit()) {
                return Err(malformed());
            }
            *byte = u8::from_str_radix(part, 16).map_err(|_| malformed())?;
        }
        if parts.next().is_some() {
            return Err(malformed());
        }
        let [first, ..] = bytes;
        if first & 1 == 1 {
            return Err(format!(
                "`{text}` is a group address: the first byte of a NIC's own address is even"
            ));
        }
        if bytes == [0; 6] {
            return Err(format!("`{text}` means no address at all"));
        }
        Ok(Self(bytes))
    }
}

impl fmt::Display for Mac {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, f] = self.0;
        write!(formatter, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{f:02x}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Option<&str>) {
        let parsed = text.parse::<Mac>().ok().map(|mac| mac.to_string());
        assert_eq!(parsed.as_deref(), expected, "{text}");
    }

    #[test]
    fn dashes_and_upper_case_are_brought_to_one_spelling() {
        check("00-A0-98-AA-BB-CC", Some("00:a0:98:aa:bb:cc"));
        check("00:a0:98:aa:bb:cc", Some("00:a0:98:aa:bb:cc"));
    }

    #[test]
    fn what_no_nic_can_have_is_refused() {
        check("ff:ff:ff:ff:ff:ff", None);
        check("01:00:5e:00:00:01", None);
        check("00:00:00:00:00:00", None);
    }

    #[test]
    fn malformed_text_is_refused() {
        check("", None);
        check("00a098112233", None);
        check("00:a0:98:11:22", None);
        check("00:a0:98:11:22:33:44", None);
        check("00:a0:98:11:22:3g", None);
        check("0:a0:98:11:22:333", None);
        check("+0:a0:98:11:22:33", None);
        check("00-a0:98:11:22:33", None);
    }

    #[test]
    fn the_derivation_is_for_ever() {
        // printf 'tnvm-mac-1\nhome\nworker01\nsystem' | sha256sum
        let mac = Mac::derived("home", "worker01", "system");
        assert_eq!(mac.to_string(), "02:1f:f1:df:f6:5a");
        assert_ne!(mac, Mac::derived("home", "worker02", "system"));
    }
}
