//! How plans look, as text and as JSON, in files beside this one.

use serde_json::Value;

use super::apply_tests::{
    Part, Server, Sketch, applied, apply, desired, sketch, two_disks, with, world,
};
use super::*;
use crate::resolve::Desired;

/// Shows a plan both ways.
#[track_caller]
fn check(name: &str, plan: &Plan, observed: &Observed) {
    let view = PlanView::of(plan, Some(observed));
    let lines = render(&view).into_iter().map(|line| line.text);
    let text = lines.collect::<Vec<_>>().join("\n");
    let json = serde_json::to_value(&view).unwrap();
    check_documented(&json);
    let json = format!("{json:#}");
    for shown in [&text, &json] {
        assert!(!shown.contains("hush"), "{shown}");
    }
    insta::with_settings!({prepend_module_to_snapshot => false, omit_expression => true}, {
        insta::assert_snapshot!(format!("{name}.text"), text);
        insta::assert_snapshot!(format!("{name}.json"), json);
    });
}

/// Whether everything in the JSON is what `docs/plan.schema.json` says, no more and no less.
fn check_documented(json: &Value) {
    let schema = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/plan.schema.json");
    let schema = std::fs::read_to_string(schema).unwrap();
    let schema: Value = serde_json::from_str(&schema).unwrap();
    fits(json, &schema, &schema, "plan");
}

/// The part of JSON Schema that the schema of plans is written in.
fn fits(value: &Value, schema: &Value, root: &Value, place: &str) {
    if let Some(name) = schema["$ref"].as_str() {
        let definition = name.strip_prefix('#').and_then(|one| root.pointer(one));
        return fits(value, definition.unwrap(), root, place);
    }
    if let Some(allowed) = schema["enum"].as_array() {
        assert!(
            allowed.contains(value),
            "{place}: {value} is not documented"
        );
    }
    let kind = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    let kinds = match &schema["type"] {
        Value::Null => return,
        Value::Array(kinds) => kinds.clone(),
        one => vec![one.clone()],
    };
    assert!(
        kinds.iter().any(|one| one == kind),
        "{place}: {value} should be {kinds:?}"
    );
    match value {
        Value::Array(items) => {
            for item in items {
                fits(item, &schema["items"], root, place);
            }
        }
        Value::Object(members) => {
            let Some(properties) = schema["properties"].as_object() else {
                return;
            };
            for (name, member) in members {
                let place = format!("{place}.{name}");
                let of_member = properties.get(name);
                fits(
                    member,
                    of_member.unwrap_or_else(|| panic!("{place} is not documented")),
                    root,
                    &place,
                );
            }
            for name in schema["required"].as_array().into_iter().flatten() {
                let name = name.as_str().unwrap();
                assert!(members.contains_key(name), "{place}.{name} is missing");
            }
        }
        _ => {}
    }
}

fn nic(bridge: &'static str) -> Part {
    Part::Nic {
        name: "lan",
        bridge,
        model: "VIRTIO",
    }
}

fn display(resolution: &'static str, port: u16) -> Part {
    Part::Display { resolution, port }
}

/// A group with everything that an apply can meet, and what is wanted next.
fn before_and_after() -> (Server, Desired) {
    let web = |port| Sketch {
        description: "shop",
        ..sketch(vec![
            Part::Disk {
                name: "system",
                gib: 1,
            },
            Part::Disk {
                name: "logs",
                gib: 2,
            },
            nic("br0"),
            display("1024x768", port),
        ])
    };
    let before = desired(&[
        ("web", "web01", web(5911)),
        ("web", "web002", web(5912)),
        ("db", "db000001", sketch(two_disks_at(5913))),
        ("db", "db0000002", sketch(vec![nic("br0")])),
    ]);
    let mut server = applied(&before);
    // As a person with another password left it.
    let shown = server
        .vm("web01")
        .devices
        .iter_mut()
        .find(|one| one.kind() == Some("DISPLAY"));
    shown
        .unwrap()
        .attributes
        .insert("password".into(), "hush-old".into());
    let changed = Sketch {
        memory: 2048,
        description: "shop, new",
        ..sketch(vec![
            Part::Disk {
                name: "system",
                gib: 3,
            },
            nic("br1"),
            display("800x600", 5911),
            Part::Cdrom {
                path: "/mnt/tank/iso/a.iso",
            },
        ])
    };
    let after = desired(&[
        ("web", "web01", changed),
        ("web", "web002", web(5912)),
        ("web", "web0003", web(5913)),
        (
            "db",
            "db0000002",
            Sketch {
                start: false,
                ..sketch(vec![nic("br0")])
            },
        ),
    ]);
    (server, after)
}

fn two_disks_at(first_port: u16) -> Vec<Part> {
    let mut parts = two_disks();
    for part in &mut parts {
        if let Part::Display { port, .. } = part {
            *port = first_port;
        }
    }
    parts
}

#[test]
fn of_a_create() {
    let wanted = desired(&[("web", "web01", sketch(two_disks()))]);
    let (plan, _) = plan_create(&wanted, &world());
    check("create", &plan, &world());
}

#[test]
fn of_an_apply_with_every_kind_of_change() {
    let (server, after) = before_and_after();
    let (plan, _) = apply(&after, &server.world);
    check("apply_with_restart", &plan, &server.world);
    let (plan, _) = with(&after, &server.world, false, &Selection::all());
    check("apply_without_restart", &plan, &server.world);
}

#[test]
fn of_a_disk_that_another_takes_the_place_of() {
    let disk = |name| sketch(vec![Part::Disk { name, gib: 1 }]);
    let server = applied(&desired(&[("web", "web01", disk("old"))]));
    let (plan, _) = apply(&desired(&[("web", "web01", disk("new"))]), &server.world);
    check("replace", &plan, &server.world);
}

#[test]
fn of_nothing_to_do() {
    let wanted = desired(&[("web", "web01", sketch(two_disks()))]);
    let server = applied(&wanted);
    let (plan, _) = apply(&wanted, &server.world);
    check("nothing", &plan, &server.world);
}

#[test]
fn of_a_destroy() {
    let (mut server, _) = before_and_after();
    let zvol = server.world.datasets.get_mut("tank/web01-disk0").unwrap();
    zvol.snapshots = vec!["tank/web01-disk0@daily".into()];
    let options = DestroyOptions {
        selection: &Selection::of(&["web".into()]),
        protected: &[],
        with_snapshots: true,
    };
    let (plan, _) = plan_destroy("lab", &options, &server.world);
    check("destroy", &plan, &server.world);
}
