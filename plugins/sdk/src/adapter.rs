//! Between the contract's JSON and a plugin's types: schema out, config in, errors as places.

use std::fmt::Display;
use std::marker::PhantomData;

use schemars::generate::SchemaSettings;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::bindings::exports::tnvm::device::plugin::Guest;
use crate::read::read;
use crate::{
    Attributes, Descriptor, DevicePlugin, Failure, PlanRequest, Planned, Problem, Problems,
    Request, log, pointer,
};

/// What [`export!`](crate::export) exports: a plugin behind the contract's own types.
pub struct Adapter<P>(PhantomData<P>);

impl<P: DevicePlugin> Guest for Adapter<P> {
    fn describe() -> Descriptor {
        log::tell_panics();
        describe::<P>()
    }

    fn plan(request: PlanRequest) -> Result<Planned, Failure> {
        log::tell_panics();
        plan::<P>(request)
    }

    fn normalize(attributes: String) -> Result<String, String> {
        log::tell_panics();
        normalize::<P>(&attributes)
    }
}

/// What the contract's `describe` answers for this plugin.
pub fn describe<P: DevicePlugin>() -> Descriptor {
    let about = P::about();
    let schema = SchemaSettings::draft2020_12()
        .into_generator()
        .into_root_schema_for::<P::Config>()
        .to_value();
    let schema = if about.applies_by_default {
        with_switch(schema)
    } else {
        schema
    };
    Descriptor {
        name: about.name,
        version: about.version,
        summary: about.summary,
        key: about.key,
        applies_by_default: about.applies_by_default,
        config_schema: schema.to_string(),
        device_kinds: about.kinds,
        facts: about.facts,
    }
}

/// What the contract's `plan` answers for this plugin.
///
/// # Errors
/// `invalid` for a fault in the user's input, `internal` for JSON that no host may send and for
/// a device that `normalize` does not take.
pub fn plan<P: DevicePlugin>(request: PlanRequest) -> Result<Planned, Failure> {
    let mut problems = Problems::default();
    let request = read_request::<P>(request)?;
    let devices = match P::plan(&request, &mut problems) {
        Ok(devices) => devices,
        Err(problem) => {
            problems.push(problem);
            Vec::new()
        }
    };
    let warnings = problems.into_warnings()?;
    let devices = devices
        .into_iter()
        .map(|mut device| {
            device.attributes =
                P::normalize(device.attributes.without_nulls()).map_err(|reason| {
                    Failure::Internal(format!("device `{}`: {reason}", device.name))
                })?;
            Ok(device.into_contract())
        })
        .collect::<Result<_, _>>()?;
    Ok(Planned { devices, warnings })
}

/// What the contract's `normalize` answers for this plugin.
///
/// # Errors
/// One sentence, when `attributes` is no JSON object or not of a shape the plugin knows.
pub fn normalize<P: DevicePlugin>(attributes: &str) -> Result<String, String> {
    let map = match serde_json::from_str(attributes) {
        Ok(Value::Object(map)) => map,
        Ok(_) => return Err("the attributes are not a JSON object".to_owned()),
        Err(error) => return Err(format!("the attributes are not JSON: {error}")),
    };
    Ok(P::normalize(Attributes(map).without_nulls())?.to_json())
}

fn read_request<P: DevicePlugin>(request: PlanRequest) -> Result<Request<P::Config>, Failure> {
    let config = match request.config.as_deref() {
        Some("true" | "null") if P::about().applies_by_default => None,
        Some(text) => Some(read_config(text)?),
        None => None,
    };
    Ok(Request {
        config,
        template: from_host("template", &request.template)?,
        storage: from_host("storage", &request.storage)?,
        target: request.target_version.parse().map_err(Failure::Internal)?,
        context: parsed("context", &request.context)?,
        facts: request.facts,
        vm: request.vm,
    })
}

fn read_config<C: DeserializeOwned>(text: &str) -> Result<C, Failure> {
    let value = parsed("config", text)?;
    read(&value).map_err(|misfit| {
        let problem = Problem::config(pointer(&misfit.path()), misfit.to_string());
        Failure::Invalid(vec![problem.0])
    })
}

fn from_host<T: DeserializeOwned>(what: &str, text: &str) -> Result<T, Failure> {
    read(&parsed(what, text)?).map_err(|misfit| unreadable(what, &misfit))
}

fn parsed(what: &str, text: &str) -> Result<Value, Failure> {
    serde_json::from_str(text).map_err(|error| unreadable(what, &error))
}

fn unreadable(what: &str, reason: &dyn Display) -> Failure {
    Failure::Internal(format!("the host's `{what}` cannot be read: {reason}"))
}

/// A device type that applies by default may also be switched on aloud: `display: true`, or the
/// key alone, which YAML reads as null.
fn with_switch(mut schema: Value) -> Value {
    let mut take = |key: &str| {
        schema
            .as_object_mut()
            .and_then(|root| root.shift_remove(key))
    };
    let (dialect, definitions) = (take("$schema"), take("$defs"));
    let mut root = json!({ "anyOf": [{ "enum": [true, null] }, schema] });
    for (key, value) in [("$schema", dialect), ("$defs", definitions)] {
        if let (Some(root), Some(value)) = (root.as_object_mut(), value) {
            root.insert(key.to_owned(), value);
        }
    }
    root
}
