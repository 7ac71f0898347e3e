//! The device type `usb`: USB devices of the server handed through to the guest. An example of a
//! plugin from outside tnvm's own workspace, and a useful one.

mod choices;
mod config;

use tnvm_plugin::{
    About, Attributes, Device, DevicePlugin, Problem, Problems, Request, json, pointer,
};

use choices::Choices;
use config::Usb;

/// The device type `usb`.
pub struct UsbPlugin;

impl DevicePlugin for UsbPlugin {
    type Config = Usb;

    fn about() -> About {
        About::new("usb", env!("CARGO_PKG_VERSION"))
            .summary("USB devices of the server, handed through to the guest")
            .kind("USB")
            .fact(
                "usb-choices",
                "To say before anything is made that a device is not plugged in",
            )
    }

    fn plan(request: &Request<Usb>, problems: &mut Problems) -> Result<Vec<Device>, Problem> {
        let Some(usb) = &request.config else {
            return Ok(Vec::new());
        };
        let template =
            request
                .template
                .layer("USB", &["controller_type"], &["usb", "device"], problems);
        let choices = request.fact("usb-choices").and_then(Choices::read);
        let mut devices = Vec::new();
        for (name, key, device) in usb.named() {
            let Some(selection) = problems.note(device.select(&key)) else {
                continue;
            };
            if let Some(choices) = &choices {
                problems.note(choices.check(&selection, &key));
            }
            let attributes = Attributes::new("USB")
                .over(json!({"controller_type": "nec-xhci"}))
                .over(&template)
                .over(json!({"controller_type": device.controller}))
                .over(selection.attributes());
            devices.push(Device::new(name, attributes).claim(
                "usb",
                selection,
                pointer(&[key.as_str()]),
            ));
        }
        Ok(devices)
    }
}

tnvm_plugin::export!(UsbPlugin);
