//! Variables: those of the process, and those of a `.env` file beside the config.
//!
//! It never changes the environment of the process, and prints no value.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use secrecy::{ExposeSecret, SecretString};

use super::model::HostEntry;
use super::secrets::{SecretError, SecretStore};
use super::text::read_source;
use crate::diagnostic::{Diagnostic, Diagnostics};

/// One variable that tnvm reads.
#[derive(Clone, Copy, Debug)]
pub struct Variable {
    /// Its name.
    pub name: &'static str,
    /// What it is for.
    pub meaning: &'static str,
    /// Whether its value must never be shown.
    pub secret: bool,
}

/// The server's name or address.
pub const HOST: &str = "TRUENAS_HOST";
/// An API key.
pub const API_KEY: &str = "TRUENAS_API_KEY";
/// The user to log in as.
pub const API_USERNAME: &str = "API_USERNAME";
/// That user's password.
pub const API_PASSWORD: &str = "API_PASSWORD";
/// The one-time code of a login.
pub const OTP: &str = "TRUENAS_OTP";
/// The proxy to every server.
pub const PROXY: &str = "TNVM_PROXY";
/// What people type to see a VM's screen.
pub const VNC_PASSWORD: &str = "VNC_PASSWORD";

/// Every variable that tnvm reads. Others are read only where a config says `env:NAME`, and where
/// it names hosts: `API_PASSWORD_NAS1` goes before `API_PASSWORD`, and so do the others but the
/// password of displays.
pub const VARIABLES: &[Variable] = &[
    Variable {
        name: HOST,
        meaning: "the server's name or address; `truenas.host` in the config is used without it",
        secret: false,
    },
    Variable {
        name: API_KEY,
        meaning: "an API key; used rather than the password when both are there",
        secret: true,
    },
    Variable {
        name: API_USERNAME,
        meaning: "the user whose password or API key it is",
        secret: false,
    },
    Variable {
        name: API_PASSWORD,
        meaning: "the password of API_USERNAME",
        secret: true,
    },
    Variable {
        name: OTP,
        meaning: "the one-time code of the next login, where the account wants one",
        secret: true,
    },
    Variable {
        name: PROXY,
        meaning: "the HTTP proxy to every server; without it HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY count",
        secret: true,
    },
    Variable {
        name: VNC_PASSWORD,
        meaning: "the password of the VMs' displays",
        secret: true,
    },
];

/// All variables. `Debug` shows names only.
#[derive(Clone, Debug)]
pub struct Environment {
    values: BTreeMap<String, SecretString>,
    folder: PathBuf,
}

/// Where to log in, and as whom.
#[derive(Clone, Debug)]
pub struct Connection {
    /// Name or address, as given.
    pub host: String,
    /// What to log in with.
    pub credentials: Credentials,
}

/// Where the secrets of a host come from, the nearest first.
#[derive(Clone, Copy)]
enum Source {
    /// The host's own variables.
    Own,
    /// The references in the config.
    Config,
    /// The variables for every host.
    Plain,
}

/// What one source has.
enum Found {
    Credentials(Credentials),
    /// A password, and nobody whose it is.
    PasswordAlone,
    Nothing,
}

/// What to log in with.
#[derive(Clone, Debug)]
pub enum Credentials {
    /// An API key.
    ApiKey {
        /// The user it belongs to: needed by `auth.login_ex` (25.04 and newer), and not by
        /// `auth.login_with_api_key` (up to 26).
        username: Option<String>,
        /// The key.
        key: SecretString,
    },
    /// A user and a password.
    Password {
        /// The user.
        username: String,
        /// The password.
        password: SecretString,
    },
}

