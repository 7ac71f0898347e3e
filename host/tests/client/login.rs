//! Who is let in, and what is said to whoever is not.

use serde_json::{Value, json};
use tnvm::truenas::{
    CallError, Client, ConnectError, ConnectOptions, Endpoint, LoginRefusal, Method, Version,
};

use crate::server::{Request, Server, api_key, password, usual};

/// A server whose login answers like this.
async fn answering(answer: Value) -> Server {
    Server::start(move |request: &Request| {
        if request.method == "auth.login_ex" {
            return vec![request.result(answer.clone())];
        }
        usual(request).unwrap_or_default()
    })
    .await
}

#[tokio::test]
async fn one_login_then_the_version_then_the_name() {
    let server = answering(json!({"response_type": "SUCCESS"})).await;
    let client = server.connect().await.unwrap();
    assert_eq!(client.server().version, Version::new(25, 10, 7));
    assert_eq!(client.server().version_text, "TrueNAS-25.10.7");
    assert_eq!(client.server().hostname, "nas");
    assert_eq!(client.server().host_id.as_deref(), Some("5f3c"));
    client.logout().await;
    assert_eq!(
        server.names(),
        [
            "auth.login_ex",
            "system.version",
            "system.info",
            "system.host_id",
            "auth.logout"
        ]
    );
}

#[tokio::test]
async fn the_mechanism_follows_the_credentials() {
    let server = answering(json!({"response_type": "SUCCESS"})).await;
    for credentials in [password(), api_key()] {
        let options = ConnectOptions::default();
        let client = Client::connect(&server.endpoint(), &credentials, &options).await;
        client.unwrap().logout().await;
    }
    let logins = server.seen("auth.login_ex");
    let argument = |index: usize| logins[index].params[0].clone();
    let options = json!({"user_info": false});
    assert_eq!(
        argument(0),
        json!({"mechanism": "PASSWORD_PLAIN", "username": "admin", "password": "hunter2", "login_options": options})
    );
    assert_eq!(
        argument(1),
        json!({"mechanism": "API_KEY_PLAIN", "username": "admin", "api_key": "1-hunter2", "login_options": options})
    );
}

#[tokio::test]
async fn there_is_no_second_login() {
    let server = answering(json!({"response_type": "SUCCESS"})).await;
    let client = server.connect().await.unwrap();
    let error = client.call(Method::Login, vec![]).await;
    assert!(matches!(error, Err(CallError::TwoLogins)), "{error:?}");
    assert_eq!(server.seen("auth.login_ex").len(), 1);
}

async fn check_refusal(answer: Value, expected: LoginRefusal) {
    let server = answering(answer).await;
    let error = server.connect().await.expect_err("refused");
    let ConnectError::Login {
        refusal, username, ..
    } = &error
    else {
        panic!("{error:?}");
    };
    assert_eq!((refusal, username.as_str()), (&expected, "admin"));
    let said = format!("{error} {error:?} {:?}", error.help());
    assert!(!said.contains("hunter2"), "{said}");
    assert!(!error.is_transient());
    // Neither a second try nor any other call.
    assert_eq!(server.names(), ["auth.login_ex"]);
}

#[tokio::test]
async fn each_refusal_is_told_apart_and_never_repeated() {
    let kind = |kind: &str| json!({"response_type": kind});
    check_refusal(kind("AUTH_ERR"), LoginRefusal::Wrong).await;
    check_refusal(kind("EXPIRED"), LoginRefusal::Expired).await;
    check_refusal(kind("OTP_REQUIRED"), LoginRefusal::OtpRequired).await;
    check_refusal(kind("DENIED"), LoginRefusal::Denied).await;
    let urls = vec!["https://other".to_owned()];
    let redirect = json!({"response_type": "REDIRECT", "urls": urls});
    check_refusal(redirect, LoginRefusal::Redirect { urls }).await;
}

