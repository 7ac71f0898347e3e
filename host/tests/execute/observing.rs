//! What is asked of the server before a plan, and how it is read.

use tnvm::execute::{ObserveRequest, observe};
use tnvm::plan::PowerState;

use super::plans::{mark, zvol};
use super::server::{Act, Server, Vm};

#[tokio::test]
async fn everything_asked_for_comes_with_one_call_each() {
    let server = Server::start(|_, _| Act::Do).await;
    let vms = [
        ("web01", mark("web01").description("x", false)),
        ("web01b", "foreign".into()),
    ];
    for (name, description) in vms {
        let name = name.into();
        server.world().add_vm(Vm {
            name,
            description,
            running: true,
            ..Vm::default()
        });
    }
    server
        .world()
        .add_zvol(&zvol("web01"), Some(&mark("web01").to_string()), 0);
    server.world().add_zvol("other/x", None, 0);
    let iso = "/mnt/tank/iso/a.iso".to_owned();
    let request = ObserveRequest {
        dataset_prefixes: vec!["tank".into()],
        files: vec![iso.clone(), iso.clone(), "/mnt/tank/iso/b.iso".into()],
        want_choices: true,
        want_memory: true,
        want_virtualization: true,
        all_volumes: false,
        snapshots: false,
    };
    let observed = observe(&server.client, &request).await.unwrap();
    assert_eq!(observed.version, "25.10.1");
    assert_eq!(observed.vms[0].mark, Some(mark("web01")));
    assert_eq!(observed.vms[0].state, PowerState::Running);
    assert_eq!(observed.vms[1].mark, None);
    let datasets: Vec<_> = observed.datasets.iter().collect();
    assert_eq!(datasets.len(), 1);
    assert_eq!(datasets[0].1.mark, Some(mark("web01")));
    assert_eq!(observed.nic_choices, Some(vec!["br0".to_owned()]));
    assert_eq!(observed.bind_choices, Some(vec!["0.0.0.0".to_owned()]));
    assert_eq!(observed.memory_available, Some(8 << 30));
    assert_eq!(
        observed.files.into_values().collect::<Vec<_>>(),
        [true, false]
    );
    assert_eq!(observed.missing_virtualization, None);
    assert_eq!(server.world().calls.len(), 8);
}

#[tokio::test]
async fn what_is_not_asked_for_costs_no_call() {
    let server = Server::start(|_, _| Act::Do).await;
    let observed = observe(&server.client, &ObserveRequest::default())
        .await
        .unwrap();
    assert_eq!(observed.nic_choices, None);
    assert_eq!(observed.memory_available, None);
    assert_eq!(server.world().calls.len(), 1);
}

#[tokio::test]
async fn an_account_that_may_not_ask_for_virtualization_observes_all_the_same() {
    let server = Server::start(|method, _| match method {
        "vm.virtualization_details" => Act::Refuse(13, "Not authorized"),
        _ => Act::Do,
    })
    .await;
    let request = ObserveRequest {
        want_virtualization: true,
        ..ObserveRequest::default()
    };
    let observed = observe(&server.client, &request).await.unwrap();
    assert_eq!(observed.missing_virtualization, None);
}
