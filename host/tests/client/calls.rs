//! Calls: how many at once, in which order, and what is left when the line breaks.

use std::sync::{Arc, Mutex};

use futures_util::future::join_all;
use serde_json::{Value, json};
use tnvm::truenas::{
    CallError, Client, DeviceChange, DisconnectReason, Method, VmState, VolumeSpec,
};

use crate::server::{Do, Request, Script, Server, usual};

/// Calls that the client keeps in flight: the ten that the server runs and four that wait there.
const IN_FLIGHT: usize = 14;

/// Holds calls back until the pipe is full and the client has answered a ping, by which time any
/// further one would have come; then answers them, the last one first.
struct Hold {
    held: Vec<Request>,
    peak: Arc<Mutex<usize>>,
}

impl Script for Hold {
    fn request(&mut self, request: &Request) -> Vec<Do> {
        if let Some(answer) = usual(request) {
            return answer;
        }
        self.held.push(request.clone());
        let mut peak = self.peak.lock().unwrap();
        *peak = self.held.len().max(*peak);
        if self.held.len() == IN_FLIGHT {
            return vec![Do::Ping];
        }
        Vec::new()
    }

    fn pong(&mut self) -> Vec<Do> {
        let held = self.held.drain(..).rev();
        held.map(|request| request.result(json!([request.params[0]])))
            .collect()
    }
}

#[tokio::test]
async fn the_pipe_is_full_and_never_fuller_and_each_call_gets_its_own_answer() {
    let peak = Arc::default();
    let server = Server::start(Hold {
        held: Vec::new(),
        peak: Arc::clone(&peak),
    })
    .await;
    let client = server.connect().await.unwrap();
    let calls = (0..42).map(|number| client.call(Method::VmStatus, vec![json!(number)]));
    let results = join_all(calls).await;
    for (number, result) in results.into_iter().enumerate() {
        assert_eq!(result.unwrap(), json!([number]));
    }
    assert_eq!(*peak.lock().unwrap(), IN_FLIGHT);
}

/// A server that does this on `vm.start` or `vm.query`, and the usual otherwise.
async fn breaking(act: fn() -> Do) -> (Server, Client) {
    let server =
        Server::start(move |request: &Request| usual(request).unwrap_or_else(|| vec![act()])).await;
    let client = server.connect().await.unwrap();
    (server, client)
}

#[tokio::test]
async fn a_line_cut_during_a_change_leaves_it_open() {
    let (_server, client) = breaking(|| Do::Cut).await;
    let error = client.start_vm(1).await.expect_err("cut");
    assert!(!error.is_final_loss() && error.may_have_run(), "{error:?}");
    assert!(error.to_string().contains("vm.start"), "{error}");
    client.logout().await;
}

#[tokio::test]
async fn a_line_cut_during_a_read_is_connected_again() {
    let mut first = true;
    let server = Server::start(move |request: &Request| {
        usual(request).unwrap_or_else(|| {
            vec![if std::mem::take(&mut first) {
                Do::Cut
            } else {
                request.result(json!([]))
            }]
        })
    })
    .await;
    let client = server.connect().await.unwrap();
    assert!(client.query_vms().await.unwrap().is_empty());
    assert_eq!(server.seen("auth.login_ex").len(), 2);
    assert_eq!(server.seen("vm.query").len(), 2);
}

#[tokio::test]
async fn the_words_of_a_close_reach_the_caller() {
    let (_server, client) = breaking(|| Do::Close(1009, "Max message length is 64 kB")).await;
    let error = client.start_vm(1).await.expect_err("closed");
    let CallError::Disconnected { why, .. } = &error else {
        panic!("{error:?}");
    };
    assert!(matches!(
        why,
        DisconnectReason::ClosedByServer { code: 1009, .. }
    ));
    assert!(error.to_string().contains("64 kB"), "{error}");
}

/// A server that answers all other calls by this function.
async fn answering(answer: fn(&Request) -> Value) -> (Server, Client) {
    let server = Server::start(move |request: &Request| {
        usual(request).unwrap_or_else(|| vec![request.result(answer(request))])
    })
    .await;
    let client = server.connect().await.unwrap();
    (server, client)
}

