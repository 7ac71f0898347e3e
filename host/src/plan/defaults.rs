//! What a field of a VM is when nobody says anything: the arguments of `vm.create` that are left out.
//!
//! A value that a config said once, or a person set by hand, is taken back to this when no config
//! says it; else two servers with the same config would differ for ever.

use serde_json::{Map, Value};

/// The fields that templates leave open, with the server's defaults (`vm.create`, 25.04.2 to 27).
/// Without those that the server fills in by itself or that cannot change.
const DEFAULTS: [(&str, Default); 9] = [
    ("min_memory", Default::Nothing),
    ("cpu_model", Default::Nothing),
    ("cpuset", Default::Nothing),
    ("nodeset", Default::Nothing),
    ("pin_vcpus", Default::No),
    ("enable_cpu_topology_extension", Default::No),
    ("arch_type", Default::Nothing),
    ("machine_type", Default::Nothing),
    ("command_line_args", Default::Empty),
];

enum Default {
    Nothing,
    No,
    Empty,
}

/// The fields that should be, with the defaults of those that nobody says and the server shows.
pub(super) fn with_defaults(
    wanted: &Map<String, Value>,
    found: &Map<String, Value>,
) -> Map<String, Value> {
    let mut all = wanted.clone();
    for (name, default) in &DEFAULTS {
        if found.contains_key(*name) && !all.contains_key(*name) {
            let value = match default {
                Default::Nothing => Value::Null,
                Default::No => Value::from(false),
                Default::Empty => Value::from(""),
            };
            all.insert((*name).to_owned(), value);
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_nobody_says_is_as_it_would_be_made() {
        let object = |value: Value| value.as_object().cloned().unwrap_or_default();
        let wanted = object(json!({"memory": 1, "cpuset": "0-1"}));
        let found = object(
            json!({"memory": 2, "cpuset": "0-3", "nodeset": "0", "uuid": "u",
            "pin_vcpus": true, "command_line_args": "-a"}),
        );
        assert_eq!(
            Value::from(with_defaults(&wanted, &found)),
            json!({"memory": 1, "cpuset": "0-1", "nodeset": null, "pin_vcpus": false,
                "command_line_args": ""})
        );
    }
}
