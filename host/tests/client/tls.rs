//! Whom the client trusts.

use std::io::Write;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use tempfile::NamedTempFile;
use tnvm::truenas::{
    Client, ConnectError, ConnectOptions, Endpoint, Fingerprint, TlsOptions, TlsProblem,
};
use tokio_rustls::TlsAcceptor;

use crate::server::{Request, Server, api_key, usual};

/// A server with a certificate for this name, signed by an authority of its own.
struct Secured {
    server: Server,
    fingerprint: Fingerprint,
    ca: NamedTempFile,
}

async fn secured(name: &str) -> Secured {
    let mut authority = CertificateParams::new(Vec::new()).unwrap();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(vec![name.to_owned()])
        .unwrap()
        .signed_by(&key, &authority)
        .unwrap();
    let mut ca = NamedTempFile::new().unwrap();
    ca.write_all(authority.pem().as_bytes()).unwrap();
    Secured {
        server: start(certificate.der().clone(), &key).await,
        fingerprint: Fingerprint::of(certificate.der()),
        ca,
    }
}

async fn start(certificate: CertificateDer<'static>, key: &KeyPair) -> Server {
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    // A proxy that would rather speak HTTP/2 does not get its way.
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let script = |request: &Request| usual(request).unwrap_or_default();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    Server::start_with(script, Some(acceptor)).await
}

async fn connect(server: &Server, tls: TlsOptions) -> Result<(), ConnectError> {
    let endpoint = Endpoint::parse(&server.address.to_string()).unwrap();
    let options = ConnectOptions {
        tls,
        ..ConnectOptions::default()
    };
    let client = Client::connect(&endpoint, &api_key(), &options).await?;
    client.logout().await;
    Ok(())
}

fn pin(fingerprint: Fingerprint) -> TlsOptions {
    TlsOptions {
        fingerprint: Some(fingerprint),
        ..TlsOptions::default()
    }
}

fn ca(file: &NamedTempFile) -> TlsOptions {
    TlsOptions {
        ca: Some(file.path().to_owned()),
        ..TlsOptions::default()
    }
}

/// The server is refused for this reason, nothing was sent to it, and its fingerprint is shown.
async fn check_refused(secured: &Secured, tls: TlsOptions, expected: TlsProblem) -> ConnectError {
    let error = connect(&secured.server, tls).await.expect_err("untrusted");
    let ConnectError::Tls {
        problem,
        fingerprint,
        ..
    } = &error
    else {
        panic!("{error:?}");
    };
    assert_eq!(
        (problem, *fingerprint),
        (&expected, Some(secured.fingerprint))
    );
    assert!(error.to_string().contains(&secured.fingerprint.to_string()));
    assert!(secured.server.names().is_empty());
    error
}

#[tokio::test]
async fn an_unknown_issuer_is_refused_with_the_fingerprint_to_pin() {
    let secured = secured("127.0.0.1").await;
    let error = check_refused(&secured, TlsOptions::default(), TlsProblem::UnknownIssuer).await;
    let help = error.help().unwrap();
    assert!(
        help.contains(&format!("--fingerprint {}", secured.fingerprint)),
        "{help}"
    );
}

#[tokio::test]
async fn a_given_authority_is_trusted() {
    let secured = secured("127.0.0.1").await;
    connect(&secured.server, ca(&secured.ca)).await.unwrap();
}

/// What TrueNAS has before its owner gives it another.
#[tokio::test]
async fn a_self_signed_certificate_can_be_given_as_its_own_authority() {
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(vec!["127.0.0.1".to_owned()])
        .unwrap()
        .self_signed(&key)
        .unwrap();
    let mut file = NamedTempFile::new().unwrap();
    file.write_all(certificate.pem().as_bytes()).unwrap();
    let server = start(certificate.der().clone(), &key).await;
    connect(&server, ca(&file)).await.unwrap();
}

