//! Accounts, API keys and login tokens. What a role grants lies beside, in `roles`.

use std::net::IpAddr;

use super::roles::Role;
use super::two_factor::TwoFactor;

/// An account.
#[derive(Clone, PartialEq, Eq)]
pub struct User {
    /// Login name.
    pub name: String,
    /// Its password.
    pub password: String,
    /// What it may do.
    pub role: Role,
    /// A second factor is asked for after the password.
    pub two_factor: Option<TwoFactor>,
    /// The account or its password has expired: right credentials are answered `EXPIRED`.
    pub expired: bool,
}

/// An API key. It belongs to a user and has that user's roles.
#[derive(Clone, PartialEq, Eq)]
pub struct ApiKey {
    /// The number in front of the dash.
    pub id: i64,
    /// What the administrator called it.
    pub name: String,
    /// The user.
    pub user: String,
    /// The 64 characters behind the dash.
    pub secret: String,
    /// Why it can no longer be used.
    pub revoked: Option<String>,
    /// Its date has passed.
    pub expired: bool,
}

/// A login token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// The user it stands for.
    pub user: String,
    /// The only address that may use it.
    pub origin: Option<IpAddr>,
    /// Gone after the first use.
    pub single_use: bool,
    /// When it dies, in seconds since 1970.
    pub expires: i64,
    /// Tokens made for a purpose do not log in.
    pub has_attributes: bool,
}

impl User {
    /// An account in good order, without a second factor.
    pub fn new(name: &str, password: &str, role: Role) -> Self {
        Self {
            name: name.to_owned(),
            password: password.to_owned(),
            role,
            two_factor: None,
            expired: false,
        }
    }
}

impl ApiKey {
    /// The whole key, `<id>-<64 characters>`.
    pub fn full(&self) -> String {
        format!("{}-{}", self.id, self.secret)
    }
}

impl std::fmt::Debug for User {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("User")
            .field("name", &self.name)
            .field("role", &self.role)
            .field("two_factor", &self.two_factor.is_some())
            .field("expired", &self.expired)
            .finish_non_exhaustive()
    }
}

impl std::fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ApiKey")
            .field("id", &self.id)
            .field("user", &self.user)
            .field("revoked", &self.revoked)
            .finish_non_exhaustive()
    }
}
