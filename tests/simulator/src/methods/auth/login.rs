//! What comes of a login: every mechanism of `auth.login_ex`, over several steps where it takes
//! several. It knows nothing of the shape of answers.
//!
//! Code reading where no recording is named: `plugins/auth.py` and `plugins/auth_/login_ex_impl.py`,
//! 25.10 and 26.

use crate::errors::{EINVAL, EOPNOTSUPP, Failure};
use crate::json::{Object, text};
use crate::methods::method::Context;
use crate::random;
use crate::scram::{ClientFirst, Exchange, Verifier};
use crate::session::{Login, Pending};
use crate::state::State;
use crate::world::machine::now_seconds;
use crate::world::{ApiKey, Assurance, Role, User};
use tokio::time::Instant;

/// Wrong codes that are forgiven; the next one ends the login. Code reading: `utils/auth.py`.
const FORGIVEN_CODES: u32 = 3;
/// Characters of the salt of a SCRAM key, and bytes of a nonce. Recorded on 26.0.0-BETA.3.
const SALT: usize = 16;
const NONCE: usize = 32;

/// What a step of a login comes to.
pub(super) enum Reply {
    /// Somebody is logged in.
    Welcome(Login),
    /// Nobody is; this is the `response_type`.
    No(&'static str),
    /// A one-time code is asked for, from this user.
    CodeRequired(String),
    /// Log in on the active node.
    Redirect(Vec<String>),
    /// The next message of a SCRAM exchange; the login comes with the last.
    Scram {
        /// The message.
        message: String,
        /// Who is logged in now.
        login: Option<Login>,
    },
}

/// Takes one step of `auth.login_ex`.
pub(super) fn step(context: &mut Context<'_>, data: &Object) -> Result<Reply, Failure> {
    if !context.state.world.logins.redirect.is_empty() {
        return Ok(Reply::Redirect(context.state.world.logins.redirect.clone()));
    }
    let mechanism = text(data, "mechanism");
    let pending = take_pending(context, mechanism);
    if mechanism == "OTP_TOKEN" && pending.is_none() {
        return Err(Failure::call(
            EINVAL,
            "OTP_TOKEN: no authentication in progress",
        ));
    }
    let strict = context.state.world.logins.assurance == Assurance::Level2;
    if strict && !["PASSWORD_PLAIN", "OTP_TOKEN"].contains(&mechanism) {
        return Err(Failure::call(
            EOPNOTSUPP,
            format!("{mechanism}: mechanism is not supported at current authenticator level."),
        ));
    }
    let tried = context
        .session_mut()
        .is_some_and(|session| std::mem::replace(&mut session.tried, true));
    let outcome = match mechanism {
        "PASSWORD_PLAIN" => by_password(context, text(data, "username"), text(data, "password")),
        "API_KEY_PLAIN" => {
            let (user, key) = (text(data, "username"), text(data, "api_key"));
            by_key(context, user, key).map(Reply::Welcome)
        }
        "TOKEN_PLAIN" => by_token(context, text(data, "token")).map(Reply::Welcome),
        "OTP_TOKEN" => by_code(context, pending, text(data, "otp_token")),
        _ if text(data, "scram_type") == "CLIENT_FIRST_MESSAGE" => {
            scram_first(context, text(data, "rfc_str"))
        }
        _ if !tried => {
            // Recorded on 26.0.0-BETA.3, with these words.
            return Err(Failure::exception(
                "RuntimeError",
                "pam handle was not initialized",
            ));
        }
        _ => match pending {
            Some(Pending::Scram(exchange)) => {
                scram_final(context.state, &exchange, text(data, "rfc_str"))
            }
            _ => return Err(Failure::fault("SCRAM authentication is not in progress")),
        },
    };
    Ok(outcome.unwrap_or_else(Reply::No))
}

/// Logs in by password and, where asked for, code, all at once: `auth.login`.
pub(super) fn all_at_once(
    context: &mut Context<'_>,
    name: &str,
    password: &str,
    code: Option<&str>,
) -> Option<Login> {
    let first = by_password(context, name, password);
    let reply = match (first, code) {
        (Ok(Reply::CodeRequired(_)), Some(code)) => {
            let pending = take_pending(context, "OTP_TOKEN");
            by_code(context, pending, code)
        }
        (reply, _) => reply,
    };
    match reply {
        Ok(Reply::Welcome(login)) => Some(login),
        _ => None,
    }
}

/// Logs in by key alone: `auth.login_with_api_key`. The key names its user.
pub(super) fn by_key_alone(context: &mut Context<'_>, given: &str) -> Option<Login> {
    let keys = &context.state.world.api_keys;
    let owner = keys.iter().find(|key| key.full() == given)?.user.clone();
    by_key(context, &owner, given).ok()
}

/// Logs in by a token of `auth.generate_token`.
pub(super) fn by_token(context: &mut Context<'_>, name: &str) -> Result<Login, &'static str> {
    let peer = context.session().map(|session| session.peer.ip());
    let token = context.state.world.tokens.get(name).cloned();
    let Some(token) = token else {
        return Err("AUTH_ERR");
    };
    if token.has_attributes
        || token.expires < now_seconds()
        || token.origin.is_some_and(|origin| Some(origin) != peer)
    {
        return Err("AUTH_ERR");
    }
    if token.single_use {
        context.state.world.tokens.remove(name);
    }
    login_as(context.state, &token.user, "TOKEN")
}

/// What the session waits for, if this mechanism goes on with it; anything else is given up.
fn take_pending(context: &mut Context<'_>, mechanism: &str) -> Option<Pending> {
    let pending = context.session_mut()?.pending.take()?;
    let goes_on = match &pending {
        Pending::Code { .. } => mechanism == "OTP_TOKEN",
        Pending::Scram(_) => mechanism == "SCRAM",
    };
    goes_on.then_some(pending)
}

fn by_password(
    context: &mut Context<'_>,
    name: &str,
    password: &str,
) -> Result<Reply, &'static str> {
    let state = &*context.state;
    let user = state
        .world
        .users
        .iter()
        .find(|user| user.name == name && user.password == password)
        .ok_or("AUTH_ERR")?;
    if user.expired {
        return Err("EXPIRED");
    }
    let asks_for_code = user.two_factor.is_some();
    // Up to 25.10 an account without privilege ends here, from 26 on after the code.
    if asks_for_code && (has_privilege(user) || state.world.version.denies_by_name()) {
        let user = user.name.clone();
        if let Some(session) = context.session_mut() {
            session.pending = Some(Pending::Code {
                user: user.clone(),
                wrong: 0,
            });
        }
        return Ok(Reply::CodeRequired(user));
    }
    if state.world.logins.assurance == Assurance::Level2 {
        return Err("AUTH_ERR");
    }
    login_as(state, name, "LOGIN_PASSWORD").map(Reply::Welcome)
}

fn by_code(
    context: &mut Context<'_>,
    pending: Option<Pending>,
    code: &str,
) -> Result<Reply, &'static str> {
    let Some(Pending::Code { user, wrong }) = pending else {
        return Err("AUTH_ERR");
    };
    let two_factor = context
        .state
        .world
        .users
        .iter()
        .find(|one| one.name == user)
        .and_then(|user| user.two_factor.as_ref());
    if two_factor.is_some_and(|two_factor| two_factor.accepts(code, now_seconds())) {
        return login_as(context.state, &user, "LOGIN_TWOFACTOR").map(Reply::Welcome);
    }
    if wrong >= FORGIVEN_CODES {
        return Err("AUTH_ERR");
    }
    if let Some(session) = context.session_mut() {
        session.pending = Some(Pending::Code {
            user: user.clone(),
            wrong: wrong + 1,
        });
    }
    Ok(Reply::CodeRequired(user))
}

