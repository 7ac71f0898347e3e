//! 24.10: found, greeted, logged in to, and used, over its older protocol.

use serde_json::{Map, Value, json};
use tnvm::truenas::{
    CallError, ConnectError, DeviceChange, LoginRefusal, LossReason, Method, Version, VmState,
};

use crate::legacy_server::{Act, LegacyServer, usual};
use crate::server::{Server, api_key, password};

fn object(value: Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

/// A 24.10 that answers one method like this, and the others as usual.
async fn answering(
    method: &'static str,
    answer: impl Fn(&Value) -> Act + Send + 'static,
) -> LegacyServer {
    LegacyServer::start(move |name, params| {
        if name == method {
            vec![answer(params)]
        } else {
            usual(name)
        }
    })
    .await
}

#[tokio::test]
async fn a_server_without_json_rpc_is_greeted_in_its_own_protocol_and_logged_in_to_once() {
    let server = answering("none", |_| Act::Cut).await;
    let client = server.connect(&password()).await.unwrap();
    let expected = Version::parse("24.10.2.5").unwrap();
    assert_eq!(client.server().version, expected);
    assert_eq!(client.server().hostname, "nas");
    client.logout().await;
    assert_eq!(server.paths(), ["/api/current", "/websocket"]);
    let mut names = server.names();
    // The three that ask who answers go out together.
    names[2..5].sort();
    assert_eq!(
        names,
        [
            "connect",
            "auth.login",
            "system.host_id",
            "system.info",
            "system.version",
            "auth.logout"
        ]
    );
    assert_eq!(server.last("auth.login"), json!(["admin", "hunter2"]));
}

#[tokio::test]
async fn a_key_is_sent_alone_for_it_belongs_to_no_user() {
    let server = answering("none", |_| Act::Cut).await;
    server.connect(&api_key()).await.unwrap().logout().await;
    assert_eq!(server.last("auth.login_with_api_key"), json!(["1-hunter2"]));
}

#[tokio::test]
async fn a_refused_login_is_not_repeated_and_shows_no_secret() {
    for (method, credentials, expected) in [
        ("auth.login", password(), LoginRefusal::Unexplained),
        ("auth.login_with_api_key", api_key(), LoginRefusal::Wrong),
    ] {
        let server = answering(method, |_| Act::Answer(json!(false))).await;
        let error = server.connect(&credentials).await.expect_err("refused");
        let ConnectError::Login { refusal, .. } = &error else {
            panic!("{error:?}");
        };
        assert_eq!(refusal, &expected);
        let said = format!("{error} {error:?} {:?}", error.help());
        assert!(!said.contains("hunter2"), "{said}");
        assert_eq!(server.names(), ["connect", method]);
    }
}

#[tokio::test]
async fn the_type_of_a_device_stands_beside_its_attributes() {
    let made = json!({"id": 7, "dtype": "CDROM", "vm": 3, "order": 1000,
        "attributes": {"path": "/mnt/tank/x.iso"}});
    let server = answering("vm.device.create", move |_| Act::Answer(made.clone())).await;
    let client = server.connect(&password()).await.unwrap();
    let attributes = object(json!({"dtype": "CDROM", "path": "/mnt/tank/x.iso"}));
    let device = client.create_device(3, attributes, 1000).await.unwrap();
    assert_eq!((device.id, device.dtype()), (7, Some("CDROM")));
    assert_eq!(
        server.last("vm.device.create"),
        json!([{"dtype": "CDROM", "attributes": {"path": "/mnt/tank/x.iso"}, "vm": 3, "order": 1000}])
    );
}

#[tokio::test]
async fn an_update_of_a_device_sends_all_attributes_since_they_are_replaced() {
    let server = answering("vm.device.update", |_| Act::Answer(json!({}))).await;
    let client = server.connect(&password()).await.unwrap();
    let change = DeviceChange {
        changed: object(json!({"nic_attach": "br1"})),
        whole: object(json!({"dtype": "NIC", "type": "VIRTIO", "nic_attach": "br1", "mac": "x"})),
        order: None,
    };
    client.update_device(30, change).await.unwrap();
    assert_eq!(
        server.last("vm.device.update"),
        json!([30, {"dtype": "NIC",
            "attributes": {"type": "VIRTIO", "nic_attach": "br1", "mac": "x"}}])
    );
}

#[tokio::test]
async fn devices_of_a_vm_are_read_with_their_type() {
    let row = json!([{"id": 3, "name": "a", "status": {"state": "RUNNING"}, "devices": [
        {"id": 7, "dtype": "NIC", "vm": 3, "order": 1002, "attributes": {"type": "VIRTIO"}}]}]);
    let server = answering("vm.query", move |_| Act::Answer(row.clone())).await;
    let client = server.connect(&password()).await.unwrap();
    let vms = client.query_vms().await.unwrap();
    assert_eq!(vms[0].state, VmState::Running);
    assert_eq!(vms[0].devices[0].dtype(), Some("NIC"));
}

#[tokio::test]
async fn a_job_is_followed_by_its_events() {
    let row = |state: &str| {
        json!({"id": 5, "method": "vm.stop", "state": state, "result": null,
            "error": "[EFAULT] not running",
            "exc_info": {"type": "CallError", "errno": 14, "extra": null}})
    };
    for (state, works) in [("SUCCESS", true), ("FAILED", false)] {
        let server = LegacyServer::start(move |name, _| match name {
            "vm.stop" => vec![Act::Answer(json!(5))],
            "core.get_jobs" => {
                let event = json!({"msg": "changed", "collection": "core.get_jobs", "id": 5,
                    "fields": row(state)});
                vec![Act::Answer(json!([row("RUNNING")])), Act::Frame(event)]
            }
            other => usual(other),
        })
        .await;
        let client = server.connect(&password()).await.unwrap();
        assert_eq!(client.stop_vm(1, true).await.is_ok(), works, "{state}");
        let names = server.names();
        assert_eq!(names[5..], ["sub", "vm.stop", "core.get_jobs"]);
        assert_eq!(server.last("sub")["name"], "core.get_jobs");
    }
}

#[tokio::test]
async fn a_call_that_was_not_taken_up_is_sent_again() {
    let mut full = 2;
    let server = LegacyServer::start(move |name, _| {
        if name != "vm.create" {
            return usual(name);
        }
        if full == 0 {
            return vec![Act::Answer(json!({"id": 3, "name": "a"}))];
        }
        full -= 1;
        vec![Act::Refuse(
            json!({"error": 109, "errname": "ETOOMANYREFS", "type": null,
            "reason": "Maximum number of concurrent calls (20) has exceeded.",
            "trace": null, "extra": null}),
        )]
    })
    .await;
    let client = server.connect(&password()).await.unwrap();
    client.create_vm(Map::new()).await.unwrap();
    let calls = server.names();
    assert_eq!(calls.iter().filter(|name| *name == "vm.create").count(), 3);
}

#[tokio::test]
async fn a_method_of_newer_servers_is_unsupported() {
    let server = answering("pool.snapshot.query", |_| {
        Act::Refuse(json!({"error": 201, "errname": "ENOMETHOD", "type": null,
            "reason": "[ENOMETHOD] Service 'pool.snapshot' not found", "extra": null}))
    })
    .await;
    let client = server.connect(&password()).await.unwrap();
    let error = client.call(Method::SnapshotQuery, vec![]).await;
    assert!(
        matches!(error, Err(CallError::Unsupported { .. })),
        "{error:?}"
    );
}

#[tokio::test]
async fn snapshots_are_asked_for_under_their_old_name() {
    let server = answering("zfs.snapshot.query", |_| {
        Act::Answer(json!([{"id": "tank/a@daily"}]))
    })
    .await;
    let client = server.connect(&password()).await.unwrap();
    let found = client.snapshots_of("tank/a").await.unwrap();
    assert_eq!(found, ["tank/a@daily"]);
}

#[tokio::test]
async fn a_lost_connection_is_made_again_in_the_same_protocol_with_one_login() {
    let mut cuts = 1;
    let server = LegacyServer::start(move |name, _| {
        if name == "vm.query" {
            if cuts > 0 {
                cuts -= 1;
                return vec![Act::Cut];
            }
            return vec![Act::Answer(json!([]))];
        }
        usual(name)
    })
    .await;
    let client = server.connect(&password()).await.unwrap();
    assert_eq!(client.query_vms().await.unwrap(), []);
    assert_eq!(server.paths(), ["/api/current", "/websocket", "/websocket"]);
    let logins = server.names();
    assert_eq!(
        logins.iter().filter(|name| *name == "auth.login").count(),
        2
    );
}

#[tokio::test]
async fn a_server_that_spoke_json_rpc_is_not_talked_down_to_the_older_protocol() {
    let mut open = true;
    let http = move |path: &str| {
        let answer = (path == "/websocket" || !open).then_some((404, None));
        open = false;
        answer
    };
    let script = |name: &str, _: &Value| match name {
        "auth.login_ex" => vec![Act::Answer(json!({"response_type": "SUCCESS"}))],
        "system.version" => vec![Act::Answer(json!("TrueNAS-25.10.7"))],
        "vm.query" => vec![Act::Cut],
        other => usual(other),
    };
    let server = LegacyServer::start_with(Box::new(http), Box::new(script)).await;
    let client = server.connect(&password()).await.unwrap();
    let error = client.query_vms().await.expect_err("it is gone");
    assert!(
        matches!(
            &error,
            CallError::ConnectionLost {
                why: LossReason::Refused(_),
                ..
            }
        ),
        "{error:?}"
    );
    assert_eq!(server.paths(), ["/api/current", "/api/current"]);
}

#[tokio::test]
async fn a_newer_server_is_not_used_in_the_older_protocol() {
    let server = answering("system.version", |_| Act::Answer(json!("TrueNAS-25.10.7"))).await;
    let error = server.connect(&password()).await.expect_err("refused");
    assert!(
        matches!(error, ConnectError::OlderProtocol { .. }),
        "{error:?}"
    );
    assert!(error.help().is_some_and(|help| help.contains("proxy")));
}

#[tokio::test]
async fn what_is_older_than_24_10_is_refused_with_the_reason() {
    let server = answering("system.version", |_| {
        Act::Answer(json!("TrueNAS-SCALE-24.04.2.5"))
    })
    .await;
    let error = server.connect(&password()).await.expect_err("refused");
    assert!(matches!(error, ConnectError::Version { .. }), "{error:?}");
    let said = format!("{error}; {}", error.help().unwrap_or_default());
    assert!(
        said.contains("24.04.2.5") && said.contains("25.10"),
        "{said}"
    );
}

#[tokio::test]
async fn being_pointed_to_the_web_page_of_the_same_server_leads_to_the_older_protocol_too() {
    let http = |path: &str| (path != "/websocket").then_some((302, Some("/ui/")));
    let script = |name: &str, _: &Value| usual(name);
    let server = LegacyServer::start_with(Box::new(http), Box::new(script)).await;
    server.connect(&password()).await.unwrap().logout().await;
    assert_eq!(server.paths(), ["/api/current", "/websocket"]);
}

#[tokio::test]
async fn a_web_page_at_both_addresses_is_no_server() {
    let page = "HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\n<html></html>";
    let server = Server::start_http(page).await;
    let error = server.connect().await.expect_err("no WebSocket");
    assert!(
        matches!(error, ConnectError::Http { status: 200, .. }),
        "{error:?}"
    );
}

/// What answers `/api/current` like this is asked for nothing else, and gets no credentials.
async fn check_not_followed(status: u16, location: Option<&'static str>) {
    let http = move |path: &str| (path != "/websocket").then_some((status, location));
    let script = |name: &str, _: &Value| usual(name);
    let server = LegacyServer::start_with(Box::new(http), Box::new(script)).await;
    let error = server.connect(&password()).await.expect_err("refused");
    assert!(
        matches!(error, ConnectError::Http { status: found, .. } if found == status),
        "{error:?}"
    );
    assert_eq!(server.paths(), ["/api/current"]);
    assert_eq!(server.names(), [""; 0]);
}

#[tokio::test]
async fn a_redirect_and_a_server_that_starts_lead_nowhere() {
    check_not_followed(307, Some("https://nas.example/api/current")).await;
    check_not_followed(302, Some("//nas.example/ui/")).await;
    check_not_followed(502, None).await;
    check_not_followed(401, None).await;
}

#[tokio::test]
async fn an_address_that_is_not_allowed_hears_of_the_allow_list() {
    let server = answering("connect", |_| Act::Close(1008)).await;
    let error = server.connect(&password()).await.expect_err("refused");
    assert!(
        error.help().is_some_and(|help| help.contains("Allowed IP")),
        "{error:?}"
    );
    assert_eq!(server.names(), ["connect"]);
}

#[tokio::test]
async fn a_server_that_does_not_greet_back_gets_no_login() {
    let server = answering("connect", |_| {
        Act::Frame(json!({"msg": "failed", "version": "2"}))
    })
    .await;
    let error = server.connect(&password()).await.expect_err("refused");
    assert!(matches!(error, ConnectError::WebSocket { .. }), "{error:?}");
    assert_eq!(server.names(), ["connect"]);
}

#[tokio::test]
async fn a_machine_without_kvm_says_why() {
    for (answer, why) in [
        (json!({"supported": true, "error": null}), None),
        (
            json!({"supported": false, "error": "no KVM"}),
            Some("no KVM"),
        ),
    ] {
        let server = answering("vm.virtualization_details", move |_| {
            Act::Answer(answer.clone())
        })
        .await;
        let client = server.connect(&password()).await.unwrap();
        let missing = client.missing_virtualization().await.unwrap();
        assert_eq!(missing.as_deref(), why);
    }
}
