//! Every way to log in, and every way to be refused, over a real socket.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a helper that fails fails its test"
)]

mod common;

use std::sync::Arc;
use std::time::Duration;

use common::scram::Scram;
use common::{Client, start, started, world};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use serde_json::{Value, json};
use sha2::Digest;
use tnvm_simulator::{
    Assurance, Options, Role, Running, Simulator, TwoFactor, Version, WorldBuilder,
};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

const ADMIN: &str = "truenas_admin";
const SECRET: &str = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";

fn world_of(version: &str) -> WorldBuilder {
    WorldBuilder::example(version.parse::<Version>().unwrap())
}

fn password(user: &str) -> Value {
    json!([{"mechanism": "PASSWORD_PLAIN", "username": user, "password": "secret"}])
}

fn api_key(key: &str) -> Value {
    json!([{"mechanism": "API_KEY_PLAIN", "username": ADMIN, "api_key": key}])
}

fn scram(kind: &str, message: &str) -> Value {
    json!([{"mechanism": "SCRAM", "scram_type": kind, "rfc_str": message}])
}

async fn login<S: AsyncRead + AsyncWrite + Unpin>(client: &mut Client<S>, data: Value) -> Value {
    client.ok("auth.login_ex", data).await
}

async fn response(client: &mut Client, data: Value) -> Value {
    login(client, data).await["response_type"].clone()
}

/// Both steps; answers the last response and the signature that it must carry.
async fn by_scram<S>(client: &mut Client<S>, half: &Scram) -> (Value, String)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let first = login(client, scram("CLIENT_FIRST_MESSAGE", &half.first())).await;
    if first["response_type"] != "SCRAM_RESPONSE" {
        return (first, String::new());
    }
    assert_eq!(first["scram_type"], "SERVER_FIRST_RESPONSE");
    assert_eq!(first["user_info"], Value::Null);
    let answer = half.answer(first["rfc_str"].as_str().unwrap());
    let last = login(client, scram("CLIENT_FINAL_MESSAGE", &answer.message)).await;
    (last, format!("v={}", answer.signature))
}

async fn over_tls(running: &Running) -> Client<TlsStream<TcpStream>> {
    let made = running.certificate().unwrap();
    let mut roots = rustls::RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_slice(made.pem.as_bytes()).unwrap())
        .unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let stream = TcpStream::connect(running.address()).await.unwrap();
    let name = ServerName::try_from("127.0.0.1").unwrap();
    let stream = TlsConnector::from(Arc::new(config))
        .connect(name, stream)
        .await
        .unwrap();
    Client::over(stream, &running.url()).await
}

#[tokio::test]
async fn scram_proves_the_key_and_the_server_proves_itself() {
    for version in ["26", "27"] {
        let running = start(world_of(version)).await;
        let mut client = Client::connect(&running).await;
        let half = Scram::new(ADMIN, running.api_key());
        let (last, signature) = by_scram(&mut client, &half).await;
        assert_eq!(last["response_type"], "SCRAM_RESPONSE");
        assert_eq!(last["scram_type"], "SERVER_FINAL_RESPONSE");
        assert_eq!(last["rfc_str"], signature);
        let info = &last["user_info"];
        assert_eq!(info["pw_name"], ADMIN);
        let expected = json!(["LOCAL", "API_KEY", "SYS_ADMIN", "API_KEY", "SCRAM"]);
        assert_eq!(info["account_attributes"], expected);
        client.ok("vm.query", json!([])).await;
    }
}

#[tokio::test]
async fn scram_refuses_a_wrong_key_an_unknown_one_and_an_unknown_user() {
    let running = start(world_of("26")).await;
    let other = format!("1-{}", "x".repeat(64));
    let (unknown, wrong) = (format!("77-{}", "x".repeat(64)), other.clone());
    for (user, key) in [(ADMIN, wrong), (ADMIN, unknown), ("nobody", other)] {
        let mut client = Client::connect(&running).await;
        let (last, _) = by_scram(&mut client, &Scram::new(user, &key)).await;
        assert_eq!(last, json!({"response_type": "AUTH_ERR"}), "{user} {key}");
        let refused = client.refused("vm.query", json!([])).await;
        assert_eq!(refused, (-32001, Some(207)));
    }
}

