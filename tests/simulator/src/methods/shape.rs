//! What becomes of selected fields when the server puts a query's rows through its own models: half an
//! object is none. It knows only rows of VMs and devices.
//!
//! Recorded: 25.04.2.6 refuses the whole query, 27 leaves such rows out without a word, and 25.10.7 and
//! 26.0.0-BETA.3 answer what was asked for.

use serde_json::{Value, json};

use crate::errors::Failure;
use crate::json::Object;
use crate::query::Options;
use crate::rules::attributes_model;
use crate::schema::Checker;
use crate::version::{HalfRows, Version};

/// What the rows are.
#[derive(Clone, Copy)]
pub(super) enum Rows {
    Vms,
    Devices,
}

impl Rows {
    /// The server's name of the result's model.
    fn model(self) -> &'static str {
        match self {
            Self::Vms => "VMQueryResult",
            Self::Devices => "VMDeviceQueryResult",
        }
    }
}

/// Shapes the answer of a query; `known` are the members of a whole row.
pub(super) fn shaped(
    version: &Version,
    rows: Rows,
    known: &[String],
    options: &Options,
    answer: Value,
) -> Result<Value, Failure> {
    let fate = version.half_rows();
    let Value::Array(given) = answer else {
        return Ok(answer);
    };
    if options.select.is_empty() || fate == HalfRows::Kept {
        return Ok(Value::Array(given));
    }
    let mut kept = Vec::new();
    let mut problems = Vec::new();
    for (position, row) in given.into_iter().enumerate() {
        match check(version, rows, known, row) {
            Ok(row) => kept.push(row),
            Err(why) => problems.extend(
                why.into_iter()
                    .map(|why| format!("result.list[{}Item].{position}.{why}", rows.model())),
            ),
        }
    }
    if problems.is_empty() || fate == HalfRows::LeftOut {
        return Ok(Value::Array(kept));
    }
    // A single row and a number are tried too, and do not fit either.
    let count = problems.len() + 2;
    let text = format!(
        "{count} validation errors for {}\n{}",
        rows.model(),
        problems.join("\n")
    );
    Err(Failure::exception("ValidationError", text))
}

fn check(
    version: &Version,
    rows: Rows,
    known: &[String],
    row: Value,
) -> Result<Value, Vec<String>> {
    let Value::Object(mut row) = row else {
        return Ok(row);
    };
    let mut problems: Vec<String> = row
        .keys()
        .filter(|key| !known.contains(key))
        .map(|key| format!("{key}\n  Extra inputs are not permitted"))
        .collect();
    match rows {
        Rows::Vms => {
            if let Some(status) = row.get("status").and_then(Value::as_object) {
                let missing = ["state", "pid", "domain_state"]
                    .into_iter()
                    .filter(|key| !status.contains_key(*key));
                problems.extend(missing.map(|key| format!("status.{key}\n  Field required")));
            }
        }
        Rows::Devices => {
            if let Some(attributes) = row.get("attributes").cloned() {
                match whole(version, &attributes) {
                    Some(whole) => {
                        row.insert("attributes".into(), json!(whole));
                    }
                    None => problems.push("attributes\n  Field required".to_owned()),
                }
            }
        }
    }
    if problems.is_empty() {
        Ok(Value::Object(row))
    } else {
        Err(problems)
    }
}

/// Selected attributes with the defaults of their model, if they fit one.
fn whole(version: &Version, attributes: &Value) -> Option<Object> {
    let dtype = attributes.get("dtype")?.as_str()?;
    let model = attributes_model(version, dtype)?;
    Checker::Models.object(model, attributes, "").ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::Bench;

    fn bench(version: &str) -> Bench {
        let mut bench = Bench::new(version);
        let vm = bench.vm("a");
        bench.device(vm, json!({"dtype": "NIC", "nic_attach": "br0"}));
        bench.device(
            vm,
            json!({"dtype": "CDROM", "path": "/mnt/tank/iso/talos.iso"}),
        );
        bench
    }

    #[test]
    fn half_an_object_is_refused_kept_or_left_out() {
        let half = json!([[], {"select": ["status.state"]}]);
        assert!(bench("25.04.2").call("vm.query", half.clone()).is_err());
        for version in ["25.10", "26"] {
            let kept = bench(version).ok("vm.query", half.clone());
            assert_eq!(kept, json!([{"status": {"state": "STOPPED"}}]));
        }
        assert_eq!(bench("27").ok("vm.query", half), json!([]));
        let whole = json!([[], {"select": ["name", "status"]}]);
        assert_eq!(bench("27").ok("vm.query", whole.clone())[0]["name"], "a");
        assert_eq!(bench("25.04.2").ok("vm.query", whole)[0]["name"], "a");
    }

    #[test]
    fn on_27_half_the_attributes_of_a_device_are_filled_up_or_cost_the_row() {
        let half = json!([[], {"select": ["id", "attributes.dtype"]}]);
        let found = bench("27").ok("vm.device.query", half);
        assert_eq!(found.as_array().unwrap().len(), 1);
        assert_eq!(found[0]["attributes"]["type"], "E1000");
    }

    #[test]
    fn a_renamed_field_is_foreign() {
        let renamed = json!([[], {"select": [["name", "n"]]}]);
        assert_eq!(bench("27").ok("vm.query", renamed.clone()), json!([]));
        assert_eq!(bench("26").ok("vm.query", renamed), json!([{"n": "a"}]));
    }
}
