//! How the host lets people in: settings of the whole system, beside the accounts themselves.

use std::time::Duration;

/// Rounds of the hash behind a SCRAM key, as a real host stores keys. Code reading: 26 API key plugin.
pub const SCRAM_ITERATIONS: u32 = 500_000;
/// The fewest rounds that clients of a real host accept.
pub const FEWEST_SCRAM_ITERATIONS: u32 = 50_000;
/// The most that they accept.
pub(super) const MOST_SCRAM_ITERATIONS: u32 = 5_000_000;

/// Settings of logins. The default is a host as it comes, but for cheap SCRAM keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Logins {
    /// Rounds of the hash behind a SCRAM key. The default is the fewest that are allowed, since
    /// tests log in thousands of times; the program sets [`SCRAM_ITERATIONS`].
    pub scram_iterations: u32,
    /// How sure the server has to be of who logs in.
    pub assurance: Assurance,
    /// Where the active node of a pair of hosts is reached. When there are any, this host is the
    /// standby node and sends every `auth.login_ex` there.
    pub redirect: Vec<String>,
    /// Whether a client on the same host counts as one whose line nobody reads. A test that wants to
    /// be a stranger without TLS switches it off.
    pub trusts_loopback: bool,
    /// How long a session lasts; `None` is for what the assurance level says.
    pub session_age: Option<Duration>,
    /// How long a session lasts without a call; `None` is for what the assurance level says.
    pub session_idle: Option<Duration>,
}

/// Authenticator assurance levels (NIST SP 800-63B). Code reading: `utils/auth.py`, 25.10.7.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Assurance {
    /// As a host comes: every mechanism; a session ends after 30 days.
    #[default]
    Level1,
    /// STIG mode: a password and a one-time code, nothing else. A session ends after 12 hours, or 30
    /// minutes without a call; roles that change VMs are not granted.
    Level2,
}

impl Default for Logins {
    fn default() -> Self {
        Self {
            scram_iterations: FEWEST_SCRAM_ITERATIONS,
            assurance: Assurance::default(),
            redirect: Vec::new(),
            trusts_loopback: true,
            session_age: None,
            session_idle: None,
        }
    }
}

impl Logins {
    /// How long a session lasts.
    pub(crate) fn age(&self) -> Duration {
        self.session_age.unwrap_or(match self.assurance {
            Assurance::Level1 => Duration::from_secs(30 * 86_400),
            Assurance::Level2 => Duration::from_secs(12 * 3_600),
        })
    }

    /// How long a session lasts without a call, if that matters.
    pub(crate) fn idle(&self) -> Option<Duration> {
        self.session_idle.or(match self.assurance {
            Assurance::Level1 => None,
            Assurance::Level2 => Some(Duration::from_secs(30 * 60)),
        })
    }
}

impl Assurance {
    /// As answered: `authenticator` of a successful login.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Level1 => "LEVEL_1",
            Self::Level2 => "LEVEL_2",
        }
    }
}
