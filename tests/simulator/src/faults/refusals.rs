//! What a method answers when a fault refuses it: by errno, or in the words of the rule that is
//! played.

use serde_json::{Value, json};

use super::effect::Effect;
use crate::errors::{EBUSY, ENOMEM, ENOSPC, Failure, errname};
use crate::rules::destroy;
use crate::world::World;

/// The answer of an effect that is one; `None` for all others.
pub(crate) fn refusal(
    effect: &Effect,
    world: &World,
    method: &str,
    params: &[Value],
) -> Option<Result<Value, Failure>> {
    Some(Err(match effect {
        Effect::Fail {
            code,
            errno,
            text,
            attribute,
        } => scripted(*code, *errno, text, attribute.as_deref()),
        Effect::Enomem => Failure::call(ENOMEM, no_memory(world, method, params)),
        Effect::Enospc => Failure::call(ENOSPC, "No space left on device"),
        Effect::Ebusy => Failure::call(EBUSY, "Device or resource busy"),
        Effect::DatasetBusy => return Some(dataset_busy(world, method, params)),
        Effect::Pretend { result } => return Some(Ok(result.clone())),
        _ => return None,
    }))
}

/// The refusal that a `fail` effect stands for.
fn scripted(code: i64, errno: i32, text: &str, attribute: Option<&str>) -> Failure {
    match (code, attribute) {
        (-32602, _) => {
            Failure::validation(vec![(attribute.map(str::to_owned), text.to_owned(), errno)])
        }
        (-32001, None) => Failure::call(errno, text),
        _ => Failure::Scripted {
            code,
            message: text.to_owned(),
            data: json!({"error": errno, "errname": errname(errno), "reason": text, "trace": null, "extra": null}),
        },
    }
}

/// Recorded on 25.10.7: `vm.start`.
fn no_memory(world: &World, method: &str, params: &[Value]) -> String {
    let name = params
        .first()
        .and_then(Value::as_i64)
        .and_then(|id| world.vms.get(&id))
        .and_then(|vm| vm.config.get("name"))
        .and_then(Value::as_str);
    match name {
        Some(name) if method.starts_with("vm.") => {
            format!("Cannot guarantee memory for guest {name}")
        }
        _ => "Cannot allocate memory".into(),
    }
}

/// The words are those of the rule for deletes; where the world keeps silent about what ZFS refuses,
/// as 26 does, so does this.
fn dataset_busy(world: &World, method: &str, params: &[Value]) -> Result<Value, Failure> {
    if world.swallow_destroy_errors {
        let null = method == "vm.delete" && world.version.delete_answers_null();
        return Ok(if null { Value::Null } else { json!(true) });
    }
    let name = params.first().and_then(Value::as_str).unwrap_or("dataset");
    Err(destroy::busy(name))
}