#[tokio::test]
async fn a_mechanism_that_is_not_allowed_is_a_refused_login() {
    let server = Server::start(|request: &Request| {
        vec![request.error(
            -32001,
            json!({"error": 95, "reason": "not allowed", "extra": null}),
        )]
    })
    .await;
    let error = server.connect().await.expect_err("refused");
    assert!(
        matches!(
            error,
            ConnectError::Login {
                refusal: LoginRefusal::Mechanism,
                ..
            }
        ),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_rate_limited_address_is_told_to_wait() {
    let server = Server::start(|request: &Request| {
        vec![request.error(
            -32001,
            json!({"error": 16, "reason": "[EBUSY] Rate Limit Exceeded"}),
        )]
    })
    .await;
    let error = server.connect().await.expect_err("refused");
    assert!(
        error
            .help()
            .is_some_and(|help| help.contains("ten minutes")),
        "{error:?}"
    );
    assert_eq!(server.names(), ["auth.login_ex"]);
}

#[tokio::test]
async fn an_address_that_is_not_allowed_hears_of_the_allow_list() {
    let server = Server::start(|_: &Request| vec![crate::server::Do::Close(1008, "denied")]).await;
    let error = server.connect().await.expect_err("refused");
    assert!(
        error.help().is_some_and(|help| help.contains("Allowed IP")),
        "{error:?}"
    );
}

async fn check_version(text: &'static str, works: bool) {
    let server = Server::start(move |request: &Request| {
        if request.method == "system.version" {
            return vec![request.result(json!(text))];
        }
        usual(request).unwrap_or_default()
    })
    .await;
    let result = server.connect().await;
    match result {
        Ok(client) => {
            assert!(works, "{text}");
            assert_eq!(client.server().version_text, text);
        }
        Err(ConnectError::Version { .. } | ConnectError::UnknownVersion { .. }) => {
            assert!(!works, "{text}");
        }
        Err(other) => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn only_versions_with_vms_are_accepted() {
    for text in [
        "TrueNAS-25.04.2",
        "TrueNAS-25.10.0-BETA.1",
        "TrueNAS-26.0.0-BETA.3",
        "27.0.0",
    ] {
        check_version(text, true).await;
    }
    for text in [
        "TrueNAS-25.04.0",
        "TrueNAS-25.04.1",
        "TrueNAS-SCALE-24.04.2.4",
        "unknown",
    ] {
        check_version(text, false).await;
    }
}

#[tokio::test]
async fn an_account_that_may_not_ask_for_name_and_id_still_connects() {
    let server = Server::start(|request: &Request| {
        if ["system.info", "system.host_id"].contains(&request.method.as_str()) {
            return vec![request.error(-32001, json!({"error": 13, "reason": "Not authorized"}))];
        }
        usual(request).unwrap_or_default()
    })
    .await;
    let client = server.connect().await.unwrap();
    assert_eq!(client.server().hostname, "127.0.0.1");
    assert_eq!(client.server().host_id, None);
}

/// Refused before any packet: nothing listens there, and that is not the error.
async fn check_plaintext(key: bool, allow: bool) -> ConnectError {
    let endpoint = Endpoint::parse("ws://nas.invalid:1").unwrap();
    let credentials = if key { api_key() } else { password() };
    let options = ConnectOptions {
        allow_plaintext: allow,
        ..ConnectOptions::default()
    };
    let result = Client::connect(&endpoint, &credentials, &options).await;
    result.expect_err("there is no such host")
}

#[tokio::test]
async fn a_key_is_never_sent_without_tls_and_a_password_only_when_allowed() {
    for allow in [false, true] {
        let error = check_plaintext(true, allow).await;
        assert!(
            matches!(error, ConnectError::ApiKeyOverPlaintext { .. }),
            "{error:?}"
        );
    }
    let error = check_plaintext(false, false).await;
    assert!(
        matches!(error, ConnectError::PasswordOverPlaintext { .. }),
        "{error:?}"
    );
    let error = check_plaintext(false, true).await;
    assert!(matches!(error, ConnectError::Dns { .. }), "{error:?}");
}

async fn check_http(answer: &'static str, status: u16, help: &str) {
    let server = Server::start_http(answer).await;
    let error = server.connect().await.expect_err("no WebSocket");
    assert!(
        matches!(error, ConnectError::Http { status: got, .. } if got == status),
        "{error:?}"
    );
    assert!(
        error.help().is_some_and(|said| said.contains(help)),
        "{:?}",
        error.help()
    );
}

#[tokio::test]
async fn an_http_answer_is_explained() {
    check_http(
        "HTTP/1.1 307 Temporary Redirect\r\nLocation: https://nas/\r\nContent-Length: 0\r\n\r\n",
        307,
        "https://nas/",
    )
    .await;
    check_http(
        "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n",
        404,
        "24.10",
    )
    .await;
    check_http(
        "HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n",
        502,
        "starting",
    )
    .await;
}

#[tokio::test]
async fn what_is_no_http_is_no_server() {
    let server = Server::start_http("SSH-2.0-OpenSSH_9.2\r\n\r\n").await;
    let error = server.connect().await.expect_err("no WebSocket");
    assert!(matches!(error, ConnectError::WebSocket { .. }), "{error:?}");
}

#[tokio::test]
async fn a_closed_port_is_a_refused_connection() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let endpoint = Endpoint::parse(&format!("ws://{address}")).unwrap();
    let result = Client::connect(&endpoint, &password(), &ConnectOptions::default()).await;
    let error = result.expect_err("nobody listens");
    assert!(
        matches!(error, ConnectError::Tcp { .. }) && error.is_transient(),
        "{error:?}"
    );
}
