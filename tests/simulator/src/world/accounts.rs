//! The part of a world's builder that makes accounts, keys and the settings of logins.

use std::time::Duration;

use super::builder::{WorldBuilder, bad};
use super::file::{LoginsEntry, UserEntry, WorldError};
use super::logins::{Assurance, FEWEST_SCRAM_ITERATIONS, Logins, MOST_SCRAM_ITERATIONS};
use super::machine::World;
use super::roles::Role;
use super::two_factor::TwoFactor;
use super::users::{ApiKey, User};

impl WorldBuilder {
    /// A user with a password.
    #[must_use]
    pub fn user(mut self, name: &str, password: &str, role: Role) -> Self {
        self.put_account(User::new(name, password, role));
        self
    }

    /// Asks this user for a one-time code after the password.
    #[must_use]
    pub fn two_factor(mut self, name: &str, two_factor: TwoFactor) -> Self {
        for user in self.world.users.iter_mut().filter(|user| user.name == name) {
            user.two_factor = Some(two_factor.clone());
        }
        self
    }

    /// Lets the account, and thus its password and its API keys, be expired.
    #[must_use]
    pub fn expired(mut self, name: &str) -> Self {
        for user in self.world.users.iter_mut().filter(|user| user.name == name) {
            user.expired = true;
        }
        self
    }

    /// How the host lets people in.
    #[must_use]
    pub fn logins(mut self, change: impl FnOnce(&mut Logins)) -> Self {
        change(&mut self.world.logins);
        self
    }

    /// Makes this the administrator's API key.
    ///
    /// # Errors
    /// When it is not `<id>-<64 characters>`.
    pub fn api_key(mut self, full: &str) -> Result<Self, WorldError> {
        let owner = "truenas_admin";
        self.world.api_keys.retain(|key| key.user != owner);
        self.world.api_keys.push(parse_key(full, owner)?);
        Ok(self)
    }

    fn put_account(&mut self, user: User) {
        self.world.users.retain(|other| other.name != user.name);
        self.world.users.push(user);
    }

    pub(super) fn put_user(&mut self, entry: &UserEntry) -> Result<(), WorldError> {
        let name = format!("user {}", entry.name);
        let mut user = User::new(&entry.name, &entry.password, entry.role.clone());
        if let Some(roles) = &entry.roles {
            user.role = Role::Roles(roles.clone());
        }
        user.expired = entry.expired;
        if entry.otp_secret.is_some() || !entry.otp_codes.is_empty() {
            let two_factor = TwoFactor {
                secret: entry.otp_secret.clone(),
                codes: entry.otp_codes.clone(),
                window: entry.otp_window,
            };
            if !two_factor.is_usable() {
                return Err(bad(&name, "`otp_secret` must be base32: A to Z and 2 to 7"));
            }
            user.two_factor = Some(two_factor);
        }
        self.put_account(user);
        if let Some(full) = &entry.api_key {
            let mut key = parse_key(full, &entry.name)?;
            key.expired = entry.api_key_expired;
            self.world.api_keys.retain(|other| other.id != key.id);
            self.world.api_keys.push(key);
        }
        Ok(())
    }

    pub(super) fn put_logins(&mut self, entry: &LoginsEntry) -> Result<(), WorldError> {
        let logins = &mut self.world.logins;
        if let Some(iterations) = entry.scram_iterations {
            // Code reading: 26 API key plugin.
            if !(FEWEST_SCRAM_ITERATIONS..=MOST_SCRAM_ITERATIONS).contains(&iterations) {
                return Err(bad(
                    "logins",
                    "`scram_iterations` must be between 50000 and 5000000",
                ));
            }
            logins.scram_iterations = iterations;
        }
        logins.assurance = match entry.assurance_level {
            None => logins.assurance,
            Some(1) => Assurance::Level1,
            Some(2) => Assurance::Level2,
            Some(_) => return Err(bad("logins", "`assurance_level` must be 1 or 2")),
        };
        logins.redirect.clone_from(&entry.redirect);
        logins.trusts_loopback = entry.trust_loopback.unwrap_or(logins.trusts_loopback);
        let seconds = |given: Option<u64>| given.map(Duration::from_secs);
        logins.session_age = seconds(entry.session_seconds).or(logins.session_age);
        logins.session_idle = seconds(entry.session_idle_seconds).or(logins.session_idle);
        Ok(())
    }
}

impl World {
    /// The full API key of a user, if it has one.
    pub fn key_of(&self, user: &str) -> Option<String> {
        self.api_keys
            .iter()
            .find(|key| key.user == user)
            .map(ApiKey::full)
    }
}

fn parse_key(full: &str, user: &str) -> Result<ApiKey, WorldError> {
    // Never the key itself in a message.
    let wrong = || {
        bad(
            &format!("API key of {user}"),
            "it must be `<number>-<64 characters>`",
        )
    };
    let (id, secret) = full.split_once('-').ok_or_else(wrong)?;
    let id: i64 = id.parse().map_err(|_| wrong())?;
    if secret.len() != 64 {
        return Err(wrong());
    }
    Ok(ApiKey {
        id,
        name: user.to_owned(),
        user: user.to_owned(),
        secret: secret.to_owned(),
        revoked: None,
        expired: false,
    })
}
