//! Rows of JSON objects as aligned columns.

use serde_json::Value;

/// The lines: a header of the first row's keys, then the rows.
pub(super) fn lines(rows: &Value) -> Vec<String> {
    let rows: Vec<_> = rows
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_object)
        .collect();
    let Some(first) = rows.first() else {
        return Vec::new();
    };
    let keys: Vec<&str> = first.keys().map(String::as_str).collect();
    let header = keys.iter().map(ToString::to_string).collect();
    let mut cells: Vec<Vec<String>> = vec![header];
    cells.extend(rows.iter().map(|row| {
        keys.iter()
            .map(|key| row.get(*key).map_or_else(String::new, text))
            .collect()
    }));
    let width = |column: usize| {
        cells
            .iter()
            .filter_map(|row| row.get(column))
            .map(String::len)
            .max()
            .unwrap_or(0)
    };
    let widths: Vec<usize> = (0..keys.len()).map(width).collect();
    cells
        .iter()
        .map(|row| {
            let padded = row
                .iter()
                .zip(&widths)
                .map(|(cell, width)| format!("{cell:>width$}"));
            padded.collect::<Vec<_>>().join("  ")
        })
        .collect()
}

fn text(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        Value::Number(number) => match number.as_f64() {
            Some(float) if number.is_f64() => format!("{float:.2}"),
            _ => number.to_string(),
        },
        other => other.to_string(),
    }
}
