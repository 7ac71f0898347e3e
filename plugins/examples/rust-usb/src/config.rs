//! What stands under `usb` in a VM type.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tnvm_plugin::{FromShort, IndexMap, Problem, Short, Value, json, pointer};

/// USB devices, as a list or by name.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Usb(Short<ByName>);

/// USB devices by name: `usb: {token: {device: usb_1_2}}`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(from = "IndexMap<String, UsbDevice>")]
pub struct ByName(
    #[schemars(with = "IndexMap<String, UsbDevice>")] Vec<(String, String, UsbDevice)>,
);

/// One USB device, by what it is (`vendor` and `product`) or by where it is plugged in
/// (`device`).
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UsbDevice {
    /// The vendor's id: `0x1050`.
    #[serde(default)]
    pub vendor: Option<String>,
    /// The product's id: `0x0407`.
    #[serde(default)]
    pub product: Option<String>,
    /// The server's name for the place it is plugged into: `usb_1_2`.
    #[serde(default)]
    pub device: Option<String>,
    /// The USB controller that the guest sees; nec-xhci by default.
    #[serde(default)]
    pub controller: Option<Controller>,
}

/// The controllers that `vm.device.create` takes.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Controller {
    /// USB 1.1.
    Piix3Uhci,
    /// USB 1.1.
    Piix4Uhci,
    /// USB 2.
    Ehci,
    /// USB 2.
    #[serde(rename = "ich9-ehci1")]
    Ich9Ehci1,
    /// USB 1.1.
    #[serde(rename = "vt82c686b-uhci")]
    Vt82c686bUhci,
    /// USB 1.1.
    PciOhci,
    /// USB 3.
    NecXhci,
    /// USB 3.
    QemuXhci,
}

/// Which device of the server is meant.
#[derive(Clone, Debug, PartialEq)]
pub enum Selection {
    /// By what it is; both in lower case with `0x`.
    Kind {
        /// `0x1050`
        vendor: String,
        /// `0x0407`
        product: String,
    },
    /// By where it is plugged in.
    Place(String),
}

impl Usb {
    /// Name, key in the config, and device. Those of a list are `usb0`, `usb1`.
    pub fn named(&self) -> impl Iterator<Item = (&str, String, &UsbDevice)> {
        let ByName(devices) = &*self.0;
        devices
            .iter()
            .map(|(name, key, device)| (name.as_str(), key.clone(), device))
    }
}

impl FromShort for ByName {
    type Short = Vec<UsbDevice>;

    fn from_short(devices: Vec<UsbDevice>) -> Self {
        let named =
            |(index, device): (u32, UsbDevice)| (format!("usb{index}"), index.to_string(), device);
        Self((0_u32..).zip(devices).map(named).collect())
    }
}

impl From<IndexMap<String, UsbDevice>> for ByName {
    fn from(devices: IndexMap<String, UsbDevice>) -> Self {
        let named = |(name, device): (String, _)| (name.clone(), name, device);
        Self(devices.into_iter().map(named).collect())
    }
}

impl UsbDevice {
    /// Which device is meant; `key` is its key in the config.
    pub fn select(&self, key: &str) -> Result<Selection, Problem> {
        match (&self.vendor, &self.product, &self.device) {
            (Some(vendor), Some(product), None) => Ok(Selection::Kind {
                vendor: id(vendor, key, "vendor")?,
                product: id(product, key, "product")?,
            }),
            (None, None, Some(device)) if !device.is_empty() => {
                Ok(Selection::Place(device.clone()))
            }
            _ => Err(Problem::config(
                pointer(&[key]),
                "a USB device is named by `vendor` and `product`, or by `device`",
            )
            .help("`lsusb` on the server shows ids as VENDOR:PRODUCT.")),
        }
    }
}

/// The server wants `0x` and takes what follows as it is; people also write `1050`.
fn id(text: &str, key: &str, field: &str) -> Result<String, Problem> {
    let digits = text.trim_start_matches("0x").trim_start_matches("0X");
    if digits.len() != 4 || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        let message = format!("`{text}` is not a USB id");
        return Err(Problem::config(pointer(&[key, field]), message)
            .help("Write four hexadecimal digits in quotes: \"0x1050\"."));
    }
    Ok(format!("0x{}", digits.to_ascii_lowercase()))
}

impl Selection {
    /// What the server stores.
    pub fn attributes(&self) -> Value {
        match self {
            Self::Kind { vendor, product } => {
                json!({"usb": {"vendor_id": vendor, "product_id": product}})
            }
            Self::Place(device) => json!({ "device": device }),
        }
    }
}

impl fmt::Display for Selection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kind { vendor, product } => write!(f, "{vendor}:{product}"),
            Self::Place(device) => f.write_str(device),
        }
    }
}
