//! The lock on a simulated server.

use std::time::{Duration, Instant};

use tnvm_simulator::{Fault, Options, Running, Simulator, Version, WorldBuilder};

use super::*;
use crate::truenas::{Allowed, Client, ConnectOptions, Credentials, Endpoint, Purpose};
use crate::whoami::WhoAmI;

/// The first pool of the simulator by name.
const ROOT: &str = "storage";

async fn start(faults: Vec<Fault>) -> Running {
    let world = WorldBuilder::example(Version::default())
        .pool("zebra", 10)
        .build();
    let options = Options {
        faults,
        ..Options::with_world(world)
    };
    Simulator::start(options).await.unwrap()
}

async fn connect(server: &Running) -> Client {
    let credentials = Credentials::ApiKey {
        username: "truenas_admin".into(),
        key: server.api_key().into(),
    };
    let options = ConnectOptions {
        allowed: Allowed::of(Purpose::Create),
        ..ConnectOptions::default()
    };
    let endpoint = Endpoint::parse(&server.url()).unwrap();
    Client::connect(&endpoint, &credentials, &options)
        .await
        .unwrap()
}

fn request<'a>(client: &'a Client, who: &'a WhoAmI) -> Request<'a> {
    Request {
        client,
        who,
        group: "lab",
        command: "create",
        force: false,
        times: Times {
            lasts: Duration::from_secs(60),
            renewed: Duration::from_millis(20),
        },
    }
}

async fn get(request: &Request<'_>) -> Result<Lock, LockError> {
    let place = look(request.client).await;
    let taken = take(request, place, &|_| {}, async || ()).await;
    taken.map(|(lock, ())| lock)
}

fn held(lock: Result<Lock, LockError>) -> Held {
    match lock {
        Ok(Lock::Held(held)) => held,
        other => panic!("not held: {other:?}"),
    }
}

fn on_server(server: &Running) -> Vec<LockRecord> {
    server.change(|world| {
        let properties = &world.datasets[ROOT].user_properties;
        let all = record::read_all(properties);
        all.into_iter().map(|(_, lock)| lock).collect()
    })
}

async fn until(what: &str, wanted: impl Fn() -> bool) {
    let began = Instant::now();
    while !wanted() {
        assert!(
            began.elapsed() < Duration::from_secs(30),
            "never came: {what}"
        );
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

#[tokio::test]
async fn a_lock_is_there_while_it_is_held_and_never_after() {
    let server = start(Vec::new()).await;
    let (client, who) = (connect(&server).await, WhoAmI::ask());
    let lock = held(get(&request(&client, &who)).await);
    let found = on_server(&server);
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].group.as_str(), found[0].pid), ("lab", who.pid));
    assert!(found[0].text().len() <= 1024);
    lock.release().await;
    assert_eq!(on_server(&server), []);
}

#[tokio::test]
async fn a_held_group_is_refused_with_its_holder_and_another_is_not() {
    let server = start(Vec::new()).await;
    let (client, who, other) = (connect(&server).await, WhoAmI::ask(), WhoAmI::ask());
    let first = held(get(&request(&client, &who)).await);
    let Err(LockError::Taken(holders)) = get(&request(&client, &other)).await else {
        panic!("not refused");
    };
    assert!(holders[0].holder().contains(&who.user));
    let elsewhere = Request {
        group: "other",
        ..request(&client, &other)
    };
    let second = held(get(&elsewhere).await);
    first.release().await;
    second.release().await;
    assert_eq!(on_server(&server), []);
}

#[tokio::test]
async fn of_many_at_the_same_moment_never_two_hold_the_group() {
    let server = start(Vec::new()).await;
    for _ in 0..5 {
        let runs = (0..4).map(|_| async {
            let (client, who) = (connect(&server).await, WhoAmI::ask());
            let taken = get(&request(&client, &who)).await;
            (client, taken)
        });
        let all = futures_util::future::join_all(runs).await;
        let holding = all.iter().filter(|(_, taken)| taken.is_ok()).count();
        assert!(holding <= 1, "{holding} hold it");
        assert_eq!(on_server(&server).len(), holding);
        for (_client, taken) in all {
            if let Ok(Lock::Held(lock)) = taken {
                lock.release().await;
            }
        }
        assert_eq!(on_server(&server), []);
    }
}

#[tokio::test]
async fn a_held_lock_is_renewed() {
    let server = start(Vec::new()).await;
    let (client, who) = (connect(&server).await, WhoAmI::ask());
    let lock = held(get(&request(&client, &who)).await);
    let first = on_server(&server)[0].expires;
    until("a later expiry", || on_server(&server)[0].expires > first).await;
    assert_eq!(*lock.lost().borrow(), None);
    lock.release().await;
    assert_eq!(on_server(&server), []);
}

#[tokio::test]
async fn whoever_is_forced_out_is_told_and_does_not_write_the_lock_again() {
    let server = start(Vec::new()).await;
    let (client, who, other) = (connect(&server).await, WhoAmI::ask(), WhoAmI::ask());
    // Rarely enough not to be in the middle of a renewal.
    let times = Times {
        lasts: Duration::from_secs(60),
        renewed: Duration::from_millis(300),
    };
    let one = Request {
        times,
        ..request(&client, &who)
    };
    let first = held(get(&one).await);
    let force = Request {
        force: true,
        times,
        ..request(&client, &other)
    };
    let told = std::cell::Cell::new(0);
    let place = look(&client).await;
    let tell = |_: &LockRecord| told.set(told.get() + 1);
    let (second, ()) = take(&force, place, &tell, async || ()).await.unwrap();
    assert_eq!(told.get(), 1);
    let mut lost = first.lost();
    lost.wait_for(Option::is_some).await.unwrap();
    assert_eq!(on_server(&server).len(), 1);
    held(Ok(second)).release().await;
    first.release().await;
    assert_eq!(on_server(&server), []);
}

