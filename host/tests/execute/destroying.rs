//! What `destroy` removes, and what it leaves alone.

use tnvm::execute::Outcome;

use super::plans::{destruction, mark, outcomes, run, zvol};
use super::server::{Act, Server, Vm};

/// A server with web01 and its zvol.
async fn with_web01(
    rule: impl FnMut(&str, &serde_json::Value) -> Act + Send + 'static,
) -> (Server, u64) {
    let server = Server::start(rule).await;
    let id = server.world().add_vm(Vm {
        name: "web01".into(),
        description: mark("web01").description("", false),
        running: true,
        ..Vm::default()
    });
    let owner = mark("web01").to_string();
    server.world().add_zvol(&zvol("web01"), Some(&owner), 0);
    (server, id)
}

#[tokio::test]
async fn a_vm_and_its_zvol_go_and_neighbours_stay() {
    let (server, id) = with_web01(|_, _| Act::Do).await;
    server.world().add_zvol("tank/web01-disk01", None, 0);
    let report = run(&server.client, &destruction(&[("web01", id)])).await;
    assert_eq!(outcomes(&report), [Outcome::Destroyed]);
    assert!(server.vm_names().is_empty());
    assert_eq!(server.dataset_names(), ["tank/web01-disk01"]);
}

#[tokio::test]
async fn what_is_gone_already_is_no_error() {
    let server = Server::start(|_, _| Act::Do).await;
    let report = run(&server.client, &destruction(&[("web01", 7)])).await;
    assert_eq!(outcomes(&report), [Outcome::Destroyed]);
    assert_eq!(server.count("pool.dataset.delete"), 0);
}

#[tokio::test]
async fn without_its_very_mark_nothing_is_deleted() {
    for owner in [None, Some(mark("web02").to_string())] {
        let (server, id) = with_web01(|_, _| Act::Do).await;
        server.world().add_zvol(&zvol("web01"), owner.as_deref(), 0);
        let report = run(&server.client, &destruction(&[("web01", id)])).await;
        assert_eq!(outcomes(&report), [Outcome::DestroyIncomplete]);
        assert_eq!(report.vms[0].left_behind, ["zvol tank/web01-disk0"]);
        assert_eq!(server.dataset_names(), [zvol("web01")]);
        assert_eq!(server.count("pool.dataset.delete"), 0);
    }
    let (server, id) = with_web01(|_, _| Act::Do).await;
    server.world().vms.get_mut(&id).unwrap().description = "mine now".into();
    run(&server.client, &destruction(&[("web01", id)])).await;
    assert_eq!(server.vm_names(), ["web01"]);
    assert_eq!(server.count("vm.delete"), 0);
    assert_eq!(server.count("vm.poweroff"), 0);
    assert_eq!(server.dataset_names(), [zvol("web01")]);
}

#[tokio::test]
async fn snapshots_are_named_and_keep_their_zvol() {
    let (server, id) = with_web01(|_, _| Act::Do).await;
    let owner = mark("web01").to_string();
    server.world().add_zvol(&zvol("web01"), Some(&owner), 2);
    let report = run(&server.client, &destruction(&[("web01", id)])).await;
    let message = report.vms[0].error.clone().unwrap().message;
    assert!(message.contains("2 snapshots"), "{message}");
    assert!(
        message.contains("tank/web01-disk0@auto-0, tank/web01-disk0@auto-1"),
        "{message}"
    );
    assert_eq!(server.count("pool.dataset.delete"), 0);
}

#[tokio::test]
async fn a_zvol_that_another_vm_got_meanwhile_stays() {
    let (server, id) = with_web01(|_, _| Act::Do).await;
    let path = format!("/dev/zvol/{}", zvol("web01"));
    let disk = serde_json::json!({"id": 77, "vm": 9, "order": 1,
        "attributes": {"dtype": "DISK", "path": path}});
    let other = Vm {
        name: "other".into(),
        devices: [(77, disk)].into(),
        ..Vm::default()
    };
    server.world().add_vm(other);
    let report = run(&server.client, &destruction(&[("web01", id)])).await;
    assert_eq!(outcomes(&report), [Outcome::DestroyIncomplete]);
    let message = report.vms[0].error.clone().unwrap().message;
    assert!(
        message.contains("it is a disk of 1 VM (id 9) now"),
        "{message}"
    );
    assert_eq!(server.count("pool.dataset.delete"), 0);
}

#[tokio::test]
async fn a_delete_that_is_only_pretended_is_reported() {
    for method in ["vm.delete", "pool.dataset.delete"] {
        let (server, id) = with_web01(move |name, _| {
            if name == method {
                Act::Pretend
            } else {
                Act::Do
            }
        })
        .await;
        let report = run(&server.client, &destruction(&[("web01", id)])).await;
        assert_eq!(outcomes(&report), [Outcome::DestroyIncomplete], "{method}");
        let message = report.vms[0].error.clone().unwrap().message;
        assert!(message.contains("still there"), "{message}");
        assert!(!report.vms[0].left_behind.is_empty());
    }
}

#[tokio::test]
async fn a_busy_zvol_is_given_time() {
    for busy in [
        Act::Refuse(16, "pool is busy"),
        Act::Refuse(14, "cannot destroy: dataset is busy"),
    ] {
        let mut times = 2;
        let (server, id) = with_web01(move |name, _| {
            if name == "pool.dataset.delete" && times > 0 {
                times -= 1;
                return busy;
            }
            Act::Do
        })
        .await;
        let report = run(&server.client, &destruction(&[("web01", id)])).await;
        assert_eq!(outcomes(&report), [Outcome::Destroyed]);
        assert_eq!(server.count("pool.dataset.delete"), 3);
    }
}

#[tokio::test]
async fn a_vm_that_cannot_be_deleted_keeps_its_zvols() {
    let (server, id) = with_web01(|method, _| match method {
        "vm.delete" => Act::Refuse(14, "no"),
        _ => Act::Do,
    })
    .await;
    let report = run(&server.client, &destruction(&[("web01", id)])).await;
    assert_eq!(
        report.vms[0].left_behind,
        ["zvol tank/web01-disk0", "VM web01 (id 1)"]
    );
    assert_eq!(server.dataset_names(), [zvol("web01")]);
}
