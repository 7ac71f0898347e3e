//! Several servers under one config: one plan over all, and none that stops another.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use tnvm_simulator::{Options, Version, WorldBuilder};
use tnvm_suite::Hosts;

pub(super) const SPREAD: &str =
    "web: {count: 5, host: spread, cpu: 1, memory: 1GiB, disk: {a: 1}, network: {lan: br0}}\n";

/// The hosts with the VMs of a config on them.
pub(super) fn created(count: usize, types: &str) -> Hosts {
    let hosts = Hosts::new(count);
    let _ = hosts.config(types).tnvm(&["create"]).ended(0);
    hosts
}

/// All MAC addresses and display ports of a server.
fn unique(hosts: &Hosts, number: usize) -> (BTreeSet<String>, BTreeSet<u64>) {
    let view = hosts.server(number).view();
    let attributes = view.vms.values().flat_map(|vm| &vm.devices);
    let attributes: Vec<Value> = attributes.map(|one| one.attributes.clone()).collect();
    let texts = attributes.iter().filter_map(|one| one["mac"].as_str());
    let ports = attributes.iter().filter_map(|one| one["port"].as_u64());
    (texts.map(str::to_owned).collect(), ports.collect())
}

#[test]
fn a_group_is_spread_over_three_hosts_and_planning_again_finds_nothing() {
    let hosts = Hosts::new(3);
    hosts.config(SPREAD);
    let planned = hosts.unchanged(&["plan"], 0, &["Host nas1", "Host nas3"]);
    planned.says(&["In all, on 3 hosts: 5 to create."]);
    let ran = hosts.tnvm(&["create"]).ended(0);
    ran.says(&[
        "HOST VM RESULT",
        "nas2 web05 created",
        "5 of 5 VMs as planned",
    ]);
    let expected = [
        vec!["web01", "web04"],
        vec!["web02", "web05"],
        vec!["web03"],
    ];
    assert_eq!(hosts.vms(), expected);
    hosts.settled();
    let macs: BTreeSet<String> = (1..=3).flat_map(|one| unique(&hosts, one).0).collect();
    assert_eq!(macs.len(), 5);
    // One more moves none of the others.
    hosts.config(&SPREAD.replace("count: 5", "count: 6"));
    let before = hosts.mutations();
    let _ = hosts.tnvm(&["apply"]).ended(0);
    assert_eq!(hosts.vms()[2], ["web03", "web06"]);
    let after = hosts.mutations();
    // The lock of the group is taken everywhere, and nothing else is done on the first two.
    assert_eq!([after[0] - before[0], after[1] - before[1]], [2, 2]);
    hosts.settled();
}

#[test]
fn a_host_may_have_a_storage_and_a_login_of_its_own() {
    let mut hosts = Hosts::new(3);
    hosts.setting(
        2,
        "storage: {pool_path: tank/vms}, username: truenas_admin, api_key: env:KEY_OF_2",
    );
    let (two, three) = (
        hosts.server(2).api_key().to_owned(),
        hosts.server(3).api_key().to_owned(),
    );
    // So that each logs in with what is its own, or not at all.
    let password = hosts.lab.environment()["API_PASSWORD"].clone();
    hosts.lab.set("API_PASSWORD_NAS1", &password);
    hosts.lab.unset("API_PASSWORD");
    hosts.lab.set("KEY_OF_2", &two);
    hosts.lab.set("TRUENAS_API_KEY_NAS3", &three);
    let _ = hosts.config(SPREAD).tnvm(&["create"]).ended(0);
    let zvols = |number: usize| {
        let view = hosts.server(number).view();
        let names = view.zvols.into_keys();
        names.collect::<Vec<_>>()
    };
    assert_eq!(zvols(1)[0], "tank/kubernetes/web01-disk0");
    assert_eq!(zvols(2)[0], "tank/vms/web02-disk0");
    hosts.settled();
    // A reference that leads nowhere is told before any host is asked.
    hosts.lab.unset("KEY_OF_2");
    hosts.unchanged(&["create"], 2, &["nas2", "KEY_OF_2 is not set"]);
}

#[test]
fn a_drift_on_one_host_is_told_with_its_name_and_set_back() {
    let hosts = created(2, SPREAD);
    hosts.unchanged(&["drift"], 0, &["No changes"]);
    hosts.server(2).change(|world| {
        let id = world.vm_named("web04").unwrap();
        let vm = world.vms.get_mut(&id).unwrap();
        vm.config.insert("memory".into(), json!(4096));
    });
    hosts.unchanged(&["drift"], 2, &["Host nas2", "web04", "4 GiB → 1 GiB"]);
    hosts.unchanged(&["drift", "--host", "nas1"], 0, &["No changes"]);
    hosts.unchanged(&["drift", "--only", "web01"], 0, &["No changes"]);
    hosts.unchanged(&["drift", "--only", "wbe"], 1, &["--only wbe"]);
    let before = hosts.mutations()[0];
    let _ = hosts.tnvm(&["apply", "--only", "web04"]).ended(0);
    assert_eq!(hosts.mutations()[0], before + 2);
    hosts.settled();
}

