//! Flags and variables about getting in: how a key goes, one-time codes, proxies, certificates that
//! nobody looks at.

use std::convert::Infallible;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use clap::{Args, ValueEnum};
use secrecy::SecretString;

use super::output::Output;
use crate::config::{Environment, OTP, PROXY};
use crate::truenas::{Insecure, KeyLogin, OtpRequest, OtpSource, Proxies};

/// Options about getting in.
#[derive(Debug, Args)]
pub(super) struct Access {
    /// How an API key is used
    #[arg(
        long,
        global = true,
        value_enum,
        default_value_t = AuthArg::Auto,
        env = "TNVM_AUTH",
        help_heading = "Connection"
    )]
    auth: AuthArg,
    /// The one-time code of an account with two-factor authentication; asked for on a terminal
    /// [env: TRUENAS_OTP]
    #[arg(long, global = true, value_name = "CODE", value_parser = secret, help_heading = "Connection")]
    otp: Option<SecretString>,
    /// Do not verify the server's certificate: whoever is on the way can read and change
    /// everything. An API key is used only if that is said: --insecure=with-api-key
    #[arg(
        long,
        global = true,
        value_enum,
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "password",
        value_name = "WITH",
        help_heading = "Connection"
    )]
    insecure: Option<InsecureArg>,
    /// The HTTP proxy to every server; without it HTTPS_PROXY, ALL_PROXY and NO_PROXY count
    /// [env: TNVM_PROXY]
    #[arg(long, global = true, value_name = "URL", value_parser = secret, help_heading = "Connection")]
    proxy: Option<SecretString>,
    /// One for all servers of a command.
    #[arg(skip)]
    codes: OnceLock<Arc<Codes>>,
}

/// How an API key is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum AuthArg {
    /// By SCRAM where the server knows it (26 and newer), else as it is, over TLS.
    Auto,
    /// By SCRAM or not at all: it is never sent.
    Scram,
    /// By SCRAM bound to the server's certificate, or not at all: nobody in between can pass it on.
    ScramBound,
    /// As it is, over TLS.
    Plain,
}

/// What may be sent to whoever answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum InsecureArg {
    /// A password, no API key.
    Password,
    /// An API key as well.
    WithApiKey,
}

impl Access {
    /// How an API key goes.
    pub(super) fn key_login(&self) -> KeyLogin {
        match self.auth {
            AuthArg::Auto => KeyLogin::Auto,
            AuthArg::Scram => KeyLogin::Scram,
            AuthArg::ScramBound => KeyLogin::ScramBound,
            AuthArg::Plain => KeyLogin::Plain,
        }
    }

    /// Whether the certificate is not looked at, and what is sent all the same.
    pub(super) fn insecure(&self) -> Option<Insecure> {
        self.insecure.map(|one| match one {
            InsecureArg::Password => Insecure::Password,
            InsecureArg::WithApiKey => Insecure::ApiKey,
        })
    }

    /// The proxies of this machine.
    pub(super) fn proxies(&self, environment: &Environment) -> Proxies {
        let told = self.proxy.clone().map(|url| ("--proxy", url));
        let told = told.or_else(|| Some((PROXY, environment.get(PROXY)?.clone())));
        match told {
            Some((name, url)) => Proxies::always(name, url),
            None => Proxies::of_variables(|name| environment.get(name).cloned()),
        }
    }

    /// Where one-time codes come from: the one that was given, then whoever sits at the terminal.
    pub(super) fn codes(&self, environment: &Environment, output: Output) -> Arc<dyn OtpSource> {
        let codes = self.codes.get_or_init(|| {
            let given = self.otp.clone();
            let given = given.or_else(|| environment.get(OTP).cloned());
            Arc::new(Codes {
                given: Mutex::new(given),
                asking: Mutex::new(()),
                output,
            })
        });
        Arc::clone(codes) as Arc<dyn OtpSource>
    }
}

fn secret(text: &str) -> Result<SecretString, Infallible> {
    Ok(SecretString::from(text))
}

/// A code is good once, so the given one goes to whoever asks first.
#[derive(Debug)]
struct Codes {
    given: Mutex<Option<SecretString>>,
    /// Held while somebody types: several servers ask one after the other.
    asking: Mutex<()>,
    output: Output,
}

impl OtpSource for Codes {
    fn code(&self, request: &OtpRequest) -> Option<SecretString> {
        if let Some(given) = self.at_hand() {
            return Some(given);
        }
        let _one_at_a_time = self.asking.lock().unwrap_or_else(PoisonError::into_inner);
        let OtpRequest {
            endpoint, username, ..
        } = request;
        if request.wrong > 0 && self.output.can_ask() {
            self.output
                .note("that code was wrong, too old, or used before");
        }
        let question = format!("One-time code of {username} at {endpoint}:");
        let answer = self.output.ask_hidden(&question)?;
        let digits: String = answer.chars().filter(|c| !c.is_whitespace()).collect();
        (!digits.is_empty()).then(|| SecretString::from(digits))
    }

    fn at_hand(&self) -> Option<SecretString> {
        let mut given = self.given.lock().unwrap_or_else(PoisonError::into_inner);
        given.take()
    }
}