impl Environment {
    /// Takes `process` and, for names that it lacks, the file `.env` in `folder`, the config's.
    /// A missing file is fine. In the file, values stand for themselves: `$NAME` is not replaced.
    ///
    /// A broken file is a problem, and then only `process` counts.
    pub fn load(
        folder: &Path,
        process: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> (Self, Diagnostics) {
        let mut problems = Diagnostics::default();
        let file = folder.join(".env");
        let mut values = BTreeMap::new();
        if file.exists() {
            match read_source(&file, "the file of variables") {
                Ok(source) => match parse(&source.text) {
                    Ok(found) => values = found,
                    Err(line) => problems.push(broken(&source.name, line)),
                },
                Err(found) => problems.extend(found),
            }
        }
        for (name, value) in process {
            // A name or value that is not Unicode is nothing that tnvm could use.
            if let (Ok(name), Ok(value)) = (name.into_string(), value.into_string()) {
                values.insert(name, value.into());
            }
        }
        let folder = folder.to_path_buf();
        (Self { values, folder }, problems)
    }

    /// A variable's value, unless it is missing or empty.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&SecretString> {
        let value = self.values.get(name)?;
        (!value.expose_secret().is_empty()).then_some(value)
    }

    /// The config's folder, where relative paths start.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Which host is wanted, and where that was said: by `flag` (`--host`), else by `TRUENAS_HOST`.
    #[must_use]
    pub fn wanted_host(&self, flag: Option<&str>) -> Option<(&'static str, String)> {
        let flag = flag.map(|flag| ("--host", flag.to_owned()));
        flag.or_else(|| Some((HOST, self.text(HOST)?)))
    }

    /// Where to log in, and as whom. For a host with a name, its own variables go before what the
    /// config says of it, and that before the plain variables; an API key goes before a password.
    ///
    /// # Errors
    /// Everything that is missing, at once.
    pub fn connection(&self, host: &HostEntry) -> Result<Connection, Diagnostics> {
        let mut problems = Diagnostics::default();
        let own = host.variable(HOST).and_then(|name| self.text(&name));
        let address = own.or_else(|| host.section.host.clone());
        if address.is_none() {
            problems.push(no_address(host));
        }
        let credentials = self.credentials(host, &mut problems);
        match (address, credentials) {
            (Some(host), Some(credentials)) => Ok(Connection { host, credentials }),
            _ => Err(problems),
        }
    }

    fn credentials(&self, host: &HostEntry, problems: &mut Diagnostics) -> Option<Credentials> {
        let own = |plain: &str| host.variable(plain).and_then(|name| self.text(&name));
        let username = own(API_USERNAME)
            .or_else(|| host.login.username.clone())
            .or_else(|| self.text(API_USERNAME));
        let mut has_password = false;
        for source in [Source::Own, Source::Config, Source::Plain] {
            match self.credentials_from(source, host, username.as_deref()) {
                Ok(Found::Credentials(found)) => return Some(found),
                Ok(Found::PasswordAlone) => has_password = true,
                Ok(Found::Nothing) => {}
                Err(error) => {
                    let problem = Diagnostic::error(error.to_string()).help(error.help());
                    problems.push(problem.host(host.name.as_deref()));
                    return None;
                }
            }
        }
        problems.push(nothing_to_log_in_with(
            host,
            username.is_some(),
            has_password,
        ));
        None
    }

    fn credentials_from(
        &self,
        source: Source,
        host: &HostEntry,
        username: Option<&str>,
    ) -> Result<Found, SecretError> {
        let secret = |plain: &str, reference: Option<&String>| match source {
            Source::Own => Ok(host
                .variable(plain)
                .and_then(|name| self.get(&name).cloned())),
            Source::Config => reference
                .map(|reference| SecretStore::new(self).resolve(reference))
                .transpose(),
            Source::Plain => Ok(self.get(plain).cloned()),
        };
        if let Some(key) = secret(API_KEY, host.login.api_key.as_ref())? {
            let username = username.map(str::to_owned);
            return Ok(Found::Credentials(Credentials::ApiKey { username, key }));
        }
        Ok(
            match (
                secret(API_PASSWORD, host.login.password.as_ref())?,
                username,
            ) {
                (None, _) => Found::Nothing,
                (Some(_), None) => Found::PasswordAlone,
                (Some(password), Some(username)) => Found::Credentials(Credentials::Password {
                    username: username.to_owned(),
                    password,
                }),
            },
        )
    }

