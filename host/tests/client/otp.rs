//! The second factor: codes, and what stands for them on another connection.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use secrecy::SecretString;
use serde_json::{Value, json};
use tnvm::truenas::{
    Client, ConnectError, ConnectOptions, LoginRefusal, Mechanism, OtpRequest, OtpSource,
};

use crate::legacy_server::{self, Act, LegacyServer};
use crate::server::{Do, Request, Server, password, usual};

/// Codes in the order in which they are given, and what was asked.
#[derive(Debug, Default)]
struct Codes {
    left: Mutex<VecDeque<&'static str>>,
    asked: Mutex<Vec<(String, u32)>>,
}

impl OtpSource for Codes {
    fn code(&self, request: &OtpRequest) -> Option<SecretString> {
        let asked = (request.username.clone(), request.wrong);
        self.asked.lock().unwrap().push(asked);
        self.left
            .lock()
            .unwrap()
            .pop_front()
            .map(SecretString::from)
    }

    fn at_hand(&self) -> Option<SecretString> {
        let next = self.left.lock().unwrap().pop_front();
        next.map(SecretString::from)
    }
}

const RIGHT: &str = "123456";

/// A server that wants a code after the password, and gives a token.
#[derive(Default)]
struct Factor {
    cuts: usize,
    tokens: Option<&'static str>,
    ends_with: Option<Value>,
}

impl Factor {
    fn request(&mut self, request: &Request) -> Vec<Do> {
        let argument = &request.params[0];
        let required = json!({"response_type": "OTP_REQUIRED", "username": "admin"});
        let success = json!({"response_type": "SUCCESS", "user_info": null});
        let result = match (request.method.as_str(), argument["mechanism"].as_str()) {
            ("auth.login_ex", Some("PASSWORD_PLAIN")) => required,
            ("auth.login_ex", Some("TOKEN_PLAIN")) if argument["token"] == "token1" => success,
            ("auth.login_ex", _) => json!({"response_type": "AUTH_ERR"}),
            ("auth.login_ex_continue", Some("OTP_TOKEN")) => match &self.ends_with {
                Some(answer) => answer.clone(),
                None if argument["otp_token"] == RIGHT => success,
                None => required,
            },
            ("auth.generate_token", _) => match self.tokens {
                Some(token) => json!(token),
                None => return vec![request.error(-32001, json!({"error": 13, "reason": "no"}))],
            },
            ("vm.query", _) if self.cuts > 0 => {
                self.cuts -= 1;
                return vec![Do::Cut];
            }
            ("vm.query", _) => json!([]),
            _ => return usual(request).unwrap_or_default(),
        };
        vec![request.result(result)]
    }

    async fn start(mut self) -> Server {
        Server::start(move |request: &Request| self.request(request)).await
    }
}

