//! User properties in the comment of a zvol: for servers that forget them when the zvol is made.
//!
//! The comment comes with the zvol in one call, so that nothing is ever there without saying whose it
//! is. Knows nothing of what the properties mean.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

/// Where the server shows the comment of a dataset, among the user properties.
pub(super) const COMMENTS: &str = "comments";

/// The properties as the text of a comment.
pub(super) fn write(properties: &[(String, String)]) -> String {
    let pairs = properties.iter();
    let members: Map<String, Value> = pairs
        .map(|(key, value)| (key.clone(), Value::from(value.clone())))
        .collect();
    Value::Object(members).to_string()
}

/// Puts the properties that a comment notes in their place, if it does. One that is there itself
/// outweighs it, and any other comment stays what it is.
pub(super) fn take_in(properties: &mut BTreeMap<String, String>) -> bool {
    let noted = properties.get(COMMENTS).and_then(|text| read(text));
    let Some(noted) = noted else {
        return false;
    };
    properties.remove(COMMENTS);
    for (key, value) in noted {
        properties.entry(key).or_insert(value);
    }
    true
}

/// The properties that a comment notes: an object of texts whose names are those of user properties.
fn read(comment: &str) -> Option<BTreeMap<String, String>> {
    let noted: BTreeMap<String, String> = serde_json::from_str(comment).ok()?;
    let is_note = !noted.is_empty() && noted.keys().all(|key| key.contains(':'));
    is_note.then_some(noted)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken_in(properties: &[(&str, &str)]) -> Vec<(String, String)> {
        let pairs = properties.iter();
        let mut all = pairs
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect();
        take_in(&mut all);
        all.into_iter().collect()
    }

    fn pair(key: &str, value: &str) -> (String, String) {
        (key.to_owned(), value.to_owned())
    }

    #[test]
    fn what_was_noted_is_read_again() {
        let properties = [
            pair("tnvm:owner", "a \"b\"; c"),
            pair("tnvm:device", "disk.ä"),
        ];
        let note = write(&properties);
        let mut found = taken_in(&[(COMMENTS, &note)]);
        found.reverse();
        assert_eq!(found, properties);
    }

    #[test]
    fn a_property_itself_outweighs_its_note() {
        let note = write(&[pair("tnvm:owner", "noted")]);
        let found = taken_in(&[(COMMENTS, &note), ("tnvm:owner", "set")]);
        assert_eq!(found, [pair("tnvm:owner", "set")]);
    }

    #[test]
    fn a_comment_of_somebody_else_stays() {
        for comment in [
            "",
            "INHERIT",
            "photos",
            "{}",
            "{\"a\": \"b\"}",
            "{\"a:b\": 5}",
        ] {
            assert_eq!(taken_in(&[(COMMENTS, comment)]), [pair(COMMENTS, comment)]);
        }
    }
}