    fn text(&self, name: &str) -> Option<String> {
        self.get(name).map(|value| value.expose_secret().to_owned())
    }
}

fn no_address(host: &HostEntry) -> Diagnostic {
    match &host.name {
        None => Diagnostic::error("no server is named: TRUENAS_HOST is not set")
            .help("set TRUENAS_HOST, in the environment or in a `.env` file beside the config, or write `truenas: {host: …}` in the config"),
        Some(name) => Diagnostic::error(format!("the host `{name}` has no address"))
            .help(format!("write it in the config: `truenas: {{hosts: {{{name}: {{host: …}}}}}}`")),
    }
}

fn nothing_to_log_in_with(host: &HostEntry, username: bool, password: bool) -> Diagnostic {
    let mut missing = Vec::new();
    if !username {
        missing.push(API_USERNAME);
    }
    if !password {
        missing.push(API_PASSWORD);
    }
    let verb = if missing.len() == 1 { "is" } else { "are" };
    let mut help = "set TRUENAS_API_KEY (made in the web UI under Credentials) with API_USERNAME, or API_USERNAME and API_PASSWORD, in the environment or in a `.env` file beside the config".to_owned();
    if let Some(own) = host.variable(API_KEY) {
        help.push_str("; for this host alone: ");
        help.push_str(&own);
        help.push_str(" and so on");
    }
    Diagnostic::error(format!(
        "there is nothing to log in with: neither TRUENAS_API_KEY is set, nor {verb} {}",
        missing.join(" and ")
    ))
    .help(help)
    .host(host.name.as_deref())
}

/// Reads the variables. Of several with the same name the last counts.
///
/// # Errors
/// The line that could not be read, from 1. Never its text: it may be a password.
fn parse(text: &str) -> Result<BTreeMap<String, SecretString>, Option<usize>> {
    let literal = escape_dollars(text);
    let mut values = BTreeMap::new();
    for item in dotenvy::Iter::new(literal.as_bytes()) {
        match item {
            Ok((name, value)) => {
                values.insert(name, value.into());
            }
            Err(dotenvy::Error::LineParse(part, _)) => {
                let part = part.lines().next().unwrap_or_default().to_owned();
                let line = literal.lines().position(|line| line.contains(&part));
                return Err(line.map(|at| at + 1));
            }
            Err(_) => return Err(None),
        }
    }
    Ok(values)
}

fn broken(file: &str, line: Option<usize>) -> Diagnostic {
    let place = line.map_or_else(|| file.to_owned(), |line| format!("{file}:{line}"));
    Diagnostic::error(format!("{place} cannot be read as `NAME=value`"))
        .help("put a value with spaces, quotes or backslashes in single quotes: NAME='value'")
}

