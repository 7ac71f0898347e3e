//! What all `*.query` methods share: filters, options and pages.

use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use super::pages::{Next, Pages};
use crate::truenas::client::Client;
use crate::truenas::error::CallError;
use crate::truenas::limits;
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
    /// All rows, fetched page by page, each of them once. Where rows come or go between two pages it
    /// begins anew, a few times; a server that changes all the time gives what was seen.
    pub(super) async fn rows(
        &self,
        method: Method,
        query: &Query,
        page: usize,
    ) -> Result<Vec<Value>, CallError> {
        let mut pages = Pages::new(page);
        let mut begun_anew = 0;
        loop {
            let params = query.params(pages.limit(), pages.offset());
            let Value::Array(more) = self.call(method, params).await? else {
                return Err(CallError::protocol(method, "the answer is no list of rows"));
            };
            let next = pages.add(more);
            if pages.moved() && begun_anew < limits::PAGES_ANEW {
                tracing::debug!(rpc.method = %method, "rows came or went between two pages");
                begun_anew += 1;
                pages = Pages::new(page);
                continue;
            }
            match next {
                Next::Done => break,
                Next::More => {}
                Next::Stuck => {
                    return Err(CallError::protocol(
                        method,
                        "the same rows come again and again",
                    ));
                }
            }
            if pages.len() > limits::ROWS {
                let message = format!("there are more than {} rows", limits::ROWS);
                return Err(CallError::protocol(method, message));
            }
        }
        if pages.moved() {
            tracing::warn!(rpc.method = %method, "rows come and go while they are read, some may be missing");
        }
        Ok(pages.into_rows())
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
