//! What is known of the way to the server once it is open: addresses, certificate, who is trusted.

use std::fmt;
use std::net::SocketAddr;

use super::fingerprint::Fingerprint;

/// The way to the server. Holds no secret.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Transport {
    /// The address that answers: the server's, or the proxy's.
    pub address: Option<SocketAddr>,
    /// The proxy, as `host:port`; none: straight to the server.
    pub proxy: Option<String>,
    /// The certificate of the server; none without TLS.
    pub certificate: Option<Certificate>,
}

/// The certificate that the server showed, and proved to have the key of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// Its SHA-256.
    pub fingerprint: Fingerprint,
    /// Why it was accepted.
    pub trusted: Trusted,
    /// What logins are bound to (`tls-server-end-point`, RFC 5929); none where its signature has
    /// no hash of its own (Ed25519).
    pub(super) end_point: Option<Vec<u8>>,
}

/// Why a certificate was accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trusted {
    /// The operating system trusts its issuer.
    Platform,
    /// A given file holds its issuer.
    File,
    /// It is the pinned one.
    Pinned,
    /// For no reason: it was not looked at.
    Unverified,
}

impl fmt::Display for Trusted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Platform => "trusted by this machine",
            Self::File => "trusted by the given file",
            Self::Pinned => "pinned",
            Self::Unverified => "NOT VERIFIED",
        })
    }
}

impl Transport {
    /// Whether nobody else can read along, as the server sees it: TLS, or this very machine. Over
    /// anything else it revokes an API key that is sent as it is (25.04 and newer).
    pub(super) fn is_private(&self) -> bool {
        self.certificate.is_some() || self.is_loopback()
    }

    /// Whether the server is this machine, and nothing stands in between.
    pub(super) fn is_loopback(&self) -> bool {
        let address = self
            .address
            .is_some_and(|address| address.ip().is_loopback());
        address && self.proxy.is_none()
    }
}