#[tokio::test]
async fn vms_are_read_page_by_page_and_an_odd_one_is_left_out() {
    let (server, client) = answering(|request| {
        let options = &request.params[1];
        let from = options["offset"].as_u64().unwrap();
        let to = (from + options["limit"].as_u64().unwrap()).min(1200);
        let row = |id: u64| match id {
            7 => json!({"id": "seven"}),
            id => json!({"id": id, "name": format!("vm{id}"), "devices": [],
                "status": {"state": "STOPPED"}}),
        };
        (from..to).map(row).collect()
    })
    .await;
    let vms = client.query_vms().await.unwrap();
    assert_eq!(vms.len(), 1199);
    assert!(vms.iter().all(|vm| vm.state == VmState::Stopped));
    let pages = server.seen("vm.query");
    assert_eq!(pages.len(), 3);
    assert!(
        pages
            .iter()
            .all(|page| page.params[1]["order_by"] == json!(["id"]))
    );
}

#[tokio::test]
async fn a_vm_that_vanishes_between_two_pages_hides_no_other() {
    let mut asked = 0;
    let server = Server::start(move |request: &Request| {
        if request.method != "vm.query" {
            return usual(request).unwrap();
        }
        // The first VM is there for the first page alone.
        let first = usize::from(asked > 0);
        asked += 1;
        let vms: Vec<Value> = (first..800)
            .map(|id| json!({"id": id, "name": format!("vm{id}")}))
            .collect();
        let options = &request.params[1];
        let number = |name: &str| usize::try_from(options[name].as_u64().unwrap()).unwrap();
        let page = vms.iter().skip(number("offset")).take(number("limit"));
        vec![request.result(page.cloned().collect())]
    })
    .await;
    let client = server.connect().await.unwrap();
    let vms = client.query_vms().await.unwrap();
    let ids: Vec<u64> = vms.iter().map(|vm| vm.id).collect();
    assert_eq!(ids, (1..800).collect::<Vec<u64>>());
    assert_eq!(server.seen("vm.query").len(), 4, "two pages, twice");
}

#[tokio::test]
async fn a_server_that_never_comes_to_an_end_is_given_up() {
    let (server, client) = answering(|_| {
        (0..500)
            .map(|id| json!({"id": id, "name": format!("vm{id}")}))
            .collect()
    })
    .await;
    let error = client.query_vms().await.unwrap_err();
    assert!(matches!(error, CallError::Protocol { .. }), "{error:?}");
    assert!(server.seen("vm.query").len() < 10);
}

#[tokio::test]
async fn datasets_are_asked_for_in_one_call() {
    let (server, client) = answering(|_| json!([])).await;
    let names = ["tank/a", "tank/b", "tank/a/c"].map(str::to_owned);
    assert_eq!(client.query_datasets(&names).await.unwrap(), []);
    let queries = server.seen("pool.dataset.query");
    assert_eq!(queries.len(), 1);
    assert_eq!(
        queries[0].params[0],
        json!([[
            "OR",
            [
                ["id", "=", "tank/a"],
                ["id", "^", "tank/a/"],
                ["id", "=", "tank/b"],
                ["id", "^", "tank/b/"]
            ]
        ]])
    );
    assert!(client.query_datasets(&[]).await.unwrap().is_empty());
    assert_eq!(server.seen("pool.dataset.query").len(), 1);
}

#[tokio::test]
async fn removing_asks_for_nothing_recursive() {
    let (server, client) = answering(|request| match request.method.as_str() {
        "vm.status" => json!({"state": "RUNNING", "pid": 1, "domain_state": "RUNNING"}),
        _ => json!(true),
    })
    .await;
    client.delete_vm(3).await.unwrap();
    client.delete_dataset("tank/a").await.unwrap();
    assert_eq!(
        server.seen("vm.delete")[0].params,
        json!([3, {"zvols": false, "force": false}])
    );
    assert_eq!(
        server.seen("pool.dataset.delete")[0].params,
        json!(["tank/a", {"recursive": false, "force": false}])
    );
}

