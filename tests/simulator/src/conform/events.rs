//! Finds for a recorded event the one that the simulator sent. How often an event repeats and in
//! which order events come depends on libvirt and on the moment, so only kinds of events are matched.

use serde_json::Value;

use super::compare::Comparison;
use super::difference::{Difference, DifferenceKind};
use super::known::{Kind, Known};
use super::link::{Event, event_of};

/// What an event is called in the report.
pub(super) fn label(event: &Value) -> String {
    let collection = event.get("collection").and_then(Value::as_str);
    let name = collection.unwrap_or_default().split(':').next();
    format!("event {}", name.unwrap_or_default())
}

/// Whether the simulator has such events. It has no jobs that the middleware begins by itself, which
/// answer no message.
pub(super) fn is_modelled(event: &Value) -> bool {
    let collection = event.get("collection").and_then(Value::as_str);
    match collection.unwrap_or_default() {
        "vm.query" | "vm.device.query" | "pool.dataset.query" | "pool.snapshot.query" => true,
        "core.get_jobs" => {
            let messages = event.pointer("/fields/message_ids");
            messages != Some(&serde_json::json!([]))
        }
        _ => false,
    }
}

/// An event in words.
pub(super) fn describe(event: &Value) -> String {
    let text = |name: &str| event.get(name).map_or("-".to_owned(), Value::to_string);
    let state = state(event).map_or(String::new(), |state| format!(" state {state}"));
    format!(
        "{} {} {}{state}",
        text("collection"),
        text("msg"),
        text("id")
    )
}

/// The differences to the event of ours that fits best, which from now on counts as expected; `None`
/// when none of the kind has come yet.
pub(super) fn find(
    own: &mut [Event],
    recorded: &Value,
    known: &mut Known,
) -> Option<Vec<Difference>> {
    let mut best: Option<(usize, Vec<Difference>)> = None;
    for (position, event) in own.iter().enumerate() {
        let Some(event) = event_of(&event.frame) else {
            continue;
        };
        if !same_kind(recorded, event, known) {
            continue;
        }
        let differences = compare(recorded, event, known);
        if best
            .as_ref()
            .is_none_or(|(_, least)| differences.len() < least.len())
        {
            best = Some((position, differences));
        }
    }
    let (position, differences) = best?;
    // All of one kind are expected when one is: how often they repeat does not count.
    let kind = own
        .get(position)
        .and_then(|event| event_of(&event.frame))
        .cloned()?;
    for event in own.iter_mut() {
        event.expected |= event_of(&event.frame).is_some_and(|event| equal_kind(&kind, event));
    }
    Some(differences)
}

/// Events that no recorded one was found for, one of each kind.
pub(super) fn unexpected(own: &[Event]) -> Vec<Value> {
    let mut kinds: Vec<Value> = Vec::new();
    let expected = own.iter().filter(|event| event.expected);
    let is_expected = |event: &Value| {
        expected
            .clone()
            .filter_map(|other| event_of(&other.frame))
            .any(|other| equal_kind(other, event))
    };
    for event in own.iter().filter(|event| !event.expected) {
        if let Some(event) = event_of(&event.frame)
            && !is_expected(event)
            && !kinds.iter().any(|kind| equal_kind(kind, event))
        {
            kinds.push(event.clone());
        }
    }
    kinds
}

/// The state that an event tells of, which makes its kind.
fn state(event: &Value) -> Option<&Value> {
    let of_job = event.get("fields").and_then(|fields| fields.get("state"));
    let of_vm = event.get("extra").and_then(|extra| extra.get("state"));
    of_job.or(of_vm)
}

fn same_kind(recorded: &Value, own: &Value, known: &Known) -> bool {
    let same = |name: &str| recorded.get(name) == own.get(name);
    if !same("msg") || !same("collection") || state(recorded) != state(own) {
        return false;
    }
    let kind = match recorded.get("collection").and_then(Value::as_str) {
        Some("vm.query") => Kind::Vm,
        Some("vm.device.query") => Kind::Device,
        Some("core.get_jobs") => Kind::Job,
        _ => return same("id"),
    };
    let id = |event: &Value| event.get("id").and_then(Value::as_i64);
    match (id(recorded), id(own)) {
        (Some(recorded), Some(own)) => known.would_be(kind, recorded, own),
        (recorded, own) => recorded == own,
    }
}

fn equal_kind(one: &Value, other: &Value) -> bool {
    let same = |name: &str| one.get(name) == other.get(name);
    same("msg") && same("collection") && same("id") && state(one) == state(other)
}

fn compare(recorded: &Value, own: &Value, known: &mut Known) -> Vec<Difference> {
    let method = recorded
        .get("collection")
        .and_then(Value::as_str)
        .unwrap_or_default()
        .to_owned();
    let mut found = Vec::new();
    for member in ["fields", "extra", "error"] {
        match (recorded.get(member), own.get(member)) {
            (Some(recorded), Some(own)) => {
                let mut comparison = Comparison::new(&method, known);
                comparison.of_event = true;
                found.extend(comparison.values(recorded, own));
            }
            (None, None) => {}
            (recorded, own) => {
                let kind = DifferenceKind::Shape;
                found.push(Difference::values(kind, member, recorded, own));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn event(id: i64, state: &str) -> Event {
        let event = json!({"collection": "core.get_jobs", "msg": "changed", "id": id, "fields": {"id": id, "state": state}});
        Event {
            frame: json!({"method": "collection_update", "params": event}),
            expected: false,
        }
    }

    #[test]
    fn an_event_is_found_by_its_kind_however_often_it_repeats() {
        let mut own = [
            event(1, "RUNNING"),
            event(1, "RUNNING"),
            event(1, "SUCCESS"),
        ];
        let mut known = Known::default();
        let recorded = event(9, "RUNNING").frame["params"].clone();
        assert_eq!(find(&mut own, &recorded, &mut known), Some(Vec::new()));
        let kinds = unexpected(&own);
        assert_eq!(kinds.len(), 1);
        assert_eq!(kinds[0]["fields"]["state"], "SUCCESS");
        let recorded = event(9, "FAILED").frame["params"].clone();
        assert_eq!(find(&mut own, &recorded, &mut known), None);
    }
}