/// Renewed every second of these few, so that the deadline is three and a half from a renewal.
fn short(client: &Client, who: &'static WhoAmI) -> Request<'static> {
    // Leaked, since a test has few.
    let client: &'static Client = Box::leak(Box::new(client.clone()));
    Request {
        times: Times {
            lasts: Duration::from_secs(4),
            renewed: Duration::from_secs(1),
        },
        ..request(client, who)
    }
}

fn somebody() -> &'static WhoAmI {
    Box::leak(Box::new(WhoAmI::ask()))
}

#[tokio::test]
async fn an_old_look_never_removes_a_lock_that_was_renewed_since() {
    let server = start(Vec::new()).await;
    let client = connect(&server).await;
    let (one, other) = (short(&client, somebody()), request(&client, somebody()));
    let first = held(get(&one).await);
    let old = look(&client).await;
    let seen = on_server(&server)[0].expires;
    until("the expiry that the look saw", || {
        record::seconds(client.server_time()) > seen
    })
    .await;
    let elsewhere = Request {
        group: "other",
        ..other
    };
    let (second, ()) = take(&elsewhere, old, &|_| {}, async || ()).await.unwrap();
    assert_eq!(on_server(&server).len(), 2, "the first lock is still there");
    assert_eq!(*first.lost().borrow(), None);
    held(Ok(second)).release().await;
    first.release().await;
}

#[tokio::test]
async fn a_lock_is_renewed_while_every_other_call_waits() {
    let slow = Fault::on("vm.start", tnvm_simulator::Effect::Delay { ms: 60_000 }).every();
    let server = start(vec![slow]).await;
    let credentials = Credentials::ApiKey {
        username: "truenas_admin".into(),
        key: server.api_key().into(),
    };
    let options = ConnectOptions {
        allowed: Allowed::of(Purpose::Create),
        concurrency: 1,
        ..ConnectOptions::default()
    };
    let endpoint = Endpoint::parse(&server.url()).unwrap();
    let client = Client::connect(&endpoint, &credentials, &options)
        .await
        .unwrap();
    let who = WhoAmI::ask();
    let lock = held(get(&request(&client, &who)).await);
    let busy = client.clone();
    let start = tokio::spawn(async move { busy.start_vm(1).await });
    let first = on_server(&server)[0].expires;
    until("a later expiry", || on_server(&server)[0].expires > first).await;
    assert_eq!(*lock.lost().borrow(), None);
    start.abort();
    lock.release().await;
}

#[tokio::test]
async fn a_lock_that_cannot_be_renewed_is_given_up_before_it_expires() {
    let server = start(Vec::new()).await;
    let client = connect(&server).await;
    let lock = held(get(&short(&client, somebody())).await);
    let slow = tnvm_simulator::Effect::Delay { ms: 60_000 };
    server.inject(Fault::on("pool.dataset.update", slow).every());
    let mut lost = lock.lost();
    let why = lost.wait_for(Option::is_some).await.unwrap().clone();
    assert!(why.unwrap().contains("could not be renewed in time"));
    assert!(on_server(&server)[0].expires > record::seconds(client.server_time()));
}

#[tokio::test]
async fn a_removed_lock_that_comes_back_beside_another_gives_way() {
    let server = start(Vec::new()).await;
    let client = connect(&server).await;
    let lock = held(get(&short(&client, somebody())).await);
    let mut younger = on_server(&server)[0].clone();
    younger.since += 1;
    younger.pid = std::process::id();
    younger.expires += 3600;
    server.change(|world| {
        let properties = &mut world.datasets.get_mut(ROOT).unwrap().user_properties;
        properties.insert(record::key("younger"), younger.text());
    });
    let mut lost = lock.lost();
    let why = lost.wait_for(Option::is_some).await.unwrap().clone();
    assert!(why.unwrap().contains("the group is held by"));
    until("the withdrawal", || on_server(&server).len() == 1).await;
    assert_eq!(on_server(&server)[0].since, younger.since);
}

#[tokio::test]
async fn a_server_without_an_answer_is_no_reason_to_go_on_without_a_lock() {
    for method in ["pool.dataset.query", "pool.dataset.update"] {
        let busy = Fault::fail(method, 16, "Rate Limit Exceeded").every();
        let server = start(vec![busy]).await;
        let (client, who) = (connect(&server).await, WhoAmI::ask());
        let taken = get(&request(&client, &who)).await;
        assert!(
            matches!(taken, Err(LockError::Call(_))),
            "{method}: {taken:?}"
        );
    }
}

#[tokio::test]
async fn without_permission_there_is_no_lock_but_a_reason() {
    let no = Fault::fail("pool.dataset.update", 13, "Not authorized").every();
    let server = start(vec![no]).await;
    let (client, who) = (connect(&server).await, WhoAmI::ask());
    let taken = get(&request(&client, &who)).await;
    assert!(matches!(taken, Ok(Lock::Without(_))), "{taken:?}");
}