#[tokio::test]
async fn changes_say_only_what_changes() {
    let (server, client) = answering(|_| json!({"id": 1})).await;
    let memory = json!({"memory": 2048}).as_object().unwrap().clone();
    client.update_vm(3, memory).await.unwrap();
    let change = DeviceChange {
        changed: json!({"port": 5912}).as_object().unwrap().clone(),
        whole: json!({"dtype": "DISPLAY", "port": 5912, "password": "********"})
            .as_object()
            .unwrap()
            .clone(),
        order: None,
    };
    client.update_device(7, change).await.unwrap();
    client.grow_volume("tank/a", 2 << 30).await.unwrap();
    let properties = [
        ("tnvm:a".to_owned(), Some("b".to_owned())),
        ("tnvm:c".to_owned(), None),
    ];
    client
        .set_user_properties("tank/a", &properties)
        .await
        .unwrap();
    client.set_user_properties("tank/a", &[]).await.unwrap();
    client.delete_snapshot("tank/a@daily").await.unwrap();
    client.delete_dataset("tank/a").await.unwrap();
    let params = |method| server.seen(method).into_iter().map(|seen| seen.params);
    assert!(params("vm.update").eq([json!([3, {"memory": 2048}])]));
    assert!(params("vm.device.update").eq([json!([7, {"attributes": {"port": 5912}}])]));
    assert!(params("pool.dataset.update").eq([
        json!(["tank/a", {"volsize": 2_u64 << 30}]),
        json!(["tank/a", {"user_properties_update":
            [{"key": "tnvm:a", "value": "b"}, {"key": "tnvm:c", "remove": true}]}]),
    ]));
    let delete = json!(["tank/a@daily", {"defer": false, "recursive": false}]);
    assert!(params("pool.snapshot.delete").eq([delete]));
    let delete = json!(["tank/a", {"recursive": false, "force": false}]);
    assert!(params("pool.dataset.delete").eq([delete]));
}

#[tokio::test]
async fn reads_and_changes_are_counted() {
    let (_server, client) = answering(|_| json!(null)).await;
    let before = client.stats();
    assert_eq!((before.reads, before.mutations), (4, 0));
    let volume = VolumeSpec {
        dataset: "tank/a".into(),
        size: 1 << 30,
        sparse: true,
        block_size: None,
        user_properties: Vec::new(),
    };
    client.create_volume(&volume).await.unwrap();
    let after = client.stats();
    assert_eq!((after.reads, after.mutations), (4, 1));
    assert!(after.bytes_sent > before.bytes_sent);
    assert!(after.bytes_received > before.bytes_received);
}

#[tokio::test]
async fn a_missing_file_is_no_error() {
    let server = Server::start(|request: &Request| {
        usual(request).unwrap_or_else(|| {
            vec![request.error(
                -32001,
                json!({"error": 2, "errname": "ENOENT",
                "reason": "[ENOENT] Path not found", "extra": null}),
            )]
        })
    })
    .await;
    let client = server.connect().await.unwrap();
    assert_eq!(client.file_stat_opt("/mnt/tank/x.iso").await.unwrap(), None);
    let error = client.statfs("/mnt/tank").await;
    assert!(matches!(error, Err(CallError::NotFound(_))), "{error:?}");
}

#[tokio::test]
async fn an_answer_that_makes_no_sense_is_a_fault_and_no_panic() {
    let (_server, client) = answering(|_| json!("nonsense")).await;
    let errors = [
        client.query_vms().await.err(),
        client.vm_status(1).await.err(),
        client.nic_choices().await.err(),
        client.bind_choices().await.err(),
        client.available_memory().await.err(),
        client.file_stat_opt("/x").await.err(),
        client.dataset_opt("tank").await.err(),
        client.stop_vm(1, true).await.err(),
    ];
    for error in errors {
        assert!(
            matches!(error, Some(CallError::Protocol { .. })),
            "{error:?}"
        );
    }
    let error = client.create_vm(serde_json::Map::new()).await;
    assert!(error.is_err_and(|error| error.may_have_run()));
}

/// What is logged, at the most talkative level.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn nothing_shows_a_secret() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    // For the whole process: what other tests log meanwhile must not show a secret either. What
    // they logged first, before there was anybody to log to, is asked again.
    tracing::subscriber::set_global_default(subscriber).unwrap();
    tracing::callsite::rebuild_interest_cache();
    let (_server, client) = answering(|_| json!({"id": 1, "attributes": {}})).await;
    let attributes = json!({"dtype": "DISPLAY", "password": "hunter2"});
    let attributes = attributes.as_object().unwrap().clone();
    let device = client.create_device(1, attributes, 1).await.unwrap();
    let shown = format!("{client:?} {device:?}");
    client.logout().await;
    let logged = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(logged.contains("vm.device.create"), "{logged}");
    assert!(
        !logged.contains("hunter2") && !shown.contains("hunter2"),
        "{logged}{shown}"
    );
}
