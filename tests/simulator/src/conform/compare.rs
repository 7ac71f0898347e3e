//! Compares an answer of the simulator with a recorded one: outcome, codes, attributes, shape, and
//! values as far as they do not depend on the machine or the moment.

use serde_json::Value;

use super::difference::{Difference, DifferenceKind};
use super::known::{Kind, Known};
use super::loose::{Care, care};
use crate::json::Object;

/// What recordings show instead of a secret.
pub(super) const HIDDEN: &str = "(secret)";

/// What is compared, and with what knowledge.
pub(super) struct Comparison<'a> {
    /// The method that answered; of an event, its collection.
    pub(super) method: &'a str,
    /// Whether a number as the whole answer is the id of a job.
    pub(super) answers_job: bool,
    /// Whether these are the fields of an event. The server reads a VM's state when it handles the
    /// event, which may be later than what the event tells of.
    pub(super) of_event: bool,
    pub(super) known: &'a mut Known,
    found: Vec<Difference>,
}

impl<'a> Comparison<'a> {
    pub(super) fn new(method: &'a str, known: &'a mut Known) -> Self {
        Self {
            method,
            answers_job: false,
            of_event: false,
            known,
            found: Vec::new(),
        }
    }

    /// Compares two whole answers, of either protocol.
    pub(super) fn frames(mut self, recorded: &Value, own: &Value) -> Vec<Difference> {
        match (recorded.get("error"), own.get("error")) {
            (Some(recorded), Some(own)) => self.errors(recorded, own),
            (None, None) => self.value(
                &mut Vec::new(),
                recorded.get("result").unwrap_or(&Value::Null),
                own.get("result").unwrap_or(&Value::Null),
            ),
            (recorded_error, own_error) => self.found.push(Difference::new(
                DifferenceKind::Outcome,
                "",
                outcome(recorded_error, recorded),
                outcome(own_error, own),
            )),
        }
        self.found
    }

    /// Compares two values, e.g. the fields of an event.
    pub(super) fn values(mut self, recorded: &Value, own: &Value) -> Vec<Difference> {
        self.value(&mut Vec::new(), recorded, own);
        self.found
    }

    fn errors(&mut self, recorded: &Value, own: &Value) {
        self.equal(DifferenceKind::Code, "code", recorded, own);
        self.wording("message", recorded, own);
        // The older protocol has no layer in between.
        let (recorded, own) = match (recorded.get("data"), own.get("data")) {
            (Some(recorded), Some(own)) => (recorded, own),
            (None, None) => (recorded, own),
            (recorded, own) => {
                let kind = DifferenceKind::Shape;
                self.found
                    .push(Difference::values(kind, "data", recorded, own));
                return;
            }
        };
        for member in ["error", "errname", "type"] {
            self.equal(DifferenceKind::Code, member, recorded, own);
        }
        self.wording("reason", recorded, own);
        self.members("", recorded, own);
        let (recorded_trace, own_trace) = (recorded.get("trace"), own.get("trace"));
        if let (Some(recorded), Some(own)) = (recorded_trace, own_trace) {
            self.equal(DifferenceKind::Code, "class", recorded, own);
            self.members("trace", recorded, own);
        }
        self.extra(recorded.get("extra"), own.get("extra"));
    }

    /// `[[attribute, message, errno], …]` of a validation error; anything else is a value.
    fn extra(&mut self, recorded: Option<&Value>, own: Option<&Value>) {
        let rows = |value: Option<&Value>| -> Option<Vec<(String, String)>> {
            let rows = value?.as_array()?;
            rows.iter()
                .map(|row| match row.as_array()?.as_slice() {
                    [attribute, message, errno] => Some((
                        format!("{attribute} ({errno})"),
                        message.as_str().unwrap_or_default().to_owned(),
                    )),
                    _ => None,
                })
                .collect()
        };
        let (Some(mut recorded_rows), Some(mut own_rows)) = (rows(recorded), rows(own)) else {
            let (recorded, own) = (
                recorded.unwrap_or(&Value::Null),
                own.unwrap_or(&Value::Null),
            );
            return self.value(&mut vec!["extra"], recorded, own);
        };
        recorded_rows.sort();
        own_rows.sort();
        let names = |rows: &[(String, String)]| {
            let names: Vec<&str> = rows.iter().map(|(name, _)| name.as_str()).collect();
            names.join(", ")
        };
        if names(&recorded_rows) != names(&own_rows) {
            self.found.push(Difference::new(
                DifferenceKind::Attributes,
                "extra",
                names(&recorded_rows),
                names(&own_rows),
            ));
            return;
        }
        for ((attribute, recorded), (_, own)) in recorded_rows.iter().zip(&own_rows) {
            if !self.known.same_message(recorded, own) && !recorded.contains(HIDDEN) {
                let kind = DifferenceKind::Wording;
                self.found
                    .push(Difference::new(kind, attribute, recorded, own));
            }
        }
    }

