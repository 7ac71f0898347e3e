//! Why there is no connection, each with what to do about it.

use std::path::PathBuf;

use super::endpoint::Endpoint;
use super::error::CallError;
use super::fingerprint::Fingerprint;
use super::loss::DisconnectReason;
use super::method::Method;
use super::proxy::ProxyError;
use super::refusal::LoginRefusal;
use crate::release::{Unsupported, Version};

/// Why there is no connection. No variant holds a secret.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// An API key over `ws://` to another machine: refused here, whatever the options.
    #[error("will not send an API key to {endpoint} without TLS")]
    ApiKeyOverPlaintext {
        /// Where to.
        endpoint: Endpoint,
    },
    /// An API key to a server whose certificate is not verified, without being told so.
    #[error("will not use an API key at {endpoint} without verifying its certificate")]
    ApiKeyUnverified {
        /// Where to.
        endpoint: Endpoint,
    },
    /// A password over `ws://` to another machine, without being told so.
    #[error("will not send a password to {endpoint} without TLS")]
    PasswordOverPlaintext {
        /// Where to.
        endpoint: Endpoint,
    },
    /// A proxy is set that cannot be used.
    #[error(transparent)]
    Proxy(#[from] ProxyError),
    /// The proxy cannot be reached, or went away before it answered.
    #[error("cannot connect to the proxy {proxy}: {source}")]
    ProxyTcp {
        /// The proxy.
        proxy: String,
        /// What the network says.
        source: std::io::Error,
    },
    /// The proxy does not let us through.
    #[error("the proxy {proxy} does not lead to {endpoint}: it answered HTTP {status}")]
    ProxyRefused {
        /// The proxy.
        proxy: String,
        /// Where to.
        endpoint: Endpoint,
        /// Its answer.
        status: u16,
    },
    /// What answers as the proxy is none.
    #[error("what answers at {proxy} is no HTTP proxy")]
    NoProxy {
        /// The proxy.
        proxy: String,
    },
    /// The host name has no address.
    #[error("the host name {host} cannot be resolved: {source}")]
    Dns {
        /// The host name.
        host: String,
        /// What the resolver says.
        source: std::io::Error,
    },
    /// No address of the host accepts the connection.
    #[error("cannot connect to {endpoint}: {source}")]
    Tcp {
        /// Where to.
        endpoint: Endpoint,
        /// What the last address tried says.
        source: std::io::Error,
    },
    /// The `ca` file cannot be used.
    #[error("cannot use the certificates in {}: {message}", path.display())]
    Ca {
        /// The file.
        path: PathBuf,
        /// Why.
        message: String,
    },
    /// TLS could not be set up on this machine.
    #[error("TLS cannot be used here: {message}")]
    TlsSetup {
        /// Why.
        message: String,
    },
    /// The TLS handshake failed.
    #[error("no trusted TLS connection to {endpoint}: {problem}{}", shown(*fingerprint))]
    Tls {
        /// Where to.
        endpoint: Endpoint,
        /// What went wrong.
        problem: TlsProblem,
        /// Of the certificate that the server showed.
        fingerprint: Option<Fingerprint>,
    },
    /// A stage of connecting took too long.
    #[error("{endpoint} did not answer in time during {stage}")]
    Timeout {
        /// Where to.
        endpoint: Endpoint,
        /// Which stage.
        stage: &'static str,
    },
    /// HTTP answered, but not with a WebSocket.
    #[error("{endpoint} answered HTTP {status} at {path}")]
    Http {
        /// Where to.
        endpoint: Endpoint,
        /// Which path was asked for.
        path: &'static str,
        /// The status.
        status: u16,
        /// Where a redirect leads.
        location: Option<String>,
    },
    /// What answers is no WebSocket server.
    #[error("{endpoint} does not speak WebSocket: {message}")]
    WebSocket {
        /// Where to.
        endpoint: Endpoint,
        /// What is wrong.
        message: String,
    },
    /// The server did not let us in.
    #[error("login of {username} at {endpoint} failed: {refusal}")]
    Login {
        /// Where.
        endpoint: Endpoint,
        /// Who.
        username: String,
        /// Why.
        refusal: LoginRefusal,
    },
    /// The version is too old, or has no VMs.
    #[error("{endpoint} runs TrueNAS {version}, which tnvm cannot use: {why}")]
    Version {
        /// Where.
        endpoint: Endpoint,
        /// Its version.
        version: Version,
        /// Why.
        why: Unsupported,
    },
    /// A newer server that is reached by the older protocol alone.
    #[error(
        "{endpoint} runs TrueNAS {version}, but only /websocket answers there, which tnvm uses with 24.10 alone"
    )]
    OlderProtocol {
        /// Where.
        endpoint: Endpoint,
        /// Its version.
        version: Version,
    },
    /// The server's version cannot be read.
    #[error("{endpoint} calls its version `{text}`, which is not the version of a TrueNAS")]
    UnknownVersion {
        /// Where.
        endpoint: Endpoint,
        /// The server's words.
        text: String,
    },
    /// One of the first calls failed.
    #[error("{endpoint}: {source}")]
    Call {
        /// Where.
        endpoint: Endpoint,
        /// How.
        source: Box<CallError>,
    },
}

/// What is wrong with TLS.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TlsProblem {
    /// Nobody that is trusted has signed the certificate; mostly it has signed itself.
    #[error("its certificate is self-signed or of an unknown issuer")]
    UnknownIssuer,
    /// The certificate is for other names.
    #[error("its certificate is for another name")]
    WrongName,
    /// The certificate is out of date, or the clock here is wrong.
    #[error("its certificate has expired or is not valid yet")]
    Expired,
    /// Another certificate than the pinned one.
    #[error("its certificate is not the pinned one")]
    WrongFingerprint,
    /// What answers does not speak TLS.
    #[error("it does not speak TLS")]
    NotTls,
    /// Anything else.
    #[error("{0}")]
    Other(String),
}

