//! What a plain YAML scalar means: null, truth value, number or text.
//!
//! `serde_yaml` decides, so that a file means the same here as in every other tool built on it.

use serde_json::Number;

use super::node::NodeValue;

/// Resolves a plain (unquoted) scalar.
///
/// # Errors
/// A sentence, if it is a number that JSON cannot hold (`.inf`, `.nan`).
pub(super) fn resolve(text: &str) -> Result<NodeValue, String> {
    if !may_be_special(text) {
        return Ok(NodeValue::String(text.to_owned()));
    }
    if text.is_empty() {
        return Ok(NodeValue::Null);
    }
    // Most numbers are like this, and a parser for each of them costs a large file seconds.
    if let Ok(number) = text.parse::<u32>()
        && text == number.to_string()
    {
        return Ok(NodeValue::Number(number.into()));
    }
    // Within a list, because alone `---` would be a document's start and not a text.
    let Ok(parsed) = serde_yaml::from_str::<Vec<serde_yaml::Value>>(&format!("[{text}]")) else {
        return Ok(NodeValue::String(text.to_owned()));
    };
    Ok(match parsed.first() {
        Some(serde_yaml::Value::Null) => NodeValue::Null,
        Some(serde_yaml::Value::Bool(one)) => NodeValue::Bool(*one),
        Some(serde_yaml::Value::Number(one)) => NodeValue::Number(number(one, text)?),
        _ => NodeValue::String(text.to_owned()),
    })
}

/// Whether a scalar is made of what nulls, truth values and numbers are made of. Anything else is
/// a text, and must not reach a parser that could see structure in it.
fn may_be_special(text: &str) -> bool {
    let first = text.chars().next().unwrap_or('~');
    (first.is_ascii_digit() || "~+-.tTfFnN".contains(first))
        && text
            .chars()
            .all(|one| one.is_ascii_alphanumeric() || matches!(one, '+' | '-' | '.' | '~'))
}

fn number(one: &serde_yaml::Number, text: &str) -> Result<Number, String> {
    if let Some(whole) = one.as_u64() {
        return Ok(whole.into());
    }
    if let Some(whole) = one.as_i64() {
        return Ok(whole.into());
    }
    one.as_f64()
        .and_then(Number::from_f64)
        .ok_or_else(|| format!("`{text}` is not a number that can be used here"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        let node = super::super::Node::built_in(resolve(text).unwrap());
        assert_eq!(node.to_json().to_string(), expected, "{text}");
    }

    #[test]
    fn a_plain_scalar_means_what_serde_yaml_takes_it_for() {
        for null in ["", "~", "null", "Null", "NULL"] {
            check(null, "null");
        }
        for (text, expected) in [("true", "true"), ("True", "true"), ("FALSE", "false")] {
            check(text, expected);
        }
        for (text, expected) in [
            ("15", "15"),
            ("-3", "-3"),
            ("+7", "7"),
            ("0x10", "16"),
            ("0o17", "15"),
            ("1.5", "1.5"),
            ("1e3", "1000.0"),
            ("18446744073709551615", "18446744073709551615"),
        ] {
            check(text, expected);
        }
    }

    #[test]
    fn everything_else_is_a_text() {
        for text in [
            "no",
            "yes",
            "on",
            "off",
            "0755",
            "16GiB",
            "br68",
            "-",
            "---",
            "...",
            "12:30:45",
            "1920x1080",
            "1_000",
            "10.0.0.1",
            "a,b",
            "00:a0:98:12:34:56",
        ] {
            check(text, &format!("{text:?}"));
        }
    }

    #[test]
    fn a_number_that_json_cannot_hold_is_refused() {
        for text in [".inf", "-.inf", ".nan"] {
            assert!(resolve(text).is_err(), "{text}");
        }
    }
}
