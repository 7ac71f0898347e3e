//! What differs between the lines as Markdown, for `docs/versions.md`.

use std::fmt::Write as _;

use super::LINES;
use super::facts::{
    DeleteForce, DeviceUpdate, DtypePlace, Facts, Line, NicChoices, SnapshotNamespace,
};
use super::feature::Feature;

/// One row: its heading, and what stands under each line.
type Row = (&'static str, fn(&Facts) -> String);

const ROWS: &[Row] = &[
    ("first version that works", |facts| {
        facts.first().to_string()
    }),
    ("came with it", |facts| {
        if facts.line == Line::V24_10 {
            return "all that is not named elsewhere".to_owned();
        }
        list(facts.adds)
    }),
    ("went with it", |facts| list(facts.drops)),
    ("other defaults of `vm.create`", |facts| {
        if facts.line == Line::V24_10 {
            return String::new();
        }
        let one = |(name, default): &(&str, super::Default)| match default.to_value() {
            Some(value) => format!("`{name}`: `{value}`"),
            None => format!("`{name}`: by other fields"),
        };
        let all: Vec<String> = facts.defaults.iter().map(one).collect();
        all.join(", ")
    }),
    ("type of a device", |facts| {
        match facts.dtype {
            DtypePlace::Outside => "`dtype` beside `attributes`",
            DtypePlace::Inside => "`attributes.dtype`",
        }
        .to_owned()
    }),
    ("`vm.device.update`", |facts| {
        match facts.device_update {
            DeviceUpdate::Replaces => "replaces all attributes: all are sent",
            DeviceUpdate::Completes => "resets what is left out: all are sent",
            DeviceUpdate::Merges => "merges: what changes is sent",
        }
        .to_owned()
    }),
    ("`vm.delete` wants `force`", |facts| {
        match facts.delete_force {
            DeleteForce::Unclear => "where the state cannot be told",
            DeleteForce::Active => "where the VM is not stopped",
        }
        .to_owned()
    }),
    ("snapshots", |facts| {
        match facts.snapshots {
            SnapshotNamespace::Zfs => "`zfs.snapshot.query`",
            SnapshotNamespace::Pool => "`pool.snapshot.query`",
        }
        .to_owned()
    }),
    ("user properties of a new zvol", |facts| {
        if facts.previews_forget_user_properties {
            "are forgotten by betas: the mark is in the comment until it is set".to_owned()
        } else {
            String::new()
        }
    }),
    ("interfaces for NICs", |facts| {
        match facts.nic_choices {
            NicChoices::Map => "a map",
            NicChoices::Lists => "lists by kind",
        }
        .to_owned()
    }),
    (
        "a CD-ROM image in a pool's root dataset",
        |facts| match facts.cdrom_below_root_from {
            None => "is taken".to_owned(),
            Some((major, minor, patch)) if (major, minor, patch) > facts.first => {
                format!("is refused from {major}.{minor}.{patch} on")
            }
            Some(_) => "is refused".to_owned(),
        },
    ),
];

/// The table, a column for each line.
#[must_use]
pub fn markdown() -> String {
    let mut text = String::from("| |");
    for facts in &LINES {
        let _ = write!(text, " {} |", facts.name);
    }
    text.push_str("\n|---|");
    text.push_str(&"---|".repeat(LINES.len()));
    text.push('\n');
    for (heading, cell) in ROWS {
        let _ = write!(text, "| {heading} |");
        for facts in &LINES {
            let _ = write!(text, " {} |", cell(facts));
        }
        text.push('\n');
    }
    text
}

fn list(features: &[Feature<'_>]) -> String {
    // The attributes of a type that is new are no news of their own.
    let is_new = |kind: &str| features.contains(&Feature::Device(kind));
    let shown = features.iter().filter_map(|feature| {
        Some(match *feature {
            Feature::Field(field) => format!("field `{field}`"),
            Feature::Change(field) => format!("changing `{field}`"),
            Feature::Device(kind) => format!("device `{kind}`"),
            Feature::Attribute(kind, _) if is_new(kind) => return None,
            Feature::Attribute(kind, name) => format!("`{name}` of `{kind}`"),
            Feature::Value(kind, name, value) => format!("`{name}: {value}` of `{kind}`"),
        })
    });
    shown.collect::<Vec<_>>().join(", ")
}
