//! Which proxy leads to which server: the variables that everybody else reads too, or one for all.
//!
//! Reads no environment itself, and connects to nothing.

use std::fmt;

use hyper_util::client::proxy::matcher::{Intercept, Matcher};
use secrecy::{ExposeSecret, SecretString};
use tokio_tungstenite::tungstenite::http::{HeaderValue, Uri};
use url::Url;

use super::endpoint::Endpoint;

/// The proxies of this machine. `Debug` does not show their credentials. The default: none.
#[derive(Clone, Debug, Default)]
pub struct Proxies {
    always: Option<Setting>,
    https: Option<Setting>,
    http: Option<Setting>,
    all: Option<Setting>,
    no: String,
}

/// A URL, perhaps with a password in it, and where it was set.
#[derive(Clone, Debug)]
struct Setting {
    name: String,
    url: SecretString,
}

/// A proxy that leads to a server.
#[derive(Clone, Debug)]
pub(super) struct Proxy {
    intercept: Intercept,
}

/// A proxy is set that cannot be used. Its URL is not repeated, since it may hold a password.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the proxy in {name} cannot be used: {problem}")]
pub struct ProxyError {
    name: String,
    problem: ProxyProblem,
}

/// Why a proxy cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProxyProblem {
    /// `socks5://` and its like.
    #[error("tnvm does not speak SOCKS")]
    Socks,
    /// `https://`.
    #[error("tnvm does not speak TLS with a proxy")]
    Tls,
    /// Anything else.
    #[error("it is not a URL such as http://proxy.example.org:3128")]
    Url,
}

impl ProxyError {
    /// What to do next.
    #[must_use]
    pub fn help(&self) -> &'static str {
        match self.problem {
            ProxyProblem::Socks => {
                "use an HTTP proxy, or name the server in NO_PROXY and reach it directly, for example over `ssh -L`"
            }
            ProxyProblem::Tls => {
                "write http://: the TLS to the server goes through the proxy, which cannot read it"
            }
            ProxyProblem::Url => "write http://HOST:PORT, or http://USER:PASSWORD@HOST:PORT",
        }
    }
}

impl Proxies {
    /// From variables: `https_proxy` for `wss`, `http_proxy` for `ws`, `all_proxy` for what these
    /// leave open, and `no_proxy` for servers that are reached directly: names with everything
    /// below them, addresses, networks, `*`. In capitals as well, which go last.
    #[must_use]
    pub fn of_variables(get: impl Fn(&str) -> Option<SecretString>) -> Self {
        let find = |name: &str| {
            let upper = name.to_uppercase();
            [name, &upper].into_iter().find_map(|name| {
                let url = get(name).filter(|url| !url.expose_secret().trim().is_empty())?;
                let name = name.to_owned();
                Some(Setting { name, url })
            })
        };
        Self {
            always: None,
            https: find("https_proxy"),
            http: find("http_proxy"),
            all: find("all_proxy"),
            no: find("no_proxy")
                .map(|list| list.url.expose_secret().to_owned())
                .unwrap_or_default(),
        }
    }

    /// One for every server, this machine included. `name` says where it was set.
    #[must_use]
    pub fn always(name: &str, url: SecretString) -> Self {
        let name = name.to_owned();
        Self {
            always: Some(Setting { name, url }),
            ..Self::default()
        }
    }

    /// The proxy that leads to a server; none: straight. This machine is reached straight, unless
    /// there is one for every server.
    ///
    /// # Errors
    /// When there is one, and it cannot be used.
    pub(super) fn to(&self, endpoint: &Endpoint) -> Result<Option<Proxy>, ProxyError> {
        let setting = match &self.always {
            Some(always) => Some(always),
            None if endpoint.is_loopback() || self.no.trim() == "*" => None,
            None if endpoint.is_plaintext() => self.http.as_ref().or(self.all.as_ref()),
            None => self.https.as_ref().or(self.all.as_ref()),
        };
        let Some(setting) = setting else {
            return Ok(None);
        };
        let no = self.always.is_none().then_some(self.no.as_str());
        let url = setting.url()?;
        let matcher = Matcher::builder()
            .all(url.to_string())
            .no(no.unwrap_or_default().to_owned())
            .build();
        let scheme = if endpoint.is_plaintext() {
            "http"
        } else {
            "https"
        };
        let server = format!("{scheme}://{}", endpoint.authority())
            .parse::<Uri>()
            .map_err(|_| setting.error(ProxyProblem::Url))?;
        Ok(matcher
            .intercept(&server)
            .map(|intercept| Proxy { intercept }))
    }
}

impl Setting {
    fn url(&self) -> Result<Url, ProxyError> {
        let text = self.url.expose_secret().trim();
        let url = if text.contains("://") {
            Url::parse(text)
        } else {
            Url::parse(&format!("http://{text}"))
        };
        let url = url.map_err(|_| self.error(ProxyProblem::Url))?;
        match url.scheme() {
            "http" if url.has_host() => Ok(url),
            "https" => Err(self.error(ProxyProblem::Tls)),
            scheme if scheme.starts_with("socks") => Err(self.error(ProxyProblem::Socks)),
            _ => Err(self.error(ProxyProblem::Url)),
        }
    }

    fn error(&self, problem: ProxyProblem) -> ProxyError {
        ProxyError {
            name: self.name.clone(),
            problem,
        }
    }
}

