//! What a method's parameters must look like, and the checkers that refuse the rest in the
//! server's words; it knows no method and no state.

mod check;
mod old;
mod types;

use serde_json::{Map, Value};

use crate::errors::Failure;
use crate::version::Version;

pub(crate) use types::{
    Default, Field, INT, INT_OR_NULL, Model, NONEMPTY, TEXT, TEXT_OR_NULL, Type,
};

/// Who checks: the models of 25.04 and newer, or the schema system of 24.10.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Checker {
    Models,
    Old,
}

impl Checker {
    /// The one of VMs and their devices in a version.
    pub(crate) fn of(version: &Version) -> Self {
        Self::old_if(version.has_old_schemas())
    }

    /// The one of pools, datasets, snapshots, interfaces and jobs in a version.
    pub(crate) fn of_storage(version: &Version) -> Self {
        Self::old_if(version.has_old_storage_schemas())
    }

    fn old_if(old: bool) -> Self {
        if old { Self::Old } else { Self::Models }
    }

    /// Checks positional parameters and answers them complete, defaults included. A parameter that may
    /// be left out and has no default is null.
    pub(crate) fn params(self, fields: &[Field], params: &[Value]) -> Result<Vec<Value>, Failure> {
        match self {
            Self::Models => check::check_params(fields, params),
            Self::Old => old::check_params(fields, params),
        }
    }

    /// Checks one object against a model; `path` is the attribute in front of its members.
    pub(crate) fn object(
        self,
        model: &Model,
        value: &Value,
        path: &str,
    ) -> Result<Map<String, Value>, Failure> {
        match self {
            Self::Models => check::check_object(model, value, path),
            Self::Old => old::check_object(model, value, path),
        }
    }
}