/// A valid key over a transport that others can read is revoked for good. Recorded on 25.10.7:
/// `EXPIRED` then, `AUTH_ERR` afterwards.
fn by_key(context: &mut Context<'_>, user: &str, given: &str) -> Result<Login, &'static str> {
    let logins = &context.state.world.logins;
    let private = context
        .session()
        .is_none_or(|session| session.is_private(logins));
    let state = &mut *context.state;
    let revoked_answer = state.world.version.revoked_key_answer();
    let revokes = state.world.version.revokes_exposed_keys();
    let keys = &mut state.world.api_keys;
    let found = keys.iter_mut().find(|key| key.full() == given);
    let Some(key) = found.filter(|key| key.user == user) else {
        return Err("AUTH_ERR");
    };
    if key.revoked.is_some() {
        return Err(revoked_answer);
    }
    if key.expired {
        return Err("EXPIRED");
    }
    if !private && revokes {
        key.revoked = Some("Attempt to use over an insecure transport".into());
        return Err("EXPIRED");
    }
    let key = key.clone();
    login_with(state, &key, false)
}

fn scram_first(context: &mut Context<'_>, message: &str) -> Result<Reply, &'static str> {
    let first = ClientFirst::read(message).ok_or("AUTH_ERR")?;
    let (user, id) = (first.user.as_str(), first.key);
    let key = usable_key(context.state, user, id).ok_or("AUTH_ERR")?;
    // Binding needs a certificate (schema of 26: it is only honoured over TLS).
    if first.binds && !context.session().is_some_and(|session| session.tls) {
        return Err("AUTH_ERR");
    }
    let verifier = verifier(context.state, &key);
    let exchange = Exchange::begin(first, verifier, &random::bytes(NONCE));
    let message = exchange.answer().to_owned();
    if let Some(session) = context.session_mut() {
        session.pending = Some(Pending::Scram(Box::new(exchange)));
    }
    Ok(Reply::Scram {
        message,
        login: None,
    })
}

/// A key proven this way is not revoked, whoever reads along.
fn scram_final(state: &State, exchange: &Exchange, message: &str) -> Result<Reply, &'static str> {
    let certificate = state.certificate.as_deref();
    let message = exchange.finish(message, certificate).ok_or("AUTH_ERR")?;
    let first = exchange.first();
    let key = usable_key(state, &first.user, first.key).ok_or("AUTH_ERR")?;
    let login = login_with(state, &key, true)?;
    Ok(Reply::Scram {
        message,
        login: Some(login),
    })
}

/// A key that is neither revoked nor expired: others are not in the keyring that SCRAM looks at.
fn usable_key(state: &State, user: &str, id: i64) -> Option<ApiKey> {
    let mut keys = state.world.api_keys.iter();
    keys.find(|key| key.id == id && key.user == user)
        .filter(|key| key.revoked.is_none() && !key.expired)
        .cloned()
}

fn verifier(state: &mut State, key: &ApiKey) -> Verifier {
    let iterations = state.world.logins.scram_iterations;
    let known = state.verifiers.get(&key.full());
    if let Some(known) = known.filter(|known| known.iterations() == iterations) {
        return known.clone();
    }
    let salt = random::alphanumeric(SALT);
    let derived = Verifier::derive(&key.secret, salt.as_bytes(), iterations);
    state.verifiers.insert(key.full(), derived.clone());
    derived
}

fn login_with(state: &State, key: &ApiKey, scram: bool) -> Result<Login, &'static str> {
    let mut login = login_as(state, &key.user, "API_KEY")?;
    login.api_key = Some((key.id, key.name.clone()));
    login.scram = scram;
    Ok(login)
}

/// Accounts without API privilege are refused like a wrong password up to 25.10, and told so from 26
/// on (recorded on 25.10.7 and 26.0.0-BETA.3).
fn login_as(state: &State, name: &str, credential: &'static str) -> Result<Login, &'static str> {
    let mut users = state.world.users.iter();
    let user = users.find(|user| user.name == name).ok_or("AUTH_ERR")?;
    if user.expired {
        return Err("EXPIRED");
    }
    if !has_privilege(user) {
        return Err(match state.world.version.denies_by_name() {
            true => "DENIED",
            false => "AUTH_ERR",
        });
    }
    let now = Instant::now();
    Ok(Login {
        user: user.name.clone(),
        role: user.role.clone(),
        assurance: state.world.logins.assurance,
        credential,
        api_key: None,
        scram: false,
        id: random::uuid(),
        at: now_seconds(),
        since: now,
        last_used: now,
    })
}

fn has_privilege(user: &User) -> bool {
    user.role != Role::Nothing
}
