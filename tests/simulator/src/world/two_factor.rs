//! One-time codes of an account, as an authenticator app shows them (RFC 6238: SHA-1, six digits, a
//! new one every 30 s). It does not count wrong ones.

use totp_rs::{Algorithm, Secret, TOTP};

use super::machine::now_seconds;

/// Digits of a code. Recorded on 25.10.7 and 26.0.0-BETA.3: `two_factor_config`.
pub(crate) const DIGITS: usize = 6;
/// Seconds that a code is shown.
pub(crate) const INTERVAL: u64 = 30;

/// What an account's codes are made from.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct TwoFactor {
    /// The secret that the app shares, in base32 without padding; none leaves only fixed codes.
    pub secret: Option<String>,
    /// Codes that are taken at any time.
    pub codes: Vec<String>,
    /// How many intervals before and after the current one are good as well. A real host has 0
    /// unless its administrator says otherwise; the default here is 1, so that no test depends on
    /// when in a minute it runs.
    pub window: u8,
}

impl TwoFactor {
    /// Codes of a secret, one interval early or late.
    pub fn with_secret(secret: &str) -> Self {
        Self {
            secret: Some(secret.to_owned()),
            codes: Vec::new(),
            window: 1,
        }
    }

    /// One code that is always good.
    pub fn with_code(code: &str) -> Self {
        Self {
            secret: None,
            codes: vec![code.to_owned()],
            window: 1,
        }
    }

    /// What the app would show now; `None` without a secret, or with one that is no base32.
    pub fn code(&self) -> Option<String> {
        let now = u64::try_from(now_seconds()).ok()?;
        self.generator().map(|generator| generator.generate(now))
    }

    /// Whether a code is good at a time, in seconds since 1970.
    pub(crate) fn accepts(&self, code: &str, now: i64) -> bool {
        let fits = |generator: TOTP| u64::try_from(now).is_ok_and(|now| generator.check(code, now));
        self.codes.iter().any(|one| one == code) || self.generator().is_some_and(fits)
    }

    /// Whether the secret, if there is one, can be used.
    pub(crate) fn is_usable(&self) -> bool {
        self.secret.is_none() || self.generator().is_some()
    }

    fn generator(&self) -> Option<TOTP> {
        let secret = Secret::Encoded(self.secret.clone()?.replace(' ', ""));
        // Unchecked: the server takes secrets shorter than the RFC recommends.
        Some(TOTP::new_unchecked(
            Algorithm::SHA1,
            DIGITS,
            self.window,
            INTERVAL,
            secret.to_bytes().ok()?,
        ))
    }
}

impl std::fmt::Debug for TwoFactor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TwoFactor").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `12345678901234567890`, the secret of the RFC's appendix B.
    const SECRET: &str = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";

    #[test]
    fn codes_are_those_of_the_rfc() {
        let mut two_factor = TwoFactor::with_secret(SECRET);
        two_factor.window = 0;
        for (now, code) in [
            (59, "287082"),
            (1_111_111_109, "081804"),
            (2_000_000_000, "279037"),
        ] {
            assert!(two_factor.accepts(code, now), "{now}");
            assert!(!two_factor.accepts(code, now + 30), "{now}");
        }
    }

    #[test]
    fn a_code_is_good_one_interval_early_or_late_unless_the_window_is_closed() {
        let two_factor = TwoFactor::with_secret(SECRET);
        let shown = 1_111_111_109;
        assert!(
            two_factor.accepts("081804", shown - 30) && two_factor.accepts("081804", shown + 30)
        );
        assert!(!two_factor.accepts("081804", shown + 60));
    }

    #[test]
    fn a_fixed_code_is_always_good_and_a_bad_secret_never() {
        assert!(TwoFactor::with_code("424242").accepts("424242", 0));
        assert!(!TwoFactor::with_code("424242").accepts("424243", 0));
        let broken = TwoFactor::with_secret("no base32!");
        assert!(!broken.is_usable() && broken.code().is_none());
    }
}