#[test]
fn a_removal_on_any_host_is_asked_for_once_and_destroy_takes_all() {
    let hosts = created(2, SPREAD);
    hosts.config(&SPREAD.replace("count: 5", "count: 2"));
    let says = ["removes web03, web05, web04", "nothing was changed"];
    hosts.unchanged(&["apply"], 4, &says);
    let _ = hosts.tnvm(&["apply", "--yes"]).ended(0);
    assert_eq!(hosts.vms(), [["web01"], ["web02"]]);
    hosts.unchanged(&["destroy"], 4, &["Host nas1", "Host nas2", "--yes"]);
    hosts.unchanged(
        &["destroy", "--dry-run"],
        0,
        &["In all, on 2 hosts: 2 to destroy."],
    );
    let _ = hosts.tnvm(&["destroy", "--yes", "--host", "nas2"]).ended(0);
    assert_eq!(hosts.vms(), [vec!["web01"], vec![]]);
    let _ = hosts
        .tnvm(&["destroy", "--yes", "--only", "web01"])
        .ended(0);
    hosts.unchanged(&["destroy", "--yes"], 0, &["has no VMs or zvols here"]);
    for number in [1, 2] {
        assert!(hosts.server(number).view().zvols.is_empty());
    }
}

#[test]
fn a_vm_whose_host_changed_is_refused_and_never_made_twice() {
    let hosts = created(2, SPREAD);
    let moved = SPREAD.replace("}}\n", "}, vms: {web03: {host: nas2}}}\n");
    hosts.config(&moved);
    let says = [
        "web03: is on nas1, and the config says nas2",
        "tnvm destroy --host nas1 --only web03",
        "host: nas1",
    ];
    for command in [&["create"][..], &["apply", "--yes"], &["plan"]] {
        hosts.unchanged(command, 4, &says);
    }
    hosts.unchanged(&["drift"], 2, &says);
    // The others can be worked on.
    hosts.unchanged(&["apply", "--only", "web01"], 0, &["No changes"]);
    // Where only the new host is asked, that is said.
    let says = ["web03: to be made on nas2; nas1 was not asked"];
    hosts.unchanged(&["create", "--dry-run", "--host", "nas2"], 0, &says);
    // As advised.
    let advised = ["destroy", "--yes", "--host", "nas1", "--only", "web03"];
    let _ = hosts.tnvm(&advised).ended(0);
    let _ = hosts.tnvm(&["apply"]).ended(0);
    assert_eq!(
        hosts.vms(),
        [
            ["web01", "web05"].to_vec(),
            ["web02", "web03", "web04"].to_vec()
        ]
    );
    hosts.settled();
    // On both, for whatever reason, it is told so.
    let _ = hosts
        .tnvm(&["destroy", "--yes", "--host", "nas2", "--only", "web03"])
        .ended(0);
    hosts.config(SPREAD);
    let _ = hosts.tnvm(&["create", "--host", "nas1"]).ended(0);
    hosts.config(&moved);
    let _ = hosts.tnvm(&["create", "--host", "nas2"]).ended(0);
    hosts.unchanged(&["apply", "--yes"], 4, &["is on nas2 and on nas1"]);
    // Without its VM a zvol is the VM's data all the same.
    hosts.server(1).change(|world| {
        let id = world.vm_named("web03").unwrap();
        world.vms.remove(&id);
        world.devices.retain(|_, device| device.vm != id);
    });
    hosts.unchanged(&["apply", "--yes"], 4, &["is on nas2 and on nas1"]);
}

#[test]
fn a_mac_address_exists_once_over_all_hosts() {
    let hosts = Hosts::new(2);
    let with = |mac: &str, host: &str| {
        format!(
            "{{cpu: 1, memory: 1GiB, host: {host}, network: {{lan: {{bridge: br0, mac: \"{mac}\"}}}}}}"
        )
    };
    let one = with("02:00:00:00:00:01", "nas1");
    let same = with("02:00:00:00:00:01", "nas2");
    hosts.config(&format!("web: {one}\ndb: {same}\n"));
    let says = [
        "db01",
        "02:00:00:00:00:01 is claimed twice",
        "`web01` on nas1",
    ];
    hosts.unchanged(&["create"], 2, &says);
    hosts.unchanged(&["create", "--dry-run", "--offline"], 2, &says);
    // And with what is on another host already.
    hosts.config(&format!("web: {one}\n"));
    let _ = hosts.tnvm(&["create", "--group", "other"]).ended(0);
    hosts.config(&format!("db: {same}\n"));
    let says = ["db01", "is in use by the VM `web01` on nas1"];
    hosts.unchanged(&["create"], 4, &says);
    hosts.unchanged(&["apply"], 4, &says);
}

