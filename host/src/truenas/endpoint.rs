//! Where a server is: scheme, host and port.

use std::fmt;

use url::{Host, Url};

/// The address of a server's API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    plaintext: bool,
    host: Host,
    /// The interface that a link-local address is reached by.
    zone: Option<String>,
    port: u16,
}

/// A text is no address of a server.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EndpointError {
    /// Nothing was given.
    #[error("the address of the server is empty; give a host name such as nas.example.org")]
    Empty,
    /// Not `ws`, `wss`, `http` or `https`.
    #[error("the scheme `{0}` is not known; use wss://, or ws:// without TLS")]
    Scheme(String),
    /// A user name or password stands in it. They are not repeated here.
    #[error("the address of the server must not hold a user name or password; give them apart")]
    Credentials,
    /// Port 0.
    #[error("port 0 cannot be connected to")]
    Port,
    /// `%eth0` behind an address that is not link-local, or that is no name of an interface.
    #[error(
        "an interface, as in [fe80::1%eth0], belongs to a link-local IPv6 address alone, and its name has letters, digits, `.`, `_` and `-`"
    )]
    Zone,
    /// Anything else. The text is not repeated, since it may hold a password.
    #[error(
        "not the address of a server: {0}; write HOST, HOST:PORT or wss://HOST:PORT, and an IPv6 address in brackets"
    )]
    Invalid(String),
}

impl Endpoint {
    /// Reads `nas`, `nas:444`, `[::1]:443`, `wss://nas/…` or `ws://127.0.0.1:6000`; `https` and
    /// `http` are taken for `wss` and `ws`. Without a scheme it is `wss`. A path is not used: where
    /// the API is, the protocol says. A link-local address has the interface behind it that leads
    /// to it: `[fe80::1%eth0]`.
    ///
    /// # Errors
    /// When the text is none of these.
    pub fn parse(text: &str) -> Result<Self, EndpointError> {
        let text = text.trim();
        if text.is_empty() {
            return Err(EndpointError::Empty);
        }
        let (text, zone) = without_zone(text);
        let url = if text.contains("://") {
            Url::parse(&text)
        } else {
            Url::parse(&format!("wss://{text}"))
        }
        .map_err(|error| EndpointError::Invalid(error.to_string()))?;
        let plaintext = match url.scheme() {
            "wss" | "https" => false,
            "ws" | "http" => true,
            other => return Err(EndpointError::Scheme(other.to_owned())),
        };
        if !url.username().is_empty() || url.password().is_some() {
            return Err(EndpointError::Credentials);
        }
        let host = url
            .host()
            .ok_or_else(|| EndpointError::Invalid("it has no host".into()))?
            .to_owned();
        if let Some(zone) = &zone {
            check_zone(&host, zone)?;
        }
        let port = match url.port_or_known_default() {
            None | Some(0) => return Err(EndpointError::Port),
            Some(port) => port,
        };
        Ok(Self {
            plaintext,
            host,
            zone,
            port,
        })
    }

    /// Whether everything sent can be read on the way.
    #[must_use]
    pub fn is_plaintext(&self) -> bool {
        self.plaintext
    }

    /// Whether the host is this machine, by its name or address.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        match &self.host {
            Host::Domain(name) => {
                let name = name.trim_end_matches('.');
                name == "localhost" || name.ends_with(".localhost")
            }
            Host::Ipv4(address) => address.is_loopback(),
            Host::Ipv6(address) => address.is_loopback(),
        }
    }

    /// The host without brackets, as it is looked up.
    #[must_use]
    pub fn host(&self) -> String {
        match &self.host {
            Host::Ipv6(address) => address.to_string(),
            other => other.to_string(),
        }
    }

    /// What the resolver of this machine is asked for: the host, with the interface.
    pub(super) fn lookup_name(&self) -> String {
        match &self.zone {
            Some(zone) => format!("{}%{zone}", self.host()),
            None => self.host(),
        }
    }

    /// `nas:443`, as a proxy is told; an interface here means nothing there.
    pub(super) fn authority(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }

    /// The port; 443 or 80 where none was given.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The address of a path on the server.
    pub(super) fn url(&self, path: &str) -> String {
        let here = Self {
            zone: None,
            ..self.clone()
        };
        format!("{here}{path}")
    }
}

