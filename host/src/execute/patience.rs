//! How often and how long to wait for what takes time on the server.

use std::time::Duration;

/// A bounded number of looks, with waits that double.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// The wait after the first look.
    pub first_wait: Duration,
    /// The longest single wait.
    pub longest_wait: Duration,
    /// How many looks in all; at least one is taken.
    pub looks: u32,
}

impl Default for Patience {
    /// Seven looks over less than 12 s: `vm.delete` itself grants a guest 7 s to go (API up to
    /// 25.10), and a zvol is let go of within moments after that.
    fn default() -> Self {
        Self {
            first_wait: Duration::from_millis(250),
            longest_wait: Duration::from_secs(4),
            looks: 7,
        }
    }
}

impl Patience {
    /// The waits between looks: one fewer than looks.
    pub(super) fn waits(self) -> impl Iterator<Item = Duration> {
        (0..self.looks.saturating_sub(1)).map(move |nth| {
            self.first_wait
                .saturating_mul(2_u32.saturating_pow(nth))
                .min(self.longest_wait)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_longest_and_end() {
        let waits: Vec<_> = Patience::default().waits().map(|w| w.as_millis()).collect();
        assert_eq!(waits, [250, 500, 1000, 2000, 4000, 4000]);
    }
}
