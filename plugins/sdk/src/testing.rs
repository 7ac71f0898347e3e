//! For a plugin's native unit tests: a request with sensible values, changed where the test
//! cares. It goes the whole way a real call goes, JSON and all.

use serde_json::Value;

use crate::bindings::tnvm::device::types;
use crate::{DevicePlugin, Diagnostic, Fact, Failure, PlanRequest, Planned, Severity, VmIdentity};

/// A request for `worker01`, the first of three of the second VM type, in the group `home`,
/// without config or template, on 25.10.1, with `tank/vms` as the pool path.
#[derive(Clone, Debug)]
pub struct TestRequest(PlanRequest);

impl Default for TestRequest {
    fn default() -> Self {
        Self::new()
    }
}

impl TestRequest {
    /// The request as described above.
    pub fn new() -> Self {
        Self(PlanRequest {
            vm: VmIdentity {
                name: "worker01".to_owned(),
                vm_type: "worker".to_owned(),
                type_index: 1,
                index: 1,
                count: 3,
                group: "home".to_owned(),
            },
            config: None,
            template: "{}".to_owned(),
            storage: r#"{"pool_path": "tank/vms"}"#.to_owned(),
            target_version: "25.10.1".to_owned(),
            facts: Vec::new(),
            context: "{}".to_owned(),
        })
    }

    /// The value under the plugin's key.
    pub fn config(mut self, config: Value) -> Self {
        self.0.config = Some(config.to_string());
        self
    }

    /// The value under the plugin's key, as JSON text: where the order of keys matters.
    pub fn config_text(mut self, config: &str) -> Self {
        self.0.config = Some(config.to_owned());
        self
    }

    /// The device template.
    pub fn template(mut self, template: Value) -> Self {
        self.0.template = template.to_string();
        self
    }

    /// The `storage` section.
    pub fn storage(mut self, storage: Value) -> Self {
        self.0.storage = storage.to_string();
        self
    }

    /// The part of the config value that the user wrote for this one VM; see
    /// [`Request::own`](crate::Request::own).
    pub fn own(mut self, own: Value) -> Self {
        self.0.context = serde_json::json!({ "own": own }).to_string();
        self
    }

    /// The server's version.
    pub fn target(mut self, version: &str) -> Self {
        self.0.target_version = version.to_owned();
        self
    }

    /// A granted fact.
    pub fn fact(mut self, kind: &str, value: Value) -> Self {
        self.0.facts.push(Fact {
            kind: kind.to_owned(),
            value: value.to_string(),
        });
        self
    }

    /// The VM's name.
    pub fn vm(mut self, name: &str) -> Self {
        self.0.vm.name = name.to_owned();
        self
    }

    /// The position of the VM's type from 0, and its number within the type from 1.
    pub fn position(mut self, type_index: u32, index: u32) -> Self {
        self.0.vm.type_index = type_index;
        self.0.vm.index = index;
        self
    }

    /// Plans.
    ///
    /// # Errors
    /// What the plugin answers.
    pub fn plan<P: DevicePlugin>(&self) -> Result<Planned, Failure> {
        crate::plan::<P>(self.0.clone())
    }

    /// Plans, and expects devices without a warning.
    ///
    /// # Panics
    /// If there is any finding: this is for tests.
    #[expect(clippy::panic, reason = "it is only called from tests")]
    pub fn devices<P: DevicePlugin>(&self) -> Vec<types::Device> {
        match self.plan::<P>() {
            Ok(planned) if planned.warnings.is_empty() => planned.devices,
            other => panic!("devices without a finding expected, got {other:#?}"),
        }
    }

    /// Plans, and expects errors. Warnings are left out.
    ///
    /// # Panics
    /// If the plugin answers anything else: this is for tests.
    #[expect(clippy::panic, reason = "it is only called from tests")]
    pub fn errors<P: DevicePlugin>(&self) -> Vec<Diagnostic> {
        match self.plan::<P>() {
            Err(Failure::Invalid(found)) => found
                .into_iter()
                .filter(|diagnostic| diagnostic.severity == Severity::Error)
                .collect(),
            other => panic!("errors expected, got {other:#?}"),
        }
    }
}

/// A planned device's attributes.
pub fn attributes(device: &types::Device) -> Value {
    serde_json::from_str(&device.attributes).unwrap_or_default()
}