fn codes(left: &[&'static str]) -> Arc<Codes> {
    Arc::new(Codes {
        left: Mutex::new(left.iter().copied().collect()),
        ..Codes::default()
    })
}

async fn connect(server: &Server, codes: Option<&Arc<Codes>>) -> Result<Client, ConnectError> {
    let options = ConnectOptions {
        otp: codes.map(|one| Arc::clone(one) as Arc<dyn OtpSource>),
        ..ConnectOptions::default()
    };
    Client::connect(&server.endpoint(), &password(), &options).await
}

async fn check_refused(server: &Server, codes: Option<&Arc<Codes>>, expected: LoginRefusal) {
    let error = connect(server, codes).await.expect_err("refused");
    let ConnectError::Login { refusal, .. } = &error else {
        panic!("{error:?}");
    };
    assert_eq!(*refusal, expected);
    let said = format!("{error} {error:?} {:?}", error.help());
    assert!(
        !said.contains("hunter2") && !said.contains("000000"),
        "{said}"
    );
}

#[tokio::test]
async fn a_code_completes_the_login_on_the_same_connection() {
    let server = Factor::default().start().await;
    let codes = codes(&[RIGHT]);
    let client = connect(&server, Some(&codes)).await.unwrap();
    assert!(client.login().second_factor);
    assert_eq!(client.login().mechanism, Mechanism::Password);
    client.logout().await;
    assert_eq!(*codes.asked.lock().unwrap(), [("admin".to_owned(), 0)]);
    let sent = server.seen("auth.login_ex_continue");
    let argument = json!({"mechanism": "OTP_TOKEN", "otp_token": RIGHT, "login_options": {"user_info": false}});
    assert_eq!(sent[0].params, json!([argument]));
}

#[tokio::test]
async fn a_wrong_code_is_asked_for_again_a_few_times() {
    let server = Factor::default().start().await;
    let good = codes(&["000000", RIGHT]);
    connect(&server, Some(&good)).await.unwrap().logout().await;
    let asked = good.asked.lock().unwrap().clone();
    assert_eq!(asked, [("admin".to_owned(), 0), ("admin".to_owned(), 1)]);
    let wrong = codes(&["000000"; 9]);
    check_refused(&server, Some(&wrong), LoginRefusal::OtpWrong).await;
    assert_eq!(wrong.asked.lock().unwrap().len(), 3);
    let one = codes(&["000000"]);
    check_refused(&server, Some(&one), LoginRefusal::OtpWrong).await;
}

#[tokio::test]
async fn without_a_code_it_is_said_how_to_give_one() {
    let server = Factor::default().start().await;
    check_refused(&server, None, LoginRefusal::OtpRequired).await;
    check_refused(&server, Some(&codes(&[])), LoginRefusal::OtpRequired).await;
    assert!(server.seen("auth.login_ex_continue").is_empty());
    let help = LoginRefusal::OtpRequired.help();
    assert!(
        help.contains("--otp") && help.contains("TRUENAS_OTP"),
        "{help}"
    );
}

#[tokio::test]
async fn too_many_wrong_codes_are_told_as_wrong_codes_and_not_as_a_wrong_password() {
    for (answer, expected) in [
        ("AUTH_ERR", LoginRefusal::OtpWrong),
        ("EXPIRED", LoginRefusal::Expired),
        ("DENIED", LoginRefusal::Denied),
    ] {
        let server = Factor {
            ends_with: Some(json!({"response_type": answer})),
            ..Factor::default()
        };
        let server = server.start().await;
        check_refused(&server, Some(&codes(&["000000"])), expected).await;
    }
}

#[tokio::test]
async fn a_lost_connection_is_made_again_with_a_token_and_not_with_the_spent_code() {
    let server = Factor {
        cuts: 2,
        tokens: Some("token1"),
        ..Factor::default()
    };
    let server = server.start().await;
    let codes = codes(&[RIGHT, RIGHT]);
    let client = connect(&server, Some(&codes)).await.unwrap();
    for _ in 0..2 {
        assert_eq!(client.query_vms().await.unwrap(), []);
    }
    client.logout().await;
    assert_eq!(codes.asked.lock().unwrap().len(), 1);
    // Works once, and only from here; so each connection asks for the next one.
    let asked = server.seen("auth.generate_token");
    assert_eq!(asked[0].params, json!([7200, {}, true, true]));
    assert_eq!(asked.len(), 3);
}

#[tokio::test]
async fn without_a_token_a_lost_connection_ends_the_run_with_the_reason() {
    for tokens in [None, Some("stale")] {
        let server = Factor {
            cuts: 1,
            tokens,
            ..Factor::default()
        };
        let server = server.start().await;
        let client = connect(&server, Some(&codes(&[RIGHT, RIGHT])))
            .await
            .unwrap();
        let error = client.query_vms().await.expect_err("no second code");
        assert!(error.is_final_loss(), "{error:?}");
        assert!(
            error.to_string().contains("cannot be used again"),
            "{error}"
        );
        assert!(
            error.help().unwrap().contains("new code"),
            "{:?}",
            error.help()
        );
        assert_eq!(server.seen("auth.login_ex_continue").len(), 1);
    }
}

/// A 24.10 that answers its logins and queries like this, to somebody who has these codes.
async fn older(
    given: &[&'static str],
    act: fn(&str) -> Act,
) -> (LegacyServer, Result<Client, ConnectError>) {
    let server = LegacyServer::start(move |name, _| match name {
        "auth.login" | "vm.query" => vec![act(name)],
        _ => legacy_server::usual(name),
    })
    .await;
    let options = ConnectOptions {
        otp: Some(codes(given) as Arc<dyn OtpSource>),
        ..ConnectOptions::default()
    };
    let client = server.connect_with(&password(), options).await;
    (server, client)
}

#[tokio::test]
async fn a_code_that_was_given_goes_with_the_password_to_24_10() {
    for (codes, expected) in [
        (&[RIGHT][..], json!(["admin", "hunter2", RIGHT])),
        (&[], json!(["admin", "hunter2"])),
    ] {
        let (server, client) = older(codes, |_| Act::Answer(json!(true))).await;
        let client = client.unwrap();
        assert_eq!(client.login().second_factor, !codes.is_empty());
        client.logout().await;
        assert_eq!(server.last("auth.login"), expected);
    }
}

fn logins(server: &LegacyServer) -> usize {
    let names = server.names();
    names.iter().filter(|one| *one == "auth.login").count()
}

#[tokio::test]
async fn a_24_10_that_says_no_leaves_open_what_was_wrong() {
    for (codes, expected) in [
        (&[][..], LoginRefusal::Unexplained),
        (&["000000"], LoginRefusal::UnexplainedWithCode),
    ] {
        let (server, client) = older(codes, |_| Act::Answer(json!(false))).await;
        let error = client.expect_err("refused");
        let ConnectError::Login { refusal, .. } = &error else {
            panic!("{error:?}");
        };
        assert_eq!((refusal, logins(&server)), (&expected, 1));
    }
}

#[tokio::test]
async fn a_spent_code_ends_the_run_when_a_24_10_is_lost() {
    let act = |name: &str| match name {
        "vm.query" => Act::Cut,
        _ => Act::Answer(json!(true)),
    };
    let (server, client) = older(&[RIGHT, RIGHT], act).await;
    let error = client
        .unwrap()
        .query_vms()
        .await
        .expect_err("no second code");
    let said = error.to_string();
    assert!(said.contains("cannot be used again"), "{said}");
    assert_eq!(logins(&server), 1);
}
