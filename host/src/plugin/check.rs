//! What an answer must satisfy, whatever the version of the contract.
//!
//! It knows neither wasmtime nor where a request came from.

use std::collections::HashSet;

use serde_json::{Map, Value};

use super::contract::{Descriptor, PlanRequest, Planned, PlannedDevice, SecretRef};
use super::error::PluginErrorKind;
use super::text::plain;
use crate::diagnostic::Severity;

/// The facts of the closed list (contract 1.0, `fact-need`).
const FACTS: &[&str] = &[
    "nic-choices",
    "bind-choices",
    "disk-choices",
    "usb-choices",
    "pci-choices",
];

/// Characters of a name (contract 1.0, `descriptor.name`), and of a key, which is a word as well.
const NAME_LENGTH: usize = 32;

/// The secret that tnvm makes or asks for itself.
const DISPLAY_PASSWORD: &str = "display-password";

/// Refuses a descriptor that breaks the contract.
pub(super) fn descriptor(of: &Descriptor) -> Result<(), PluginErrorKind> {
    if !is_word(&of.name, false) {
        return bad(format!(
            "the name `{}` is not 1 to {NAME_LENGTH} letters, digits and `-`",
            plain(&of.name)
        ));
    }
    if !is_word(&of.key, true) {
        return bad(format!(
            "the key `{}` is not 1 to {NAME_LENGTH} letters, digits, `-` and `_`",
            plain(&of.key)
        ));
    }
    if semver::Version::parse(&of.version).is_err() {
        return bad(format!(
            "the version `{}` is not semver",
            plain(&of.version)
        ));
    }
    if of.device_kinds.is_empty() {
        return bad("it names no device kind, so it could return no device".to_owned());
    }
    if let Some(fact) = of.facts.iter().find(|fact| !FACTS.contains(&&*fact.kind)) {
        return bad(format!(
            "it asks for the fact `{}`; there are {}",
            plain(&fact.kind),
            FACTS.join(", ")
        ));
    }
    match super::schema::compile(&of.config_schema) {
        Ok(_) => Ok(()),
        Err(reason) => bad(format!("`config-schema` is not a JSON Schema: {reason}")),
    }
}

/// Refuses a plan that breaks the contract.
pub(super) fn planned(
    of: &Planned,
    descriptor: &Descriptor,
    request: &PlanRequest,
) -> Result<(), PluginErrorKind> {
    let mut names = HashSet::new();
    for device in &of.devices {
        let name = plain(&device.name);
        if device.name.is_empty() {
            return bad("a device has no name".to_owned());
        }
        if !names.insert(&device.name) {
            return bad(format!("two devices are named `{name}`"));
        }
        kind(device, descriptor)?;
        for secret in &device.secrets {
            if let Err(what) = check_secret(secret, &device.attributes, request) {
                return bad(format!("device `{name}`: {what}"));
            }
        }
    }
    match of
        .warnings
        .iter()
        .find(|one| one.severity == Severity::Error)
    {
        Some(error) => bad(format!("it warns of an error: {}", error.message)),
        None => Ok(()),
    }
}

fn kind(device: &PlannedDevice, descriptor: &Descriptor) -> Result<(), PluginErrorKind> {
    let name = plain(&device.name);
    let Some(kind) = device.attributes.get("dtype").and_then(Value::as_str) else {
        return bad(format!("device `{name}` has no string `dtype`"));
    };
    if descriptor.device_kinds.iter().any(|known| known == kind) {
        return Ok(());
    }
    bad(format!(
        "device `{name}` has dtype `{}`, and the plugin may only return {}",
        plain(kind),
        plain(&descriptor.device_kinds.join(", "))
    ))
}

/// A secret may only be put into the device's own attributes, and a plugin may only name a secret
/// that the user wrote: else it could have any file or variable of the host sent to the server.
fn check_secret(
    secret: &SecretRef,
    attributes: &Map<String, Value>,
    request: &PlanRequest,
) -> Result<(), String> {
    let pointer = plain(&secret.pointer);
    let parent = secret.pointer.rsplit_once('/').map(|(parent, _)| parent);
    let is_inside = match parent {
        None => false,
        Some("") => true,
        Some(parent) => {
            let (first, rest) = parent
                .strip_prefix('/')
                .map_or(("", ""), |path| path.split_once('/').unwrap_or((path, "")));
            let first = first.replace("~1", "/").replace("~0", "~");
            let rest = if rest.is_empty() {
                String::new()
            } else {
                format!("/{rest}")
            };
            attributes
                .get(&first)
                .and_then(|value| value.pointer(&rest))
                .is_some_and(Value::is_object)
        }
    };
    if !is_inside {
        return Err(format!(
            "the secret's pointer `{pointer}` leads out of the attributes"
        ));
    }
    let is_written = || {
        request
            .config
            .as_ref()
            .is_some_and(|config| mentions(config, &secret.secret))
            || mentions(&request.template, &secret.secret)
    };
    let is_reference = secret.secret.starts_with("env:") || secret.secret.starts_with("file:");
    if secret.secret == DISPLAY_PASSWORD || (is_reference && is_written()) {
        return Ok(());
    }
    Err(format!(
        "it names the secret `{}`, which is neither `{DISPLAY_PASSWORD}` nor an `env:` or `file:` \
         reference that the user wrote",
        plain(&secret.secret)
    ))
}

