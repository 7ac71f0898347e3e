//! A device to be returned, put together step by step.

use crate::{Attributes, BootOrder, Claim, SecretRef, Volume};

/// A device of a VM.
#[derive(Clone, Debug)]
pub struct Device {
    pub(crate) name: String,
    pub(crate) attributes: Attributes,
    boot_order: BootOrder,
    volume: Option<Volume>,
    secrets: Vec<SecretRef>,
    claims: Vec<Claim>,
}

impl Device {
    /// A device that does not boot. `name` is stable within the VM and this plugin, and unique
    /// there: a renamed device is a new device.
    pub fn new(name: impl Into<String>, attributes: Attributes) -> Self {
        Self {
            name: name.into(),
            attributes,
            boot_order: BootOrder::None,
            volume: None,
            secrets: Vec::new(),
            claims: Vec::new(),
        }
    }

    /// Where the device stands in the boot order of its VM.
    pub fn boot_order(mut self, order: BootOrder) -> Self {
        self.boot_order = order;
        self
    }

    /// A zvol that must exist before the device does.
    pub fn volume(mut self, volume: Volume) -> Self {
        self.volume = Some(volume);
        self
    }

    /// The place `pointer` in the attributes takes the secret named so when the plan is executed.
    pub fn secret(mut self, pointer: &str, secret: &str) -> Self {
        self.secrets.push(SecretRef {
            pointer: pointer.to_owned(),
            secret: secret.to_owned(),
        });
        self
    }

    /// Something of which the server, or the network, has only one. `pointer` is where in the
    /// config it comes from.
    pub fn claim(mut self, kind: &str, value: impl ToString, pointer: impl Into<String>) -> Self {
        self.claims.push(Claim {
            kind: kind.to_owned(),
            value: value.to_string(),
            pointer: pointer.into(),
        });
        self
    }

    pub(crate) fn into_contract(self) -> crate::bindings::tnvm::device::types::Device {
        crate::bindings::tnvm::device::types::Device {
            name: self.name,
            attributes: self.attributes.to_json(),
            boot_order: self.boot_order,
            volume: self.volume,
            secrets: self.secrets,
            claims: self.claims,
            extensions: "{}".to_owned(),
        }
    }
}
