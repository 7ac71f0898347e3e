//! Every login on every line of TrueNAS, every way it can fail, and the ways to the server.

use serde_json::{Value, json};
use tnvm_simulator::{Assurance, Effect, Fault, Options, Role, TwoFactor, WorldBuilder};
use tnvm_suite::{HttpProxy, Lab};

/// One of each line, and the oldest that is used of 25.04.
const LINES: [&str; 5] = ["24.10", "25.04.2", "25.10.7", "26", "27"];
const CODE: &str = "424242";
const ADMIN: &str = "truenas_admin";

fn lab(line: &str, change: impl FnOnce(WorldBuilder) -> WorldBuilder) -> Lab {
    Lab::on(line.parse().unwrap(), change)
}

fn with_code(line: &str) -> Lab {
    let mut lab = lab(line, |world| {
        world.two_factor(ADMIN, TwoFactor::with_code(CODE))
    });
    lab.secret(CODE);
    lab
}

fn with_tls(line: &str) -> Lab {
    let world = WorldBuilder::example(line.parse().unwrap()).build();
    Lab::with(Options {
        tls: true,
        ..Options::with_world(world)
    })
}

/// From now on the administrator's key is used.
fn use_key(lab: &mut Lab) {
    let key = lab.server().api_key().to_owned();
    lab.unset("API_PASSWORD").set("TRUENAS_API_KEY", &key);
}

fn is_new(line: &str) -> bool {
    ["26", "27"].contains(&line)
}

/// The only server in what `login -o json` prints.
#[track_caller]
fn logged_in(lab: &Lab, options: &[&str]) -> Value {
    let ran = lab
        .tnvm(&[&["login", "-o", "json"], options].concat())
        .ended(0);
    let printed = ran.json();
    assert_eq!(printed["success"], json!(true), "{}", ran.shown());
    printed["servers"][0].clone()
}

#[test]
fn on_every_line_a_password_a_key_and_a_code_let_in() {
    for line in LINES {
        let mut lab = lab(line, |world| world);
        let server = logged_in(&lab, &[]);
        assert_eq!(server["mechanism"], "password", "{line}");
        assert_eq!(server["second_factor"], json!(false), "{line}");
        use_key(&mut lab);
        let before = lab.journal().calls().len();
        let server = logged_in(&lab, &[]);
        let way = if is_new(line) {
            "API key by SCRAM-SHA-512"
        } else {
            "API key"
        };
        assert_eq!(server["mechanism"], way, "{line}");
        // SCRAM takes two messages; nothing else came before or after them.
        let journal = lab.journal();
        let by_key = journal
            .calls()
            .iter()
            .skip(before)
            .map(|call| call.method.as_str());
        let by_key: Vec<&str> = by_key
            .filter(|name| name.starts_with("auth.login"))
            .collect();
        let expected: &[&str] = match line {
            "24.10" => &["auth.login_with_api_key"],
            "25.04.2" | "25.10.7" => &["auth.login_ex"],
            _ => &["auth.login_ex", "auth.login_ex"],
        };
        assert_eq!(by_key, expected, "{line}");
        let mut lab = with_code(line);
        for given in [&["--otp", CODE][..], &[]] {
            let server = logged_in(&lab, given);
            assert_eq!(server["second_factor"], json!(true), "{line}");
            lab.set("TRUENAS_OTP", CODE);
        }
    }
}

/// The login fails with exit code 3 and these words, and nothing was called but logins.
#[track_caller]
fn refused(lab: &Lab, options: &[&str], words: &[&str]) {
    let ran = lab.tnvm(&[&["login"], options].concat()).ended(3);
    ran.says(words);
    ran.says(&["help:"]);
    let journal = lab.journal();
    let mut calls = journal.calls().iter();
    assert!(
        calls.all(|call| call.method.starts_with("auth.")),
        "{}",
        ran.shown()
    );
}

