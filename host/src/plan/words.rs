//! Values in words for people: sizes, devices in one line, what changed.

use serde_json::{Map, Value};

use super::view::ChangeView;
use crate::mark::Mark;
use crate::plugin::Volume;

/// Longer texts are cut when they are shown among others.
const LONGEST: usize = 60;

/// One line on a device: the telling attributes of the types the server has, all of any other.
#[must_use]
pub fn summary(attributes: &Map<String, Value>, volume: Option<&Volume>) -> String {
    let text = |name: &str| match attributes.get(name) {
        None | Some(Value::Null) => String::from("-"),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    };
    match attributes.get("dtype").and_then(Value::as_str) {
        Some("DISK") => match volume {
            Some(volume) => format!(
                "{}, {} {}",
                volume.dataset,
                size(volume.size),
                if volume.sparse { "thin" } else { "thick" }
            ),
            None => text("path"),
        },
        Some("NIC") => format!(
            "{} on {}, {}",
            text("type"),
            text("nic_attach"),
            text("mac")
        ),
        Some("DISPLAY") => format!(
            "{} at {}:{}, web {}",
            text("type"),
            text("bind"),
            text("port"),
            text("web_port")
        ),
        Some("CDROM" | "RAW") => text("path"),
        _ => attributes
            .iter()
            .filter(|(_, value)| !value.is_null())
            .map(|(name, value)| {
                format!(
                    "{name}={}",
                    value
                        .as_str()
                        .map_or_else(|| value.to_string(), str::to_owned)
                )
            })
            .collect::<Vec<_>>()
            .join(" "),
    }
}

/// Bytes in the largest unit that needs at most one decimal: `15 GiB`, `1.5 TiB`, `512 MiB`.
#[must_use]
pub fn size(bytes: u64) -> String {
    const UNITS: [(&str, u64); 4] = [
        ("TiB", 1 << 40),
        ("GiB", 1 << 30),
        ("MiB", 1 << 20),
        ("KiB", 1 << 10),
    ];
    for (unit, one) in UNITS {
        if bytes >= one {
            let tenths = bytes.saturating_mul(10) / one;
            return if tenths.is_multiple_of(10) {
                format!("{} {unit}", tenths / 10)
            } else {
                format!("{}.{} {unit}", tenths / 10, tenths % 10)
            };
        }
    }
    format!("{bytes} bytes")
}

/// `1 GiB → 2 GiB`, with the units that the attribute is counted in.
pub(super) fn change(change: &ChangeView) -> String {
    let from = value(&change.attribute, &change.from);
    let to = value(&change.attribute, &change.to);
    if from == to && from == SECRET {
        return "(secret) → another (secret)".to_owned();
    }
    format!("{from} → {to}")
}

/// What stands for a secret.
const SECRET: &str = "(secret)";

fn value(attribute: &str, value: &Value) -> String {
    match (attribute, value) {
        (_, Value::Null) => "none".to_owned(),
        // MiB (`vm.update`, all versions).
        ("memory" | "min_memory", Value::Number(mib)) => mib
            .as_u64()
            .map_or_else(|| mib.to_string(), |mib| size(mib.saturating_mul(1 << 20))),
        // Bytes of a zvol.
        ("size", Value::Number(bytes)) => bytes.as_u64().map_or_else(|| bytes.to_string(), size),
        ("description", Value::String(text)) => format!("\"{}\"", cut(&without_mark(text))),
        (_, Value::String(text)) => cut(text),
        (_, other) => cut(&other.to_string()),
    }
}

/// The user's own words; whether it is protected stays visible, since that is one of the changes.
fn without_mark(description: &str) -> String {
    if Mark::in_description(description).is_none() {
        return description.to_owned();
    }
    let own = description.rsplit_once('[').map_or("", |(own, _)| own);
    own.trim_end().to_owned()
}

fn cut(text: &str) -> String {
    if text.chars().count() <= LONGEST {
        return text.to_owned();
    }
    let kept: String = text.chars().take(LONGEST).collect();
    format!("{kept}…")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::step::Effect;
    use super::*;

    fn check(attribute: &str, from: Value, to: Value, expected: &str) {
        let shown = change(&ChangeView {
            attribute: attribute.into(),
            from,
            to,
            effect: Effect::Live,
        });
        assert_eq!(shown, expected);
    }

    #[test]
    fn a_change_is_told_in_the_units_of_its_attribute() {
        check("memory", json!(512), json!(2048), "512 MiB → 2 GiB");
        check(
            "size",
            json!(1_u64 << 30),
            json!(3_u64 << 30),
            "1 GiB → 3 GiB",
        );
        check("cores", json!(1), json!(2), "1 → 2");
        check(
            "mac",
            Value::Null,
            json!("02:00:00:00:00:01"),
            "none → 02:00:00:00:00:01",
        );
        check(
            "password",
            json!(SECRET),
            json!(SECRET),
            "(secret) → another (secret)",
        );
        check(
            "description",
            json!("a [tnvm:v1:g:t:n]"),
            json!("[tnvm:protected] [tnvm:v1:g:t:n]"),
            "\"a\" → \"[tnvm:protected]\"",
        );
        check(
            "x",
            json!("y".repeat(61)),
            json!(true),
            &format!("{}… → true", "y".repeat(60)),
        );
    }

    #[test]
    fn sizes_read_like_people_write_them() {
        for (bytes, text) in [
            (0, "0 bytes"),
            (1 << 10, "1 KiB"),
            (15 << 30, "15 GiB"),
            (600 << 30, "600 GiB"),
            (1536 << 30, "1.5 TiB"),
        ] {
            assert_eq!(size(bytes), text);
        }
    }
}
