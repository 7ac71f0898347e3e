//! Query options: order, selection, counting, paging, and the final shape of a query's answer.

use std::cmp::Ordering;

use serde_json::{Map, Value};

use super::filter::{Filter, all_match, lookup, order, split_field};
use crate::errors::Failure;

/// The second parameter of a query, already validated by its schema.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Options {
    /// Sort keys; the last one decides.
    pub(crate) order_by: Vec<String>,
    /// Fields to keep, with their names in the answer.
    pub(crate) select: Vec<(String, String)>,
    /// Answer the number of rows.
    pub(crate) count: bool,
    /// Answer the first row instead of a list.
    pub(crate) get: bool,
    /// Rows to leave out at the start; negative counts from the end.
    pub(crate) offset: i64,
    /// Rows to keep; 0 keeps all, negative leaves out from the end.
    pub(crate) limit: i64,
    /// Method specific options.
    pub(crate) extra: Map<String, Value>,
}

impl Options {
    /// Reads a validated options object.
    pub(crate) fn read(value: &Value) -> Self {
        let list = |key: &str| {
            value
                .get(key)
                .and_then(Value::as_array)
                .cloned()
                .unwrap_or_default()
        };
        let flag = |key: &str| value.get(key).and_then(Value::as_bool).unwrap_or(false);
        let int = |key: &str| value.get(key).and_then(Value::as_i64).unwrap_or(0);
        Self {
            order_by: list("order_by")
                .iter()
                .filter_map(|key| key.as_str().map(str::to_owned))
                .collect(),
            select: list("select").iter().filter_map(selected).collect(),
            count: flag("count"),
            get: flag("get"),
            offset: int("offset"),
            limit: int("limit"),
            extra: value
                .get("extra")
                .and_then(Value::as_object)
                .cloned()
                .unwrap_or_default(),
        }
    }

    /// Whether a method-specific flag is set in `extra`.
    pub(crate) fn extra_flag(&self, key: &str, default: bool) -> bool {
        self.extra
            .get(key)
            .and_then(Value::as_bool)
            .unwrap_or(default)
    }
}

/// Which sort key decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    /// The last one; an unknown field is an error.
    LastDecides,
    /// The first one; an unknown field is passed over.
    FirstDecides,
}

/// Runs filters and options over rows.
///
/// # Errors
/// `get` without a match is the server's `MatchNotFound` (recorded on 25.10.7: errno 22, not 2);
/// comparing unlike types and ordering by an unknown field are exceptions too.
pub(crate) fn apply(
    rows: Vec<Value>,
    filters: &[Filter],
    options: &Options,
    order: Order,
) -> Result<Value, Failure> {
    let mut kept = Vec::new();
    for row in rows {
        if all_match(filters, &row)? {
            kept.push(row);
        }
    }
    // Recorded on 25.10.7: `count` wins over `get`; on 27 what is got is counted.
    if options.count {
        let most = match order {
            Order::FirstDecides if options.get => 1,
            _ => usize::MAX,
        };
        return Ok(kept.len().min(most).into());
    }
    // Recorded on 25.10.7 and 26.0.0-BETA.3: the server sorts by one key after the other from the
    // first on, so the last one decides and the earlier ones only break its ties.
    match order {
        Order::LastDecides => {
            for key in &options.order_by {
                sort(&mut kept, key)?;
            }
        }
        Order::FirstDecides => {
            for key in options.order_by.iter().rev() {
                sort_known(&mut kept, key)?;
            }
        }
    }
    let kept = page(kept, options.offset, options.limit);
    let mut kept: Vec<Value> = if options.select.is_empty() {
        kept
    } else {
        kept.iter()
            .map(|row| select(row, &options.select))
            .collect()
    };
    if options.get {
        if kept.is_empty() {
            return Err(Failure::exception("MatchNotFound", "MatchNotFound()"));
        }
        return Ok(kept.swap_remove(0));
    }
    Ok(Value::Array(kept))
}