/// Whether the text stands somewhere in the value.
fn mentions(value: &Value, text: &str) -> bool {
    match value {
        Value::String(string) => string == text,
        Value::Array(items) => items.iter().any(|item| mentions(item, text)),
        Value::Object(members) => members.values().any(|member| mentions(member, text)),
        _ => false,
    }
}

fn is_word(text: &str, underscore: bool) -> bool {
    (1..=NAME_LENGTH).contains(&text.len())
        && text
            .chars()
            .all(|char| char.is_ascii_alphanumeric() || char == '-' || (underscore && char == '_'))
}

fn bad<T>(what: String) -> Result<T, PluginErrorKind> {
    Err(PluginErrorKind::BadAnswer { what })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plugin::contract::{BootOrder, FactNeed, VmIdentity};
    use serde_json::json;

    fn good() -> Descriptor {
        Descriptor {
            name: "disk".into(),
            version: "0.1.0".into(),
            summary: "Disks".into(),
            key: "disk".into(),
            applies_by_default: false,
            config_schema: json!({"type": "object"}),
            device_kinds: vec!["DISK".into()],
            facts: vec![],
        }
    }

    fn request(config: Value) -> PlanRequest {
        PlanRequest {
            vm: VmIdentity {
                name: "w1".into(),
                vm_type: "w".into(),
                type_index: 0,
                index: 1,
                count: 1,
                group: "g".into(),
            },
            config: Some(config),
            template: json!({}),
            storage: json!({}),
            target_version: "25.10.1".into(),
            facts: vec![],
            context: json!({}),
        }
    }

    fn device(name: &str, attributes: Value) -> PlannedDevice {
        PlannedDevice {
            name: name.into(),
            attributes: attributes.as_object().unwrap().clone(),
            boot_order: BootOrder::None,
            volume: None,
            secrets: vec![],
            claims: vec![],
        }
    }

    #[track_caller]
    fn check(refusal: Result<(), PluginErrorKind>, expected: &str) {
        let refusal = refusal.unwrap_err().to_string();
        assert!(refusal.contains(expected), "{refusal}");
    }

    fn check_descriptor(change: impl FnOnce(&mut Descriptor), expected: &str) {
        let mut changed = good();
        change(&mut changed);
        check(descriptor(&changed), expected);
    }

    fn check_devices(devices: Vec<PlannedDevice>, expected: &str) {
        let plan = Planned {
            devices,
            warnings: vec![],
        };
        check(planned(&plan, &good(), &request(json!({}))), expected);
    }

    fn with_secret(pointer: &str, secret: &str, config: Value) -> Result<(), PluginErrorKind> {
        let mut device = device("a", json!({"dtype": "DISK", "inner": {}, "text": "x"}));
        device.secrets = vec![SecretRef {
            pointer: pointer.into(),
            secret: secret.into(),
        }];
        let plan = Planned {
            devices: vec![device],
            warnings: vec![],
        };
        planned(&plan, &good(), &request(config))
    }

    #[test]
    fn a_good_descriptor_passes() {
        assert!(descriptor(&good()).is_ok());
    }

    #[test]
    fn descriptors_that_break_the_contract_are_refused() {
        check_descriptor(|of| of.name = "a b".into(), "the name `a b`");
        check_descriptor(|of| of.name = "x".repeat(33), "1 to 32");
        check_descriptor(|of| of.key.clear(), "the key ``");
        check_descriptor(|of| of.version = "one".into(), "not semver");
        check_descriptor(|of| of.device_kinds.clear(), "no device kind");
        check_descriptor(
            |of| of.config_schema = json!({"type": 5}),
            "not a JSON Schema",
        );
        check_descriptor(
            |of| of.config_schema = json!({"$ref": "https://example.com/x.json"}),
            "not a JSON Schema",
        );
        let kind = "passwords".into();
        let reason = String::new();
        check_descriptor(
            |of| of.facts = vec![FactNeed { kind, reason }],
            "`passwords`",
        );
    }

    #[test]
    fn devices_that_break_the_contract_are_refused() {
        let disk = json!({"dtype": "DISK"});
        check_devices(vec![device("a", json!({}))], "no string `dtype`");
        check_devices(vec![device("a", json!({"dtype": 1}))], "no string `dtype`");
        check_devices(vec![device("a", json!({"dtype": "NIC"}))], "dtype `NIC`");
        check_devices(
            vec![device("a", disk.clone()), device("a", disk.clone())],
            "two devices",
        );
        check_devices(vec![device("", disk)], "no name");
    }

    #[test]
    fn secrets_inside_the_attributes_are_allowed() {
        assert!(with_secret("/password", "display-password", json!({})).is_ok());
        assert!(with_secret("/inner/key", "env:KEY", json!({"password": ["env:KEY"]})).is_ok());
    }

    #[test]
    fn secrets_outside_the_attributes_are_refused() {
        for pointer in ["", "password", "/text/key", "/missing/key"] {
            check(
                with_secret(pointer, "display-password", json!({})),
                "leads out of the attributes",
            );
        }
    }

    #[test]
    fn secrets_that_nobody_wrote_are_refused() {
        check(
            with_secret("/a", "file:/etc/shadow", json!({})),
            "`file:/etc/shadow`",
        );
        check(with_secret("/a", "hunter2", json!(["hunter2"])), "neither");
    }
}