#[tokio::test]
async fn a_self_signed_authority_is_refused_with_its_fingerprint() {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let certificate = params.self_signed(&key).unwrap();
    let server = start(certificate.der().clone(), &key).await;
    let error = connect(&server, TlsOptions::default()).await;
    let error = error.expect_err("untrusted");
    let shown = Fingerprint::of(certificate.der()).to_string();
    assert!(
        error.help().is_some_and(|help| help.contains(&shown)),
        "{error:?}"
    );
    connect(&server, pin(Fingerprint::of(certificate.der())))
        .await
        .unwrap();
}

#[tokio::test]
async fn another_authority_is_not_trusted() {
    let (secured, other) = (secured("127.0.0.1").await, secured("127.0.0.1").await);
    check_refused(&secured, ca(&other.ca), TlsProblem::UnknownIssuer).await;
}

#[tokio::test]
async fn a_given_authority_does_not_excuse_another_name() {
    let secured = secured("nas.example.org").await;
    check_refused(&secured, ca(&secured.ca), TlsProblem::WrongName).await;
}

#[tokio::test]
async fn a_pinned_certificate_needs_neither_issuer_nor_name() {
    let secured = secured("nas.example.org").await;
    connect(&secured.server, pin(secured.fingerprint))
        .await
        .unwrap();
}

#[tokio::test]
async fn another_certificate_than_the_pinned_one_is_refused() {
    let (secured, other) = (secured("127.0.0.1").await, secured("127.0.0.1").await);
    check_refused(
        &secured,
        pin(other.fingerprint),
        TlsProblem::WrongFingerprint,
    )
    .await;
    // Trusting its issuer does not help: the pin is the stronger wish.
    let both = TlsOptions {
        ca: Some(secured.ca.path().to_owned()),
        ..pin(other.fingerprint)
    };
    check_refused(&secured, both, TlsProblem::WrongFingerprint).await;
}

#[tokio::test]
async fn a_pinned_certificate_without_its_key_is_refused() {
    // Somebody in between shows the right certificate, but has another key. rustls does not
    // serve such a pair by itself, so the resolver hands it out.
    #[derive(Debug)]
    struct Thief(Arc<rustls::sign::CertifiedKey>);
    impl rustls::server::ResolvesServerCert for Thief {
        fn resolve(
            &self,
            _: rustls::server::ClientHello<'_>,
        ) -> Option<Arc<rustls::sign::CertifiedKey>> {
            Some(Arc::clone(&self.0))
        }
    }
    let (key, stolen) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
    let certificate = CertificateParams::new(vec!["nas".to_owned()])
        .unwrap()
        .self_signed(&stolen)
        .unwrap();
    let pinned = Fingerprint::of(certificate.der());
    let der = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let provider = rustls::crypto::ring::default_provider();
    let signer = provider.key_provider.load_private_key(der).unwrap();
    let pair = rustls::sign::CertifiedKey::new(vec![certificate.der().clone()], signer);
    let config = ServerConfig::builder_with_provider(Arc::new(provider))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(Thief(Arc::new(pair))));
    let script = |request: &Request| usual(request).unwrap_or_default();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let server = Server::start_with(script, Some(acceptor)).await;
    let error = connect(&server, pin(pinned)).await.expect_err("a thief");
    assert!(matches!(error, ConnectError::Tls { .. }), "{error:?}");
    assert!(server.names().is_empty());
}

#[tokio::test]
async fn a_port_without_tls_is_told_apart() {
    let server = Server::start_http("HTTP/1.1 400 Bad Request\r\n\r\n").await;
    let error = connect(&server, TlsOptions::default()).await;
    assert!(
        matches!(
            error,
            Err(ConnectError::Tls {
                problem: TlsProblem::NotTls,
                ..
            })
        ),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_file_without_certificates_is_refused_before_connecting() {
    let empty = NamedTempFile::new().unwrap();
    let missing = TlsOptions {
        ca: Some("/nonexistent/ca.pem".into()),
        ..TlsOptions::default()
    };
    let endpoint = Endpoint::parse("nas.invalid").unwrap();
    for tls in [ca(&empty), missing] {
        let options = ConnectOptions {
            tls,
            ..ConnectOptions::default()
        };
        let error = Client::connect(&endpoint, &api_key(), &options).await;
        assert!(matches!(error, Err(ConnectError::Ca { .. })), "{error:?}");
    }
}
