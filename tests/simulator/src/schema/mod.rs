//! What a method's parameters must look like, and the checker that refuses the rest in the
//! server's words; it knows no method and no state.

mod check;
mod types;

pub use check::{check_object, check_params};
pub use types::{Default, Field, Model, Type};
