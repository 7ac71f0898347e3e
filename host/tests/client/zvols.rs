//! New zvols: whose they are stands on them from the first moment.

use serde_json::{Value, json};
use tnvm::truenas::VolumeSpec;

use crate::server::{Request, Server, usual};

/// What the server answers when a zvol is made, with these user properties shown.
fn made(shown: Value) -> Value {
    json!({"id": "tank/a", "type": "VOLUME", "user_properties": shown})
}

/// Makes a zvol on a server of this version, which shows these properties of it; gives the
/// parameters of what was called for that.
async fn made_on(version: &'static str, shown: Value) -> Vec<(String, Value)> {
    let server = Server::start(move |request: &Request| match request.method.as_str() {
        "system.version" => vec![request.result(json!(version))],
        "pool.dataset.create" => vec![request.result(made(shown.clone()))],
        "pool.dataset.update" => vec![request.result(json!({}))],
        _ => usual(request).unwrap_or_default(),
    })
    .await;
    let client = server.connect().await.unwrap();
    let volume = VolumeSpec {
        dataset: "tank/a".into(),
        size: 1 << 30,
        sparse: true,
        block_size: None,
        user_properties: vec![("tnvm:owner".into(), "me".into())],
    };
    client.create_volume(&volume).await.unwrap();
    let of = |method: &str| {
        let seen = server.seen(method).into_iter();
        seen.map(|request| (request.method, request.params))
            .collect::<Vec<_>>()
    };
    [of("pool.dataset.create"), of("pool.dataset.update")].concat()
}

#[tokio::test]
async fn a_zvol_says_whose_it_is_from_the_first_moment_also_where_its_properties_are_forgotten() {
    let note = json!({"tnvm:owner": "me"}).to_string();
    let comment = json!({"value": note, "rawvalue": note, "source": "LOCAL"});
    let calls = made_on("TrueNAS-26.0.0-BETA.3", json!({"comments": comment})).await;
    assert_eq!(calls[0].1[0]["comments"], note.as_str());
    // Then it gets them, and the comment goes.
    let wanted = json!({"comments": "",
        "user_properties_update": [{"key": "tnvm:owner", "value": "me"}]});
    assert_eq!(calls[1].1, json!(["tank/a", wanted]));
}

#[tokio::test]
async fn where_user_properties_are_kept_there_is_one_call_and_no_comment() {
    let owner = json!({"value": "me", "rawvalue": "me", "source": "LOCAL"});
    for version in ["TrueNAS-25.10.7", "TrueNAS-26.0.0", "TrueNAS-27.0.0"] {
        let calls = made_on(version, json!({"tnvm:owner": owner})).await;
        assert_eq!(calls.len(), 1, "{version}");
        assert_eq!(calls[0].1[0].get("comments"), None, "{version}");
    }
}

#[tokio::test]
async fn a_version_that_is_not_known_to_forget_is_helped_as_well() {
    let calls = made_on("TrueNAS-26.0.0", json!({})).await;
    let wanted = json!({"user_properties_update": [{"key": "tnvm:owner", "value": "me"}]});
    assert_eq!(calls[1].1, json!(["tank/a", wanted]));
}

#[tokio::test]
async fn whoever_takes_a_property_off_a_zvol_takes_it_out_of_its_comment_as_well() {
    let note = json!({"tnvm:owner": "me", "tnvm:device": "disk.a"}).to_string();
    let server = Server::start(move |request: &Request| match request.method.as_str() {
        "system.version" => vec![request.result(json!("TrueNAS-26.0.0-BETA.3"))],
        "pool.dataset.query" => {
            let comment = json!({"value": note, "rawvalue": note, "source": "LOCAL"});
            vec![request.result(json!([made(json!({"comments": comment}))]))]
        }
        "pool.dataset.update" => vec![request.result(json!({}))],
        _ => usual(request).unwrap_or_default(),
    })
    .await;
    let client = server.connect().await.unwrap();
    let found = client.dataset_opt("tank/a").await.unwrap().unwrap();
    assert_eq!(found.user_properties["tnvm:owner"], "me");
    let none = [("tnvm:owner".to_owned(), None)];
    client.set_user_properties("tank/a", &none).await.unwrap();
    let wanted = json!({"comments": "", "user_properties_update": [
        {"key": "tnvm:owner", "remove": true}, {"key": "tnvm:device", "value": "disk.a"}]});
    let updates = server.seen("pool.dataset.update");
    assert_eq!(updates[0].params, json!(["tank/a", wanted]));
}