fn selected(entry: &Value) -> Option<(String, String)> {
    match entry {
        Value::String(name) => Some((name.clone(), name.clone())),
        Value::Array(pair) => Some((
            pair.first()?.as_str()?.to_owned(),
            pair.get(1)?.as_str()?.to_owned(),
        )),
        _ => None,
    }
}

/// Sorts by a key that all rows have; one that asks for nulls only moves these.
fn sort_known(rows: &mut [Value], key: &str) -> Result<(), Failure> {
    let field = key
        .trim_start_matches("nulls_first:")
        .trim_start_matches("nulls_last:")
        .trim_start_matches('-');
    if rows.iter().any(|row| lookup(row, field).is_none()) {
        return Ok(());
    }
    let is_null = |row: &Value| lookup(row, field).is_some_and(Value::is_null);
    if key.starts_with("nulls_first:") {
        rows.sort_by_key(|row| !is_null(row));
        return Ok(());
    }
    if key.starts_with("nulls_last:") {
        rows.sort_by_key(is_null);
        return Ok(());
    }
    sort(rows, key)
}

fn sort(rows: &mut [Value], key: &str) -> Result<(), Failure> {
    let (nulls_first, key) = match key.strip_prefix("nulls_first:") {
        Some(rest) => (Some(true), rest),
        None => match key.strip_prefix("nulls_last:") {
            Some(rest) => (Some(false), rest),
            None => (None, key),
        },
    };
    let (descending, field) = match key.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, key),
    };
    if rows.iter().any(|row| lookup(row, field).is_none()) {
        return Err(Failure::exception("KeyError", format!("'{field}'")));
    }
    let mut failure = None;
    rows.sort_by(|left, right| {
        let (left, right) = (
            lookup(left, field).unwrap_or(&Value::Null),
            lookup(right, field).unwrap_or(&Value::Null),
        );
        if let Some(first) = nulls_first
            && (left.is_null() || right.is_null())
        {
            let by_null = right.is_null().cmp(&left.is_null());
            return if first { by_null } else { by_null.reverse() };
        }
        let ordering = order(left, right, "<").unwrap_or_else(|error| {
            if left != right {
                failure.get_or_insert(error);
            }
            Ordering::Equal
        });
        if descending {
            ordering.reverse()
        } else {
            ordering
        }
    });
    failure.map_or(Ok(()), Err)
}

/// Python's slice `rows[offset:][:limit]`, where 0 means no limit.
fn page(rows: Vec<Value>, offset: i64, limit: i64) -> Vec<Value> {
    let length = i64::try_from(rows.len()).unwrap_or(i64::MAX);
    let start = if offset < 0 {
        (length + offset).max(0)
    } else {
        offset.min(length)
    };
    let rest = length - start;
    let end = match limit {
        0 => rest,
        limit if limit < 0 => (rest + limit).max(0),
        limit => limit.min(rest),
    };
    let to_usize = |number: i64| usize::try_from(number).unwrap_or(0);
    rows.into_iter()
        .skip(to_usize(start))
        .take(to_usize(end))
        .collect()
}

fn select(row: &Value, fields: &[(String, String)]) -> Value {
    let mut kept = Value::Object(Map::new());
    for (field, name) in fields {
        if let Some(found) = lookup(row, field) {
            place(&mut kept, &split_field(name), found.clone());
        }
    }
    kept
}

