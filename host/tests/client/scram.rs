//! API keys that are not sent: which way the login goes, and what a false server is told.

use std::num::NonZeroU32;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::{digest, hmac, pbkdf2};
use serde_json::{Value, json};
use tnvm::truenas::{
    Client, ConnectError, ConnectOptions, KeyLogin, LoginRefusal, Mechanism, ScramError,
};

use crate::legacy_server::{self, LegacyServer};
use crate::server::{Do, Request, Server, api_key, password, usual};

/// The part of `api_key()` behind the dash.
const SECRET: &[u8] = b"hunter2";
const SALT: &[u8] = b"a salt";

/// Changes a message of the server.
type Lie = fn(String) -> String;

/// The server's half, with a key of its own; `lie` changes its messages.
struct Scram {
    secret: &'static [u8],
    lie: Lie,
    transcript: String,
    offers: Value,
}

impl Scram {
    fn new(secret: &'static [u8]) -> Self {
        Self {
            secret,
            lie: |message| message,
            transcript: String::new(),
            offers: json!(["API_KEY_PLAIN", "TOKEN_PLAIN", "PASSWORD_PLAIN", "SCRAM"]),
        }
    }

    fn lying(lie: Lie) -> Self {
        let honest = Self::new(SECRET);
        Self { lie, ..honest }
    }

    async fn start(mut self) -> Server {
        Server::start(move |request: &Request| self.request(request)).await
    }

    fn request(&mut self, request: &Request) -> Vec<Do> {
        let result = match request.method.as_str() {
            "auth.mechanism_choices" => self.offers.clone(),
            "auth.login_ex" => self.login(&request.params[0]),
            _ => return usual(request).unwrap_or_default(),
        };
        vec![request.result(result)]
    }

    fn login(&mut self, argument: &Value) -> Value {
        if argument["mechanism"] != "SCRAM" {
            return json!({"response_type": "SUCCESS"});
        }
        let text = argument["rfc_str"].as_str().unwrap();
        let answer = |kind: &str, text: String| json!({"response_type": "SCRAM_RESPONSE", "scram_type": kind, "rfc_str": text, "user_info": null});
        if argument["scram_type"] == "CLIENT_FIRST_MESSAGE" {
            let bare = text.strip_prefix("n,,").unwrap();
            let nonce = bare.strip_prefix("n=admin:1,r=").unwrap();
            let joined = [STANDARD.decode(nonce).unwrap(), vec![5; 32]].concat();
            let (joined, salt) = (STANDARD.encode(joined), STANDARD.encode(SALT));
            let message = format!("r={joined},s={salt},i=50000");
            self.transcript = format!("{bare},{message}");
            return answer("SERVER_FIRST_RESPONSE", (self.lie)(message));
        }
        let mut salted = [0; 64];
        let rounds = NonZeroU32::new(50_000).unwrap();
        pbkdf2::derive(
            pbkdf2::PBKDF2_HMAC_SHA512,
            rounds,
            SALT,
            self.secret,
            &mut salted,
        );
        let sign = |key: &[u8], text: &[u8]| {
            let key = hmac::Key::new(hmac::HMAC_SHA512, key);
            hmac::sign(&key, text).as_ref().to_vec()
        };
        let (without_proof, proof) = text.rsplit_once(",p=").unwrap();
        let transcript = format!("{},{without_proof}", self.transcript);
        let stored = digest::digest(&digest::SHA512, &sign(&salted, b"Client Key"));
        let signature = sign(stored.as_ref(), transcript.as_bytes());
        let proof = STANDARD.decode(proof).unwrap();
        let key: Vec<u8> = proof.iter().zip(&signature).map(|(a, b)| a ^ b).collect();
        if digest::digest(&digest::SHA512, &key).as_ref() != stored.as_ref() {
            return json!({"response_type": "AUTH_ERR"});
        }
        let signature = sign(&sign(&salted, b"Server Key"), transcript.as_bytes());
        let message = format!("v={}", STANDARD.encode(signature));
        answer("SERVER_FINAL_RESPONSE", (self.lie)(message))
    }
}

