//! Tests of the YAML and JSON readers: places, limits, and that no text makes them panic.

use std::sync::Arc;

use proptest::prelude::*;

use super::node::{Node, NodeValue};
use crate::diagnostic::SourceFile;

fn source(text: &str) -> Arc<SourceFile> {
    Arc::new(SourceFile {
        name: "t".to_owned(),
        text: text.to_owned(),
    })
}

/// The text that a node's origin covers.
fn covered(node: &Node) -> &str {
    let at = node.origin.as_ref().unwrap();
    &at.file.text[at.span.clone()]
}

fn check_places(node: &Node) {
    assert_eq!(covered(node.pointer("/a")), "1");
    assert_eq!(covered(node.pointer("/ü/b/0")), "\"ö x\"");
    assert_eq!(covered(node.pointer("/ü/b/1")), "true");
    let key = node
        .get("ü")
        .unwrap()
        .entry("b")
        .unwrap()
        .key_origin
        .as_ref()
        .unwrap();
    assert_eq!(key.line_column().0, 3);
}

#[test]
fn places_are_those_of_the_text() {
    let yaml = "\u{feff}a: 1 # ä\nü:\n  b: [\"ö x\", true]\n";
    check_places(&Node::from_yaml(&source(yaml)).unwrap());
    check_places(&Node::from_yaml(&source(&yaml.replace('\n', "\r\n"))).unwrap());
    check_places(
        &Node::from_json(&source("{\"a\": 1,\n\"ü\": {\n\"b\": [\"ö x\", true]}}")).unwrap(),
    );
}

#[test]
fn a_block_is_pointed_at_by_its_first_line() {
    let node = Node::from_yaml(&source(
        "a:\n  b: 1\n  c: 2\nd:\n  - 1\n  - 2\ne: |\n  x\n  y\nf:\n",
    ))
    .unwrap();
    assert_eq!(covered(node.pointer("/a")), "b: 1");
    assert_eq!(covered(node.pointer("/d")), "- 1");
    assert_eq!(covered(node.pointer("/e")), "x");
    assert_eq!(covered(node.pointer("/f")), "f");
}

#[test]
fn an_aliased_value_keeps_the_place_where_it_was_written() {
    let node = Node::from_yaml(&source("a: &x {b: 1}\nc: *x\nd: {<<: *x}\n")).unwrap();
    for pointer in ["/a/b", "/c/b", "/d/b"] {
        assert_eq!(
            node.pointer(pointer).origin.as_ref().unwrap().line_column(),
            (1, 11)
        );
    }
}

#[test]
fn yaml_agrees_with_serde_yaml() {
    let text = "a: [1, -2, 3.5, 0x1F, 0o7, 1e2, +5, .5, 007, 1_0]\nb: {c: ~, d: null, e: '', f: \"x\\ty\", g: no, h: True}\nc: >-\n  folded\n  text\n\n  more\nd: |+\n  kept\n\ne: plain\n  over lines\n? f\n: g\n";
    let expected: serde_json::Value = serde_yaml::from_str(text).unwrap();
    assert_eq!(Node::from_yaml(&source(text)).unwrap().to_json(), expected);
}

#[test]
fn strict_json_only() {
    for text in [
        "",
        "{",
        "{} {}",
        "{a: 1}",
        "{\"a\": 1,}",
        "[1 2]",
        "// x\n{}",
        "{'a': 1}",
        "[01]",
        "[.5]",
        "[+1]",
        "[0x1]",
        "[NaN]",
        "[1e999]",
        "{\"a\": 1, \"a\": 2}",
        "[\"\\x41\"]",
        "nul",
    ] {
        let problems = Node::from_json(&source(text)).unwrap_err();
        let first = problems.iter().next().unwrap();
        assert!(
            first.help.is_some() && first.location.is_some(),
            "{text}: {first:?}"
        );
    }
    let deep = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
    assert!(Node::from_json(&source(&deep(64))).is_ok());
    assert!(Node::from_json(&source(&deep(65))).is_err());
    assert!(Node::from_json(&source(&deep(100_000))).is_err());
}

#[test]
fn sixty_four_levels_are_read_and_no_more() {
    let deep = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
    assert!(Node::from_yaml(&source(&deep(64))).is_ok());
    assert!(Node::from_yaml(&source(&deep(65))).is_err());
}

/// Values as JSON text, which is YAML too.
fn value() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        "[ -~äß]{0,12}".prop_map(Into::into),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Into::into),
            prop::collection::hash_map("[a-zü]{1,6}", inner, 0..4)
                .prop_map(|all| serde_json::Value::Object(all.into_iter().collect())),
        ]
    })
}

fn places_exist(node: &Node) -> bool {
    let fine = node
        .origin
        .as_ref()
        .is_none_or(|at| at.file.text.get(at.span.clone()).is_some());
    fine && match &node.value {
        NodeValue::List(all) => all.iter().all(places_exist),
        NodeValue::Map(all) => all.values().all(|entry| places_exist(&entry.node)),
        _ => true,
    }
}

proptest! {
    #[test]
    fn no_text_makes_reading_panic(text in any::<String>()) {
        for node in [Node::from_yaml(&source(&text)), Node::from_json(&source(&text))].into_iter().flatten() {
            prop_assert!(places_exist(&node));
        }
    }

    #[test]
    fn no_text_of_yaml_pieces_makes_reading_panic(
        pieces in prop::collection::vec(prop::sample::select(vec![
            "a", "b", ": ", ":", "- ", "-", "? ", "\n", "\n  ", "\n    ", "{", "}", "[", "]", ",",
            "&a ", "*a", "<<: ", "!!str ", "!x ", "|", ">", "\"", "'", "#", " #", "---\n", "...\n", "%",
            "\t", "\r\n", "1", "~", "ü", "\\", "@", "`", "\u{feff}", "\u{85}", "\u{2028}", "|2-\n",
        ]), 0..40)
    ) {
        let text = pieces.concat();
        for node in [Node::from_yaml(&source(&text)), Node::from_json(&source(&text))].into_iter().flatten() {
            prop_assert!(places_exist(&node));
        }
    }

    #[test]
    fn what_is_written_is_what_is_read(value in value()) {
        let json = serde_json::to_string_pretty(&value).unwrap();
        prop_assert_eq!(Node::from_json(&source(&json)).unwrap().to_json(), value.clone());
        let yaml = serde_yaml::to_string(&value).unwrap();
        prop_assert_eq!(Node::from_yaml(&source(&yaml)).unwrap().to_json(), value);
    }

    #[test]
    fn merging_nothing_changes_nothing_and_merging_twice_is_merging_once(base in value(), patch in value()) {
        let node = |value: &serde_json::Value| Node::from_value(value, None);
        let mut once = node(&base);
        once.merge(node(&patch));
        let mut twice = once.clone();
        twice.merge(node(&patch));
        prop_assert_eq!(&once, &twice);
        if let NodeValue::Map(_) = node(&base).value {
            let mut same = node(&base);
            same.merge(Node::empty_map());
            prop_assert_eq!(same.to_json(), base);
        }
    }
}
