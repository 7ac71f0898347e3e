//! Whom we trust on the other side of TLS, and how to say which certificate was shown.

use std::io;
use std::sync::{Arc, OnceLock};

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{
    CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
};

use super::connect_error::{ConnectError, TlsProblem};
use super::end_point;
use super::fingerprint::Fingerprint;
use super::options::TlsOptions;
use super::transport::{Certificate, Trusted};

/// Everything for one handshake.
pub(super) struct Tls {
    /// For the connector.
    pub(super) config: Arc<ClientConfig>,
    /// The certificate that the server showed, once it has; accepted or not.
    pub(super) seen: Arc<OnceLock<Certificate>>,
}

impl Tls {
    pub(super) fn new(options: &TlsOptions) -> Result<Self, ConnectError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let seen = Arc::new(OnceLock::new());
        let verifier = Verifier {
            trust: trust(options, &provider)?,
            seen: Arc::clone(&seen),
            algorithms: provider.signature_verification_algorithms,
        };
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| ConnectError::TlsSetup {
                message: error.to_string(),
            })?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_no_client_auth();
        // A WebSocket is an upgrade of HTTP/1.1; a proxy must not choose HTTP/2.
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self {
            config: Arc::new(config),
            seen,
        })
    }
}

fn trust(options: &TlsOptions, provider: &Arc<CryptoProvider>) -> Result<Trust, ConnectError> {
    // A pin is the stronger wish.
    if let Some(fingerprint) = options.fingerprint {
        return Ok(Trust::Only(fingerprint));
    }
    if options.insecure.is_some() {
        return Ok(Trust::Anybody);
    }
    let Some(path) = &options.ca else {
        // A machine without any trusted certificate trusts nobody; the handshake then still
        // tells the fingerprint that can be pinned.
        return Ok(
            match rustls_platform_verifier::Verifier::new(Arc::clone(provider)) {
                Ok(verifier) => Trust::Chain(Arc::new(verifier), Trusted::Platform),
                Err(error) => {
                    tracing::warn!(%error, "this machine has no trusted certificates");
                    Trust::Nobody
                }
            },
        );
    };
    let unusable = |message: String| ConnectError::Ca {
        path: path.clone(),
        message,
    };
    let mut roots = RootCertStore::empty();
    for certificate in
        CertificateDer::pem_file_iter(path).map_err(|error| unusable(error.to_string()))?
    {
        certificate
            .map_err(|error| error.to_string())
            .and_then(|certificate| roots.add(certificate).map_err(|error| error.to_string()))
            .map_err(unusable)?;
    }
    if roots.is_empty() {
        return Err(unusable("there is no certificate in it".into()));
    }
    WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider))
        .build()
        .map(|verifier| Trust::Chain(verifier, Trusted::File))
        .map_err(|error| unusable(error.to_string()))
}

#[derive(Debug)]
enum Trust {
    /// Whom a chain of certificates leads to.
    Chain(Arc<dyn ServerCertVerifier>, Trusted),
    /// One certificate.
    Only(Fingerprint),
    /// Nobody.
    Nobody,
    /// Whoever answers, as long as it has the key of what it shows.
    Anybody,
}

impl Trust {
    fn kind(&self) -> Trusted {
        match self {
            Self::Chain(_, kind) => *kind,
            Self::Only(_) => Trusted::Pinned,
            Self::Nobody | Self::Anybody => Trusted::Unverified,
        }
    }
}

#[derive(Debug)]
struct Verifier {
    trust: Trust,
    seen: Arc<OnceLock<Certificate>>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let shown = Fingerprint::of(end_entity);
        // The first one counts; there is one handshake per value.
        let _ = self.seen.set(Certificate {
            fingerprint: shown,
            trusted: self.trust.kind(),
            end_point: end_point::hash(end_entity),
        });
        match &self.trust {
            Trust::Chain(verifier, _) => verifier.verify_server_cert(
                end_entity,
                intermediates,
                server_name,
                ocsp_response,
                now,
            ),
            Trust::Only(pinned) if *pinned == shown => Ok(ServerCertVerified::assertion()),
            Trust::Only(_) => Err(CertificateError::ApplicationVerificationFailure.into()),
            Trust::Anybody => Ok(ServerCertVerified::assertion()),
            Trust::Nobody => Err(CertificateError::UnknownIssuer.into()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// What a failed handshake means.
pub(super) fn problem(error: &io::Error) -> TlsProblem {
    let Some(error) = error
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<rustls::Error>())
    else {
        return TlsProblem::Other(error.to_string());
    };
    match error {
        rustls::Error::InvalidMessage(_) => TlsProblem::NotTls,
        rustls::Error::InvalidCertificate(error) => match error {
            // A trusted issuer of the same name, with another key, is another issuer.
            CertificateError::UnknownIssuer | CertificateError::BadSignature => {
                TlsProblem::UnknownIssuer
            }
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                TlsProblem::WrongName
            }
            CertificateError::Expired
            | CertificateError::ExpiredContext { .. }
            | CertificateError::NotValidYet
            | CertificateError::NotValidYetContext { .. } => TlsProblem::Expired,
            // Only the pin fails like this.
            CertificateError::ApplicationVerificationFailure => TlsProblem::WrongFingerprint,
            other => TlsProblem::Other(format!("its certificate is not accepted: {other}")),
        },
        other => TlsProblem::Other(other.to_string()),
    }
}
