//! The client's half of a SCRAM login (RFC 5802) for replays: what was recorded proves knowledge of
//! another key with other nonces, so that our own proof has to be made. It checks nothing.

use std::collections::BTreeMap;
use std::num::NonZeroU32;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::{digest, hmac, pbkdf2};
use serde_json::Value;

use super::calls::answered;
use super::compare::HIDDEN;
use super::transcript::Transcript;
use crate::world::World;

/// Exchanges that are under way, by connection.
#[derive(Debug, Default)]
pub(super) struct Scram {
    exchanges: BTreeMap<String, Exchange>,
    /// Final messages that were accepted when they were recorded.
    proven: Vec<String>,
}

#[derive(Debug, Default)]
struct Exchange {
    header: String,
    bare: String,
    server_first: String,
}

impl Scram {
    /// Knows which proofs of a transcript were good.
    pub(super) fn of(transcript: &Transcript) -> Self {
        let proven = answered(transcript).into_iter().filter_map(|call| {
            let good = member(call.result()?, "scram_type") == Some("SERVER_FINAL_RESPONSE");
            let text = member(call.params.first()?, "rfc_str")?;
            good.then(|| text.to_owned())
        });
        Self {
            proven: proven.collect(),
            exchanges: BTreeMap::new(),
        }
    }

    /// Puts our own message where one was recorded.
    pub(super) fn fill_in(&mut self, world: &World, connection: &str, params: &mut Value) {
        let Some(login) = params.get_mut(0) else {
            return;
        };
        let Some(recorded) = member(login, "rfc_str").map(str::to_owned) else {
            return;
        };
        let own = match member(login, "scram_type") {
            Some("CLIENT_FIRST_MESSAGE") => Some(self.first(world, connection, &recorded)),
            Some("CLIENT_FINAL_MESSAGE") if self.proven.contains(&recorded) => {
                self.last(world, connection)
            }
            _ => None,
        };
        if let (Some(own), Some(text)) = (own, login.get_mut("rfc_str")) {
            *text = own.into();
        }
    }

    /// Remembers what the simulator answered.
    pub(super) fn hear(&mut self, connection: &str, answer: &Value) {
        let result = answer.get("result").unwrap_or(&Value::Null);
        if let (Some("SERVER_FIRST_RESPONSE"), Some(text), Some(exchange)) = (
            member(result, "scram_type"),
            member(result, "rfc_str"),
            self.exchanges.get_mut(connection),
        ) {
            text.clone_into(&mut exchange.server_first);
        }
    }

    fn first(&mut self, world: &World, connection: &str, recorded: &str) -> String {
        let message = match (recorded == HIDDEN, world.api_keys.first()) {
            (true, Some(key)) => format!(
                "n,,n={}:{},r={}",
                key.user,
                key.id,
                STANDARD.encode(crate::random::alphanumeric(32))
            ),
            _ => recorded.to_owned(),
        };
        let (header, bare) = message.split_once(",,").unwrap_or(("", &message));
        let exchange = Exchange {
            header: format!("{header},,"),
            bare: bare.to_owned(),
            server_first: String::new(),
        };
        self.exchanges.insert(connection.to_owned(), exchange);
        message
    }

    fn last(&mut self, world: &World, connection: &str) -> Option<String> {
        let exchange = self.exchanges.get(connection)?;
        let (name, _) = exchange.bare.strip_prefix("n=")?.split_once(",r=")?;
        let (user, id) = name.rsplit_once(':')?;
        let id: i64 = id.parse().ok()?;
        let mut keys = world.api_keys.iter();
        let key = keys.find(|key| key.user == user && key.id == id)?;
        let mut parts = exchange.server_first.splitn(3, ',');
        let nonce = parts.next()?.strip_prefix("r=")?;
        let salt = STANDARD.decode(parts.next()?.strip_prefix("s=")?).ok()?;
        let rounds: NonZeroU32 = parts.next()?.strip_prefix("i=")?.parse().ok()?;
        let mut salted = [0; digest::SHA512_OUTPUT_LEN];
        let algorithm = pbkdf2::PBKDF2_HMAC_SHA512;
        pbkdf2::derive(algorithm, rounds, &salt, key.secret.as_bytes(), &mut salted);
        let client_key = mac(&salted, "Client Key");
        let stored = digest::digest(&digest::SHA512, client_key.as_ref());
        let unproven = format!("c={},r={nonce}", STANDARD.encode(&exchange.header));
        let message = format!("{},{},{unproven}", exchange.bare, exchange.server_first);
        let signature = mac(stored.as_ref(), &message);
        let proof: Vec<u8> = client_key
            .as_ref()
            .iter()
            .zip(signature.as_ref())
            .map(|(key, signature)| key ^ signature)
            .collect();
        Some(format!("{unproven},p={}", STANDARD.encode(proof)))
    }
}

fn mac(key: &[u8], message: &str) -> hmac::Tag {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA512, key), message.as_bytes())
}

fn member<'v>(object: &'v Value, name: &str) -> Option<&'v str> {
    object.get(name)?.as_str()
}
