//! What may not be called is not sent, and what changes something is told to the observer.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use tnvm::truenas::{
    Allowed, CallError, CallObserver, CallOutcome, CallRecord, Client, ConnectOptions, Method,
    Purpose,
};

use crate::server::{Request, Server, password, usual};

/// Writes down what it is told.
#[derive(Debug, Default)]
struct Notes(Mutex<Vec<String>>);

impl CallObserver for Notes {
    fn ended(&self, call: &CallRecord<'_>) {
        let outcome = match call.outcome {
            CallOutcome::Done => "done".to_owned(),
            CallOutcome::Failed(error) => error.to_string(),
            CallOutcome::Abandoned => "abandoned".to_owned(),
        };
        let params = json!(call.params);
        let note = format!("{} {params} as {}: {outcome}", call.method, call.login);
        self.0.lock().unwrap().push(note);
    }
}

impl Notes {
    fn taken(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }
}

/// A server that does everything but `vm.start`, which it never answers.
async fn start(options: ConnectOptions) -> (Server, Client) {
    let server = Server::start(|request: &Request| {
        let silent = request.method == "vm.start";
        let answer = || match silent {
            true => Vec::new(),
            false => vec![request.result(Value::Null)],
        };
        usual(request).unwrap_or_else(answer)
    })
    .await;
    let client = Client::connect(&server.endpoint(), &password(), &options).await;
    let client = client.unwrap();
    (server, client)
}

#[tokio::test]
async fn what_is_not_allowed_is_refused_before_it_is_sent() {
    let notes = Arc::new(Notes::default());
    for allowed in [
        Allowed::default(),
        Allowed::of(Purpose::Look),
        Allowed::everything().read_only(true),
    ] {
        let options = ConnectOptions {
            allowed,
            audit: Some(Arc::clone(&notes) as Arc<dyn CallObserver>),
            ..ConnectOptions::default()
        };
        let (server, client) = start(options).await;
        let id = vec![json!(1)];
        for refused in [
            client.call(Method::VmPowerOff, id.clone()).await,
            client.job(Method::VmStop, id).await,
        ] {
            let error = refused.unwrap_err();
            assert!(matches!(error, CallError::NotAllowed { .. }), "{error:?}");
            assert!(!error.may_have_run() && error.help().is_some());
        }
        client.logout().await;
        for method in ["vm.poweroff", "vm.stop", "core.subscribe"] {
            assert!(server.seen(method).is_empty(), "{method}");
        }
    }
    assert!(notes.taken().is_empty());
}

#[tokio::test]
async fn every_change_is_told_once_when_it_has_ended_and_no_read_is() {
    let notes = Arc::new(Notes::default());
    let options = ConnectOptions {
        allowed: Allowed::everything(),
        audit: Some(Arc::clone(&notes) as Arc<dyn CallObserver>),
        ..ConnectOptions::default()
    };
    let (_server, client) = start(options).await;
    let login = password().username().to_owned();
    client.call(Method::VmQuery, vec![]).await.unwrap();
    assert!(notes.taken().is_empty());
    client.power_off_vm(7).await.unwrap();
    assert_eq!(notes.taken(), [format!("vm.poweroff [7] as {login}: done")]);
    // Somebody who no longer waits: the server may do it all the same.
    let soon = Duration::from_millis(50);
    let waited = tokio::time::timeout(soon, client.call(Method::VmStart, vec![json!(7)])).await;
    assert!(waited.is_err());
    assert_eq!(
        notes.taken(),
        [format!("vm.start [7] as {login}: abandoned")]
    );
    client.logout().await;
    assert!(notes.taken().is_empty());
}
