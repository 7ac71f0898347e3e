//! What a method's parameters must look like, and the checker that refuses the rest in the
//! server's words; it knows no method and no state.

mod check;
mod types;

pub(crate) use check::{check_object, check_params};
pub(crate) use types::{
    Default, Field, INT, INT_OR_NULL, Model, NONEMPTY, TEXT, TEXT_OR_NULL, Type,
};
