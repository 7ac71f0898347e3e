//! What all `query` and `get_instance` methods share.

use serde_json::Value;

use super::shape::{Rows, shaped};
use crate::errors::Failure;
use crate::query::{Filter, Options, Order, apply, check_filters, check_options};
use crate::schema::{Checker, Default, Field, INT, Model, TEXT, TEXT_OR_NULL, Type};
use crate::version::Version;

const NAME_OR_PAIR: Type = Type::Either(&Type::LongText, &Type::List(&Type::Any));

static OPTIONS: Model = Model::closed(
    "QueryOptions",
    &[
        Field::with("extra", Type::Dict, Default::EmptyObject),
        Field::with("order_by", Type::List(&Type::LongText), Default::EmptyList),
        Field::with("select", Type::List(&NAME_OR_PAIR), Default::EmptyList),
        Field::flag("count"),
        Field::flag("get"),
        Field::with(
            "offset",
            Type::Int {
                min: None,
                max: None,
            },
            Default::Int(0),
        ),
        Field::with(
            "limit",
            Type::Int {
                min: None,
                max: None,
            },
            Default::Int(0),
        ),
        Field::flag("force_sql_filters"),
    ],
);

/// The same with what 24.10 had for its own use.
static OLD_OPTIONS: Model = Model::closed(
    "QueryOptions",
    &[
        Field::with("relationships", Type::Bool, Default::Bool(true)),
        Field::with("extend", TEXT_OR_NULL, Default::Null),
        Field::with("extend_context", TEXT_OR_NULL, Default::Null),
        Field::with("prefix", TEXT_OR_NULL, Default::Null),
        Field::with("extra", Type::Dict, Default::EmptyObject),
        Field::with("order_by", Type::List(&Type::LongText), Default::EmptyList),
        Field::with("select", Type::List(&NAME_OR_PAIR), Default::EmptyList),
        Field::flag("count"),
        Field::flag("get"),
        Field::with("offset", INT, Default::Int(0)),
        Field::with("limit", INT, Default::Int(0)),
        Field::flag("force_sql_filters"),
    ],
);

/// Filters of any query in 24.10, which looks into the list already here.
pub(super) const OLD_FILTERS: Type = Type::List(&Type::List(&Type::Any));
/// Options of any query in 24.10.
pub(super) const OLD_OPTIONS_TYPE: Type = Type::Object(&OLD_OPTIONS);
/// Options of any query.
pub(crate) const OPTIONS_TYPE: Type = Type::Object(&OPTIONS);

/// Parameters of a query. Schema: 25.10.5.
pub(super) static QUERY: &[Field] = &[
    Field::with("filters", Type::List(&Type::Any), Default::EmptyList),
    Field::with("options", OPTIONS_TYPE, Default::EmptyObject),
];
/// The same in 24.10. Recorded on 24.10.2.5: names and options.
pub(super) static OLD_QUERY: &[Field] = &[
    Field::with("query-filters", OLD_FILTERS, Default::EmptyList),
    Field::with("query-options", OLD_OPTIONS_TYPE, Default::EmptyObject),
];
/// Parameters of `get_instance` with a number, in 24.10.
pub(super) static OLD_BY_NUMBER: &[Field] = &[
    Field::required("id", INT),
    Field::with(
        "query-options-get_instance",
        OLD_OPTIONS_TYPE,
        Default::EmptyObject,
    ),
];
/// Parameters of `get_instance` with a name, in 24.10.
pub(super) static OLD_BY_NAME: &[Field] = &[
    Field::required("id", TEXT),
    Field::with(
        "query-options-get_instance",
        OLD_OPTIONS_TYPE,
        Default::EmptyObject,
    ),
];
/// Parameters of `get_instance` with a number.
pub(super) static BY_NUMBER: &[Field] = &[
    Field::required(
        "id",
        Type::Int {
            min: None,
            max: None,
        },
    ),
    Field::with("options", OPTIONS_TYPE, Default::EmptyObject),
];
/// Parameters of `get_instance` with a name.
pub(super) static BY_NAME: &[Field] = &[
    Field::required(
        "id",
        Type::Text {
            min: 0,
            pattern: None,
        },
    ),
    Field::with("options", OPTIONS_TYPE, Default::EmptyObject),
];

/// How a version reads filters and options.
#[derive(Debug, Clone, Copy)]
pub(super) enum Dialect {
    /// As the older schema system does.
    Old,
    /// As the models of 25.04 and newer do.
    Models,
    /// As the library of 27 does.
    Compiled,
}

impl Dialect {
    /// The one of VMs, devices and files.
    pub(super) fn of(version: &Version) -> Self {
        Self::from(Checker::of(version), version)
    }

    /// The one of pools, datasets, snapshots, interfaces and jobs.
    pub(super) fn of_storage(version: &Version) -> Self {
        Self::from(Checker::of_storage(version), version)
    }

    fn from(checker: Checker, version: &Version) -> Self {
        match checker {
            Checker::Old => Self::Old,
            Checker::Models if version.compiles_filters() => Self::Compiled,
            Checker::Models => Self::Models,
        }
    }
}

/// Options in the given parameter.
pub(super) fn options(params: &[Value], position: usize) -> Options {
    Options::read(params.get(position).unwrap_or(&Value::Null))
}

/// Answers a query over rows; filters and options are the parameters from `position` on.
pub(super) fn answer(
    dialect: Dialect,
    rows: Vec<Value>,
    params: &[Value],
    position: usize,
    attribute: &str,
) -> Result<Value, Failure> {
    let given = params
        .get(position)
        .and_then(Value::as_array)
        .map(Vec::as_slice)
        .unwrap_or_default();
    let options = options(params, position + 1);
    let filters = match dialect {
        Dialect::Old => Filter::parse_all("query-filters", given).map_err(without_validator)?,
        Dialect::Models => Filter::parse_all(attribute, given)?,
        Dialect::Compiled => {
            check_options(&options)?;
            check_filters(attribute, given)?;
            Filter::parse_all(attribute, given)?
        }
    };
    let order = match dialect {
        Dialect::Old | Dialect::Models => Order::LastDecides,
        Dialect::Compiled => Order::FirstDecides,
    };
    apply(rows, &filters, &options, order)
}

/// Answers a query over VMs or devices, whose rows have models of their own.
pub(super) fn answer_shaped(
    version: &Version,
    kind: Rows,
    rows: Vec<Value>,
    params: &[Value],
) -> Result<Value, Failure> {
    let known: Vec<String> = rows
        .first()
        .and_then(Value::as_object)
        .map(|row| row.keys().cloned().collect())
        .unwrap_or_default();
    let answer = answer(Dialect::of(version), rows, params, 0, "filters")?;
    shaped(version, kind, &known, &options(params, 1), answer)
}

/// Recorded on 24.10.2.5: the bare texts, which later models put `Value error, ` in front of.
fn without_validator(failure: Failure) -> Failure {
    let Failure::Validation { class, complaints } = failure else {
        return failure;
    };
    let bare = |text: String| match text.strip_prefix("Value error, ") {
        Some(rest) => rest.to_owned(),
        None => text,
    };
    Failure::Validation {
        class,
        complaints: complaints
            .into_iter()
            .map(|(attribute, text, errno)| (attribute, bare(text), errno))
            .collect(),
    }
}

/// Answers `get_instance`: the row, with the fields that were asked for.
pub(super) fn one(row: Value, params: &[Value]) -> Result<Value, Failure> {
    apply(
        vec![row],
        &[],
        &Options {
            get: true,
            count: false,
            ..options(params, 1)
        },
        Order::LastDecides,
    )
}