async fn connect(server: &Server, key_login: KeyLogin) -> Result<Client, ConnectError> {
    let options = ConnectOptions {
        key_login,
        ..ConnectOptions::default()
    };
    Client::connect(&server.endpoint(), &api_key(), &options).await
}

/// The login is refused like this, and the key was not sent.
async fn check_refused(server: &Server, key_login: KeyLogin, expected: LoginRefusal) {
    let error = connect(server, key_login).await.expect_err("refused");
    let ConnectError::Login { refusal, .. } = &error else {
        panic!("{error:?}");
    };
    assert_eq!(*refusal, expected);
    assert!(!error.is_transient());
    let sent = format!("{:?}", server.seen("auth.login_ex"));
    assert!(!sent.contains("hunter2"), "{sent}");
}

#[tokio::test]
async fn a_key_is_proved_and_not_sent_where_the_server_knows_how() {
    for key_login in [KeyLogin::Auto, KeyLogin::Scram] {
        let server = Scram::new(SECRET).start().await;
        let client = connect(&server, key_login).await.unwrap();
        assert_eq!(client.login().mechanism, Mechanism::Scram);
        client.logout().await;
        let sent = format!("{:?}", server.seen("auth.login_ex"));
        assert!(!sent.contains("hunter2"), "{sent}");
        // Whoever asked for it does not ask whether it is offered.
        let asked = server.seen("auth.mechanism_choices").len();
        assert_eq!(asked, usize::from(key_login == KeyLogin::Auto));
    }
}

#[tokio::test]
async fn every_exchange_has_a_random_value_of_its_own() {
    let server = Scram::new(SECRET).start().await;
    for _ in 0..2 {
        let client = connect(&server, KeyLogin::Auto).await.unwrap();
        client.logout().await;
    }
    let logins = server.seen("auth.login_ex");
    assert_eq!(logins.len(), 4);
    assert_ne!(logins[0].params, logins[2].params);
}

#[tokio::test]
async fn where_scram_is_not_offered_the_key_goes_as_it_is() {
    let server = Server::start(|request: &Request| usual(request).unwrap_or_default()).await;
    let client = connect(&server, KeyLogin::Auto).await.unwrap();
    assert_eq!(client.login().mechanism, Mechanism::ApiKey);
    client.logout().await;
    let mut later = Scram::new(SECRET);
    later.offers = json!(["API_KEY_PLAIN", "TOKEN_PLAIN", "PASSWORD_PLAIN"]);
    let server = later.start().await;
    let client = connect(&server, KeyLogin::Auto).await.unwrap();
    assert_eq!(client.login().mechanism, Mechanism::ApiKey);
    client.logout().await;
}

#[tokio::test]
async fn where_keys_are_not_taken_none_is_sent() {
    let mut strict = Scram::new(SECRET);
    strict.offers = json!(["PASSWORD_PLAIN"]);
    let server = strict.start().await;
    check_refused(&server, KeyLogin::Auto, LoginRefusal::Mechanism).await;
    assert_eq!(server.names(), ["auth.mechanism_choices"]);
}

#[tokio::test]
async fn a_server_that_cannot_say_what_it_takes_gets_no_key() {
    let server = Server::start(|request: &Request| {
        let data = json!({"error": 16, "reason": "[EBUSY] Rate Limit Exceeded"});
        vec![request.error(-32001, data)]
    })
    .await;
    let error = connect(&server, KeyLogin::Auto).await.expect_err("refused");
    assert!(matches!(error, ConnectError::Call { .. }), "{error:?}");
    assert_eq!(server.names(), ["auth.mechanism_choices"]);
}

#[tokio::test]
async fn a_failed_exchange_is_the_end_and_nothing_weaker_is_tried() {
    let server = Scram::new(b"another key").start().await;
    check_refused(&server, KeyLogin::Auto, LoginRefusal::Wrong).await;
    let names = ["auth.mechanism_choices", "auth.login_ex", "auth.login_ex"];
    assert_eq!(server.names(), names);
}

