//! What is known about releases: places, standings, defaults.

use serde_json::{Value, json};

use super::*;

fn release(version: &str) -> Release {
    Release::of(&Version::parse(version).expect("a version")).expect("a version that works")
}

#[test]
fn every_version_is_of_its_line() {
    for (version, line) in [
        ("24.10.0", Line::V24_10),
        ("TrueNAS-SCALE-24.10.2.5", Line::V24_10),
        ("25.04.2", Line::V25_04),
        ("25.04.2.6", Line::V25_04),
        ("25.10.0-BETA.1", Line::V25_10),
        ("25.10.7", Line::V25_10),
        ("26.0.0-BETA.3", Line::V26),
        ("26.1.2", Line::V26),
        ("27.0.0", Line::V27),
    ] {
        let release = release(version);
        assert_eq!(release.facts().line, line, "{version}");
        assert!(!release.is_unknown(), "{version}");
    }
}

#[test]
fn what_is_newer_than_all_known_is_taken_for_the_newest() {
    let release = release("28.04.0");
    assert!(release.is_unknown());
    assert_eq!(release.facts().line, Line::V27);
}

#[test]
fn versions_that_do_not_work_say_why() {
    let refused = |version: &str| {
        let version = Version::parse(version).expect("a version");
        Release::of(&version).expect_err("does not work")
    };
    for version in ["22.12.4", "24.04.2.5"] {
        assert_eq!(refused(version), Unsupported::TooOld, "{version}");
    }
    for version in ["25.04.0", "25.04.1", "25.04-RC.1"] {
        assert_eq!(refused(version), Unsupported::WithoutVms, "{version}");
    }
}

#[test]
fn a_feature_is_there_from_the_line_that_brought_it() {
    let has = |version: &str, feature| release(version).has(feature);
    let secure = Feature::Field("enable_secure_boot");
    assert!(!has("24.10.2", secure) && has("25.04.2", secure) && has("27.0.0", secure));
    let vnc = Feature::Value("DISPLAY", "type", "VNC");
    assert!(!has("25.04.2", vnc) && has("25.10.0", vnc));
    let iscsi = Feature::Device("ISCSI_DISK");
    assert!(!has("26.0.0", iscsi) && has("27.0.0", iscsi));
    let Standing::Needs(first) = release("24.10.0").standing(iscsi) else {
        panic!("it has it");
    };
    assert_eq!(first.name, "27");
}

#[test]
fn firmware_is_changed_only_where_the_update_takes_it() {
    let has = |version: &str, field| release(version).has(Feature::Change(field));
    for field in ["bootloader_ovmf", "enable_secure_boot"] {
        assert!(has("25.04.2", field), "{field}");
        assert!(!has("25.10.0", field) && !has("27.0.0", field), "{field}");
    }
    assert!(has("24.10.0", "bootloader_ovmf") && !has("24.10.0", "enable_secure_boot"));
    assert!(has("27.0.0", "memory"));
}

#[test]
fn what_no_line_has_is_left_to_the_server() {
    let release = release("24.10.0");
    assert!(release.has(Feature::Device("HOLOGRAM")));
    assert!(release.has(Feature::Attribute("DISK", "colour")));
}

#[test]
fn defaults_are_those_of_the_line() {
    let default = |version: &str, field: &str| -> Option<Value> {
        let all = release(version).defaults();
        all.into_iter()
            .find(|(name, _)| *name == field)
            .map(|(_, value)| value)
    };
    for (version, field, value) in [
        ("24.10.0", "suspend_on_snapshot", Some(json!(false))),
        ("26.0.0", "suspend_on_snapshot", Some(json!(true))),
        ("24.10.0", "bootloader_ovmf", Some(json!("OVMF_CODE.fd"))),
        ("25.10.0", "bootloader_ovmf", None),
        ("24.10.0", "enable_secure_boot", None),
        ("25.04.2", "enable_secure_boot", Some(json!(false))),
        ("27.0.0", "cpuset", Some(Value::Null)),
        ("27.0.0", "uuid", None),
    ] {
        assert_eq!(default(version, field), value, "{version} {field}");
    }
}

#[test]
fn a_default_says_nothing() {
    let field = "enable_secure_boot";
    assert!(Release::says_nothing(field, &json!(false)));
    assert!(!Release::says_nothing(field, &json!(true)));
    assert!(!Release::says_nothing("no_such_field", &json!(false)));
}

#[test]
fn a_cdrom_in_the_root_of_a_pool_is_refused_from_25_10_1_on() {
    for (version, refused) in [
        ("25.04.2", false),
        ("25.10.0", false),
        ("25.10.1", true),
        ("26.0.0-BETA.3", true),
        ("27.0.0", true),
    ] {
        assert_eq!(
            release(version).wants_cdrom_below_root(),
            refused,
            "{version}"
        );
    }
}

#[test]
fn only_betas_of_26_forget_user_properties() {
    for (version, forgets) in [
        ("25.10.0-BETA.1", false),
        ("26.0.0-BETA.3", true),
        ("26.0.0", false),
        ("27.0.0-MASTER-20260822", false),
    ] {
        let found = release(version).forgets_user_properties();
        assert_eq!(found, forgets, "{version}");
    }
}

#[test]
fn a_text_that_cannot_be_read_counts_as_the_newest_and_an_old_one_as_its_nearest() {
    assert_eq!(Release::of_text("").facts().line, Line::V27);
    assert_eq!(Release::newest().version().to_string(), NEWEST_VERSION);
    assert_eq!(Release::of_text("24.10.2").facts().line, Line::V24_10);
    assert_eq!(Release::of_text("23.10.1").facts().line, Line::V24_10);
}

#[test]
fn lines_are_in_order_and_nothing_stands_twice() {
    assert!(LINES.is_sorted_by(|one, next| one.line < next.line && one.first < next.first));
    let all: Vec<_> = LINES.iter().flat_map(|facts| facts.adds).collect();
    for (nth, feature) in all.iter().enumerate() {
        assert!(
            !all.iter().skip(nth + 1).any(|other| other == feature),
            "{feature:?}"
        );
    }
}

/// Every field that a config or a template may set is known here.
#[test]
fn every_field_of_a_config_has_its_first_version() {
    for field in crate::config::FIELDS {
        let known = LINES
            .iter()
            .any(|one| one.adds.contains(&Feature::Field(field.name)));
        assert!(known, "{}", field.name);
    }
}

/// `docs/versions.md` holds the table between two marks. `UPDATE_DOCS=1` writes it there.
#[test]
fn the_documents_hold_the_table_as_it_is() {
    const BEGIN: &str = "<!-- begin of the table: made from host/src/release -->\n";
    const END: &str = "<!-- end of the table -->";
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/versions.md");
    let document = std::fs::read_to_string(path).unwrap();
    let (before, rest) = document.split_once(BEGIN).unwrap();
    let (_, after) = rest.split_once(END).unwrap();
    let wanted = format!("{before}{BEGIN}{}{END}{after}", markdown());
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(path, &wanted).unwrap();
    } else {
        assert!(
            document == wanted,
            "run UPDATE_DOCS=1 cargo test -p tnvm --lib release"
        );
    }
}
