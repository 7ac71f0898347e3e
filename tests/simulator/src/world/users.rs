//! Accounts, API keys and login tokens.

use std::net::IpAddr;

/// An account.
#[derive(Clone, PartialEq, Eq)]
pub struct User {
    /// Login name.
    pub name: String,
    /// Its password.
    pub password: String,
    /// What it may do.
    pub role: Role,
}

/// What an account may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Everything.
    #[default]
    FullAdmin,
    /// Every read method.
    Readonly,
    /// It has no API privilege: login is refused.
    Nothing,
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

impl Role {
    /// Whether a method that names these roles may be called. `READONLY_ADMIN` has every read role
    /// (code reading: `role.py`, 25.10.7).
    pub fn covers(self, roles: &[&str]) -> bool {
        match self {
            Self::FullAdmin => true,
            Self::Nothing => false,
            Self::Readonly => {
                roles.is_empty()
                    || roles
                        .iter()
                        .any(|role| role.ends_with("_READ") || *role == "READONLY_ADMIN")
            }
        }
    }
}