fn shown(fingerprint: Option<Fingerprint>) -> String {
    fingerprint
        .map(|fingerprint| format!(" (SHA-256 fingerprint {fingerprint})"))
        .unwrap_or_default()
}

impl ConnectError {
    /// Whether the connection was logged in and ended before the server had said who it is.
    pub(super) fn is_lost_after_login(&self) -> bool {
        match self {
            Self::Call { source, .. } => {
                let introduces = [
                    Method::SystemVersion,
                    Method::SystemInfo,
                    Method::SystemHostId,
                ]
                .contains(&source.method());
                introduces && matches!(**source, CallError::Disconnected { .. })
            }
            _ => false,
        }
    }

    /// Whether the network or the server may be better in a moment. A refused login never is.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Tcp { .. } | Self::ProxyTcp { .. } | Self::Timeout { .. } => true,
            Self::ProxyRefused { status, .. } => *status >= 500,
            Self::Http { status, .. } => *status >= 500,
            Self::Call { source, .. } => matches!(**source, CallError::Disconnected { .. }),
            _ => false,
        }
    }

    /// Whether only a new one-time code would help.
    pub(super) fn wants_new_code(&self) -> bool {
        let refusal = match self {
            Self::Login { refusal, .. } => refusal,
            _ => return false,
        };
        matches!(refusal, LoginRefusal::OtpSpent(_))
    }

    /// What to do next, where that is known.
    #[must_use]
    pub fn help(&self) -> Option<String> {
        Some(match self {
            Self::ApiKeyOverPlaintext { .. } => "the server revokes for good a key that it gets without TLS; use wss://".into(),
            Self::ApiKeyUnverified { .. } => "pin the certificate with --fingerprint (`tnvm login` shows it), or say --insecure=with-api-key if whoever is on the way may have the key".into(),
            Self::PasswordOverPlaintext { .. } => "use wss://, or --allow-plaintext if everybody on the way may read the password".into(),
            Self::Proxy(error) => error.help().into(),
            Self::ProxyTcp { .. } => "check the address in HTTPS_PROXY, or name the server in NO_PROXY to reach it directly".into(),
            Self::ProxyRefused { status: 407, .. } => "the proxy wants to know who you are: write http://USER:PASSWORD@HOST:PORT; only Basic is supported".into(),
            Self::ProxyRefused { status: 502..=504, .. } => "the proxy cannot reach the server: check the server's address as it is seen from there, or name it in NO_PROXY to reach it directly".into(),
            Self::ProxyRefused { .. } => "the proxy does not allow this server or port: name the server in NO_PROXY to reach it directly".into(),
            Self::NoProxy { .. } => "check host and port in HTTPS_PROXY".into(),
            Self::Dns { .. } => "check the spelling, or use the address".into(),
            Self::Tcp { .. } => "check host and port, and that the web UI of the server can be reached from here".into(),
            Self::Ca { .. } => "give a file with certificates in PEM form (-----BEGIN CERTIFICATE-----)".into(),
            Self::Tls { problem, fingerprint, .. } => return tls_help(problem, *fingerprint),
            Self::Http { status, location, .. } => return http_help(*status, location.as_deref()),
            Self::WebSocket { .. } => "check that host and port are those of the TrueNAS web UI".into(),
            Self::Login { refusal, .. } => refusal.help(),
            Self::Version { why, .. } => why.help().into(),
            Self::OlderProtocol { .. } => "let what stands before the server, such as a proxy, pass /api/current on".into(),
            Self::UnknownVersion { .. } => "check that the address is that of a TrueNAS".into(),
            Self::Call { source, .. } if is_turned_away(source) => "the server lets only certain addresses in (System > General > GUI > Allowed IP addresses): add this machine".into(),
            Self::Call { source, .. } => return source.help().map(str::to_owned),
            Self::TlsSetup { .. } | Self::Timeout { .. } => return None,
        })
    }
}

/// Whether the server let nobody in from this address: it closes with 1008.
fn is_turned_away(error: &CallError) -> bool {
    matches!(
        error,
        CallError::Disconnected {
            why: DisconnectReason::ClosedByServer { code: 1008, .. },
            ..
        }
    )
}

fn tls_help(problem: &TlsProblem, fingerprint: Option<Fingerprint>) -> Option<String> {
    match (problem, fingerprint) {
        (TlsProblem::NotTls, _) => Some("check the port".into()),
        (TlsProblem::WrongFingerprint, _) => Some(
            "if the certificate was renewed, pin the new one after comparing it with the server's; otherwise somebody may be in between".into(),
        ),
        (_, Some(fingerprint)) => Some(format!(
            "compare the fingerprint with the certificate's on the server; if it is the same, use --fingerprint {fingerprint}, or --ca FILE with the certificate that signed it"
        )),
        (_, None) => None,
    }
}

fn http_help(status: u16, location: Option<&str>) -> Option<String> {
    match status {
        301..=308 => Some(format!(
            "the server sends on to another address{}; a server that wants TLS is named wss://HOST. Redirects are not followed, and nothing was sent",
            location.map(|to| format!(" ({to})")).unwrap_or_default()
        )),
        404 => Some(
            "neither /api/current nor /websocket is there, one of which every TrueNAS from 24.10 on has: check the address, and that a proxy passes them on".into(),
        ),
        502..=504 => Some("the server is starting or stopping; try again in a minute".into()),
        _ => None,
    }
}
