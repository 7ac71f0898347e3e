//! Mistakes in what the user wrote: told with place and help, before anybody is called.

use tnvm_suite::Lab;

const VM: &str =
    "worker: {count: 1, cpu: 1, memory: 1GiB, disk: {system: 1}, network: {lan: br0}}\n";

/// A mistake that is found without the server.
#[track_caller]
fn check(lab: &Lab, arguments: &[&str], says: &[&str]) {
    let ran = lab.tnvm(&[&["create"], arguments].concat()).ended(2);
    ran.says(says).says(&["nothing was changed"]);
    ran.hides(&["panicked"]);
    assert_eq!(ran.stdout, "", "{}", ran.shown());
    assert!(lab.is_untouched(), "it connected\n{}", ran.shown());
}

/// A mistake in `config.yaml`, after one line of storage: the first is where it stands.
#[track_caller]
fn check_config(types: &str, place: &str, says: &[&str]) {
    let lab = Lab::new();
    lab.config(types);
    check(&lab, &[], &[&[place, "help:"], says].concat());
}

#[test]
fn mistakes_in_the_config_are_shown_where_they_stand() {
    let cases: &[(&str, &str, &[&str])] = &[
        ("worker: {count: 1", "config.yaml:", &[]),
        ("worker:\n\tcount: 1\n", "config.yaml:3:", &["tab"]),
        (
            "worker: {count: many, cpu: 1, memory: 1}\n",
            "config.yaml:2:17",
            &["count"],
        ),
        (
            "worker: {count: -1, cpu: 1, memory: 1}\n",
            "config.yaml:2:17",
            &["count"],
        ),
        (
            "worker: {count: 1, cpu: four, memory: 1}\n",
            "config.yaml:2:",
            &["cpu"],
        ),
        (
            "worker: {count: 1, cpu: 1, memory: lots}\n",
            "config.yaml:2:",
            &["memory"],
        ),
        (
            "worker: {count: 1, cpu: 1, memory: 1024, netwrok: {lan: br0}}\n",
            "config.yaml:2:",
            &["netwrok", "network"],
        ),
        (
            "worker: {count: 1, cpu: 1, memory: 1024, disk: {a: {sise: 3}}}\n",
            "config.yaml:2:",
            &["sise", "size"],
        ),
        (
            "worker: {count: 1, cpu: 1, memory: 1024, disk: 15}\n",
            "config.yaml:2:",
            &["disk"],
        ),
        (
            "worker: {count: 1, cpu: 1, memory: 1024}\nworker: {count: 2}\n",
            "config.yaml:3:1",
            &["worker"],
        ),
        (
            "worker: {count: 1, cpu: 1, cpu: 2, memory: 1024}\n",
            "config.yaml:2:28",
            &["cpu"],
        ),
        (
            "web-node: {count: 1, cpu: 1, memory: 1024}\n",
            "config.yaml:2:1",
            &["web-node"],
        ),
        (
            "worker: {extends: wroker, count: 1}\n",
            "config.yaml:2:",
            &["wroker"],
        ),
        (
            "worker: {count: 1, cpu: 1, memory: 1024, disk: {a: -3}}\n",
            "config.yaml:2:",
            &["-3"],
        ),
        (
            "a: {count: 11, cpu: 1, memory: 1024}\nb: {count: 1, cpu: 1, memory: 1024}\n",
            "config.yaml:",
            &["5921", "a11", "b01"],
        ),
        (
            "a: {count: 1, cpu: 1, memory: 1024, network: {l: {bridge: br0, mac: '00:a0:98:00:00:01'}}}\n\
             b: {count: 1, cpu: 1, memory: 1024, network: {l: {bridge: br0, mac: '00:A0:98:00:00:01'}}}\n",
            "config.yaml:",
            &["a01", "b01", "00:a0:98:00:00:01"],
        ),
    ];
    for (types, place, says) in cases {
        check_config(types, place, says);
    }
}

#[test]
fn a_section_that_is_missing_is_named() {
    for (text, says) in [
        ("", "config.yaml"),
        (VM, "storage"),
        ("storage: {pool_path: tank/kubernetes}\n", "VM type"),
    ] {
        let lab = Lab::new();
        lab.write("config.yaml", text);
        check(&lab, &[], &[says, "help:"]);
    }
}

#[test]
fn no_config_at_all_is_told_with_what_to_do() {
    let lab = Lab::new();
    check(&lab, &[], &["config.yaml", "help:"]);
    check(&lab, &["--config", "other.yaml"], &["other.yaml", "help:"]);
}

#[test]
fn all_mistakes_of_a_file_come_at_once() {
    check_config(
        "worker: {count: -1, cpu: 1, memory: lots}\nweb-node: {count: 1, cpu: 1, memory: 1}\n",
        "config.yaml:2:",
        &["lots", "web-node", "4 errors"],
    );
}

