//! SCRAM-SHA-512 (RFC 5802) as TrueNAS 26 speaks it: proves that we have an API key without sending
//! it, and that the server knows the key as well.
//!
//! Pure: knows no socket, no clock and no chance; the one random value is handed in.

use std::num::NonZeroU32;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::{digest, hmac, pbkdf2};
use secrecy::{ExposeSecret, SecretString};

/// Bytes of the random value of a client, as the server's own client takes.
pub(super) const NONCE: usize = 32;

/// How often the server may ask to apply the hash (26: 500 000 unless set otherwise). Fewer would
/// make a key easy to guess from what was overheard, more would let a hostile server burn our time.
const ITERATIONS: std::ops::RangeInclusive<u32> = 50_000..=5_000_000;

/// Longest message of the server in bytes; real ones are below 300.
const LONGEST: usize = 4096;

/// Bytes of a SHA-512.
const HASH: usize = 64;

/// Why an exchange cannot begin or must not go on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ScramError {
    /// The key is not `<number>-<characters>`.
    #[error("the API key is not a number, a dash and 64 characters")]
    Key,
    /// The user's name cannot stand in a message.
    #[error("a user name with `,` or `=` cannot log in by SCRAM")]
    UserName,
    /// The server's message cannot be read.
    #[error("the server's SCRAM message is not understood: {0}")]
    Message(&'static str),
    /// The server's random value does not continue ours: the answer is not to our question.
    #[error("the server answered another login than ours")]
    Nonce,
    /// The server asks for too little or too much work.
    #[error("the server asks for {0} rounds of key derivation, allowed are 50000 to 5000000")]
    Iterations(u64),
    /// This machine gives no random numbers.
    #[error("this machine gives no random numbers")]
    Random,
    /// The server did not prove that it knows the key.
    #[error("the server did not prove that it knows the API key")]
    Unproven,
}

/// What the exchange is bound to, so that nobody in between can pass it on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Binding {
    /// Nothing.
    None,
    /// The hash of the server's certificate (`tls-server-end-point`, RFC 5929).
    Certificate(Vec<u8>),
}

impl Binding {
    fn header(&self) -> &'static str {
        match self {
            Self::None => "n,,",
            Self::Certificate(_) => "p=tls-server-end-point,,",
        }
    }

    /// What the final message repeats: the header and what it announces.
    fn input(&self) -> Vec<u8> {
        let header = self.header().as_bytes();
        match self {
            Self::None => header.to_vec(),
            Self::Certificate(hash) => [header, hash].concat(),
        }
    }
}

/// The first message of an exchange, and what belongs to it.
#[derive(Debug)]
pub(super) struct ClientFirst {
    binding: Binding,
    nonce: [u8; NONCE],
    bare: String,
    secret: SecretString,
}

impl ClientFirst {
    /// Begins an exchange; `nonce` is random and used once.
    pub(super) fn new(
        username: &str,
        key: &SecretString,
        nonce: [u8; NONCE],
        binding: Binding,
    ) -> Result<Self, ScramError> {
        if username.contains([',', '=']) {
            return Err(ScramError::UserName);
        }
        let (id, secret) = key
            .expose_secret()
            .split_once('-')
            .filter(|(id, secret)| id.parse::<u64>().is_ok() && !secret.is_empty())
            .ok_or(ScramError::Key)?;
        Ok(Self {
            bare: format!("n={username}:{id},r={}", STANDARD.encode(nonce)),
            binding,
            nonce,
            secret: SecretString::from(secret),
        })
    }

    /// The message.
    pub(super) fn message(&self) -> String {
        format!("{}{}", self.binding.header(), self.bare)
    }

