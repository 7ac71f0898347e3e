//! Is what the simulator answers what the shapes say, in every version?

use std::collections::BTreeSet;

use serde_json::Value;
use tnvm_simulator::conform::shape::Shapes;
use tnvm_simulator::conform::{self, Session, VERSIONS};
use tnvm_simulator::{Options, Simulator, Version};

#[expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]
async fn session(version: &Version) -> Session {
    let world = conform::session_world(version.clone()).unwrap();
    let running = Simulator::start(Options::with_world(world)).await.unwrap();
    conform::session(&running, version).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_of_every_version_has_the_shape_of_its_method() {
    let mut wrong = Vec::new();
    for version in VERSIONS {
        let version: Version = version.parse().unwrap();
        let shapes = Shapes::of(&version).unwrap();
        for call in session(&version).await.calls {
            let params = Value::from(call.params.clone());
            let place = format!("{} {}({params})", version.short(), call.method);
            let found = shapes.check_call(&call);
            wrong.extend(found.iter().map(|what| format!("{place}: {what}")));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_session_calls_every_method_and_every_step_ends_as_it_should() {
    let mut wrong = Vec::new();
    for version in VERSIONS {
        let version: Version = version.parse().unwrap();
        let session = session(&version).await;
        let worked: BTreeSet<&str> = session
            .calls
            .iter()
            .filter(|call| call.outcome.is_ok())
            .map(|call| call.method.as_str())
            .collect();
        let missing = conform::methods(&version)
            .into_iter()
            .filter(|name| !worked.contains(name.as_str()))
            .map(|name| format!("{name} was not called with success"));
        let found = session.problems.iter().cloned().chain(missing);
        wrong.extend(found.map(|what| format!("{}: {what}", version.short())));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