    fn equal(&mut self, kind: DifferenceKind, member: &str, recorded: &Value, own: &Value) {
        let (recorded, own) = (recorded.get(member), own.get(member));
        if recorded != own {
            self.found
                .push(Difference::values(kind, member, recorded, own));
        }
    }

    fn wording(&mut self, member: &str, recorded: &Value, own: &Value) {
        let text = |value: &Value| {
            value
                .get(member)
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned()
        };
        let (recorded, own) = (text(recorded), text(own));
        if !self.known.same_message(&recorded, &own) && !recorded.contains(HIDDEN) {
            self.found.push(Difference::new(
                DifferenceKind::Wording,
                member,
                recorded,
                own,
            ));
        }
    }

    /// Only which members there are.
    fn members(&mut self, at: &str, recorded: &Value, own: &Value) {
        let (Some(recorded), Some(own)) = (recorded.as_object(), own.as_object()) else {
            return;
        };
        for (name, there, here) in differing_names(recorded, own) {
            let at = [at, name].join(".");
            let at = at.trim_start_matches('.');
            self.found
                .push(Difference::values(DifferenceKind::Shape, at, there, here));
        }
    }

    fn value<'v>(&mut self, path: &mut Vec<&'v str>, recorded: &'v Value, own: &'v Value) {
        let read_later = matches!(path.first(), Some(&("status" | "display_available")));
        let care = if self.of_event && read_later {
            Care::Type
        } else {
            care(self.method, path)
        };
        match (recorded, own) {
            (Value::Object(recorded), Value::Object(own)) => match care {
                Care::Elements => self.elements(path, recorded.values(), own.values()),
                Care::Type | Care::Value => self.objects(path, recorded, own),
            },
            (Value::Array(recorded), Value::Array(own)) => match care {
                Care::Elements => self.elements(path, recorded.iter(), own.iter()),
                Care::Type | Care::Value => self.lists(path, recorded, own, care),
            },
            _ if word(recorded) != word(own) => {
                // A volatile value may be absent at one moment and there at another.
                let nullable = recorded.is_null() || own.is_null();
                if !(nullable && care != Care::Value) {
                    let kind = DifferenceKind::Shape;
                    self.found.push(Difference::new(
                        kind,
                        path.join("."),
                        format!("{} ({recorded})", word(recorded)),
                        format!("{} ({own})", word(own)),
                    ));
                }
            }
            _ if care != Care::Value => {}
            _ => self.scalars(path, recorded, own),
        }
    }

    fn objects<'v>(&mut self, path: &mut Vec<&'v str>, recorded: &'v Object, own: &'v Object) {
        for (name, there, here) in differing_names(recorded, own) {
            let at = path.iter().copied().chain([name]).collect::<Vec<_>>();
            let kind = DifferenceKind::Shape;
            self.found
                .push(Difference::values(kind, at.join("."), there, here));
        }
        let ours_is_over = self.method == "core.get_jobs" && !is_over(recorded) && is_over(own);
        for (name, recorded_member) in recorded {
            let Some(own_member) = own.get(name) else {
                continue;
            };
            if ours_is_over && OF_THE_END.contains(&name.as_str()) {
                continue;
            }
            if self.method == "core.get_jobs"
                && name == "arguments"
                && let Some(method) = recorded.get("method").and_then(Value::as_str)
            {
                let expected = self.known.params(method, recorded_member);
                if &expected != own_member {
                    let kind = DifferenceKind::Value;
                    let (there, here) = (Some(&expected), Some(own_member));
                    self.found
                        .push(Difference::values(kind, "arguments", there, here));
                }
                continue;
            }
            path.push(name);
            self.value(path, recorded_member, own_member);
            path.pop();
        }
    }

    fn lists<'v>(
        &mut self,
        path: &mut Vec<&'v str>,
        recorded: &'v [Value],
        own: &'v [Value],
        care: Care,
    ) {
        let mut recorded: Vec<&Value> = recorded.iter().collect();
        if self.method == "core.get_jobs" && path.is_empty() && recorded.len() > own.len() {
            // The server had jobs before the recording began; ours had none.
            recorded.retain(|row| {
                let id = row.get("id").and_then(Value::as_i64);
                id.is_none_or(|id| self.known.has_number(Kind::Job, id))
            });
        }
        if recorded.len() != own.len() && care == Care::Value {
            self.found.push(Difference::new(
                DifferenceKind::Value,
                path.join("."),
                format!("{} elements", recorded.len()),
                format!("{} elements", own.len()),
            ));
            // With other rows only their shape can be told.
            if let (Some(&recorded), Some(own)) = (recorded.first(), own.first()) {
                let before = self.found.len();
                self.value(path, recorded, own);
                let rows = self.found.split_off(before);
                let shapes = rows
                    .into_iter()
                    .filter(|found| found.kind == DifferenceKind::Shape);
                self.found.extend(shapes);
            }
            return;
        }
        for (recorded, own) in recorded.into_iter().zip(own) {
            self.value(path, recorded, own);
        }
    }

    /// Every element of ours must be of a kind that the recording has, too.
    fn elements<'v>(
        &mut self,
        path: &[&str],
        recorded: impl Iterator<Item = &'v Value>,
        own: impl Iterator<Item = &'v Value>,
    ) {
        let kinds: Vec<&str> = recorded.map(word).collect();
        if kinds.is_empty() {
            return;
        }
        if let Some(odd) = own
            .map(word)
            .find(|kind| !kinds.contains(kind) && *kind != "null")
        {
            self.found.push(Difference::new(
                DifferenceKind::Shape,
                path.join("."),
                kinds.first().unwrap_or(&""),
                odd,
            ));
        }
    }

    fn scalars(&mut self, path: &[&str], recorded: &Value, own: &Value) {
        let same = match (recorded, own) {
            (Value::Number(there), Value::Number(here)) => {
                match (self.kind(path), there.as_i64(), here.as_i64()) {
                    (Some(kind), Some(there), Some(here)) => {
                        self.known.same_number(kind, there, here)
                    }
                    _ => there == here,
                }
            }
            (Value::String(there), Value::String(here)) => {
                let message = matches!(path.last(), Some(&("error" | "description" | "reason")));
                there.contains(HIDDEN)
                    || self.known.same_text(there, here)
                    || (message && self.known.same_message(there, here))
            }
            _ => recorded == own,
        };
        if !same {
            let message = path.last().is_some_and(|last| *last == "error");
            let kind = if message {
                DifferenceKind::Wording
            } else {
                DifferenceKind::Value
            };
            let (there, here) = (Some(recorded), Some(own));
            self.found
                .push(Difference::values(kind, path.join("."), there, here));
        }
    }

    /// What a number at this path names.
    fn kind(&self, path: &[&str]) -> Option<Kind> {
        match (self.method, path) {
            (_, []) if self.answers_job => Some(Kind::Job),
            ("core.get_jobs", ["id"]) => Some(Kind::Job),
            ("core.bulk", ["job_id"]) => Some(Kind::Job),
            (method, ["id"]) if method.starts_with("vm.device.") => Some(Kind::Device),
            (method, ["vm"]) if method.starts_with("vm.device.") => Some(Kind::Vm),
            ("vm.get_display_devices", ["id"]) => Some(Kind::Device),
            ("vm.get_display_devices", ["vm"]) => Some(Kind::Vm),
            (method, ["id"]) if method.starts_with("vm.") => Some(Kind::Vm),
            (method, ["devices", "id"]) if method.starts_with("vm.") => Some(Kind::Device),
            (method, ["devices", "vm"]) if method.starts_with("vm.") => Some(Kind::Vm),
            _ => None,
        }
    }
}