#[test]
fn a_saved_plan_is_for_all_of_its_hosts_or_for_none() {
    let hosts = created(2, SPREAD);
    let more = SPREAD
        .replace("1GiB", "2GiB")
        .replace("count: 5", "count: 6");
    hosts.config(&more);
    let saved = |hosts: &Hosts| {
        let says = ["saved", "as long as the servers stay as they are"];
        hosts.unchanged(&["plan", "--out", "the.plan"], 0, &says);
        std::fs::read_to_string(hosts.lab.folder().join("the.plan")).unwrap()
    };
    let text = saved(&hosts);
    assert!(text.contains("\"version\": 2,") && text.contains("\"name\": \"nas2\""));
    // One of them moved on.
    let memory = |mib: u64| {
        hosts.server(2).change(|world| {
            let id = world.vm_named("web02").unwrap();
            let vm = world.vms.get_mut(&id).unwrap();
            vm.config.insert("memory".into(), json!(mib));
        });
    };
    memory(512);
    let says = ["no longer as it was", "nas2: web02 changed"];
    hosts.unchanged(&["apply", "the.plan"], 4, &says);
    memory(1024);
    hosts.unchanged(
        &["apply", "the.plan", "--host", "nas1"],
        4,
        &["nas2", "not chosen"],
    );
    hosts
        .tnvm(&["apply", "the.plan"])
        .ended(0)
        .says(&["6 of 6"]);
    assert_eq!(hosts.vms()[1], ["web02", "web04", "web06"]);
    hosts.settled();

    // All must answer.
    hosts.config(&more.replace("2GiB", "3GiB"));
    saved(&hosts);
    let mut hosts = hosts;
    let world = hosts.stop(2);
    hosts.unchanged(&["apply", "the.plan"], 3, &["nas2 could not be asked"]);
    hosts.start(2, world);
    let _ = hosts.tnvm(&["apply", "the.plan"]).ended(0);
    hosts.settled();
}

#[test]
fn lists_are_of_one_host_or_of_all() {
    let mut hosts = created(2, SPREAD);
    let first = hosts.unchanged(&["list"], 0, &["web01", "--all-hosts"]);
    first.hides(&["web02", "HOST"]);
    let second = hosts.unchanged(&["list", "--host", "nas2"], 0, &["web02"]);
    second.hides(&["web01", "--all-hosts"]);
    let all = hosts.unchanged(
        &["list", "--all-hosts"],
        0,
        &["HOST NAME", "nas1 web01", "nas2 web02"],
    );
    all.hides(&["could not be asked"]);
    let rows = hosts.json(&["list", "--all-hosts"], 0);
    let told: Vec<String> = rows
        .as_array()
        .unwrap()
        .iter()
        .map(|row| format!("{}/{}", row["host"], row["name"]).replace('"', ""))
        .collect();
    let expected = [
        "nas1/web01",
        "nas1/web03",
        "nas1/web05",
        "nas2/web02",
        "nas2/web04",
    ];
    assert_eq!(told, expected);
    assert_eq!(hosts.json(&["list"], 0)[0].get("host"), None);
    hosts.stop(2);
    let says = ["nas1 web01", "nas2 could not be asked"];
    hosts.unchanged(&["list", "--all-hosts"], 3, &says);
}

#[test]
fn the_json_has_a_part_for_each_host_where_the_config_names_hosts() {
    let hosts = Hosts::new(2);
    hosts.config(SPREAD);
    for arguments in [&["plan"][..], &["create", "--dry-run"]] {
        let json = hosts.json(arguments, 0);
        let names = json["hosts"].as_array().unwrap().iter();
        let names: Vec<_> = names.map(|one| one["host"].clone()).collect();
        assert_eq!(names, ["nas1", "nas2"]);
        let part = &json["hosts"][1];
        assert_eq!(part["plan"]["format"], 1);
        assert_eq!(part["plan"]["vms"][0]["name"], "web02");
        assert_eq!(
            (&part["vms"], &part["summary"], &part["error"]),
            (&json!([]), &json!({}), &Value::Null)
        );
        assert_eq!(json["summary"], json!({}));
    }
    let json = hosts.json(&["create"], 0);
    assert_eq!(json["hosts"][0]["vms"].as_array().unwrap().len(), 3);
    assert_eq!(
        json["hosts"][1]["summary"]["outcomes"],
        json!({"created": 2})
    );
    assert_eq!(json["summary"]["outcomes"], json!({"created": 5}));
    assert_eq!(json["summary"]["success"], true);
    // One host that has a name is a part too; one without has the shape that it always had.
    let json = hosts.json(&["plan", "--host", "nas2"], 0);
    assert_eq!(json["hosts"].as_array().unwrap().len(), 1);
}

