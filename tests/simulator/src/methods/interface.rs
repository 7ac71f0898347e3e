//! `interface.*`. Recorded on 25.10.7.

use serde_json::{Value, json};

use super::method::{Context, Method};
use super::query::{self, BY_NAME, OLD_BY_NAME, OLD_QUERY, QUERY};
use crate::errors::Failure;
use crate::json::{flag, object, word};
use crate::schema::{Default, Field, Model, Type};
use crate::world::{Interface, InterfaceKind};

const READ: &[&str] = &["NETWORK_INTERFACE_READ"];
const WORDS: Type = Type::List(&Type::Text {
    min: 0,
    pattern: None,
});

static CHOICES: Model = Model::closed(
    "InterfaceChoicesOptions",
    &[
        Field::flag("bridge_members"),
        Field::flag("lag_ports"),
        Field::with("vlan_parent", Type::Bool, Default::Bool(true)),
        Field::with("exclude", WORDS, Default::Texts(&["epair", "tap", "vnet"])),
        Field::with("exclude_types", WORDS, Default::EmptyList),
        Field::with("include", WORDS, Default::EmptyList),
    ],
);
static CHOICES_PARAMS: &[Field] = &[Field::with(
    "options",
    Type::Object(&CHOICES),
    Default::EmptyObject,
)];

pub(super) const METHODS: &[Method] = &[
    Method::read("interface.query", READ, QUERY, |context, params| {
        query::answer(
            query::Dialect::of_storage(&context.state.world.version),
            rows(context),
            params,
            0,
            "filters",
        )
    })
    .old(OLD_QUERY)
    .old_in_25_04(),
    Method::read("interface.get_instance", READ, BY_NAME, get_instance)
        .old(OLD_BY_NAME)
        .old_in_25_04(),
    Method::read("interface.choices", READ, CHOICES_PARAMS, choices).old_in_25_04(),
];

/// Name and label of an interface in a map of choices.
pub(super) fn choice(interface: &Interface) -> (String, Value) {
    let label = match interface.description.as_str() {
        "" => interface.name.clone(),
        description => format!("{}: {description}", interface.name),
    };
    (interface.name.clone(), json!(label))
}

fn rows(context: &Context<'_>) -> Vec<Value> {
    let interfaces = &context.state.world.interfaces;
    interfaces
        .iter()
        .enumerate()
        .map(|(position, interface)| {
            let mut entry = interface.entry(position);
            if let Some(entry) = entry.as_object_mut() {
                context.state.world.version.shape_interface(entry);
            }
            entry
        })
        .collect()
}

fn get_instance(context: &mut Context<'_>, params: &[Value]) -> Result<Value, Failure> {
    let id = word(params, 0);
    let found = rows(context)
        .into_iter()
        .find(|row| row.get("id").and_then(Value::as_str) == Some(id));
    query::one(
        found.ok_or_else(|| Failure::not_found("Interface", id))?,
        params,
    )
}

fn choices(context: &mut Context<'_>, params: &[Value]) -> Result<Value, Failure> {
    let options = object(params, 0);
    let words = |key: &str| -> Vec<String> {
        let list = options.get(key).and_then(Value::as_array);
        list.into_iter()
            .flatten()
            .filter_map(|word| word.as_str().map(str::to_owned))
            .collect()
    };
    let (exclude, exclude_types, include) =
        (words("exclude"), words("exclude_types"), words("include"));
    let world = &context.state.world;
    let is_port_of = |interface: &Interface, kind: InterfaceKind| {
        world
            .interfaces
            .iter()
            .any(|other| other.kind == kind && other.members.contains(&interface.name))
    };
    let is_parent = |interface: &Interface| is_port_of(interface, InterfaceKind::Vlan);
    let offered = world.interfaces.iter().filter(|interface| {
        include.contains(&interface.name)
            || (!exclude
                .iter()
                .any(|beginning| interface.name.starts_with(beginning.as_str()))
                && !exclude_types
                    .iter()
                    .any(|kind| kind == interface.kind.word())
                && (flag(&options, "bridge_members")
                    || !is_port_of(interface, InterfaceKind::Bridge))
                && (flag(&options, "lag_ports") || !is_port_of(interface, InterfaceKind::Bond))
                && (flag(&options, "vlan_parent") || !is_parent(interface)))
    });
    Ok(Value::Object(offered.map(choice).collect()))
}
