//! What all `*.query` methods share: filters, options and pages.

use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use crate::truenas::client::Client;
use crate::truenas::error::CallError;
use crate::truenas::method::Method;

/// Filters and options of a query. Rows come in the order of their ids.
pub(super) struct Query {
    pub(super) filters: Vec<Value>,
    pub(super) select: &'static [&'static str],
    pub(super) extra: Value,
}

impl Query {
    /// All rows that match, whole.
    pub(super) fn new(filters: Vec<Value>) -> Self {
        Self {
            filters,
            select: &[],
            extra: json!({}),
        }
    }

    fn params(&self, limit: usize, offset: usize) -> Vec<Value> {
        let mut options = Map::new();
        options.insert("order_by".into(), json!(["id"]));
        options.insert("limit".into(), json!(limit));
        options.insert("offset".into(), json!(offset));
        if !self.select.is_empty() {
            options.insert("select".into(), json!(self.select));
        }
        if self
            .extra
            .as_object()
            .is_some_and(|extra| !extra.is_empty())
        {
            options.insert("extra".into(), self.extra.clone());
        }
        vec![Value::Array(self.filters.clone()), Value::Object(options)]
    }
}

impl Client {
    /// All rows, fetched page by page. A row that vanishes between two pages may hide its
    /// neighbour, as with every query by offset; pages are so large that one is nearly always enough.
    pub(super) async fn rows(
        &self,
        method: Method,
        query: &Query,
        page: usize,
    ) -> Result<Vec<Value>, CallError> {
        let mut rows = Vec::new();
        loop {
            let answer = self.call(method, query.params(page, rows.len())).await?;
            let Value::Array(mut more) = answer else {
                return Err(CallError::protocol(method, "the answer is no list of rows"));
            };
            let full = more.len() >= page;
            rows.append(&mut more);
            if !full {
                return Ok(rows);
            }
        }
    }

    /// The first row, if any.
    pub(super) async fn first_row(
        &self,
        method: Method,
        query: &Query,
    ) -> Result<Option<Value>, CallError> {
        match self.call(method, query.params(1, 0)).await? {
            Value::Array(rows) => Ok(rows.into_iter().next()),
            _ => Err(CallError::protocol(method, "the answer is no list of rows")),
        }
    }
}

/// Reads what a method answered.
pub(super) fn read<T: DeserializeOwned>(method: Method, value: Value) -> Result<T, CallError> {
    serde_json::from_value(value)
        .map_err(|error| CallError::protocol(method, format!("the answer cannot be read: {error}")))
}
