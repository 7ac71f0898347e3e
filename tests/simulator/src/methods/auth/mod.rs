//! `auth.*`: logins, tokens, and who one is. Answers recorded on 25.04.2.6, 25.10.7 and
//! 26.0.0-BETA.3.

mod login;
mod me;
mod models;

use serde_json::{Value, json};

use super::auth_legacy;
use super::method::{Access, Context, Method};
use crate::errors::{EOPNOTSUPP, Failure};
use crate::json::{Object, flag, object, text, word};
use crate::random;
use crate::session::Login;
use crate::version::Line;
use crate::world::machine::now_seconds;
use crate::world::{Assurance, Token};
use login::Reply;

/// Seconds that a token lives unless its maker says otherwise.
const TOKEN_LIFE: i64 = 600;

pub(super) const METHODS: &[Method] = &[
    Method::read("auth.login", &[], models::LOGIN, |context, params| {
        let code = params.get(2).and_then(Value::as_str);
        let login = login::all_at_once(context, word(params, 0), word(params, 1), code);
        Ok(json!(accept(context, login)))
    })
    .open(Access::Anonymous),
    Method::read(
        "auth.login_with_api_key",
        &[],
        models::KEY,
        |context, params| {
            let login = login::by_key_alone(context, word(params, 0));
            Ok(json!(accept(context, login)))
        },
    )
    .open(Access::Anonymous),
    Method::read(
        "auth.login_with_token",
        &[],
        models::TOKEN_TEXT,
        |context, params| {
            let login = login::by_token(context, word(params, 0)).ok();
            Ok(json!(accept(context, login)))
        },
    )
    .open(Access::Anonymous),
    Method::read("auth.login_ex", &[], models::LOGIN_EX_25_04, login_ex)
        .open(Access::Anonymous)
        .since(Line::V25_04_0)
        .until(Line::V25_04),
    Method::read("auth.login_ex", &[], models::LOGIN_EX_25_10, login_ex)
        .open(Access::Anonymous)
        .only(Line::V25_10),
    Method::read("auth.login_ex", &[], models::LOGIN_EX_26, login_ex)
        .open(Access::Anonymous)
        .since(Line::V26),
    Method::read("auth.login_ex_continue", &[], models::CONTINUE_25, login_ex)
        .open(Access::Anonymous)
        .since(Line::V25_04_0)
        .until(Line::V25_10),
    Method::read("auth.login_ex_continue", &[], models::CONTINUE_26, login_ex)
        .open(Access::Anonymous)
        .since(Line::V26),
    Method::read("auth.mechanism_choices", &[], &[], mechanism_choices)
        .open(Access::Anonymous)
        .since(Line::V25_04_0),
    Method::read("auth.logout", &[], &[], logout),
    Method::read("auth.me", &[], &[], |context, _| {
        let login = context.login().ok_or_else(Failure::not_authenticated)?;
        Ok(me::user_info(&context.state.world, login))
    })
    .since(Line::V25_04_0),
    Method::read("auth.generate_token", &[], models::GENERATE, generate_token)
        .old(auth_legacy::GENERATE),
];

/// Revokes the API key that a call presents, and answers what this login gets; of any other call, the
/// key that its session logged in with, and answers nothing.
pub(crate) fn revoke_key(
    context: &mut Context<'_>,
    method: &str,
    params: &[Value],
) -> Option<Value> {
    let data = object(params, 0);
    let (key, answer) = match method {
        "auth.login_ex" if data.contains_key("api_key") => (
            text(&data, "api_key").to_owned(),
            Some(json!({"response_type": "EXPIRED"})),
        ),
        "auth.login_with_api_key" => (word(params, 0).to_owned(), Some(json!(false))),
        _ => (String::new(), None),
    };
    let of_session = context
        .login()
        .and_then(|login| login.api_key.as_ref())
        .map(|(id, _)| *id);
    for one in &mut context.state.world.api_keys {
        let meant = match answer {
            Some(_) => one.full() == key,
            None => of_session == Some(one.id),
        };
        if meant {
            one.revoked = Some("Revoked by an administrator".into());
        }
    }
    answer
}

