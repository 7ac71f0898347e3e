//! What of a recording has another name in the replay: ids of VMs, devices and jobs, and random
//! texts such as uuids, MACs, serials and tokens. Both sides are seen together once, and must agree
//! from then on. It knows where ids stand in parameters, and no rules.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use regex::Regex;
use serde_json::Value;

use crate::json::Object;

/// What a number names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Vm,
    Device,
    Job,
}

/// Pairs of what was recorded and what stands for it.
#[derive(Debug, Default)]
pub(super) struct Known {
    numbers: BTreeMap<(Kind, i64), i64>,
    texts: BTreeMap<String, String>,
}

impl Known {
    /// Whether the two numbers name the same thing, as far as is known; at first sight they do from
    /// now on.
    pub(super) fn same_number(&mut self, kind: Kind, recorded: i64, own: i64) -> bool {
        *self.numbers.entry((kind, recorded)).or_insert(own) == own
    }

    /// Whether the recorded number is known.
    pub(super) fn has_number(&self, kind: Kind, recorded: i64) -> bool {
        self.numbers.contains_key(&(kind, recorded))
    }

    /// Whether the two numbers may name the same thing; remembers nothing.
    pub(super) fn would_be(&self, kind: Kind, recorded: i64, own: i64) -> bool {
        match self.numbers.get(&(kind, recorded)) {
            Some(known) => *known == own,
            None => !self
                .numbers
                .iter()
                .any(|((of, _), taken)| *of == kind && *taken == own),
        }
    }

    /// Whether the two texts stand for the same thing: equal, known as a pair, or seen for the first
    /// time and both random in the same way, or one a recorder's stand-in.
    pub(super) fn same_text(&mut self, recorded: &str, own: &str) -> bool {
        if recorded == own {
            return true;
        }
        if let Some(known) = self.texts.get(recorded) {
            return known == own;
        }
        let alike = is_stand_in(recorded)
            || random_kind(recorded).is_some_and(|kind| random_kind(own) == Some(kind));
        if alike {
            self.texts.insert(recorded.to_owned(), own.to_owned());
        }
        alike
    }

    /// Makes two texts a pair, whatever they look like.
    pub(super) fn learn_text(&mut self, recorded: &str, own: &str) {
        self.texts.insert(recorded.to_owned(), own.to_owned());
    }

    /// Whether two messages say the same of the same things: numbers that are ids may differ.
    pub(super) fn same_message(&self, recorded: &str, own: &str) -> bool {
        let words = |text: &str| -> Vec<String> {
            text.split_inclusive(|letter: char| !letter.is_alphanumeric())
                .flat_map(|part| {
                    let end = part
                        .find(|letter: char| !letter.is_alphanumeric())
                        .unwrap_or(part.len());
                    let (word, rest) = part.split_at(end);
                    [word.to_owned(), rest.to_owned()]
                })
                .collect()
        };
        let (recorded, own) = (words(recorded), words(own));
        recorded.len() == own.len()
            && recorded.iter().zip(&own).all(|(recorded, own)| {
                let number = recorded.parse::<i64>().ok();
                recorded == own
                    || self.texts.get(recorded) == Some(own)
                    || number.zip(own.parse().ok()).is_some_and(|(from, to)| {
                        [Kind::Vm, Kind::Device, Kind::Job]
                            .iter()
                            .any(|kind| self.numbers.get(&(*kind, from)) == Some(&to))
                    })
            })
    }

    /// Recorded parameters with our own ids and texts in them.
    pub(super) fn params(&self, method: &str, recorded: &Value) -> Value {
        let mut own = self.with_texts(recorded);
        if let Some(params) = own.as_array_mut() {
            self.translate(method, params);
        }
        own
    }

    fn translate(&self, method: &str, params: &mut [Value]) {
        let kind = match method {
            "core.bulk" => return self.translate_bulk(params),
            "vm.device.create" => {
                if let Some(first) = params.first_mut().and_then(Value::as_object_mut) {
                    self.member(first, "vm", Kind::Vm);
                }
                return;
            }
            "core.get_jobs" => Kind::Job,
            "core.job_wait" | "core.job_abort" | "core.job_download_logs" => Kind::Job,
            name if name.starts_with("vm.device.") => Kind::Device,
            name if name.starts_with("vm.") => Kind::Vm,
            _ => return,
        };
        if let Some(second) = params.get_mut(1).and_then(Value::as_object_mut)
            && method == "vm.device.update"
        {
            self.member(second, "vm", Kind::Vm);
        }
        match params.first_mut() {
            Some(Value::Array(filters)) => self.filters(filters, kind),
            Some(id) => self.number(id, kind),
            None => {}
        }
    }

    fn translate_bulk(&self, params: &mut [Value]) {
        let [name, calls, ..] = params else { return };
        let Some(name) = name.as_str() else { return };
        for call in calls.as_array_mut().into_iter().flatten() {
            if let Some(params) = call.as_array_mut() {
                self.translate(name, params);
            }
        }
    }

    /// `[field, operator, value]`, or `["OR", [filter, …]]`.
    fn filters(&self, filters: &mut [Value], kind: Kind) {
        for filter in filters.iter_mut().filter_map(Value::as_array_mut) {
            match filter.as_mut_slice() {
                [Value::String(field), _, value] => match field.as_str() {
                    "id" => self.number(value, kind),
                    "vm" if kind == Kind::Device => self.number(value, Kind::Vm),
                    _ => {}
                },
                [_, Value::Array(alternatives)] => self.filters(alternatives, kind),
                _ => self.filters(filter, kind),
            }
        }
    }

    fn member(&self, object: &mut Object, name: &str, kind: Kind) {
        if let Some(value) = object.get_mut(name) {
            self.number(value, kind);
        }
    }