#[test]
fn a_host_is_chosen_by_a_name_that_the_config_knows() {
    let mut hosts = created(2, SPREAD);
    let says = ["--host says `nas3`", "did you mean `nas1` or `nas2`"];
    hosts.unchanged(&["plan", "--host", "nas3"], 2, &says);
    // A variable that is left over from a config with one server does not lead elsewhere unseen.
    hosts.lab.set("TRUENAS_HOST", "ws://192.0.2.1");
    hosts.unchanged(&["plan"], 2, &["TRUENAS_HOST says `ws://192.0.2.1`"]);
    hosts.lab.set("TRUENAS_HOST", "nas2");
    hosts.unchanged(&["list"], 0, &["web02"]);
    hosts.lab.unset("TRUENAS_HOST");
    let fingerprint = "0".repeat(64);
    hosts.unchanged(
        &["plan", "--fingerprint", &fingerprint],
        2,
        &["of one certificate"],
    );
    let record = ["plan", "--record", "a.jsonl"];
    hosts.unchanged(&record, 2, &["of one host"]);
    let chosen = [&record[..], &["--host", "nas2"]].concat();
    hosts.unchanged(&chosen, 0, &["No changes"]);
    assert!(hosts.lab.folder().join("a.jsonl").is_file());
    hosts.unchanged(&["adopt", "web01"], 2, &["several hosts", "nas1, nas2"]);
    hosts.config("web: {count: 1, host: nas9, cpu: 1, memory: 1GiB}\n");
    hosts.unchanged(
        &["plan"],
        2,
        &["config.yaml:3", "there is no host `nas9`", "nas1"],
    );
    hosts
        .lab
        .config("web: {count: 1, host: nas1, cpu: 1, memory: 1GiB}\n");
    hosts.lab.set("TRUENAS_HOST", "192.0.2.1");
    hosts.unchanged(&["plan"], 2, &["names no hosts", "truenas: {hosts:"]);
}

#[test]
fn adopting_is_about_one_host() {
    let world = || WorldBuilder::example(Version::default()).rate_limit(false);
    // `mine` is wanted on nas1, and stands on nas2.
    let two = world().vm("mine", 1024, &[]).unwrap();
    let servers = [world(), two].map(|world| Options::with_world(world.build()));
    let hosts = Hosts::with(servers.into());
    let of = |host: &str| {
        format!(
            "web: {{names: [mine], host: {host}, cpu: 1, memory: 1GiB, cdrom: false, display: false, start: false}}\n"
        )
    };
    hosts.config(&of("nas1"));
    let adopt = ["adopt", "mine", "--host", "nas2", "--dry-run"];
    let says = ["the config says that it is on nas1", "host: nas2"];
    hosts.unchanged(&adopt, 0, &says);
    let write = ["adopt", "mine", "--host", "nas2", "--write", "-"];
    hosts.unchanged(&write, 0, &["write `host: nas2` to its types"]);
    hosts.config(&of("nas2"));
    hosts
        .unchanged(&adopt, 0, &["becomes a `web`"])
        .hides(&["nas1"]);
    let _ = hosts
        .tnvm(&["adopt", "mine", "--host", "nas2", "--yes"])
        .ended(0);
    hosts.unchanged(&["destroy", "--dry-run"], 0, &["Host nas2", "mine"]);
    let _ = hosts
        .tnvm(&["adopt", "mine", "--host", "nas2", "--release", "--yes"])
        .ended(0);
    hosts.unchanged(&["destroy", "--dry-run"], 0, &["no VMs or zvols"]);
}

#[test]
fn every_change_on_every_host_is_in_one_audit() {
    let hosts = created(2, SPREAD);
    let file = hosts.lab.folder().join("../.local/state/tnvm/audit.jsonl");
    let text = std::fs::read_to_string(file).unwrap();
    let lines: Vec<Value> = text
        .lines()
        .map(|one| serde_json::from_str(one).unwrap())
        .collect();
    let total: usize = hosts.mutations().iter().sum();
    assert_eq!(lines.len(), total);
    let endpoints: BTreeSet<&str> = lines
        .iter()
        .filter_map(|one| one["endpoint"].as_str())
        .collect();
    let runs: BTreeSet<&str> = lines.iter().filter_map(|one| one["run"].as_str()).collect();
    assert_eq!((endpoints.len(), runs.len()), (2, 1));
    // Each host has a plan of its own.
    let plans: BTreeSet<&str> = lines
        .iter()
        .filter_map(|one| one["plan"].as_str())
        .collect();
    assert_eq!(plans.len(), 2);
}
