//! One-time codes: where the code of a second factor comes from.
//!
//! Knows no terminal: whoever connects hands in a source, or none.

use std::fmt;
use std::sync::Arc;

use secrecy::SecretString;

use super::endpoint::Endpoint;

/// How often codes are asked for in one login. The server itself ends it with `AUTH_ERR` when too
/// many were wrong (25.04 and newer), and counts them against the address.
pub(super) const CODES: u32 = 3;

/// A source of one-time codes.
pub trait OtpSource: fmt::Debug + Send + Sync {
    /// The next code; none when there is none, or none any more. May block, for example until
    /// somebody has typed one: it is called on a thread of its own.
    fn code(&self, request: &OtpRequest) -> Option<SecretString>;

    /// A code that is there without asking anybody. 24.10 takes it together with the password and
    /// does not say whether it wants one; so nobody is asked for it there.
    fn at_hand(&self) -> Option<SecretString> {
        None
    }
}

/// Whose code is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OtpRequest {
    /// The server that asks.
    pub endpoint: Endpoint,
    /// The user, as the server names the account.
    pub username: String,
    /// How many codes were wrong in this login.
    pub wrong: u32,
}

/// Asks for a code, where there is somebody to ask.
pub(super) async fn ask(
    source: Option<&Arc<dyn OtpSource>>,
    request: OtpRequest,
) -> Option<SecretString> {
    let source = Arc::clone(source?);
    let asking = tokio::task::spawn_blocking(move || source.code(&request));
    // A source that panics has no code.
    asking.await.ok().flatten()
}
