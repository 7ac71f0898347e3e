//! Where a server is: scheme, host and port.

use std::fmt;

use url::{Host, Url};

/// The address of a server's API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    plaintext: bool,
    host: Host,
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
    /// Anything else. The text is not repeated, since it may hold a password.
    #[error(
        "not the address of a server: {0}; write HOST, HOST:PORT or wss://HOST:PORT, and an IPv6 address in brackets"
    )]
    Invalid(String),
}

impl Endpoint {
    /// Reads `nas`, `nas:444`, `[::1]:443`, `wss://nas/…` or `ws://127.0.0.1:6000`; `https` and
    /// `http` are taken for `wss` and `ws`. Without a scheme it is `wss`. A path is not used: where
    /// the API is, the protocol says.
    ///
    /// # Errors
    /// When the text is none of these.
    pub fn parse(text: &str) -> Result<Self, EndpointError> {
        let text = text.trim();
        if text.is_empty() {
            return Err(EndpointError::Empty);
        }
        let url = if text.contains("://") {
            Url::parse(text)
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
        let port = match url.port_or_known_default() {
            None | Some(0) => return Err(EndpointError::Port),
            Some(port) => port,
        };
        Ok(Self {
            plaintext,
            host,
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

    /// The port; 443 or 80 where none was given.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The address of a path on the server.
    pub(super) fn url(&self, path: &str) -> String {
        format!("{self}{path}")
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
        write!(f, "{scheme}://{}", self.host)?;
        if self.port != usual {
            write!(f, ":{}", self.port)?;
        }
        Ok(())
    }
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
