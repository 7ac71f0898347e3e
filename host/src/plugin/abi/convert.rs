//! Between the values of contract 1.x and our own; JSON texts are parsed here and nowhere else.
//!
//! It knows nothing of what the values must satisfy; `check` does.

use serde_json::{Map, Value};

use super::bind::exports::tnvm::device::plugin as answer;
use super::bind::tnvm::device::types as wit;
use crate::diagnostic::Severity;
use crate::plugin::contract::{
    BootOrder, Claim, Descriptor, FactNeed, PlanRequest, Planned, PlannedDevice, PluginDiagnostic,
    SecretRef, Subject, Volume,
};
use crate::plugin::error::PluginErrorKind;
use crate::plugin::text::plain;

/// The request as the guest sees it.
pub(super) fn request(request: &PlanRequest) -> answer::PlanRequest {
    answer::PlanRequest {
        vm: wit::VmIdentity {
            name: request.vm.name.clone(),
            vm_type: request.vm.vm_type.clone(),
            type_index: request.vm.type_index,
            index: request.vm.index,
            count: request.vm.count,
            group: request.vm.group.clone(),
        },
        config: request.config.as_ref().map(Value::to_string),
        template: request.template.to_string(),
        storage: request.storage.to_string(),
        target_version: request.target_version.clone(),
        facts: request
            .facts
            .iter()
            .map(|(kind, value)| wit::Fact {
                kind: kind.clone(),
                value: value.to_string(),
            })
            .collect(),
        context: request.context.to_string(),
    }
}

/// What a plugin says of itself.
pub(super) fn descriptor(of: answer::Descriptor) -> Result<Descriptor, PluginErrorKind> {
    Ok(Descriptor {
        config_schema: json(&of.config_schema, || "`config-schema`".to_owned())?,
        name: of.name,
        version: of.version,
        summary: plain(&of.summary),
        key: of.key,
        applies_by_default: of.applies_by_default,
        device_kinds: of.device_kinds,
        facts: of
            .facts
            .into_iter()
            .map(|need| FactNeed {
                kind: need.kind,
                reason: plain(&need.reason),
            })
            .collect(),
    })
}

/// The devices and warnings.
pub(super) fn planned(of: answer::Planned) -> Result<Planned, PluginErrorKind> {
    Ok(Planned {
        devices: of
            .devices
            .into_iter()
            .map(device)
            .collect::<Result<_, _>>()?,
        warnings: of.warnings.into_iter().map(diagnostic).collect(),
    })
}

fn device(of: wit::Device) -> Result<PlannedDevice, PluginErrorKind> {
    let name = of.name;
    let place = |member: &str| format!("`{member}` of device `{}`", plain(&name));
    let attributes = object(&of.attributes, || place("attributes"))?;
    let extensions = object(&of.extensions, || place("extensions"))?;
    if !extensions.is_empty() {
        let members: Vec<String> = extensions.keys().map(|key| plain(key)).collect();
        return Err(PluginErrorKind::BadAnswer {
            what: format!(
                "{} has members this tnvm does not know and must not ignore: {}",
                place("extensions"),
                members.join(", ")
            ),
        });
    }
    Ok(PlannedDevice {
        attributes,
        boot_order: match of.boot_order {
            wit::BootOrder::Disk => BootOrder::Disk,
            wit::BootOrder::Cdrom => BootOrder::Cdrom,
            wit::BootOrder::None => BootOrder::None,
            wit::BootOrder::Fixed(order) => BootOrder::Fixed(order),
        },
        volume: of.volume.map(|volume| Volume {
            dataset: volume.dataset,
            size: volume.size,
            sparse: volume.sparse,
            block_size: volume.block_size,
        }),
        secrets: of
            .secrets
            .into_iter()
            .map(|secret| SecretRef {
                pointer: secret.pointer,
                secret: secret.secret,
            })
            .collect(),
        claims: of
            .claims
            .into_iter()
            .map(|claim| Claim {
                kind: claim.kind,
                value: claim.value,
                pointer: pointer(claim.pointer),
            })
            .collect(),
        name,
    })
}

/// A plugin's word on its input.
pub(super) fn diagnostic(of: wit::Diagnostic) -> PluginDiagnostic {
    PluginDiagnostic {
        severity: match of.severity {
            wit::Severity::Error => Severity::Error,
            wit::Severity::Warning => Severity::Warning,
        },
        subject: match of.subject {
            wit::Subject::Config => Subject::Config,
            wit::Subject::Template => Subject::Template,
        },
        pointer: pointer(of.pointer),
        message: plain(&of.message),
        help: of.help.map(|help| plain(&help)),
    }
}

/// A pointer that is none becomes the whole value: what it was to show matters more than where.
fn pointer(pointer: String) -> String {
    let escapes_are_right = pointer
        .split('~')
        .skip(1)
        .all(|rest| rest.starts_with(['0', '1']));
    if pointer.starts_with('/') && escapes_are_right {
        pointer
    } else {
        String::new()
    }
}

/// JSON text that must be an object.
pub(super) fn object(
    text: &str,
    place: impl Fn() -> String,
) -> Result<Map<String, Value>, PluginErrorKind> {
    match json(text, &place)? {
        Value::Object(object) => Ok(object),
        _ => Err(PluginErrorKind::BadAnswer {
            what: format!("{} is JSON, but not an object", place()),
        }),
    }
}

fn json(text: &str, place: impl Fn() -> String) -> Result<Value, PluginErrorKind> {
    serde_json::from_str(text).map_err(|error| PluginErrorKind::BadAnswer {
        what: format!("{} is not JSON: {error}", place()),
    })
}

/// Bytes of text in an answer, which is what the result limit counts.
pub(super) trait TextSize {
    /// The sum.
    fn text_size(&self) -> usize;
}

impl TextSize for String {
    fn text_size(&self) -> usize {
        self.len()
    }
}

impl<T: TextSize> TextSize for Option<T> {
    fn text_size(&self) -> usize {
        self.as_ref().map_or(0, T::text_size)
    }
}

impl<T: TextSize> TextSize for Vec<T> {
    fn text_size(&self) -> usize {
        self.iter().map(T::text_size).sum()
    }
}

impl<T: TextSize, E: TextSize> TextSize for Result<T, E> {
    fn text_size(&self) -> usize {
        match self {
            Ok(value) => value.text_size(),
            Err(error) => error.text_size(),
        }
    }
}

/// Sums the named members.
macro_rules! text_size {
    ($($of:ty { $($member:ident),* })*) => {
        $(impl TextSize for $of {
            fn text_size(&self) -> usize {
                0 $(+ self.$member.text_size())*
            }
        })*
    };
}

text_size! {
    answer::Descriptor { name, version, summary, key, config_schema, device_kinds, facts }
    wit::FactNeed { kind, reason }
    answer::Planned { devices, warnings }
    wit::Device { name, attributes, volume, secrets, claims, extensions }
    wit::Volume { dataset, block_size }
    wit::SecretRef { pointer, secret }
    wit::Claim { kind, value, pointer }
    wit::Diagnostic { pointer, message, help }
}

impl TextSize for answer::Failure {
    fn text_size(&self) -> usize {
        match self {
            Self::Invalid(diagnostics) => diagnostics.text_size(),
            Self::Internal(message) => message.text_size(),
        }
    }
}