fn place(target: &mut Value, path: &[String], value: Value) {
    let (Some((first, rest)), Some(object)) = (path.split_first(), target.as_object_mut()) else {
        return;
    };
    if rest.is_empty() {
        object.insert(first.clone(), value);
    } else {
        place(
            object
                .entry(first.clone())
                .or_insert_with(|| Value::Object(Map::new())),
            rest,
            value,
        );
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(options: Value, expected: Value) {
        let rows = vec![
            json!({"id": 1, "name": "a", "size": 5, "s": {"t": "x"}}),
            json!({"id": 2, "name": "b", "size": 5, "s": {"t": "y"}}),
            json!({"id": 3, "name": "c", "size": 1, "s": {"t": "z"}}),
        ];
        assert_eq!(
            apply(rows, &[], &Options::read(&options), Order::LastDecides).unwrap(),
            expected,
            "{options}"
        );
    }

    #[test]
    fn options_shape_the_answer() {
        check(json!({"count": true, "get": true}), json!(3));
        check(
            json!({"get": true, "select": ["name"]}),
            json!({"name": "a"}),
        );
        check(
            json!({"select": [["name", "n"]], "limit": 1}),
            json!([{"n": "a"}]),
        );
        check(
            json!({"select": ["s.t"], "limit": 1}),
            json!([{"s": {"t": "x"}}]),
        );
        check(
            json!({"select": ["id"], "offset": 1, "limit": 1}),
            json!([{"id": 2}]),
        );
        check(json!({"select": ["id"], "offset": -1}), json!([{"id": 3}]));
        check(
            json!({"select": ["id"], "limit": -1}),
            json!([{"id": 1}, {"id": 2}]),
        );
        check(json!({"select": ["nosuch"], "limit": 1}), json!([{}]));
    }

    #[test]
    fn rows_are_ordered_by_the_last_key_and_the_others_break_ties() {
        check(
            json!({"select": ["id"], "order_by": ["-id", "size"]}),
            json!([{"id": 3}, {"id": 2}, {"id": 1}]),
        );
        check(
            json!({"select": ["id"], "order_by": ["-name"]}),
            json!([{"id": 3}, {"id": 2}, {"id": 1}]),
        );
    }

    #[test]
    fn nulls_go_where_they_are_told() {
        let rows = || vec![json!({"v": 2}), json!({"v": null}), json!({"v": 1})];
        let sorted = |key: &str| {
            apply(
                rows(),
                &[],
                &Options::read(&json!({"order_by": [key]})),
                Order::LastDecides,
            )
            .unwrap()
        };
        assert_eq!(
            sorted("nulls_first:v"),
            json!([{"v": null}, {"v": 1}, {"v": 2}])
        );
        assert_eq!(
            sorted("nulls_last:-v"),
            json!([{"v": 2}, {"v": 1}, {"v": null}])
        );
    }

    #[test]
    fn get_without_a_match_is_an_exception_of_its_own_class() {
        let error = apply(
            vec![],
            &[],
            &Options::read(&json!({"get": true})),
            Order::LastDecides,
        )
        .unwrap_err();
        assert_eq!(
            error,
            Failure::exception("MatchNotFound", "MatchNotFound()")
        );
    }

    #[test]
    fn on_27_the_first_key_decides_and_unknown_ones_are_passed_over() {
        let rows = || {
            vec![
                json!({"a": 2, "b": 1}),
                json!({"a": 1, "b": 2}),
                json!({"a": 1, "b": 1}),
            ]
        };
        let sorted = |keys: Value| {
            let options = Options::read(&json!({"order_by": keys}));
            apply(rows(), &[], &options, Order::FirstDecides).unwrap()
        };
        assert_eq!(sorted(json!(["a", "-b"]))[0], json!({"a": 1, "b": 2}));
        assert_eq!(sorted(json!(["nosuch"])), json!(rows()));
        let one = Options::read(&json!({"count": true, "get": true}));
        assert_eq!(apply(rows(), &[], &one, Order::FirstDecides).unwrap(), 1);
    }

    #[test]
    fn ordering_by_an_unknown_field_is_an_exception() {
        let error = apply(
            vec![json!({"a": 1})],
            &[],
            &Options::read(&json!({"order_by": ["nosuch"]})),
            Order::LastDecides,
        )
        .unwrap_err();
        assert_eq!(error, Failure::exception("KeyError", "'nosuch'"));
    }
}