#[tokio::test]
async fn a_final_message_fits_only_the_exchange_it_belongs_to() {
    let running = start(world_of("26")).await;
    let half = Scram::new(ADMIN, running.api_key());
    let mut client = Client::connect(&running).await;
    let lonely = scram("CLIENT_FINAL_MESSAGE", "c=biws,r=abc,p=AAAA");
    let answer = client.call("auth.login_ex", lonely.clone()).await.unwrap();
    assert_eq!(
        answer["error"]["data"]["reason"],
        "pam handle was not initialized"
    );
    let garbage = scram("CLIENT_FIRST_MESSAGE", "garbage");
    assert_eq!(response(&mut client, garbage).await, "AUTH_ERR");
    let refused = client.refused("auth.login_ex", lonely).await;
    assert_eq!(refused, (-32001, Some(14)));

    let first = login(&mut client, scram("CLIENT_FIRST_MESSAGE", &half.first())).await;
    let old = half.answer(first["rfc_str"].as_str().unwrap()).message;
    login(&mut client, scram("CLIENT_FIRST_MESSAGE", &half.first())).await;
    let stale = scram("CLIENT_FINAL_MESSAGE", &old);
    assert_eq!(response(&mut client, stale).await, "AUTH_ERR");
}

#[tokio::test]
async fn scram_is_bound_to_the_certificate_where_the_client_asks_for_it() {
    let mut options = Options::with_world(world_of("26").build());
    options.tls = true;
    let running = Simulator::start(options).await.unwrap();
    let pem = running.certificate().unwrap().pem.clone();
    let der = CertificateDer::from_pem_slice(pem.as_bytes()).unwrap();
    let hash = sha2::Sha256::digest(&der);
    for (bound, expected) in [(hash.as_slice(), "SCRAM_RESPONSE"), (&[0; 32], "AUTH_ERR")] {
        let mut client = over_tls(&running).await;
        let half = Scram::new(ADMIN, running.api_key()).bound_to(bound);
        let (last, _) = by_scram(&mut client, &half).await;
        assert_eq!(last["response_type"], expected);
    }

    // Without TLS there is nothing to bind to.
    let running = start(world_of("26")).await;
    let mut client = Client::connect(&running).await;
    let half = Scram::new(ADMIN, running.api_key()).bound_to(&hash);
    assert_eq!(
        by_scram(&mut client, &half).await.0["response_type"],
        "AUTH_ERR"
    );
}

#[tokio::test]
async fn before_26_nobody_knows_scram() {
    for version in ["25.04.0", "25.04.2", "25.10"] {
        let running = start(world_of(version)).await;
        let mut client = Client::connect(&running).await;
        let half = Scram::new(ADMIN, running.api_key());
        let data = scram("CLIENT_FIRST_MESSAGE", &half.first());
        let refused = client.refused("auth.login_ex", data).await;
        assert_eq!(refused, (-32602, Some(22)), "{version}");
    }
}

#[tokio::test]
async fn the_rounds_of_a_scram_key_are_the_worlds() {
    let running = start(world_of("26").logins(|logins| logins.scram_iterations = 60_000)).await;
    let mut client = Client::connect(&running).await;
    let half = Scram::new(ADMIN, running.api_key());
    let first = login(&mut client, scram("CLIENT_FIRST_MESSAGE", &half.first())).await;
    let answer = half.answer(first["rfc_str"].as_str().unwrap());
    assert_eq!(answer.iterations, 60_000);
}

#[tokio::test]
async fn a_key_sent_over_a_line_that_others_read_is_revoked_and_a_proven_one_is_not() {
    let running = start(world_of("26").logins(|logins| logins.trusts_loopback = false)).await;
    let mut client = Client::connect(&running).await;
    let half = Scram::new(ADMIN, running.api_key());
    assert_eq!(
        by_scram(&mut client, &half).await.0["response_type"],
        "SCRAM_RESPONSE"
    );
    let sent = api_key(running.api_key());
    let mut client = Client::connect(&running).await;
    assert_eq!(response(&mut client, sent.clone()).await, "EXPIRED");
    assert_eq!(response(&mut client, sent).await, "AUTH_ERR");
    // The keyring that SCRAM looks at has lost it too.
    assert_eq!(
        by_scram(&mut client, &half).await.0["response_type"],
        "AUTH_ERR"
    );
    let alone = json!([running.api_key()]);
    assert_eq!(client.ok("auth.login_with_api_key", alone).await, false);
}