#[tokio::test]
async fn a_server_that_does_not_prove_itself_is_refused() {
    let cases: [(Lie, ScramError); 4] = [
        (
            |message| message.replace("v=", "v=AAAA"),
            ScramError::Unproven,
        ),
        (
            |message| message.replace("i=50000", "i=4096"),
            ScramError::Iterations(4096),
        ),
        (
            |message| message.replace("i=50000", "i=100000000"),
            ScramError::Iterations(100_000_000),
        ),
        (
            |message| message.replacen("r=", "r=A", 1),
            ScramError::Nonce,
        ),
    ];
    for (lie, expected) in cases {
        let server = Scram::lying(lie).start().await;
        check_refused(&server, KeyLogin::Auto, expected.into()).await;
    }
}

#[tokio::test]
async fn a_success_without_a_signature_is_no_success() {
    let server = Server::start(|request: &Request| match request.method.as_str() {
        "auth.mechanism_choices" => vec![request.result(json!(["SCRAM"]))],
        _ => usual(request).unwrap_or_default(),
    })
    .await;
    let expected = LoginRefusal::Scram(ScramError::Unproven);
    check_refused(&server, KeyLogin::Auto, expected).await;
    assert!(server.seen("system.version").is_empty());
}

#[tokio::test]
async fn a_pinned_choice_is_kept() {
    // As recorded on 25.10.7.
    let old = Server::start(|request: &Request| match request.method.as_str() {
        "auth.login_ex" => vec![request.error(
            -32602,
            json!({"error": 22, "reason": "no such tag", "extra": [["login_data", "Input tag 'SCRAM' found using 'mechanism' does not match any of the expected tags", 22]]}),
        )],
        _ => usual(request).unwrap_or_default(),
    })
    .await;
    check_refused(&old, KeyLogin::Scram, LoginRefusal::NoScram).await;
    let server = Scram::new(SECRET).start().await;
    let client = connect(&server, KeyLogin::Plain).await.unwrap();
    assert_eq!(client.login().mechanism, Mechanism::ApiKey);
    client.logout().await;
    let options = ConnectOptions {
        key_login: KeyLogin::Scram,
        ..ConnectOptions::default()
    };
    let error = Client::connect(&server.endpoint(), &password(), &options).await;
    let error = error.expect_err("SCRAM is for keys");
    assert!(
        error.help().unwrap().contains("TRUENAS_API_KEY"),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_24_10_gets_no_key_that_must_not_be_sent() {
    let server = LegacyServer::start(|name, _| legacy_server::usual(name)).await;
    let options = ConnectOptions {
        key_login: KeyLogin::Scram,
        ..ConnectOptions::default()
    };
    let error = server.connect_with(&api_key(), options).await;
    let error = error.expect_err("24.10 does not know SCRAM");
    let ConnectError::Login { refusal, .. } = &error else {
        panic!("{error:?}");
    };
    assert_eq!(*refusal, LoginRefusal::NoScram);
    assert!(!format!("{:?}", server.calls()).contains("hunter2"));
}

#[tokio::test]
async fn a_lost_connection_is_made_again_the_same_way_without_asking() {
    let mut scram = Scram::new(SECRET);
    let mut cut = false;
    let server = Server::start(move |request: &Request| {
        if request.method == "vm.query" && !cut {
            cut = true;
            // Whoever answers from now on would rather have the key.
            scram.offers = json!(["API_KEY_PLAIN"]);
            return vec![Do::Cut];
        }
        if request.method == "vm.query" {
            return vec![request.result(json!([]))];
        }
        scram.request(request)
    })
    .await;
    let client = connect(&server, KeyLogin::Auto).await.unwrap();
    assert_eq!(client.query_vms().await.unwrap(), []);
    client.logout().await;
    assert_eq!(server.seen("auth.mechanism_choices").len(), 1);
    let logins = server.seen("auth.login_ex");
    assert_eq!(logins.len(), 4);
    assert!(
        logins
            .iter()
            .all(|one| one.params[0]["mechanism"] == "SCRAM")
    );
}