/// Members of a job's row that its end changes.
const OF_THE_END: [&str; 6] = [
    "state",
    "progress",
    "result",
    "error",
    "exc_info",
    "time_finished",
];

/// Whether a job has ended: when ours was quicker than the recorded one, it shows how it ended.
fn is_over(row: &Object) -> bool {
    let state = row.get("state").and_then(Value::as_str);
    state.is_some_and(|state| !["WAITING", "RUNNING"].contains(&state))
}

/// Names that only one of the two has, with their values.
fn differing_names<'v>(
    recorded: &'v Object,
    own: &'v Object,
) -> Vec<(&'v str, Option<&'v Value>, Option<&'v Value>)> {
    let missing = recorded
        .iter()
        .filter(|(name, _)| !own.contains_key(*name))
        .map(|(name, value)| (name.as_str(), Some(value), None));
    let added = own
        .iter()
        .filter(|(name, _)| !recorded.contains_key(*name))
        .map(|(name, value)| (name.as_str(), None, Some(value)));
    missing.chain(added).collect()
}

fn outcome(error: Option<&Value>, frame: &Value) -> String {
    match error {
        None => format!("worked, {}", frame.get("result").unwrap_or(&Value::Null)),
        Some(error) => {
            let reason = error
                .pointer("/data/reason")
                .or_else(|| error.get("reason"))
                .or_else(|| error.get("message"))
                .and_then(Value::as_str)
                .unwrap_or_default();
            let code = error.get("code").unwrap_or(&Value::Null);
            format!("refused, {code} {}", reason.trim())
        }
    }
}

fn word(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(number) if number.is_f64() => "float",
        Value::Number(_) => "int",
        Value::String(_) => "text",
        Value::Array(_) => "list",
        Value::Object(_) => "object",
    }
}

#[cfg(test)]
mod tests;
