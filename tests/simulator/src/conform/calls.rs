//! The calls of a transcript with the answers they got: what the parts that learn from a recording
//! before it is replayed look at. It knows no method.

use std::collections::BTreeMap;

use serde_json::Value;

use super::transcript::{Transcript, What};

/// A call that was answered.
pub(super) struct Recorded<'t> {
    pub(super) method: &'t str,
    pub(super) params: &'t [Value],
    /// The whole answering frame.
    pub(super) answer: &'t Value,
}

impl Recorded<'_> {
    /// What it answered, if it worked.
    pub(super) fn result(&self) -> Option<&Value> {
        self.answer.get("result")
    }
}

/// Every call that was answered, in the order of the answers.
pub(super) fn answered(transcript: &Transcript) -> Vec<Recorded<'_>> {
    let mut asked: BTreeMap<(&str, String), &Value> = BTreeMap::new();
    let mut found = Vec::new();
    for step in &transcript.steps {
        match &step.what {
            What::Sent(frame) => {
                if let Some(id) = frame.get("id") {
                    asked.insert((&step.connection, id.to_string()), frame);
                }
            }
            What::Received(answer) => {
                let id = answer.get("id").map(Value::to_string).unwrap_or_default();
                let request = asked.remove(&(step.connection.as_str(), id));
                found.extend(request.and_then(|request| recorded(request, answer)));
            }
            _ => {}
        }
    }
    found
}

fn recorded<'t>(request: &'t Value, answer: &'t Value) -> Option<Recorded<'t>> {
    let params = request.get("params").and_then(Value::as_array);
    Some(Recorded {
        method: request.get("method")?.as_str()?,
        params: params.map(Vec::as_slice).unwrap_or_default(),
        answer,
    })
}