    fn number(&self, value: &mut Value, kind: Kind) {
        match value {
            Value::Array(items) => items.iter_mut().for_each(|item| self.number(item, kind)),
            _ => {
                let known = value.as_i64().and_then(|id| self.numbers.get(&(kind, id)));
                if let Some(own) = known {
                    *value = (*own).into();
                }
            }
        }
    }

    fn with_texts(&self, recorded: &Value) -> Value {
        match recorded {
            Value::String(text) => self
                .texts
                .get(text)
                .map_or_else(|| recorded.clone(), |own| own.clone().into()),
            Value::Array(items) => items.iter().map(|item| self.with_texts(item)).collect(),
            Value::Object(members) => members
                .iter()
                .map(|(key, value)| (key.clone(), self.with_texts(value)))
                .collect(),
            _ => recorded.clone(),
        }
    }
}

/// Whether a text is what `TNVM_RECORD` puts for an id, a user or a host: `id-3`.
fn is_stand_in(text: &str) -> bool {
    ["id-", "user-", "host-"].iter().any(|begin| {
        text.strip_prefix(begin)
            .is_some_and(|number| number.parse::<u32>().is_ok())
    })
}

/// In which way a text is random, if it is: texts of one kind may stand for each other.
fn random_kind(text: &str) -> Option<String> {
    fixed_kind(text)
        .map(str::to_owned)
        .or_else(|| dated_kind(text))
}

/// A name that was made from the moment, as a naming schema of snapshots does; the rest of it is the
/// kind.
fn dated_kind(text: &str) -> Option<String> {
    static MOMENT: LazyLock<Option<Regex>> =
        LazyLock::new(|| Regex::new(r"[0-9]{4}-[0-9]{2}-[0-9]{2}_[0-9]{2}-[0-9]{2}").ok());
    let moment = MOMENT.as_ref()?;
    moment
        .is_match(text)
        .then(|| moment.replace_all(text, "(moment)").into_owned())
}

fn fixed_kind(text: &str) -> Option<&'static str> {
    let hex = |part: &str| part.chars().all(|letter| letter.is_ascii_hexdigit());
    let lengths: Vec<usize> = text.split('-').map(str::len).collect();
    if lengths == [8, 4, 4, 4, 12] && text.split('-').all(hex) {
        return Some("uuid");
    }
    let bytes: Vec<&str> = text.split(':').collect();
    if bytes.len() == 6 && bytes.iter().all(|byte| byte.len() == 2 && hex(byte)) {
        return Some("mac");
    }
    let mixed = text.chars().all(|letter| letter.is_ascii_alphanumeric());
    match text.len() {
        // A serial of a disk. Words of eight letters pass as well; no answer has one in its place.
        8 if mixed => Some("serial"),
        64 if mixed => Some("token"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn known() -> Known {
        let mut known = Known::default();
        assert!(known.same_number(Kind::Vm, 24, 1));
        assert!(known.same_number(Kind::Device, 39, 2));
        assert!(known.same_number(Kind::Job, 6, 3));
        known
    }

    #[test]
    fn ids_are_translated_where_they_stand() {
        for (method, recorded, own) in [
            (
                "vm.start",
                json!([24, {"overcommit": true}]),
                json!([1, {"overcommit": true}]),
            ),
            (
                "vm.query",
                json!([[["id", "in", [24, 99]]]]),
                json!([[["id", "in", [1, 99]]]]),
            ),
            (
                "vm.query",
                json!([[["OR", [["id", "=", 24], ["memory", "=", 24]]]]]),
                json!([[["OR", [["id", "=", 1], ["memory", "=", 24]]]]]),
            ),
            (
                "vm.device.create",
                json!([{"vm": 24, "order": 24}]),
                json!([{"vm": 1, "order": 24}]),
            ),
            (
                "vm.device.update",
                json!([39, {"vm": 24}]),
                json!([2, {"vm": 1}]),
            ),
            (
                "vm.device.query",
                json!([[["vm", "=", 24], ["id", "!=", 39]]]),
                json!([[["vm", "=", 1], ["id", "!=", 2]]]),
            ),
            (
                "core.bulk",
                json!(["vm.status", [[24], [9999]]]),
                json!(["vm.status", [[1], [9999]]]),
            ),
            ("core.job_wait", json!([6]), json!([3])),
            ("pool.get_instance", json!([24]), json!([24])),
        ] {
            assert_eq!(known().params(method, &recorded), own, "{method}");
        }
    }

    #[test]
    fn a_pair_is_made_once() {
        let mut known = known();
        assert!(known.same_number(Kind::Vm, 24, 1) && !known.same_number(Kind::Vm, 24, 2));
        let (one, two, three) = (
            "00:a0:98:00:00:01",
            "00:a0:98:00:00:02",
            "00:a0:98:00:00:03",
        );
        assert!(known.same_text(one, two) && known.same_text(one, two));
        assert!(!known.same_text(one, three));
        assert!(!known.same_text("LOCAL", "UTC"));
        assert!(known.same_text("id-3", "5ivanGvN") && !known.same_text("id-3", "q8b7t3iN"));
        assert!(known.same_text("a@auto-2026-11-22_21-05", "a@auto-2027-01-02_03-04"));
        assert!(!known.same_text("a@auto-2026-11-22_21-06", "b@auto-2027-01-02_03-04"));
    }

    #[test]
    fn messages_agree_when_their_ids_do() {
        let known = known();
        assert!(known.same_message("VM 24: device 39 is gone", "VM 1: device 2 is gone"));
        assert!(!known.same_message("VM 24 is gone", "VM 2 is gone again"));
    }
}
