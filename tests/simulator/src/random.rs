//! Random texts and numbers: serials, MACs, keys, tokens. Nothing here is fit for real secrets.

use uuid::Uuid;

const LETTERS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// Letters and digits.
pub(crate) fn alphanumeric(length: usize) -> String {
    bytes(length)
        .into_iter()
        .map(|byte| char::from(*LETTERS.get(usize::from(byte) % 62).unwrap_or(&b'0')))
        .collect()
}

/// A version 4 UUID.
pub(crate) fn uuid() -> String {
    Uuid::new_v4().to_string()
}

/// A MAC with the prefix the server uses. Recorded on 25.10.7: `vm.random_mac`.
pub(crate) fn mac() -> String {
    let tail: Vec<String> = bytes(3).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("00:a0:98:{}", tail.join(":"))
}

/// A number from `low` to `high`, both included.
pub(crate) fn between(low: u64, high: u64) -> u64 {
    let value = bytes(8)
        .into_iter()
        .fold(0_u64, |sum, byte| (sum << 8) | u64::from(byte));
    low + value % (high - low + 1)
}

/// Any bytes.
pub(crate) fn bytes(count: usize) -> Vec<u8> {
    let mut all = Vec::new();
    while all.len() < count {
        // Six bits of a v4 UUID are fixed; the last eight bytes but the first are all random.
        all.extend(Uuid::new_v4().as_bytes().iter().skip(9));
    }
    all.truncate(count);
    all
}
