//! What a login can be bound to: the hash of the server's certificate that RFC 5929 names
//! `tls-server-end-point`.

use ring::digest::{self, Algorithm, SHA256, SHA384, SHA512};

/// Signature algorithms by their object identifiers in DER, and the hash that each is made with.
/// MD5 and SHA-1 count as SHA-256 (RFC 5929, 4.1). Others have no hash of their own.
const SIGNATURES: &[(&[u8], &Algorithm)] = &[
    // md5WithRSAEncryption, sha1With…, sha256With…, sha384With…, sha512WithRSAEncryption
    (b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x04", &SHA256),
    (b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x05", &SHA256),
    (b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0b", &SHA256),
    (b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0c", &SHA384),
    (b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0d", &SHA512),
    // ecdsa-with-SHA1, -SHA256, -SHA384, -SHA512
    (b"\x2a\x86\x48\xce\x3d\x04\x01", &SHA256),
    (b"\x2a\x86\x48\xce\x3d\x04\x03\x02", &SHA256),
    (b"\x2a\x86\x48\xce\x3d\x04\x03\x03", &SHA384),
    (b"\x2a\x86\x48\xce\x3d\x04\x03\x04", &SHA512),
];

const SEQUENCE: u8 = 0x30;
const OBJECT_IDENTIFIER: u8 = 0x06;

/// The hash of a certificate in DER form; none where its signature has no hash of its own.
pub(super) fn hash(certificate: &[u8]) -> Option<Vec<u8>> {
    let signature = signature_algorithm(certificate)?;
    let (_, algorithm) = SIGNATURES.iter().find(|(name, _)| *name == signature)?;
    Some(digest::digest(algorithm, certificate).as_ref().to_vec())
}

/// `Certificate ::= SEQUENCE { tbsCertificate, signatureAlgorithm SEQUENCE { OID, … }, … }`
fn signature_algorithm(certificate: &[u8]) -> Option<&[u8]> {
    let (inside, _) = element(SEQUENCE, certificate)?;
    let (_, after) = element(SEQUENCE, inside)?;
    let (algorithm, _) = element(SEQUENCE, after)?;
    let (name, _) = element(OBJECT_IDENTIFIER, algorithm)?;
    Some(name)
}

/// The content of the element that a text begins with, and what comes after it.
fn element(tag: u8, text: &[u8]) -> Option<(&[u8], &[u8])> {
    let (first, rest) = text.split_first()?;
    let (length, rest) = rest.split_first()?;
    let (length, rest) = match length {
        0..=0x7f => (usize::from(*length), rest),
        // Lengths of certificates have at most three bytes.
        0x81..=0x83 => {
            let (bytes, rest) = rest.split_at_checked(usize::from(length & 0x7f))?;
            let number = |sum, byte: &u8| (sum << 8) | usize::from(*byte);
            (bytes.iter().fold(0, number), rest)
        }
        _ => return None,
    };
    (*first == tag).then(|| rest.split_at_checked(length))?
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rcgen::{CertificateParams, KeyPair};

    use super::*;

    fn certificate(algorithm: &'static rcgen::SignatureAlgorithm) -> Vec<u8> {
        let key = KeyPair::generate_for(algorithm).expect("a key");
        let params = CertificateParams::new(vec!["nas".to_owned()]).expect("a name");
        params.self_signed(&key).expect("signed").der().to_vec()
    }

    #[test]
    fn a_certificate_is_hashed_as_its_signature_is() {
        let small = certificate(&rcgen::PKCS_ECDSA_P256_SHA256);
        let expected = digest::digest(&SHA256, &small).as_ref().to_vec();
        assert_eq!(hash(&small), Some(expected));
        let large = certificate(&rcgen::PKCS_ECDSA_P384_SHA384);
        let expected = digest::digest(&SHA384, &large).as_ref().to_vec();
        assert_eq!(hash(&large), Some(expected));
    }

    #[test]
    fn a_signature_without_a_hash_has_none() {
        assert_eq!(hash(&certificate(&rcgen::PKCS_ED25519)), None);
    }

    proptest! {
        #[test]
        fn no_text_makes_reading_fail_badly(text in proptest::collection::vec(any::<u8>(), 0..60)) {
            let _ = hash(&text);
        }

        #[test]
        fn no_cut_certificate_makes_reading_fail_badly(length in 0_usize..400) {
            let whole = certificate(&rcgen::PKCS_ECDSA_P256_SHA256);
            let _ = hash(whole.get(..length).unwrap_or(&whole));
        }
    }
}