#[tokio::test]
async fn a_second_factor_is_asked_for_and_wrong_codes_are_forgiven_three_times() {
    let two_factor = TwoFactor::with_secret(SECRET);
    for version in ["25.04.0", "25.04.2", "25.10", "26", "27"] {
        let running = start(world_of(version).two_factor(ADMIN, two_factor.clone())).await;
        let mut client = Client::connect(&running).await;
        let code = |code: &str| json!([{"mechanism": "OTP_TOKEN", "otp_token": code}]);
        let asked = json!({"response_type": "OTP_REQUIRED", "username": ADMIN});
        assert_eq!(login(&mut client, password(ADMIN)).await, asked);
        let refused = client.refused("system.info", json!([])).await;
        assert_eq!(refused, (-32001, Some(207)));
        for _ in 0..3 {
            let again = client.ok("auth.login_ex_continue", code("000000")).await;
            assert_eq!(again, asked);
        }
        let over = client.ok("auth.login_ex_continue", code("000000")).await;
        assert_eq!(over["response_type"], "AUTH_ERR");
        let late = code(&two_factor.code().unwrap());
        let refused = client.refused("auth.login_ex_continue", late).await;
        assert_eq!(refused, (-32001, Some(22)), "no login is in progress");

        login(&mut client, password(ADMIN)).await;
        client.ok("auth.login_ex_continue", code("000000")).await;
        let good = code(&two_factor.code().unwrap());
        let answer = client.ok("auth.login_ex_continue", good).await;
        assert_eq!(answer["response_type"], "SUCCESS");
        let configured = &answer["user_info"]["two_factor_config"]["secret_configured"];
        assert_eq!(*configured, true);
        client.ok("system.info", json!([])).await;
    }
}

#[tokio::test]
async fn another_mechanism_gives_up_the_login_that_waits_for_a_code() {
    let running = start(world().two_factor(ADMIN, TwoFactor::with_code("424242"))).await;
    let mut client = Client::connect(&running).await;
    login(&mut client, password(ADMIN)).await;
    assert_eq!(response(&mut client, password("limited")).await, "AUTH_ERR");
    let code = json!([{"mechanism": "OTP_TOKEN", "otp_token": "424242"}]);
    let refused = client.refused("auth.login_ex", code).await;
    assert_eq!(refused, (-32001, Some(22)));
}

#[tokio::test]
async fn auth_login_takes_the_code_as_its_third_parameter_and_keys_need_none() {
    let running = start(world().two_factor(ADMIN, TwoFactor::with_code("424242"))).await;
    for (params, expected) in [
        (json!([ADMIN, "secret"]), false),
        (json!([ADMIN, "secret", "000000"]), false),
        (json!([ADMIN, "secret", "424242"]), true),
    ] {
        let mut client = Client::connect(&running).await;
        assert_eq!(client.ok("auth.login", params).await, expected);
    }
    let mut client = Client::connect(&running).await;
    let key = api_key(running.api_key());
    assert_eq!(response(&mut client, key).await, "SUCCESS");
}

#[tokio::test]
async fn an_account_without_privilege_is_denied_by_name_from_26_on() {
    for (version, expected) in [
        ("25.04.2", "AUTH_ERR"),
        ("25.10", "AUTH_ERR"),
        ("26", "DENIED"),
        ("27", "DENIED"),
    ] {
        let running = start(world_of(version)).await;
        let mut client = Client::connect(&running).await;
        assert_eq!(response(&mut client, password("limited")).await, expected);
        let plain = json!(["limited", "secret"]);
        assert_eq!(client.ok("auth.login", plain).await, false);
    }
    let two_factor = TwoFactor::with_code("424242");
    let running = start(world_of("26").two_factor("limited", two_factor)).await;
    let mut client = Client::connect(&running).await;
    assert_eq!(
        response(&mut client, password("limited")).await,
        "OTP_REQUIRED"
    );
    let code = json!([{"mechanism": "OTP_TOKEN", "otp_token": "424242"}]);
    assert_eq!(response(&mut client, code).await, "DENIED");
}