#[test]
fn on_every_line_each_refusal_has_its_own_words() {
    for line in LINES {
        let older = line == "24.10";
        let said = |words: &'static str| if older { "is wrong" } else { words };

        let mut wrong = lab(line, |world| world);
        wrong
            .secret("wr0ng-passw0rd")
            .set("API_PASSWORD", "wr0ng-passw0rd");
        refused(&wrong, &[], &["is wrong"]);

        let mut other_key = lab(line, |world| world);
        let key = format!("1-{}", "x".repeat(64));
        other_key.secret(&key).set("TRUENAS_API_KEY", &key);
        refused(&other_key, &[], &["is wrong"]);

        let expired = lab(line, |world| world.expired(ADMIN));
        refused(&expired, &[], &[said("has expired")]);

        let mut denied = lab(line, |world| world);
        denied
            .set("API_USERNAME", "limited")
            .set("API_PASSWORD", "secret");
        let words = if is_new(line) {
            "no access to the API"
        } else {
            "is wrong"
        };
        refused(&denied, &[], &[words]);

        let code = with_code(line);
        refused(&code, &[], &["one-time code", "--otp"]);
        refused(
            &code,
            &["--otp", "000000"],
            &["one-time code", "wrong", "next code"],
        );
    }
}

#[test]
fn a_standby_node_and_a_strict_one_say_what_to_do() {
    for line in ["25.10.7", "26", "27"] {
        let url = "https://192.0.2.9";
        let standby = lab(line, |world| {
            world.logins(|logins| logins.redirect = vec![url.to_owned()])
        });
        refused(&standby, &[], &["standby", url]);

        let strict = |world: WorldBuilder| {
            let world = world.logins(|logins| logins.assurance = Assurance::Level2);
            world.two_factor(ADMIN, TwoFactor::with_code(CODE))
        };
        let mut with_key = lab(line, strict);
        use_key(&mut with_key);
        refused(&with_key, &[], &["security settings", "one-time code"]);
        let server = lab(line, strict);
        server
            .tnvm(&["login", "--otp", CODE])
            .says(&["password and one-time code"]);
    }
}

#[test]
fn a_throttled_address_is_told_how_long_to_wait() {
    for line in LINES {
        let lab = lab(line, |world| world);
        lab.inject(Fault::on("auth.login*", Effect::RateLimit { pause_ms: Some(1) }).every());
        refused(&lab, &[], &["wait", "ten minutes"]);
        assert_eq!(lab.journal().logins(), 0);
    }
}

#[test]
fn a_pinned_way_is_gone_or_none() {
    let mut new = with_tls("26");
    use_key(&mut new);
    let pin = new.server().certificate().unwrap().fingerprint.clone();
    let pin = ["--fingerprint", &pin];
    let by = |lab: &Lab, auth: &str| {
        let server = logged_in(lab, &[&["--auth", auth], &pin[..]].concat());
        server["mechanism"].as_str().unwrap().to_owned()
    };
    assert_eq!(by(&new, "scram"), "API key by SCRAM-SHA-512");
    let bound = "API key by SCRAM-SHA-512, bound to the certificate";
    assert_eq!(by(&new, "scram-bound"), bound);
    assert_eq!(by(&new, "plain"), "API key");

    let mut old = lab("25.10.7", |world| world);
    use_key(&mut old);
    refused(&old, &["--auth", "scram"], &["does not know SCRAM"]);
    assert_eq!(old.journal().logins(), 0);
    let password = lab("26", |world| world);
    refused(&password, &["--auth", "scram"], &["SCRAM needs an API key"]);
}

#[test]
fn on_a_terminal_a_code_is_asked_for_and_asked_for_again() {
    for line in ["25.10.7", "26"] {
        let mut lab = with_code(line);
        lab.secret("000000");
        let question = "One-time code of truenas_admin";
        let ran = lab.on_terminal(&["login"], &[(question, "000000"), (question, "424 242")]);
        assert_eq!(ran.code, 0, "{line}: {}", ran.shown());
        ran.says(&["that code was wrong", "password and one-time code"]);
        let ran = lab.on_terminal(&["login"], &[(question, "")]);
        assert_eq!(ran.code, 3, "{line}: {}", ran.shown());
    }
}

const VM: &str = "web: {count: 2, cpu: 1, memory: 1GiB, disk: {a: 1}, network: {lan: br0}}\n";

#[test]
fn a_run_with_a_code_outlives_a_lost_connection_by_a_token() {
    for line in ["25.04.2", "25.10.7", "26", "27"] {
        let lab = with_code(line);
        lab.config(VM);
        lab.inject(Fault::on("vm.create", Effect::DropAfterCommit));
        let ran = lab.tnvm(&["create", "--otp", CODE]);
        assert_eq!(ran.code, 0, "{line}: {}", ran.shown());
        assert_eq!(lab.view().vms.len(), 2, "{line}");
    }
}

