//! The server's half of SCRAM-SHA-512 (RFC 5802) as TrueNAS 26 speaks it: messages in, messages
//! out. It knows neither users nor keys, and does not decide who may log in.
//!
//! Three things differ from what a library for other servers expects (recorded on 26.0.0-BETA.3): the
//! name is `user:<id of the API key>`, the password is what stands behind the dash of the key, and
//! the common nonce is the base64 form of both nonces' *bytes*, so that as text it does not begin
//! with the client's nonce.

use std::num::NonZeroU32;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::{digest, hmac, pbkdf2};

/// Bytes of a SHA-512.
const HASH: usize = 64;
/// The header of a client that wants no channel binding.
const NO_BINDING: &str = "n,,";
/// The header of a client that binds the exchange to the server's certificate (RFC 5929).
const CERTIFICATE_BINDING: &str = "p=tls-server-end-point,,";

/// What the server keeps of a key: enough to check a client, not enough to be one.
#[derive(Clone)]
pub(crate) struct Verifier {
    salt: Vec<u8>,
    iterations: NonZeroU32,
    stored_key: Vec<u8>,
    server_key: Vec<u8>,
}

/// The first message of a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ClientFirst {
    /// Who it says to be.
    pub(crate) user: String,
    /// The number of its API key.
    pub(crate) key: i64,
    /// Whether the exchange is to be bound to the server's certificate.
    pub(crate) binds: bool,
    header: &'static str,
    bare: String,
    nonce: Vec<u8>,
}

/// An exchange that waits for the client's final message.
#[derive(Clone)]
pub(crate) struct Exchange {
    first: ClientFirst,
    nonce: String,
    answer: String,
    verifier: Verifier,
}

impl Verifier {
    /// Derives the keys; the time it takes grows with `iterations`, of which there is at least one.
    pub(crate) fn derive(password: &str, salt: &[u8], iterations: u32) -> Self {
        let iterations = NonZeroU32::new(iterations).unwrap_or(NonZeroU32::MIN);
        let mut salted = [0; HASH];
        pbkdf2::derive(
            pbkdf2::PBKDF2_HMAC_SHA512,
            iterations,
            salt,
            password.as_bytes(),
            &mut salted,
        );
        Self {
            salt: salt.to_vec(),
            iterations,
            stored_key: hash(&mac(&salted, b"Client Key")),
            server_key: mac(&salted, b"Server Key"),
        }
    }

    /// How often the hash was applied.
    pub(crate) fn iterations(&self) -> u32 {
        self.iterations.get()
    }
}

impl ClientFirst {
    /// Reads `<header>n=<user>:<key id>,r=<nonce>`; `None` is for anything else.
    pub(crate) fn read(text: &str) -> Option<Self> {
        let header = [NO_BINDING, CERTIFICATE_BINDING]
            .into_iter()
            .find(|header| text.starts_with(header))?;
        let bare = text.strip_prefix(header)?;
        let (name, nonce) = bare.strip_prefix("n=")?.split_once(",r=")?;
        let (user, key) = name.rsplit_once(':')?;
        if user.is_empty() || name.contains([',', '=']) {
            return None;
        }
        Some(Self {
            user: user.to_owned(),
            key: key.parse().ok()?,
            binds: header == CERTIFICATE_BINDING,
            header,
            bare: bare.to_owned(),
            nonce: STANDARD
                .decode(nonce)
                .ok()
                .filter(|nonce| !nonce.is_empty())?,
        })
    }
}

impl Exchange {
    /// Begins an exchange; [`Exchange::answer`] is what the client gets.
    pub(crate) fn begin(first: ClientFirst, verifier: Verifier, own_nonce: &[u8]) -> Self {
        let nonce = STANDARD.encode([first.nonce.as_slice(), own_nonce].concat());
        let answer = format!(
            "r={nonce},s={},i={}",
            STANDARD.encode(&verifier.salt),
            verifier.iterations
        );
        Self {
            first,
            nonce,
            answer,
            verifier,
        }
    }

    /// The server's first message.
    pub(crate) fn answer(&self) -> &str {
        &self.answer
    }

    /// Who is logging in with which key.
    pub(crate) fn first(&self) -> &ClientFirst {
        &self.first
    }

    /// Checks the client's final message, `c=<binding>,r=<nonce>,p=<proof>`, and answers the
    /// server's. `certificate` is the hash of the one shown to this client, if any.
    pub(crate) fn finish(&self, text: &str, certificate: Option<&[u8]>) -> Option<String> {
        let (without_proof, proof) = text.rsplit_once(",p=")?;
        let mut binding = self.first.header.as_bytes().to_vec();
        if self.first.binds {
            binding.extend_from_slice(certificate?);
        }
        if without_proof != format!("c={},r={}", STANDARD.encode(binding), self.nonce) {
            return None;
        }
        let message = format!("{},{},{without_proof}", self.first.bare, self.answer);
        let signature = mac(&self.verifier.stored_key, message.as_bytes());
        let proof = STANDARD.decode(proof).ok()?;
        if proof.len() != HASH {
            return None;
        }
        let client_key: Vec<u8> = proof
            .iter()
            .zip(signature)
            .map(|(one, other)| one ^ other)
            .collect();
        if hash(&client_key) != self.verifier.stored_key {
            return None;
        }
        let signed = mac(&self.verifier.server_key, message.as_bytes());
        Some(format!("v={}", STANDARD.encode(signed)))
    }
}

