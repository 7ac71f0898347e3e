//! What all `query` and `get_instance` methods share.

use serde_json::Value;

use crate::errors::Failure;
use crate::query::{Filter, Options, apply};
use crate::schema::{Default, Field, Model, Type};

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

/// Options of any query.
pub(crate) const OPTIONS_TYPE: Type = Type::Object(&OPTIONS);

/// Parameters of a query. Schema: 25.10.5.
pub(super) static QUERY: &[Field] = &[
    Field::with("filters", Type::List(&Type::Any), Default::EmptyList),
    Field::with("options", OPTIONS_TYPE, Default::EmptyObject),
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

/// Options in the given parameter.
pub(super) fn options(params: &[Value], position: usize) -> Options {
    Options::read(params.get(position).unwrap_or(&Value::Null))
}

/// Answers a query over rows; filters and options are the parameters from `position` on.
pub(super) fn answer(
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
    let filters = Filter::parse_all(attribute, given)?;
    apply(rows, &filters, &options(params, position + 1))
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
    )
}