#[test]
fn a_run_with_a_code_that_gets_no_token_says_why_it_ends() {
    for (line, method) in [("26", "auth.generate_token"), ("24.10", "none")] {
        let lab = with_code(line);
        lab.config(VM);
        lab.inject(Fault::fail(method, 13, "no token").every());
        lab.inject(Fault::on("vm.create", Effect::DropAfterCommit));
        let ran = lab.tnvm(&["create", "--otp", CODE]).ended(1);
        ran.says(&["cannot be used again", "with a new code"]);
        // The same command with a new code goes on from there.
        let _ = lab.tnvm(&["create", "--otp", CODE]).ended(0);
    }
}

#[test]
fn what_is_not_verified_is_loud_and_takes_a_key_only_when_told_so() {
    let mut lab = with_tls("25.10.7");
    let pin = lab.server().certificate().unwrap().fingerprint.clone();
    let shown: Vec<String> = pin
        .as_bytes()
        .chunks(2)
        .map(|pair| String::from_utf8_lossy(pair).to_uppercase())
        .collect();
    let ran = lab.tnvm(&["login", "--insecure"]).ended(0);
    ran.says(&["warning:", "not verified", "NOT VERIFIED", &shown.join(":")]);
    let ran = lab.config(VM).tnvm(&["create", "--insecure"]).ended(0);
    ran.says(&["warning:", "not verified"]);
    let together = ["login", "--insecure", "--fingerprint", &pin];
    lab.tnvm(&together).ended(2).says(&["pinned certificate"]);
    use_key(&mut lab);
    let before = lab.journal().calls().len();
    let ran = lab.tnvm(&["login", "--insecure"]).ended(3);
    ran.says(&["--insecure=with-api-key", "--fingerprint"]);
    assert_eq!(lab.journal().calls().len(), before);
    let ran = lab.tnvm(&["login", "--insecure=with-api-key"]).ended(0);
    ran.says(&["not verified"]);
}

#[test]
fn an_untrusted_certificate_is_shown_with_how_to_pin_it() {
    let lab = with_tls("26");
    let ran = lab.tnvm(&["login"]).ended(3);
    ran.says(&["SHA-256 fingerprint", "--fingerprint"]);
    let printed = lab.tnvm(&["login", "-o", "json"]).ended(3);
    printed.says(&["--fingerprint"]);
}

#[test]
fn a_proxy_leads_to_the_server_and_its_password_is_nowhere_shown() {
    let mut lab = with_tls("26");
    lab.secret("pr0xy-passw0rd").secret("pr0xy%2Dpassw0rd");
    let pin = lab.server().certificate().unwrap().fingerprint.clone();
    let proxy = HttpProxy::start();
    let url = format!("http://joe:pr0xy%2Dpassw0rd@{}", proxy.address());
    let login = ["login", "--fingerprint", &pin, "--log-level", "trace"];
    let ran = lab
        .tnvm(&[&login[..], &["--proxy", &url]].concat())
        .ended(0);
    ran.says(&["through the proxy", &proxy.address()]);
    let asked = proxy.asked();
    let server = lab.server().address();
    assert!(
        asked[0].starts_with(&format!("CONNECT {server} HTTP/1.1\r\n")),
        "{asked:?}"
    );
    // joe:pr0xy-passw0rd
    assert!(asked[0].contains("Proxy-Authorization: Basic am9lOnByMHh5LXBhc3N3MHJk\r\n"));
    lab.secret("am9lOnByMHh5LXBhc3N3MHJk");
    lab.set("TNVM_PROXY", &url);
    lab.config(VM);
    let _ = lab.tnvm(&["create", "--fingerprint", &pin]).ended(0);
    // Everybody's variables do not count for this machine.
    lab.unset("TNVM_PROXY")
        .set("HTTPS_PROXY", &url)
        .set("ALL_PROXY", &url);
    let before = proxy.asked().len();
    let _ = lab.tnvm(&login).ended(0);
    assert_eq!(proxy.asked().len(), before);
}