    /// Reads the server's answer to it.
    pub(super) fn answered(self, answer: &str) -> Result<Challenge, ScramError> {
        if answer.len() > LONGEST {
            return Err(ScramError::Message("it is too long"));
        }
        // Extensions that must be understood (`m=`) would stand in front, and are not.
        let [nonce, salt, iterations] = fields(answer, ["r=", "s=", "i="])
            .ok_or(ScramError::Message("expected are `r=`, `s=` and `i=`"))?;
        self.continues(nonce)?;
        let salt = STANDARD
            .decode(salt)
            .ok()
            .filter(|salt| !salt.is_empty())
            .ok_or(ScramError::Message("its salt is not base64"))?;
        let wanted = iterations
            .parse::<u64>()
            .map_err(|_| ScramError::Message("its count of rounds is no number"))?;
        let iterations = u32::try_from(wanted)
            .ok()
            .filter(|count| ITERATIONS.contains(count))
            .and_then(NonZeroU32::new)
            .ok_or(ScramError::Iterations(wanted))?;
        let without_proof = format!("c={},r={nonce}", STANDARD.encode(self.binding.input()));
        Ok(Challenge {
            transcript: format!("{},{answer},{without_proof}", self.bare),
            without_proof,
            salt,
            iterations,
            secret: self.secret,
        })
    }

    /// The server joins the *bytes* of both random values and encodes that (26 and 27), so that as
    /// text its value begins with ours only where ours has no padding; the RFC joins the texts.
    fn continues(&self, theirs: &str) -> Result<(), ScramError> {
        let ours = STANDARD.encode(self.nonce);
        let joined = STANDARD.decode(theirs).unwrap_or_default();
        let is_longer = joined.len() > NONCE && joined.starts_with(&self.nonce);
        let is_longer = is_longer || (theirs.len() > ours.len() && theirs.starts_with(&ours));
        is_longer.then_some(()).ok_or(ScramError::Nonce)
    }
}

/// What is to be proved.
#[derive(Debug)]
pub(super) struct Challenge {
    transcript: String,
    without_proof: String,
    salt: Vec<u8>,
    iterations: NonZeroU32,
    secret: SecretString,
}

impl Challenge {
    /// Derives the keys, which takes some tenths of a second of work: not to be done where others
    /// wait.
    pub(super) fn prove(self) -> ClientFinal {
        let mut salted = [0; HASH];
        pbkdf2::derive(
            pbkdf2::PBKDF2_HMAC_SHA512,
            self.iterations,
            &self.salt,
            self.secret.expose_secret().as_bytes(),
            &mut salted,
        );
        let salted = hmac::Key::new(hmac::HMAC_SHA512, &salted);
        let client_key = hmac::sign(&salted, b"Client Key");
        let stored_key = digest::digest(&digest::SHA512, client_key.as_ref());
        let stored_key = hmac::Key::new(hmac::HMAC_SHA512, stored_key.as_ref());
        let signature = hmac::sign(&stored_key, self.transcript.as_bytes());
        let pairs = client_key.as_ref().iter().zip(signature.as_ref());
        let proof: Vec<u8> = pairs.map(|(one, other)| one ^ other).collect();
        let server_key = hmac::sign(&salted, b"Server Key");
        ClientFinal {
            message: format!("{},p={}", self.without_proof, STANDARD.encode(proof)),
            server_key: hmac::Key::new(hmac::HMAC_SHA512, server_key.as_ref()),
            transcript: self.transcript,
        }
    }
}

/// The final message, and what the server has to answer to it.
#[derive(Debug)]
pub(super) struct ClientFinal {
    message: String,
    server_key: hmac::Key,
    transcript: String,
}

impl ClientFinal {
    /// The message.
    pub(super) fn message(&self) -> &str {
        &self.message
    }

    /// Checks the server's signature.
    pub(super) fn verify(&self, answer: &str) -> Result<(), ScramError> {
        let signature = answer
            .strip_prefix("v=")
            .and_then(|text| STANDARD.decode(text).ok())
            .ok_or(ScramError::Unproven)?;
        hmac::verify(&self.server_key, self.transcript.as_bytes(), &signature)
            .map_err(|_| ScramError::Unproven)
    }
}