fn login_ex(context: &mut Context<'_>, params: &[Value]) -> Result<Value, Failure> {
    let data = object(params, 0);
    Ok(match login::step(context, &data)? {
        Reply::No(response) => json!({"response_type": response}),
        Reply::CodeRequired(user) => json!({"response_type": "OTP_REQUIRED", "username": user}),
        Reply::Redirect(urls) => json!({"response_type": "REDIRECT", "urls": urls}),
        Reply::Scram {
            message,
            login: None,
        } => scram_answer("SERVER_FIRST_RESPONSE", &message, &Value::Null),
        Reply::Scram {
            message,
            login: Some(login),
        } => {
            let info = me::user_info(&context.state.world, &login);
            accept(context, Some(login));
            scram_answer("SERVER_FINAL_RESPONSE", &message, &info)
        }
        Reply::Welcome(login) => welcome(context, login, &data),
    })
}

fn welcome(context: &mut Context<'_>, login: Login, data: &Object) -> Value {
    let chosen = |name| {
        data.get("login_options")
            .and_then(Value::as_object)
            .is_some_and(|options| flag(options, name))
    };
    let info = match chosen("user_info") {
        true => me::user_info(&context.state.world, &login),
        false => Value::Null,
    };
    let level = login.assurance.word();
    let user = login.user.clone();
    accept(context, Some(login));
    let mut answer = json!({"response_type": "SUCCESS", "user_info": info, "authenticator": level});
    if context.state.world.version.answers_reconnect_token()
        && let Some(answer) = answer.as_object_mut()
    {
        // Schema of 26: it works once.
        let token = chosen("reconnect_token").then(|| {
            let origin = context.session().map(|session| session.peer.ip());
            new_token(context, user, origin, true, TOKEN_LIFE, false)
        });
        answer.insert("reconnect_token".into(), json!(token));
    }
    answer
}

fn scram_answer(kind: &str, message: &str, info: &Value) -> Value {
    json!({"response_type": "SCRAM_RESPONSE", "scram_type": kind, "rfc_str": message, "user_info": info})
}

/// Broken before login in 25.04.2 to 25.10.7 (recorded), works again in 26.
fn mechanism_choices(context: &mut Context<'_>, _: &[Value]) -> Result<Value, Failure> {
    let world = &context.state.world;
    if context.login().is_none() && world.version.breaks_mechanism_choices() {
        return Err(Failure::exception(
            "AttributeError",
            "'NoneType' object has no attribute 'may_create_auth_token'",
        ));
    }
    let mut choices = match world.logins.assurance {
        Assurance::Level1 => vec!["API_KEY_PLAIN", "TOKEN_PLAIN", "PASSWORD_PLAIN"],
        Assurance::Level2 => vec!["PASSWORD_PLAIN"],
    };
    if world.logins.assurance == Assurance::Level1 && world.version.has_scram() {
        choices.push("SCRAM");
    }
    Ok(json!(choices))
}

fn logout(context: &mut Context<'_>, _: &[Value]) -> Result<Value, Failure> {
    if let Some(session) = context.session_mut() {
        session.log_out();
    }
    Ok(json!(true))
}

fn generate_token(context: &mut Context<'_>, params: &[Value]) -> Result<Value, Failure> {
    let (Some(session), Some(login)) = (context.session(), context.login()) else {
        return Err(Failure::not_authenticated());
    };
    let flag_at = |position: usize| {
        params
            .get(position)
            .and_then(Value::as_bool)
            .unwrap_or(false)
    };
    let single_use = flag_at(3);
    if !single_use && login.assurance != Assurance::Level1 {
        return Err(Failure::call(
            EOPNOTSUPP,
            "Multi-use authentication tokens are not supported at current authenticator level.",
        ));
    }
    let origin = flag_at(2).then(|| session.peer.ip());
    let life = params.first().and_then(Value::as_i64).unwrap_or(TOKEN_LIFE);
    let has_attributes = !object(params, 1).is_empty();
    let user = login.user.clone();
    let token = new_token(context, user, origin, single_use, life, has_attributes);
    Ok(json!(token))
}

fn new_token(
    context: &mut Context<'_>,
    user: String,
    origin: Option<std::net::IpAddr>,
    single_use: bool,
    life: i64,
    has_attributes: bool,
) -> String {
    let name = random::alphanumeric(64);
    let token = Token {
        user,
        origin,
        single_use,
        expires: now_seconds() + life,
        has_attributes,
    };
    context.state.world.tokens.insert(name.clone(), token);
    name
}

/// Stores a successful login; a failed one changes nothing.
fn accept(context: &mut Context<'_>, login: Option<Login>) -> bool {
    let Some(login) = login else { return false };
    context.state.journal.logged_in(context.connection);
    if let Some(session) = context.session_mut() {
        session.login = Some(login);
    }
    true
}
