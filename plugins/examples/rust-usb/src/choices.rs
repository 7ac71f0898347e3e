//! The fact `usb-choices`: what is plugged into the server, as `vm.device.usb_passthrough_choices`
//! answers.

use serde::Deserialize;
use tnvm_plugin::{IndexMap, Problem, Value, pointer, serde_json};

use crate::config::Selection;

/// The server's USB devices by name.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
pub struct Choices(IndexMap<String, Choice>);

#[derive(Debug, Deserialize)]
struct Choice {
    #[serde(default)]
    capability: Capability,
    #[serde(default)]
    available: bool,
    #[serde(default)]
    error: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
struct Capability {
    vendor: Option<String>,
    vendor_id: Option<String>,
    product: Option<String>,
    product_id: Option<String>,
}

impl Choices {
    /// Reads the fact. A shape that a later server may give is no reason to refuse: `None`.
    pub fn read(fact: Value) -> Option<Self> {
        serde_json::from_value(fact).ok()
    }

    /// Checks that the device is plugged in and free; `key` is its key in the config.
    pub fn check(&self, selection: &Selection, key: &str) -> Result<(), Problem> {
        let Some((name, choice)) = self.0.iter().find(|(name, choice)| match selection {
            Selection::Place(device) => *name == device,
            Selection::Kind { vendor, product } => {
                same(&choice.capability.vendor_id, vendor)
                    && same(&choice.capability.product_id, product)
            }
        }) else {
            let message = format!("no USB device {selection} is plugged into the server");
            return Err(Problem::config(pointer(&[key]), message).help(self.list()));
        };
        if choice.available {
            return Ok(());
        }
        let reason = choice
            .error
            .as_deref()
            .unwrap_or("the server gives no reason");
        let message = format!("the USB device {name} cannot be handed through: {reason}");
        Err(Problem::config(pointer(&[key]), message))
    }

    fn list(&self) -> String {
        if self.0.is_empty() {
            return "The server sees no USB device at all.".to_owned();
        }
        let describe = |(name, choice): (&String, &Choice)| {
            let part = |text: &Option<String>| text.clone().unwrap_or_default();
            let Capability {
                vendor,
                vendor_id,
                product,
                product_id,
            } = &choice.capability;
            format!(
                "{name} ({} {}, {}:{})",
                part(vendor),
                part(product),
                part(vendor_id),
                part(product_id)
            )
        };
        let devices: Vec<String> = self.0.iter().map(describe).collect();
        format!("Plugged in: {}.", devices.join(", "))
    }
}

fn same(reported: &Option<String>, id: &str) -> bool {
    reported
        .as_ref()
        .is_some_and(|reported| reported.eq_ignore_ascii_case(id))
}