/// The values of exactly these fields, in this order.
fn fields<'a, const N: usize>(message: &'a str, names: [&str; N]) -> Option<[&'a str; N]> {
    let mut parts = message.split(',');
    let mut values = [""; N];
    for (value, name) in values.iter_mut().zip(names) {
        *value = parts.next()?.strip_prefix(name)?;
    }
    parts.next().is_none().then_some(values)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Computed with Python's `hashlib` and `hmac`, the nonce joined as TrueNAS 26 joins it.
    const NONCE_BYTES: [u8; NONCE] = *b"tnvm-client-nonce-of-32-bytes-ab";
    const KEY: &str = "7-tnvmTestKeytnvmTestKeytnvmTestKeytnvmTestKeytnvmTestKey123456789";
    const FIRST: &str = "n,,n=admin:7,r=dG52bS1jbGllbnQtbm9uY2Utb2YtMzItYnl0ZXMtYWI=";
    const ANSWER: &str = "r=dG52bS1jbGllbnQtbm9uY2Utb2YtMzItYnl0ZXMtYWJkZWZnaGlqa2xtbm9wcXJzdHV2d3h5ent8fX5/gIGCgw==,s=c2FsdC1vZi10bnZtLXRlc3Q=,i=50000";
    const FINAL: &str = "c=biws,r=dG52bS1jbGllbnQtbm9uY2Utb2YtMzItYnl0ZXMtYWJkZWZnaGlqa2xtbm9wcXJzdHV2d3h5ent8fX5/gIGCgw==,p=cYu1HPR3/+pXT36coMLx72TBt6Xpk5ZE1PZFd0xVL5UuYU+ojvky5pFTE4edmvHLIZCnlOMjYapkrA+L8eHJeg==";
    const SIGNED: &str = "v=JY9h0znw+HC//Kn77JJEpdwtEvSX9p63sqBXfdSzb0VfEjCXJtHw+nCQSacRyvDGDp8J2zMPhFF8vbG17UvrFQ==";
    const BOUND_FINAL: &str = "c=cD10bHMtc2VydmVyLWVuZC1wb2ludCwsBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=,r=dG52bS1jbGllbnQtbm9uY2Utb2YtMzItYnl0ZXMtYWJkZWZnaGlqa2xtbm9wcXJzdHV2d3h5ent8fX5/gIGCgw==,p=HzsOIQeBqyiqJltXkMgMGqNHWL44soe/aIu1fWVC8u6IF+740NgRNEjyKzdhgM0QZwb9nbdX7+WgrbMcZyrSng==";
    const BOUND_SIGNED: &str = "v=wdRmR4VDEPTjzcOUANSwwq2zGRuqnhrUnDV1iYd7i6d6o/IlhnM/cHRxV3EMJ8YUWTd35BWhWOVFoWk6G0ulbg==";

    fn first(binding: Binding) -> ClientFirst {
        ClientFirst::new("admin", &SecretString::from(KEY), NONCE_BYTES, binding).expect("a key")
    }

    #[test]
    fn an_exchange_is_as_others_compute_it() {
        let first = first(Binding::None);
        assert_eq!(first.message(), FIRST);
        let last = first.answered(ANSWER).expect("a challenge").prove();
        assert_eq!(last.message(), FINAL);
        assert_eq!(last.verify(SIGNED), Ok(()));
    }

    #[test]
    fn a_bound_exchange_covers_the_certificate() {
        let first = first(Binding::Certificate(vec![7; 32]));
        assert_eq!(
            first.message(),
            FIRST.replace("n,,", "p=tls-server-end-point,,")
        );
        let last = first.answered(ANSWER).expect("a challenge").prove();
        assert_eq!(last.message(), BOUND_FINAL);
        assert_eq!(last.verify(BOUND_SIGNED), Ok(()));
        assert_eq!(last.verify(SIGNED), Err(ScramError::Unproven));
    }

    #[test]
    fn a_server_that_does_not_know_the_key_is_found_out() {
        let last = first(Binding::None)
            .answered(ANSWER)
            .expect("a challenge")
            .prove();
        let swapped = SIGNED.replacen(|c: char| c.is_ascii_lowercase(), "A", 1);
        for answer in [
            &swapped,
            BOUND_SIGNED,
            "v=",
            "v=AAAA",
            "",
            "e=other-error",
            SIGNED.trim_start_matches("v="),
        ] {
            assert_eq!(last.verify(answer), Err(ScramError::Unproven), "{answer}");
        }
    }

    /// As the server's answer, with one part replaced.
    fn refused(part: &str, by: &str) -> ScramError {
        assert!(ANSWER.contains(part), "{part}");
        let answer = ANSWER.replacen(part, by, 1);
        first(Binding::None).answered(&answer).expect_err(&answer)
    }

    #[test]
    fn an_answer_to_another_question_is_refused() {
        let theirs = ANSWER.split(',').next().expect("a nonce").to_owned();
        let ours = STANDARD.encode(NONCE_BYTES);
        for wrong in [
            "r=",
            "r=AAAA",
            &format!("r={ours}"),
            &format!("r={}", STANDARD.encode([1; 64])),
        ] {
            assert_eq!(refused(&theirs, wrong), ScramError::Nonce, "{wrong}");
        }
        // As the RFC joins them.
        let joined = ANSWER.replacen(&theirs, &format!("r={ours}server"), 1);
        assert!(first(Binding::None).answered(&joined).is_ok());
    }

    #[test]
    fn too_little_and_too_much_work_is_refused() {
        for (text, count) in [
            ("0", 0),
            ("1", 1),
            ("49999", 49_999),
            ("5000001", 5_000_001),
            ("4294967297", 4_294_967_297),
        ] {
            assert_eq!(
                refused("i=50000", &format!("i={text}")),
                ScramError::Iterations(count)
            );
        }
        for text in ["50000", "5000000"] {
            let answer = ANSWER.replace("i=50000", &format!("i={text}"));
            assert!(first(Binding::None).answered(&answer).is_ok(), "{text}");
        }
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        for (part, by) in [
            ("r=", "m=x,r="),
            ("s=", "s=!"),
            ("i=50000", "i=50000,x=1"),
            ("i=50000", "i=-1"),
            ("i=50000", "i="),
            (",i=50000", ""),
        ] {
            let error = refused(part, by);
            assert!(matches!(error, ScramError::Message(_)), "{by}: {error:?}");
        }
        let long = format!("{ANSWER}{}", "0".repeat(LONGEST));
        let error = first(Binding::None).answered(&long).expect_err("too long");
        assert_eq!(error, ScramError::Message("it is too long"));
    }

    #[test]
    fn keys_and_names_that_cannot_be_used_are_told() {
        let begin = |name: &str, key: &str| {
            let key = SecretString::from(key);
            ClientFirst::new(name, &key, NONCE_BYTES, Binding::None).map(|first| first.message())
        };
        for key in ["", "secret", "-secret", "x-secret", "1-", "1"] {
            assert_eq!(begin("admin", key), Err(ScramError::Key), "{key}");
        }
        for name in ["a,b", "a=b"] {
            assert_eq!(begin(name, KEY), Err(ScramError::UserName), "{name}");
        }
    }

    #[test]
    fn no_part_shows_the_key() {
        let secret = KEY.split_once('-').expect("a dash").1;
        let first = first(Binding::None);
        let said = format!("{first:?}{}", first.message());
        let challenge = first.answered(ANSWER).expect("a challenge");
        let said = format!("{said}{challenge:?}");
        let last = challenge.prove();
        let said = format!("{said}{last:?}{}", last.message());
        assert!(!said.contains(secret), "{said}");
    }
}