/// `dotenvy` replaces `$NAME` outside single quotes, also by values of the process; a password
/// with a dollar would silently become another one. So every dollar gets a backslash.
fn escape_dollars(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut quote = None;
    let mut comment = false;
    let mut before = '\n';
    let mut escaped = false;
    for one in text.trim_start_matches('\u{feff}').chars() {
        match one {
            '\n' if quote.is_none() => comment = false,
            _ if comment || escaped => {}
            '#' if quote.is_none() && before.is_whitespace() => comment = true,
            '\'' | '"' if quote.is_none() => quote = Some(one),
            '\'' | '"' if quote == Some(one) => quote = None,
            '$' if quote != Some('\'') => out.push('\\'),
            _ => {}
        }
        escaped = one == '\\' && !escaped && quote != Some('\'');
        before = one;
        out.push(one);
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::hosts::choose_hosts;
    use super::super::model::{HostLogin, TrueNasSection};
    use super::*;

    fn environment(file: &str, process: &[(&str, &str)]) -> (Environment, Diagnostics) {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(".env"), file).unwrap();
        let process = process
            .iter()
            .map(|(name, value)| (name.into(), value.into()));
        Environment::load(folder.path(), process)
    }

    fn value(environment: &Environment, name: &str) -> Option<String> {
        environment
            .get(name)
            .map(|one| one.expose_secret().to_owned())
    }

    fn check_file(file: &str, expected: &[(&str, &str)]) {
        let (environment, problems) = environment(file, &[]);
        assert!(problems.is_empty(), "{problems:?}");
        for (name, expected) in expected {
            assert_eq!(
                value(&environment, name).as_deref(),
                Some(*expected),
                "{name}"
            );
        }
    }

    #[test]
    fn a_file_as_the_older_tool_had_it_is_read() {
        check_file(
            "TRUENAS_HOST=\"nas.lan\"\nAPI_USERNAME=\"admin\"\nAPI_PASSWORD=\"a b\"\nVNC_PASSWORD=\"x\"\n",
            &[
                ("TRUENAS_HOST", "nas.lan"),
                ("API_USERNAME", "admin"),
                ("API_PASSWORD", "a b"),
                ("VNC_PASSWORD", "x"),
            ],
        );
    }

    #[test]
    fn values_stand_for_themselves() {
        check_file(
            "# it's a comment with $HOME\nA=pa$HOME\nB=\"$HOME ${A}\"\nC='$A\\n'\nexport D = d # $A isn't it\nE=a#b\nF=\\$5\nG=\"$\"\nH=\"1\n$2\"\nA2=1\nA2=2\n",
            &[
                ("A", "pa$HOME"),
                ("B", "$HOME ${A}"),
                ("C", "$A\\n"),
                ("D", "d"),
                ("E", "a#b"),
                ("F", "$5"),
                ("G", "$"),
                ("H", "1\n$2"),
                ("A2", "2"),
            ],
        );
    }

    #[test]
    fn the_process_goes_before_the_file() {
        let (environment, _) = environment("A=file\nB=file\n", &[("A", "process"), ("C", "")]);
        assert_eq!(value(&environment, "A").as_deref(), Some("process"));
        assert_eq!(value(&environment, "B").as_deref(), Some("file"));
        assert_eq!(value(&environment, "C"), None);
    }

    #[test]
    fn a_broken_line_is_named_and_not_shown() {
        for file in [
            "A=1\nAPI_PASSWORD=gehe im\n",
            "A=1\nAPI_PASSWORD=\"geheim\n",
            "A=1\ngeheim\n",
        ] {
            let (environment, problems) = environment(file, &[("A", "process")]);
            let text = format!("{problems:?}");
            assert!(text.contains(".env:2 cannot be read"), "{text}");
            assert!(!text.contains("gehe"), "{text}");
            assert_eq!(value(&environment, "A").as_deref(), Some("process"));
        }
    }

    #[test]
    fn no_value_is_in_the_debug_text() {
        let (environment, _) =
            environment("API_PASSWORD=geheim\nAPI_USERNAME=u\nTRUENAS_HOST=h\n", &[]);
        let section = TrueNasSection {
            host: Some("h".to_owned()),
            ..TrueNasSection::default()
        };
        let host = HostEntry {
            section,
            ..HostEntry::default()
        };
        let connection = environment.connection(&host).unwrap();
        for text in [format!("{environment:?}"), format!("{connection:?}")] {
            assert!(!text.contains("geheim"), "{text}");
        }
    }

    fn check_connection(variables: &[(&str, &str)], flag: Option<&str>, expected: &str) {
        let section = TrueNasSection {
            host: Some("config".to_owned()),
            ..TrueNasSection::default()
        };
        let host = HostEntry {
            section,
            ..HostEntry::default()
        };
        check_host(variables, flag, &host, expected);
    }

    fn check_host(
        variables: &[(&str, &str)],
        flag: Option<&str>,
        host: &HostEntry,
        expected: &str,
    ) {
        let (environment, _) = environment("", variables);
        let wanted = environment.wanted_host(flag);
        let wanted = wanted
            .as_ref()
            .map(|(source, host)| (*source, host.as_str()));
        let chosen = match host.name {
            None => choose_hosts(std::slice::from_ref(host), wanted).unwrap(),
            Some(_) => vec![host.clone()],
        };
        let connection = environment.connection(&chosen[0]).unwrap();
        let credentials = match &connection.credentials {
            Credentials::ApiKey { username, key } => {
                format!("key {username:?} {}", key.expose_secret())
            }
            Credentials::Password { username, password } => {
                format!("password {username} {}", password.expose_secret())
            }
        };
        assert_eq!(format!("{} {credentials}", connection.host), expected);
    }

    #[test]
    fn the_flag_goes_before_the_variable_and_that_before_the_config() {
        let login = [(API_USERNAME, "u"), (API_PASSWORD, "p"), (HOST, "env")];
        check_connection(&login, Some("flag"), "flag password u p");
        check_connection(&login, None, "env password u p");
        check_connection(&login[..2], None, "config password u p");
    }

    #[test]
    fn a_key_goes_before_a_password() {
        let all = [(API_KEY, "1-k"), (API_USERNAME, "u"), (API_PASSWORD, "p")];
        check_connection(&all, None, "config key Some(\"u\") 1-k");
        check_connection(&all[..1], None, "config key None 1-k");
    }

    #[test]
    fn what_is_said_for_a_host_goes_before_what_is_said_for_all() {
        let section = TrueNasSection {
            host: Some("config".to_owned()),
            ..TrueNasSection::default()
        };
        let login = HostLogin {
            username: Some("of_config".to_owned()),
            api_key: Some("env:KEY_OF_CONFIG".to_owned()),
            password: None,
        };
        let host = HostEntry {
            name: Some("nas-1".to_owned()),
            section,
            login,
            storage: None,
        };
        let all = [
            ("API_PASSWORD_NAS_1", "own-p"),
            ("API_USERNAME_NAS_1", "own-u"),
            ("TRUENAS_HOST_NAS_1", "own"),
            ("KEY_OF_CONFIG", "1-c"),
            (API_KEY, "1-plain"),
            (API_USERNAME, "plain-u"),
        ];
        check_host(&all, None, &host, "own password own-u own-p");
        check_host(&all[1..], None, &host, "own key Some(\"own-u\") 1-c");
        check_host(&all[3..], None, &host, "config key Some(\"of_config\") 1-c");
        let mut plain = host.clone();
        plain.login = HostLogin::default();
        check_host(
            &all[4..],
            None,
            &plain,
            "config key Some(\"plain-u\") 1-plain",
        );
        // A reference that leads nowhere is told, and nothing else is taken in its place unseen.
        let (environment, _) = environment("", &all[4..]);
        let unset = environment.connection(&host);
        assert!(unset.is_err(), "{unset:?}");
    }

    #[test]
    fn everything_missing_is_named_at_once() {
        let problems = |variables: &[(&str, &str)]| {
            let (environment, _) = environment("", variables);
            let wanted = environment.wanted_host(None);
            let wanted = wanted
                .as_ref()
                .map(|(source, host)| (*source, host.as_str()));
            let host = choose_hosts(&[HostEntry::default()], wanted).unwrap();
            let found = environment.connection(&host[0]);
            let messages = found.unwrap_err().into_iter().map(|one| one.message);
            messages.collect::<Vec<String>>().join("\n")
        };
        let all = problems(&[]);
        for name in [HOST, API_KEY, API_USERNAME, API_PASSWORD] {
            assert!(all.contains(name), "{all}");
        }
        let some = problems(&[(HOST, "h"), (API_USERNAME, "u")]);
        assert!(
            some.contains(API_PASSWORD) && !some.contains(API_USERNAME),
            "{some}"
        );
    }

    proptest! {
        #[test]
        fn no_file_makes_reading_fail_badly(text in "[A-C=$'\"\\\\ #{}\n\ra-b]{0,60}") {
            let _ = parse(&text);
        }

        #[test]
        fn any_value_survives_single_quotes(value in "[^'\r\n\\\\\u{0}]{1,30}") {
            let values = parse(&format!("A='{value}'\nB=after\n")).unwrap();
            prop_assert_eq!(values.get("A").unwrap().expose_secret(), &value);
            prop_assert_eq!(values.get("B").unwrap().expose_secret(), "after");
        }
    }
}
