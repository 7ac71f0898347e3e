//! Finding the server, trusting it, logging in.

use std::net::TcpListener;

use tnvm_simulator::Options;
use tnvm_suite::Lab;

const VM: &str = "web: {count: 1, cpu: 1, memory: 1GiB, disk: {a: 1}, network: {lan: br0}}\n";

fn with_tls() -> Lab {
    let lab = Lab::with(Options {
        tls: true,
        ..Options::default()
    });
    lab.config(VM);
    lab
}

#[test]
fn a_wrong_password_is_told_with_advice() {
    let mut lab = Lab::new();
    lab.secret("wrong-passw0rd")
        .set("API_PASSWORD", "wrong-passw0rd");
    let ran = lab.config(VM).tnvm(&["create"]).ended(3);
    ran.says(&["truenas_admin", "help: check user name and secret"]);
    assert_eq!((lab.journal().logins(), lab.mutations()), (0, 0));
}

#[test]
fn a_user_without_rights_is_told_so() {
    let mut lab = Lab::new();
    lab.set("API_USERNAME", "limited")
        .set("API_PASSWORD", "secret");
    let ran = lab.config(VM).tnvm(&["create"]).ended(3);
    ran.says(&["limited", "help:"]);
}

#[test]
fn an_api_key_logs_in_over_loopback_and_goes_before_the_password() {
    let mut lab = Lab::new();
    let key = lab.server().api_key().to_owned();
    lab.set("TRUENAS_API_KEY", &key)
        .set("API_PASSWORD", "wrong");
    let _ = lab.config(VM).tnvm(&["create"]).ended(0);
    assert!(lab.view().vms["web01"].running);
    lab.settled(&[]);
}

#[test]
fn nothing_is_sent_in_the_clear_to_another_machine() {
    // Addresses of RFC 5737 belong to nobody: had it tried, it would have to wait for a timeout.
    let mut lab = Lab::new();
    lab.config(VM).write("none", "");
    lab.set("TRUENAS_HOST", "ws://192.0.2.1");
    let began = std::time::Instant::now();
    lab.tnvm(&["create"])
        .ended(3)
        .says(&["--allow-plaintext", "192.0.2.1"]);
    let key = lab.server().api_key().to_owned();
    lab.set("TRUENAS_API_KEY", &key);
    for options in [&["create"][..], &["create", "--allow-plaintext"]] {
        lab.tnvm(options).ended(3).says(&["revoke", "wss"]);
    }
    assert!(began.elapsed() < std::time::Duration::from_secs(5));
}

#[test]
fn an_unknown_certificate_is_refused_with_its_fingerprint_and_advice() {
    let lab = with_tls();
    let fingerprint = lab.server().certificate().unwrap().fingerprint.clone();
    let ran = lab.tnvm(&["create"]).ended(3);
    ran.says(&["--fingerprint", "--ca", "help:"]);
    let shown = ran.stderr.to_lowercase().replace([':', ' ', '\n'], "");
    assert!(shown.contains(&fingerprint), "{}", ran.shown());
    assert_eq!(lab.journal().calls(), []);
}

#[test]
fn a_certificate_is_trusted_by_its_fingerprint_and_no_other_is() {
    let lab = with_tls();
    let fingerprint = lab.server().certificate().unwrap().fingerprint.clone();
    let other = "0".repeat(64);
    let _ = lab.tnvm(&["create", "--fingerprint", &other]).ended(3);
    assert_eq!(lab.journal().calls(), []);
    let _ = lab
        .tnvm(&["create", "--fingerprint", &fingerprint])
        .ended(0);
    lab.settled(&["--fingerprint", &fingerprint]);
}

#[test]
fn a_certificate_is_trusted_by_its_issuer() {
    let lab = with_tls();
    lab.write("ca.pem", &lab.server().certificate().unwrap().pem);
    let _ = lab.tnvm(&["create", "--ca", "ca.pem"]).ended(0);
    assert!(lab.view().vms["web01"].running);
    lab.tnvm(&["create", "--ca", "none.pem"])
        .says(&["none.pem"]);
}

#[test]
fn where_nobody_listens_that_is_told() {
    let mut lab = Lab::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    drop(listener);
    lab.set("TRUENAS_HOST", &format!("ws://{address}"));
    let ran = lab.config(VM).tnvm(&["create"]).ended(3);
    ran.says(&[&address, "help:"]);
    let _ = lab.tnvm(&["list"]).ended(3);
    let _ = lab.tnvm(&["destroy", "--yes"]).ended(3);
}

#[test]
fn a_host_that_is_no_address_is_a_mistake_in_the_input() {
    let mut lab = Lab::new();
    lab.set("TRUENAS_HOST", "ftp://nas");
    let _ = lab.config(VM).tnvm(&["create"]).ended(2);
    let _ = lab.tnvm(&["list", "--host", ":::"]).ended(2);
}