#[test]
fn settings_of_a_vm_that_the_count_leaves_out_are_a_warning() {
    let lab = Lab::new();
    lab.config("a: {count: 1, cpu: 1, memory: 1024, vms: {a07: {cpu: 2}}}\n");
    let ran = lab.tnvm(&["create"]).ended(0);
    ran.says(&["config.yaml:2:43", "`a07` is not made", "help:"]);
    assert_eq!(lab.view().vm_names(), ["a01"]);
}

#[test]
fn missing_variables_are_all_named_at_once() {
    let mut lab = Lab::new();
    for variable in [
        "TRUENAS_HOST",
        "API_USERNAME",
        "API_PASSWORD",
        "VNC_PASSWORD",
    ] {
        lab.unset(variable);
    }
    lab.config(VM);
    let variables = [
        "TRUENAS_HOST",
        "API_USERNAME",
        "API_PASSWORD",
        "VNC_PASSWORD",
    ];
    check(&lab, &[], &variables);
    lab.set("TRUENAS_HOST", "");
    check(&lab, &[], &variables);
}

#[test]
fn a_mistaken_template_is_shown_where_it_stands() {
    let cases: &[(&str, &str, &str, &[&str])] = &[
        (
            "devices/disk.json",
            "{\"attributes\": {\n  \"dtype\": \"DISK\",\n",
            "disk.json:",
            &[],
        ),
        (
            "devices/disk.json",
            "{\n  \"order\": null\n}\n",
            "disk.json",
            &["attributes"],
        ),
        (
            "devices/disk.json",
            "{\n  \"attributes\": {\n    \"dtype\": \"DISK\",\n    \"iotypo\": \"NATIVE\"\n  }\n}\n",
            "disk.json:4:",
            &["iotypo", "iotype"],
        ),
        (
            "devices/nic.json",
            "{\n  \"attributes\": {\"dtype\": \"DISK\"}\n}\n",
            "nic.json:2:",
            &["dtype"],
        ),
        (
            "vms/vm.json",
            "{\n  \"memori\": null\n}\n",
            "vm.json:2:",
            &["memori"],
        ),
    ];
    for (file, text, place, says) in cases {
        let lab = Lab::new();
        lab.config(VM).write(&format!("t/{file}"), text);
        check(
            &lab,
            &["--templates-dir", "t"],
            &[&[*place, "help:"], *says].concat(),
        );
    }
}

#[test]
fn a_password_in_the_config_is_refused_and_not_repeated() {
    let mut lab = Lab::new();
    lab.secret("Hunter2!");
    lab.config("worker:\n  count: 1\n  cpu: 1\n  memory: 1024\n  display: {password: Hunter2!}\n");
    check(&lab, &[], &["config.yaml:6:", "env:", "help:"]);
}

#[test]
fn flags_that_do_not_exist_or_do_not_fit_are_usage_errors() {
    let lab = Lab::new();
    lab.config(VM);
    let cases: [&[&str]; 4] = [
        &["create", "--dry"],
        &["create", "--offline"],
        &["create", "--concurrency", "0"],
        &["crate"],
    ];
    for arguments in cases {
        let ran = lab.tnvm(arguments).ended(2);
        assert!(!ran.stderr.is_empty());
    }
    check(&lab, &["--set", "worker.count"], &["worker.count"]);
    check(&lab, &["--fingerprint", "xyz"], &["fingerprint"]);
    assert!(lab.is_untouched());
}

#[test]
fn what_only_the_server_knows_is_checked_before_the_first_change() {
    let cases: &[(&str, &[&str])] = &[
        (
            "worker: {count: 1, cpu: 1, memory: 1024, network: {lan: br86}}\n",
            &["br86", "br68"],
        ),
        (
            "worker: {count: 1, cpu: 1, memory: 1024, cdrom: /mnt/tank/iso/none.iso}\n",
            &["/mnt/tank/iso/none.iso"],
        ),
    ];
    for (types, says) in cases {
        let lab = Lab::new();
        lab.config(types);
        let before = lab.view();
        lab.tnvm(&["create"]).ended(2).says(says).says(&["help:"]);
        assert_eq!((lab.view(), lab.mutations()), (before, 0));
    }
}

#[test]
fn a_pool_that_is_not_there_is_told_before_the_first_change() {
    let lab = Lab::new();
    lab.write(
        "config.yaml",
        &format!("storage: {{pool_path: tnak/kubernetes}}\n{VM}"),
    );
    lab.tnvm(&["create"]).ended(2).says(&["tnak", "help:"]);
    assert_eq!(lab.mutations(), 0);
}