#[tokio::test]
async fn expired_accounts_and_keys_say_so_and_only_to_who_knows_the_secret() {
    let running = start(world().expired("viewer")).await;
    running.change(|world| world.api_keys[0].expired = true);
    let mut client = Client::connect(&running).await;
    assert_eq!(response(&mut client, password("viewer")).await, "EXPIRED");
    let wrong = json!([{"mechanism": "PASSWORD_PLAIN", "username": "viewer", "password": "x"}]);
    assert_eq!(response(&mut client, wrong).await, "AUTH_ERR");
    let key = api_key(running.api_key());
    assert_eq!(response(&mut client, key).await, "EXPIRED");

    // No code is asked for then.
    let two_factor = TwoFactor::with_code("424242");
    let running = start(world().two_factor("viewer", two_factor).expired("viewer")).await;
    let mut client = Client::connect(&running).await;
    assert_eq!(response(&mut client, password("viewer")).await, "EXPIRED");
}

#[tokio::test]
async fn a_standby_node_sends_logins_to_the_active_one() {
    let urls = vec!["https://10.0.0.2".to_owned()];
    let running = start(world().logins(|logins| logins.redirect = urls)).await;
    let mut client = Client::connect(&running).await;
    let answer = login(&mut client, password(ADMIN)).await;
    let expected = json!({"response_type": "REDIRECT", "urls": ["https://10.0.0.2"]});
    assert_eq!(answer, expected);
}

#[tokio::test]
async fn stig_mode_takes_a_password_with_a_code_and_nothing_else() {
    let strict = world_of("26")
        .two_factor(ADMIN, TwoFactor::with_code("424242"))
        .logins(|logins| logins.assurance = Assurance::Level2);
    let running = start(strict).await;
    let mut client = Client::connect(&running).await;
    let choices = client.ok("auth.mechanism_choices", json!([])).await;
    assert_eq!(choices, json!(["PASSWORD_PLAIN"]));
    let half = Scram::new(ADMIN, running.api_key());
    for data in [
        api_key(running.api_key()),
        scram("CLIENT_FIRST_MESSAGE", &half.first()),
        json!([{"mechanism": "TOKEN_PLAIN", "token": "x"}]),
    ] {
        let refused = client.refused("auth.login_ex", data).await;
        assert_eq!(refused, (-32001, Some(95)));
    }
    assert_eq!(response(&mut client, password("viewer")).await, "AUTH_ERR");
    login(&mut client, password(ADMIN)).await;
    let code = json!([{"mechanism": "OTP_TOKEN", "otp_token": "424242"}]);
    assert_eq!(login(&mut client, code).await["authenticator"], "LEVEL_2");
    client.ok("vm.query", json!([])).await;
    let row = json!([{"name": "a", "memory": 512}]);
    let refused = client.refused("vm.create", row).await;
    assert_eq!(refused, (-32001, Some(13)));
    let refused = client.refused("auth.generate_token", json!([])).await;
    assert_eq!(refused, (-32001, Some(95)));
}

#[tokio::test]
async fn a_session_ends_after_its_age_or_too_long_a_silence() {
    let limits = world().logins(|logins| logins.session_idle = Some(Duration::from_secs(60)));
    let running = start(limits).await;
    let mut client = Client::connect(&running).await;
    client.log_in(&running).await;
    tokio::time::pause();
    for _ in 0..3 {
        tokio::time::advance(Duration::from_secs(50)).await;
        client.ok("core.ping", json!([])).await;
    }
    tokio::time::advance(Duration::from_secs(70)).await;
    let refused = client.refused("vm.query", json!([])).await;
    assert_eq!(refused, (-32001, Some(13)));
    let refused = client.refused("vm.query", json!([])).await;
    assert_eq!(refused, (-32001, Some(207)));
}