#[test]
fn a_proxy_that_does_not_help_is_told_apart_from_the_server() {
    let mut lab = lab("26", |world| world);
    lab.secret("pr0xy-passw0rd");
    for (status, words) in [
        ("407 Proxy Authentication Required", "USER:PASSWORD"),
        ("403 Forbidden", "NO_PROXY"),
    ] {
        let proxy = HttpProxy::answering(status);
        let url = format!("http://joe:pr0xy-passw0rd@{}", proxy.address());
        let options = [
            "login",
            "--allow-plaintext",
            "--log-level",
            "trace",
            "--proxy",
            &url,
        ];
        let ran = lab.tnvm(&options).ended(3);
        ran.says(&["the proxy", &proxy.address(), words]);
    }
    let socks = [
        "login",
        "--proxy",
        "socks5://joe:pr0xy-passw0rd@127.0.0.1:1",
    ];
    lab.tnvm(&socks).ended(3).says(&["--proxy", "SOCKS"]);
    assert!(lab.is_untouched());
}

#[test]
fn a_key_does_not_go_in_the_clear_through_a_proxy_on_this_machine() {
    let mut lab = lab("26", |world| world);
    use_key(&mut lab);
    let proxy = HttpProxy::start();
    let url = format!("http://{}", proxy.address());
    let ran = lab.tnvm(&["login", "--proxy", &url]).ended(3);
    ran.says(&["without TLS"]);
    // By SCRAM it does not go at all; but that has to be said.
    let told = [
        "login",
        "--auth",
        "scram",
        "--allow-plaintext",
        "--proxy",
        &url,
    ];
    lab.tnvm(&told)
        .ended(0)
        .says(&["SCRAM-SHA-512", "not encrypted"]);
}

#[test]
fn a_redirect_to_tls_is_explained_and_not_followed() {
    let lab = lab("25.10.7", |world| world);
    lab.inject(Fault::on_request("/api/current", Effect::Redirect { to: None }).every());
    let ran = lab.tnvm(&["login"]).ended(3);
    ran.says(&["https://", "wss://", "nothing was sent"]);
    assert_eq!(lab.journal().calls(), []);
}

#[test]
fn roles_are_compared_with_what_the_commands_need() {
    let reader =
        |world: WorldBuilder| world.user("reader", "secret", Role::of(&["READONLY_ADMIN"]));
    for line in ["24.10", "25.10.7", "26", "27"] {
        let mut lab = lab(line, reader);
        lab.set("API_USERNAME", "reader")
            .set("API_PASSWORD", "secret");
        let ran = lab.tnvm(&["login"]).ended(1);
        ran.says(&[
            "READONLY_ADMIN",
            "missing VM_DEVICE_WRITE",
            "vm.device.create",
        ]);
        let printed = lab.tnvm(&["login", "-o", "json"]).ended(1).json();
        let commands = printed["servers"][0]["commands"]
            .as_array()
            .unwrap()
            .clone();
        let missing = |command: &str| -> Vec<String> {
            let row = commands
                .iter()
                .find(|row| row["command"] == command)
                .unwrap();
            let missing = row["missing"].as_array().unwrap().iter();
            missing
                .map(|one| one["role"].as_str().unwrap().to_owned())
                .collect()
        };
        assert_eq!(missing("plan"), [""; 0], "{line}");
        let all = [
            "DATASET_DELETE",
            "DATASET_WRITE",
            "VM_DEVICE_WRITE",
            "VM_WRITE",
        ];
        assert_eq!(missing("create"), all, "{line}");
    }
}

#[test]
fn roles_that_a_config_needs_are_enough_for_it_and_for_what_it_does() {
    let roles = ["VM_DEVICE_WRITE", "DATASET_WRITE", "READONLY_ADMIN"];
    let maker = |world: WorldBuilder| world.user("maker", "secret", Role::of(&roles));
    let mut lab = lab("25.10.7", maker);
    lab.set("API_USERNAME", "maker")
        .set("API_PASSWORD", "secret");
    lab.tnvm(&["login"])
        .ended(1)
        .says(&["missing DATASET_DELETE"]);
    // Without disks nothing of a dataset is ever removed.
    lab.config("web: {count: 1, cpu: 1, memory: 1GiB, network: {lan: br0}}\n");
    let _ = lab.tnvm(&["login"]).ended(0);
    let _ = lab.tnvm(&["create"]).ended(0);
    let _ = lab.tnvm(&["destroy", "--yes"]).ended(0);
}
