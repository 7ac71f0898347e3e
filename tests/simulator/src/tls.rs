//! A self-signed certificate made at start, as a fresh TrueNAS has one.

use std::net::IpAddr;
use std::sync::Arc;

use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use sha2::{Digest, Sha256};
use tokio_rustls::TlsAcceptor;

/// The certificate in use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    /// As PEM, for a client's list of trusted authorities.
    pub pem: String,
    /// SHA-256 over its DER form, lower-case hexadecimal.
    pub fingerprint: String,
    hash: Vec<u8>,
}

impl Certificate {
    /// SHA-256 over its DER form.
    pub(crate) fn hash(&self) -> Vec<u8> {
        self.hash.clone()
    }
}

/// Why there is no certificate.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// It could not be made.
    #[error("cannot make a certificate: {0}")]
    Make(#[from] rcgen::Error),
    /// It could not be used.
    #[error("cannot use the certificate: {0}")]
    Use(#[from] rustls::Error),
}

/// Makes a certificate for this host and the given address.
pub(crate) fn acceptor(address: IpAddr) -> Result<(TlsAcceptor, Certificate), TlsError> {
    let mut names = vec![
        "localhost".to_owned(),
        "127.0.0.1".to_owned(),
        "::1".to_owned(),
    ];
    if !address.is_loopback() && !address.is_unspecified() {
        names.push(address.to_string());
    }
    let made = rcgen::generate_simple_self_signed(names)?;
    let der = made.cert.der().clone();
    let hash = Sha256::digest(&der).to_vec();
    let certificate = Certificate {
        pem: made.cert.pem(),
        fingerprint: hash.iter().map(|byte| format!("{byte:02x}")).collect(),
        hash,
    };
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![der], key)?;
    Ok((TlsAcceptor::from(Arc::new(config)), certificate))
}