impl std::fmt::Debug for Exchange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Exchange")
            .field("user", &self.first.user)
            .field("key", &self.first.key)
            .finish_non_exhaustive()
    }
}

fn hash(bytes: &[u8]) -> Vec<u8> {
    digest::digest(&digest::SHA512, bytes).as_ref().to_vec()
}

fn mac(key: &[u8], message: &[u8]) -> Vec<u8> {
    let key = hmac::Key::new(hmac::HMAC_SHA512, key);
    hmac::sign(&key, message).as_ref().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "tnvmTestKeytnvmTestKeytnvmTestKeytnvmTestKeytnvmTestKeytnvmTestK";
    const FIRST: &str = "n=joe:7,r=AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
    const NONCE: &str =
        "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh9kZWZnaGlqa2xtbm9wcXJzdHV2d3h5ent8fX5/gIGCgw==";
    const PROOF: &str =
        "mMMq3nlV5yFAhQ04ob5b1+NHdXxC3o333YZJJfoKpRpjz8nDNAQqYYbOVwkuKOqLABi5/hLG7qHsvndmJz8nIA==";
    const BOUND_PROOF: &str =
        "7rvRH8ivmgDNtP1K+ryYeizKhBUESai8hufBzEK5aQmg2mPMcW86y4GOQ1GjUPxJUZisG6hcgLWwy9KZ3SOGCg==";

    // Proofs and signatures were computed with Python's hashlib and hmac.
    fn begin(header: &str) -> Exchange {
        let first = ClientFirst::read(&format!("{header}{FIRST}")).unwrap();
        let nonce: Vec<u8> = (100..132).collect();
        Exchange::begin(
            first,
            Verifier::derive(KEY, b"0123456789abcdef", 4096),
            &nonce,
        )
    }

    #[test]
    fn the_right_proof_is_answered_with_the_servers_own() {
        let exchange = begin(NO_BINDING);
        assert_eq!(
            exchange.answer(),
            format!("r={NONCE},s=MDEyMzQ1Njc4OWFiY2RlZg==,i=4096")
        );
        assert_eq!(
            exchange
                .finish(&format!("c=biws,r={NONCE},p={PROOF}"), None)
                .as_deref(),
            Some(
                "v=8GjdI6yr8I2kuJQmJJR/aIrEgv46acLX4GufSOa4FnTW2Zn5UH7BbyXEp9uTkzwDRf6vrvbMl+mD7aQtLe7Xwg=="
            )
        );
    }

    #[test]
    fn a_wrong_proof_nonce_or_binding_is_refused() {
        let exchange = begin(NO_BINDING);
        for text in [
            format!("c=biws,r={NONCE},p={BOUND_PROOF}"),
            format!("c=biws,r=AAAA,p={PROOF}"),
            format!("c=eSws,r={NONCE},p={PROOF}"),
            format!("c=biws,r={NONCE},p=AAAA"),
            format!("c=biws,r={NONCE}"),
            String::new(),
        ] {
            assert_eq!(exchange.finish(&text, None), None, "{text}");
        }
    }

    #[test]
    fn an_exchange_may_be_bound_to_the_certificate() {
        let exchange = begin(CERTIFICATE_BINDING);
        let text = format!(
            "c=cD10bHMtc2VydmVyLWVuZC1wb2ludCwsBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=,r={NONCE},p={BOUND_PROOF}"
        );
        assert_eq!(
            exchange.finish(&text, Some(&[7; 32])).as_deref(),
            Some(
                "v=aB7mzK0Hzc+tyst6fqMiQ77OQ4noOLdmg+LlqpP5T7nBWMpGa2Mlmbvv7xtRf7c3n7wLmdfNzMofZBHb+8vYFw=="
            )
        );
        assert_eq!(exchange.finish(&text, Some(&[8; 32])), None);
        assert_eq!(exchange.finish(&text, None), None);
    }

    #[test]
    fn a_first_message_needs_a_header_a_name_with_a_key_and_a_nonce() {
        for text in [
            "garbage",
            "n,,n=joe,r=AAAA",
            "n,,n=:7,r=AAAA",
            "n,,n=joe:x,r=AAAA",
            "n,,n=j=e:7,r=AAAA",
            "n,,n=joe:7,r=",
            "n,,n=joe:7,r=?",
            "y,,n=joe:7,r=AAAA",
        ] {
            assert_eq!(ClientFirst::read(text), None, "{text}");
        }
    }
}