impl Proxy {
    /// Its name or address, as it is looked up.
    pub(super) fn host(&self) -> &str {
        let host = self.intercept.uri().host().unwrap_or_default();
        let inside = host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'));
        inside.unwrap_or(host)
    }

    /// Its port.
    pub(super) fn port(&self) -> u16 {
        self.intercept.uri().port_u16().unwrap_or(80)
    }

    /// What it knows us by.
    pub(super) fn authorization(&self) -> Option<&HeaderValue> {
        self.intercept.basic_auth()
    }
}

impl fmt::Display for Proxy {
    /// `proxy:3128`, without credentials.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = self.intercept.uri().host().unwrap_or_default();
        write!(f, "{host}:{}", self.port())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxies(variables: &'static [(&str, &str)]) -> Proxies {
        Proxies::of_variables(|name| {
            let found = variables.iter().find(|(one, _)| *one == name);
            found.map(|(_, value)| SecretString::from(*value))
        })
    }

    fn to(proxies: &Proxies, server: &str) -> Option<String> {
        let endpoint = Endpoint::parse(server).expect(server);
        let proxy = proxies.to(&endpoint).expect(server);
        proxy.map(|proxy| proxy.to_string())
    }

    #[test]
    fn each_scheme_has_its_variable() {
        let both = proxies(&[("https_proxy", "http://s:1"), ("HTTP_PROXY", "p:2")]);
        assert_eq!(to(&both, "wss://nas").as_deref(), Some("s:1"));
        assert_eq!(to(&both, "ws://nas").as_deref(), Some("p:2"));
        let all = proxies(&[("ALL_PROXY", "http://a/"), ("HTTPS_PROXY", " ")]);
        assert_eq!(to(&all, "nas").as_deref(), Some("a:80"));
        assert_eq!(to(&all, "ws://nas").as_deref(), Some("a:80"));
        let six = proxies(&[("https_proxy", "http://[fd00::1]:3128")]);
        assert_eq!(to(&six, "nas").as_deref(), Some("[fd00::1]:3128"));
        assert_eq!(to(&Proxies::default(), "nas"), None);
    }

    #[test]
    fn small_letters_go_before_capitals() {
        let both = proxies(&[("HTTPS_PROXY", "upper:1"), ("https_proxy", "lower:1")]);
        assert_eq!(to(&both, "nas").as_deref(), Some("lower:1"));
    }

    #[test]
    fn servers_can_be_left_out() {
        let some = proxies(&[
            ("https_proxy", "p:1"),
            (
                "no_proxy",
                "lan.example.org, .b.org,10.0.0.0/8,192.0.2.7,fd00::/8",
            ),
        ]);
        for server in [
            "lan.example.org",
            "nas.lan.example.org:444",
            "nas.b.org",
            "10.9.9.9",
            "192.0.2.7",
            "[fd00::5]",
        ] {
            assert_eq!(to(&some, server), None, "{server}");
        }
        for server in [
            "example.org",
            "notlan.example.org",
            "192.0.2.8",
            "[fe80::5]",
        ] {
            assert!(to(&some, server).is_some(), "{server}");
        }
        let none = proxies(&[("https_proxy", "p:1"), ("NO_PROXY", "*")]);
        assert_eq!((to(&none, "nas"), to(&none, "192.0.2.8")), (None, None));
    }

    #[test]
    fn this_machine_is_reached_straight_unless_told_otherwise() {
        let all = proxies(&[("all_proxy", "p:1")]);
        for server in ["localhost", "127.0.0.1:6443", "ws://[::1]:80"] {
            assert_eq!(to(&all, server), None, "{server}");
        }
        let always = Proxies::always("--proxy", SecretString::from("http://p:1"));
        assert_eq!(to(&always, "ws://127.0.0.1:6443").as_deref(), Some("p:1"));
    }

    #[test]
    fn what_cannot_be_used_is_told_only_where_it_would_be_used() {
        for (url, problem) in [
            ("socks5://u:geheim@p:1", ProxyProblem::Socks),
            ("socks5h://p", ProxyProblem::Socks),
            ("https://u:geheim@p:1", ProxyProblem::Tls),
            ("ftp://u:geheim@p", ProxyProblem::Url),
            ("http://u:geheim@", ProxyProblem::Url),
            ("u:geheim@p:x", ProxyProblem::Url),
        ] {
            let always = Proxies::always("all_proxy", SecretString::from(url));
            let endpoint = Endpoint::parse("nas").expect("a name");
            let error = always.to(&endpoint).expect_err(url);
            assert_eq!(error.problem, problem, "{url}");
            let said = format!("{error} {error:?} {} {always:?}", error.help());
            assert!(
                said.contains("all_proxy") && !said.contains("geheim"),
                "{said}"
            );
        }
        let unused = proxies(&[("http_proxy", "socks5://p")]);
        assert_eq!(to(&unused, "wss://nas"), None);
    }

    #[test]
    fn credentials_are_decoded_and_not_shown() {
        let url = SecretString::from("http://us%40er:p%3Ass@proxy:1");
        let endpoint = Endpoint::parse("nas").expect("a name");
        let proxy = Proxies::always("x", url).to(&endpoint);
        let proxy = proxy.expect("usable").expect("one");
        let header = proxy.authorization().expect("credentials");
        // us@er:p:ss
        assert_eq!(header, "Basic dXNAZXI6cDpzcw==");
        let said = format!("{proxy} {proxy:?} {header:?}");
        assert!(!said.contains("dXNA") && !said.contains("ss@"), "{said}");
    }
}
