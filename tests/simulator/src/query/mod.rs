//! Query filters and options of every `*.query` method: a filter engine over JSON rows.
//!
//! Behaviour and texts as recorded on 25.10.7 for `vm.query`; the operators come from the code of
//! its `filter_list`. It does not know what a row is.

mod compiled;
mod filter;
mod options;

pub(crate) use compiled::{check_filters, check_options};
pub(crate) use filter::Filter;
pub(crate) use options::{Options, Order, apply};
