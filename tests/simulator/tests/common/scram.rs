//! The client's half of SCRAM-SHA-512, written from RFC 5802 and apart from the simulator's.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::{digest, hmac, pbkdf2};

/// A client that has sent its first message.
pub(crate) struct Scram {
    secret: String,
    header: String,
    binding: Vec<u8>,
    bare: String,
    nonce: Vec<u8>,
}

/// What the client answers, and what it expects to hear.
pub(crate) struct Final {
    pub(crate) message: String,
    pub(crate) signature: String,
    pub(crate) iterations: u32,
}

impl Scram {
    /// With the whole API key, `<id>-<secret>`.
    pub(crate) fn new(user: &str, key: &str) -> Self {
        let (id, secret) = key.split_once('-').unwrap();
        let nonce = vec![9; 32];
        Self {
            secret: secret.to_owned(),
            header: "n,,".to_owned(),
            binding: Vec::new(),
            bare: format!("n={user}:{id},r={}", STANDARD.encode(&nonce)),
            nonce,
        }
    }

    /// Bound to the hash of a certificate.
    pub(crate) fn bound_to(mut self, certificate: &[u8]) -> Self {
        self.header = "p=tls-server-end-point,,".to_owned();
        self.binding = certificate.to_vec();
        self
    }

    pub(crate) fn first(&self) -> String {
        format!("{}{}", self.header, self.bare)
    }

    pub(crate) fn answer(&self, server_first: &str) -> Final {
        let mut parts = server_first.splitn(3, ',');
        let nonce = parts.next().unwrap().strip_prefix("r=").unwrap();
        let salt = parts.next().unwrap().strip_prefix("s=").unwrap();
        let rounds = parts.next().unwrap().strip_prefix("i=").unwrap();
        let iterations: std::num::NonZeroU32 = rounds.parse().unwrap();
        assert!(STANDARD.decode(nonce).unwrap().starts_with(&self.nonce));
        let mut salted = [0; 64];
        let salt = STANDARD.decode(salt).unwrap();
        let secret = self.secret.as_bytes();
        pbkdf2::derive(
            pbkdf2::PBKDF2_HMAC_SHA512,
            iterations,
            &salt,
            secret,
            &mut salted,
        );
        let client_key = mac(&salted, "Client Key");
        let binding = [self.header.as_bytes(), &self.binding].concat();
        let without_proof = format!("c={},r={nonce}", STANDARD.encode(binding));
        let message = format!("{},{server_first},{without_proof}", self.bare);
        let signature = mac(
            digest::digest(&digest::SHA512, &client_key).as_ref(),
            &message,
        );
        let proof: Vec<u8> = client_key
            .iter()
            .zip(signature)
            .map(|(a, b)| a ^ b)
            .collect();
        Final {
            message: format!("{without_proof},p={}", STANDARD.encode(proof)),
            signature: STANDARD.encode(mac(&mac(&salted, "Server Key"), &message)),
            iterations: iterations.get(),
        }
    }
}

fn mac(key: &[u8], message: &str) -> Vec<u8> {
    let key = hmac::Key::new(hmac::HMAC_SHA512, key);
    hmac::sign(&key, message.as_bytes()).as_ref().to_vec()
}
