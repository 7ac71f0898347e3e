//! The SHA-256 fingerprint of a certificate, as people copy it.

use std::fmt;
use std::str::FromStr;

use sha2::{Digest, Sha256};

/// SHA-256 of a certificate's DER form. Written as `AA:BB:…`, 32 bytes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Fingerprint([u8; 32]);

/// A text is no fingerprint.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "not a SHA-256 fingerprint: expected 64 hexadecimal digits, with or without colons, got {digits}"
)]
pub struct FingerprintError {
    /// Hexadecimal digits found.
    digits: usize,
}

impl Fingerprint {
    /// Of a certificate in DER form.
    #[must_use]
    pub fn of(der: &[u8]) -> Self {
        Self(Sha256::digest(der).into())
    }
}

impl FromStr for Fingerprint {
    type Err = FingerprintError;

    /// Takes what `openssl x509 -fingerprint -sha256` prints, its label included, and plain hex.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.rsplit('=').next().unwrap_or(text);
        let text = text.trim();
        let text = text
            .strip_prefix("sha256:")
            .or_else(|| text.strip_prefix("SHA256:"))
            .unwrap_or(text);
        let digits: Vec<char> = text
            .chars()
            .filter(|c| !matches!(c, ':' | ' ' | '-'))
            .collect();
        let error = || FingerprintError {
            digits: digits.iter().filter(|c| c.is_ascii_hexdigit()).count(),
        };
        let mut bytes = [0u8; 32];
        if digits.len() != 2 * bytes.len() {
            return Err(error());
        }
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks(2)) {
            for digit in pair {
                let value = digit.to_digit(16).ok_or_else(error)?;
                *byte = (*byte << 4) | u8::try_from(value).map_err(|_| error())?;
            }
        }
        Ok(Self(bytes))
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, byte) in self.0.iter().enumerate() {
            let colon = if index == 0 { "" } else { ":" };
            write!(f, "{colon}{byte:02X}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_it_prints_it_reads() {
        let fingerprint = Fingerprint::of(b"certificate");
        assert_eq!(fingerprint.to_string().parse(), Ok(fingerprint));
    }

    #[test]
    fn plain_hex_and_openssl_output_are_read() {
        let fingerprint = Fingerprint::of(b"certificate");
        let hex = fingerprint.to_string().replace(':', "").to_lowercase();
        assert_eq!(hex.parse(), Ok(fingerprint));
        let openssl = format!("sha256 Fingerprint={fingerprint}");
        assert_eq!(openssl.parse(), Ok(fingerprint));
        assert_eq!(format!("sha256:{hex}").parse(), Ok(fingerprint));
    }

    #[test]
    fn a_sha1_fingerprint_is_refused() {
        let sha1 = "AA:".repeat(19) + "AA";
        assert_eq!(
            sha1.parse::<Fingerprint>(),
            Err(FingerprintError { digits: 40 })
        );
    }
}
