//! Blots out what looks like a secret in a text of which a problem shows some lines.
//!
//! Such a text is refused anyway; it only must not travel from a file into a log.

/// Words in a key that announce a secret.
const WORDS: [&str; 5] = ["password", "passphrase", "secret", "token", "api_key"];

/// The text with such values as asterisks. Every byte stays where it was, so places still hold.
pub(super) fn masked(text: &str) -> String {
    text.split_inclusive('\n').map(line).collect()
}

fn line(line: &str) -> String {
    // Same length as the line: only ASCII letters change.
    let lower = line.to_ascii_lowercase();
    let mut done = String::with_capacity(line.len());
    while let Some(value) = next_value(&lower, done.len()) {
        let (Some(before), Some(inner)) = (
            line.get(done.len()..value.start),
            line.get(value.start..value.end),
        ) else {
            break;
        };
        done.push_str(before);
        if is_reference(inner) {
            done.push_str(inner);
        } else {
            done.push_str(&"*".repeat(inner.len()));
        }
    }
    done.push_str(line.get(done.len()..).unwrap_or_default());
    done
}

/// The next value after a key with one of the words in it, from a byte on.
fn next_value(line: &str, from: usize) -> Option<std::ops::Range<usize>> {
    let rest = line.get(from..)?;
    let word = WORDS.iter().filter_map(|word| rest.find(word)).min()?;
    let colon = from + word + line.get(from + word..)?.find(':')? + 1;
    let after = line.get(colon..)?;
    let start = colon + after.len() - after.trim_start().len();
    let value = line.get(start..)?;
    let length = match value.chars().next() {
        Some(quote @ ('"' | '\'')) => {
            let inner = value.get(1..)?;
            inner
                .find(quote)
                .map_or(value.trim_end().len(), |end| end + 2)
        }
        _ => value
            .find([',', '}'])
            .map_or(value, |end| value.get(..end).unwrap_or(value))
            .trim_end()
            .len(),
    };
    (length > 0).then_some(start..start + length)
}

fn is_reference(value: &str) -> bool {
    let bare = value.trim_matches(['"', '\'']);
    let starts = ["env:", "file:", "{"];
    ["null", "~", "(secret)"].contains(&bare) || starts.iter().any(|start| bare.starts_with(start))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_blotted_out_and_nothing_else_moves() {
        for (text, expected) in [
            (
                "password: hunter2\nport: 1\n",
                "password: *******\nport: 1\n",
            ),
            (
                "{password: \"a, b\", port: 1}",
                "{password: ******, port: 1}",
            ),
            (
                "{\"Password\": \"x\", \"my_token\": 5}",
                "{\"Password\": ***, \"my_token\": *}",
            ),
            ("password: env:VNC, x: 1", "password: env:VNC, x: 1"),
            ("password: null", "password: null"),
            ("password:\n", "password:\n"),
            ("password: pä\n", "password: ***\n"),
            ("cpu: 1 # no secret\n", "cpu: 1 # no secret\n"),
        ] {
            assert_eq!(masked(text), expected);
        }
    }
}