#[tokio::test]
async fn a_login_may_ask_for_a_token_to_come_back_with_from_26_on() {
    let running = start(world_of("26")).await;
    let mut client = Client::connect(&running).await;
    let options = json!({"user_info": false, "reconnect_token": true});
    let mut data = password(ADMIN);
    data[0]["login_options"] = options;
    let answer = login(&mut client, data.clone()).await;
    assert_eq!(answer["user_info"], Value::Null);
    let token = json!([{"mechanism": "TOKEN_PLAIN", "token": answer["reconnect_token"]}]);
    for expected in ["SUCCESS", "AUTH_ERR"] {
        let mut client = Client::connect(&running).await;
        assert_eq!(response(&mut client, token.clone()).await, expected);
    }
    let running = start(world()).await;
    let mut client = Client::connect(&running).await;
    let refused = client.refused("auth.login_ex", data).await;
    assert_eq!(refused, (-32602, Some(22)));
}

#[tokio::test]
async fn roles_are_what_an_account_is_given_and_what_that_includes() {
    let role = Role::of(&["VM_WRITE", "VM_DEVICE_READ"]);
    let running = start(world().user("ann", "secret", role)).await;
    let mut admin = Client::connect(&running).await;
    admin.log_in(&running).await;
    let vm = admin
        .ok("vm.create", json!([{"name": "a", "memory": 512}]))
        .await;
    let display =
        json!({"dtype": "DISPLAY", "type": "SPICE", "password": "hidden", "bind": "0.0.0.0"});
    admin
        .ok(
            "vm.device.create",
            json!([{"vm": vm["id"], "attributes": display}]),
        )
        .await;

    let mut ann = Client::connect(&running).await;
    let answer = login(&mut ann, password("ann")).await;
    let expected = json!(["VM_DEVICE_READ", "VM_READ", "VM_WRITE"]);
    assert_eq!(answer["user_info"]["privilege"]["roles"]["$set"], expected);
    ann.ok("vm.create", json!([{"name": "b", "memory": 512}]))
        .await;
    let devices = ann.ok("vm.device.query", json!([])).await;
    assert_eq!(devices[0]["attributes"]["password"], "********");
    let refused = ann.refused("pool.dataset.query", json!([])).await;
    assert_eq!(refused, (-32001, Some(13)));
    let devices = admin.ok("vm.device.query", json!([])).await;
    assert_eq!(devices[0]["attributes"]["password"], "hidden");
}

#[tokio::test]
async fn mechanisms_are_listed_before_login_from_26_on() {
    let (_running, mut client) = started().await;
    let choices = client.ok("auth.mechanism_choices", json!([])).await;
    assert_eq!(
        choices,
        json!(["API_KEY_PLAIN", "TOKEN_PLAIN", "PASSWORD_PLAIN"])
    );
    let running = start(world_of("26")).await;
    let mut client = Client::connect(&running).await;
    let choices = client.ok("auth.mechanism_choices", json!([])).await;
    let expected = json!(["API_KEY_PLAIN", "TOKEN_PLAIN", "PASSWORD_PLAIN", "SCRAM"]);
    assert_eq!(choices, expected);
}

#[tokio::test]
async fn an_unknown_mechanism_is_refused_in_each_versions_words() {
    for (version, beginning) in [
        (
            "25.04.2",
            "[EINVAL] login_data.AuthApiKeyPlain.mechanism: Input should be",
        ),
        (
            "25.10",
            "[EINVAL] login_data: Input tag 'NO_SUCH' found using 'mechanism' does not match any of the expected tags: <AuthMech.API_KEY_PLAIN: 'API_KEY_PLAIN'>,",
        ),
        (
            "26",
            "[EINVAL] login_data: Input tag 'NO_SUCH' found using 'mechanism' does not match any of the expected tags: 'API_KEY_PLAIN', 'PASSWORD_PLAIN', 'TOKEN_PLAIN', 'OTP_TOKEN', 'SCRAM'",
        ),
    ] {
        let running = start(world_of(version)).await;
        let mut client = Client::connect(&running).await;
        let data = json!([{"mechanism": "NO_SUCH", "username": "a", "password": "b"}]);
        let answer = client.call("auth.login_ex", data).await.unwrap();
        let reason = answer["error"]["data"]["reason"].as_str().unwrap();
        assert!(reason.starts_with(beginning), "{version}: {reason}");
    }
}