impl fmt::Display for Endpoint {
    /// `wss://nas`, with the port where it is not the usual one.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, usual) = if self.plaintext {
            ("ws", 80)
        } else {
            ("wss", 443)
        };
        match (&self.host, &self.zone) {
            (Host::Ipv6(address), Some(zone)) => write!(f, "{scheme}://[{address}%{zone}]")?,
            (host, _) => write!(f, "{scheme}://{host}")?,
        }
        if self.port != usual {
            write!(f, ":{}", self.port)?;
        }
        Ok(())
    }
}

/// Takes the interface out of `[fe80::1%eth0]`; `%25` is how it stands in a URL (RFC 6874).
fn without_zone(text: &str) -> (String, Option<String>) {
    let parts = || {
        let (before, rest) = text.split_once('[')?;
        let (inside, after) = rest.split_once(']')?;
        let (address, zone) = inside.split_once('%')?;
        let decoded = zone.strip_prefix("25").filter(|zone| !zone.is_empty());
        let zone = decoded.unwrap_or(zone).to_owned();
        Some((format!("{before}[{address}]{after}"), Some(zone)))
    };
    parts().unwrap_or_else(|| (text.to_owned(), None))
}

fn check_zone(host: &Host, zone: &str) -> Result<(), EndpointError> {
    let is_link_local = matches!(host, Host::Ipv6(address) if address.is_unicast_link_local());
    let is_name = |one: char| one.is_ascii_alphanumeric() || ['.', '_', '-'].contains(&one);
    let is_interface = !zone.is_empty() && zone.len() <= 15 && zone.chars().all(is_name);
    (is_link_local && is_interface)
        .then_some(())
        .ok_or(EndpointError::Zone)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, shown: &str, host: &str, port: u16) {
        let endpoint = Endpoint::parse(text).expect(text);
        assert_eq!(endpoint.to_string(), shown);
        assert_eq!((endpoint.host().as_str(), endpoint.port()), (host, port));
    }

    #[test]
    fn no_scheme_is_tls() {
        check("nas", "wss://nas", "nas", 443);
        check("nas:444", "wss://nas:444", "nas", 444);
        check("10.0.0.2", "wss://10.0.0.2", "10.0.0.2", 443);
        check("[::1]:443", "wss://[::1]", "::1", 443);
    }

    #[test]
    fn schemes_and_paths_are_read() {
        check("wss://nas/api/current", "wss://nas", "nas", 443);
        check("https://nas/ui/", "wss://nas", "nas", 443);
        check(
            "ws://127.0.0.1:6000",
            "ws://127.0.0.1:6000",
            "127.0.0.1",
            6000,
        );
    }

    #[test]
    fn a_link_local_address_is_looked_up_with_its_interface_and_told_without_it() {
        for text in ["[fe80::1%eth0]:444", "wss://[fe80::1%25eth0]:444/ui"] {
            let endpoint = Endpoint::parse(text).expect(text);
            assert_eq!(endpoint.to_string(), "wss://[fe80::1%eth0]:444");
            assert_eq!(endpoint.host(), "fe80::1");
            assert_eq!(endpoint.lookup_name(), "fe80::1%eth0");
            let url = endpoint.url("/api/current");
            assert_eq!(url, "wss://[fe80::1]:444/api/current");
        }
        for text in ["[fd00::1%eth0]", "[fe80::1%]", "[fe80::1%a b]"] {
            assert_eq!(Endpoint::parse(text), Err(EndpointError::Zone), "{text}");
        }
    }

    #[test]
    fn only_this_machine_is_loopback() {
        let loopback = |text| Endpoint::parse(text).expect(text).is_loopback();
        for text in [
            "localhost",
            "127.9.9.9",
            "[::1]",
            "a.localhost",
            "localhost.",
        ] {
            assert!(loopback(text), "{text}");
        }
        for text in ["nas", "10.0.0.1", "[::2]", "localhost.example.org"] {
            assert!(!loopback(text), "{text}");
        }
    }

    #[test]
    fn what_is_wrong_is_said_without_repeating_secrets() {
        assert_eq!(Endpoint::parse(" "), Err(EndpointError::Empty));
        assert_eq!(
            Endpoint::parse("ftp://nas"),
            Err(EndpointError::Scheme("ftp".into()))
        );
        let error = Endpoint::parse("wss://root:secret@nas").expect_err("credentials");
        assert_eq!(error, EndpointError::Credentials);
        let error = Endpoint::parse("root:secret@na s").expect_err("a space");
        assert!(!error.to_string().contains("secret"), "{error}");
        assert_eq!(Endpoint::parse("nas:0"), Err(EndpointError::Port));
    }
}
