//! Amounts of memory as people write them.
//!
//! Knows only bytes and MiB.

use parse_size::Config;

use super::fields::{MAX_MEMORY, MIN_MEMORY};
use super::node::{Node, NodeValue};
use crate::diagnostic::{Diagnostic, Diagnostics};

const MIB: u64 = 1 << 20;

/// Memory in MiB: a bare number is MiB, a text has a unit (`16GiB`, `512M`; all units are powers
/// of 1024).
///
/// # Errors
/// What is wrong and how to write it: not a size, not whole MiB, less than the server takes.
pub(super) fn memory(key: &str, node: &Node) -> Result<u64, Diagnostics> {
    let error = |message: String| {
        let problem = Diagnostic::error(message)
            .help("write a size such as `16GiB` or `512MiB`; a bare number is MiB");
        Diagnostics::from(problem.at(node.origin.clone()))
    };
    let mib = match &node.value {
        NodeValue::Number(one) => one
            .as_u64()
            .ok_or_else(|| error(format!("`{key}: {one}` is not a whole number of MiB")))?,
        NodeValue::String(text) => {
            let bytes = Config::new()
                .with_binary()
                .with_default_factor(MIB)
                .parse_size(text)
                .map_err(|reason| {
                    error(match reason {
                        parse_size::Error::PosOverflow => {
                            format!("`{key}: {text}` is more than any machine has")
                        }
                        _ => format!("`{key}: {text}` is not an amount of memory"),
                    })
                })?;
            if bytes % MIB != 0 {
                return Err(error(format!(
                    "`{key}: {text}` is {bytes} bytes, which is not a whole number of MiB"
                )));
            }
            bytes / MIB
        }
        _ => {
            return Err(error(format!(
                "`{key}` must be an amount of memory, not {}",
                node.describe()
            )));
        }
    };
    if mib < MIN_MEMORY {
        return Err(error(format!(
            "`{key}` is {mib} MiB, and the server takes no less than {MIN_MEMORY} MiB"
        )));
    }
    if mib > MAX_MEMORY {
        return Err(error(format!(
            "`{key}` is {mib} MiB, more than any machine has"
        )));
    }
    Ok(mib)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(value: &serde_json::Value) -> Result<u64, String> {
        memory("memory", &Node::from_value(value, None))
            .map_err(|found| found.iter().next().unwrap().message.clone())
    }

    #[test]
    fn a_bare_number_is_mib_and_units_are_powers_of_1024() {
        for (value, mib) in [
            (json!(16384), 16384),
            (json!("16384"), 16384),
            (json!("16GiB"), 16384),
            (json!("16 GiB"), 16384),
            (json!("16GB"), 16384),
            (json!("16g"), 16384),
            (json!("512M"), 512),
            (json!("1.5GiB"), 1536),
            (json!("20971520B"), 20),
            (json!("1TiB"), 1 << 20),
        ] {
            assert_eq!(read(&value), Ok(mib), "{value}");
        }
    }

    #[test]
    fn other_values_are_refused() {
        for value in [
            json!(16),
            json!(19),
            json!("10M"),
            json!(1.5),
            json!(-4),
            json!("1000kB"),
            json!("lots"),
            json!(""),
            json!("99999999999TiB"),
            json!(u64::MAX),
            json!(true),
            json!(null),
            json!([1024]),
        ] {
            assert!(read(&value).is_err(), "{value}");
        }
    }
}
