//! Bytes that look random and are the same for ever, for identifiers nobody wants to write.

use sha2::{Digest, Sha256};

/// The first `N` bytes (at most 32) of SHA-256 over `purpose` and `parts`, one per line.
///
/// The formula never changes, since what is derived by it is stored on servers and in routers'
/// reservations. Anyone can repeat it: `printf 'purpose\npart\npart' | sha256sum`. Parts before
/// the last must not contain line feeds, or two different lists might give the same bytes.
pub fn derived_bytes<const N: usize>(purpose: &str, parts: &[&str]) -> [u8; N] {
    const { assert!(N <= 32, "SHA-256 has 32 bytes") };
    let mut hash = Sha256::new();
    hash.update(purpose);
    for part in parts {
        hash.update("\n");
        hash.update(part);
    }
    let mut bytes = [0; N];
    for (to, from) in bytes.iter_mut().zip(hash.finalize()) {
        *to = from;
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_formula_is_the_documented_one() {
        // printf 'purpose\na\nb' | sha256sum
        assert_eq!(derived_bytes("purpose", &["a", "b"]), [0x4e, 0x43, 0x29]);
    }
}
