//! From the config to NIC devices.

use tnvm_plugin::{
    About, Attributes, BootOrder, Device, DevicePlugin, Mac, Problem, Problems, Request, Short,
    Value, json, pointer,
};

use crate::config::{Network, Networks, TemplateAttributes};

/// The device type `nic`.
pub struct NicPlugin;

impl DevicePlugin for NicPlugin {
    type Config = Networks;

    fn about() -> About {
        About::new("nic", env!("CARGO_PKG_VERSION"))
            .summary("Network interfaces on bridges of the server")
            .key("network")
            .kind("NIC")
    }

    fn plan(request: &Request<Networks>, problems: &mut Problems) -> Result<Vec<Device>, Problem> {
        let Some(Networks(networks)) = &request.config else {
            return Ok(Vec::new());
        };
        let template: TemplateAttributes =
            request
                .template
                .read("NIC", &TemplateAttributes::KNOWN, &[], problems);
        if template.mac.is_some() {
            problems.push(
                Problem::template(
                    "/attributes/mac",
                    "a MAC address in the template would be that of every VM",
                )
                .help("Remove it: tnvm derives one for each NIC. Write `mac` under a VM's `network` to choose."),
            );
        }
        if template.nic_attach.is_some() {
            problems.push(
                Problem::template(
                    "/attributes/nic_attach",
                    "the config always decides the bridge",
                )
                .help("Write null here.")
                .warning(),
            );
        }
        let mut devices = Vec::new();
        for (index, (name, network)) in (0..).zip(networks) {
            let planned = plan_nic(request, &template, index, name, network);
            devices.extend(problems.note(planned));
        }
        Ok(devices)
    }

    fn normalize(attributes: Attributes) -> Result<Attributes, String> {
        // Up to 25.10 the server stores a MAC as it was written; from 26 in lower case.
        let mac = attributes
            .text("mac")
            .map(|text| match text.parse::<Mac>() {
                Ok(mac) => mac.to_string(),
                Err(_) => text.to_owned(),
            });
        Ok(attributes
            .over(json!({ "mac": mac }))
            // What 24.10 may leave out, with that version's defaults.
            .or_set("type", "E1000")
            .or_set("trust_guest_rx_filters", false))
    }
}

fn plan_nic(
    request: &Request<Networks>,
    template: &TemplateAttributes,
    index: u32,
    name: &str,
    network: &Short<Network>,
) -> Result<Device, Problem> {
    if name.is_empty() {
        return Err(Problem::config(pointer(&[name]), "a NIC needs a name"));
    }
    let bridge = network.bridge.trim();
    if bridge.is_empty() {
        let place = network.pointer(&[name], "bridge");
        return Err(
            Problem::config(place, format!("the NIC `{name}` has no bridge"))
                .help("Name an interface of the server, such as `br0`."),
        );
    }
    let mac = mac(request, name, network)?;
    let attributes = Attributes::new("NIC")
        .over(json!({"type": "VIRTIO", "trust_guest_rx_filters": false}))
        .over(template)
        .over(json!({
            "type": network.nic_type,
            "trust_guest_rx_filters": network.trust_guest_rx_filters,
        }))
        .over(json!({ "mac": mac.map(|mac| mac.to_string()) }))
        .set("nic_attach", bridge);
    if attributes.get("trust_guest_rx_filters") == Some(&Value::Bool(true))
        && attributes.text("type") != Some("VIRTIO")
    {
        let place = network.pointer(&[name], "trust_guest_rx_filters");
        return Err(
            Problem::config(place, "`trust_guest_rx_filters` needs the type VIRTIO")
                .help("Remove one of the two, here or in the template."),
        );
    }
    // A NIC boots only where the user's template gives it a number.
    let order = match request.template.order {
        Some(first) => BootOrder::Fixed(first.saturating_add(index)),
        None => BootOrder::None,
    };
    let place = match network.mac {
        Some(_) => network.pointer(&[name], "mac"),
        None => pointer(&[name]),
    };
    let device = Device::new(name, attributes).boot_order(order);
    Ok(match mac {
        Some(mac) => device.claim("mac", mac, place),
        None => device,
    })
}

/// The `mac` that leaves the address to the server.
const BY_SERVER: &str = "server";

/// The address is sent unless the config says otherwise: up to 25.10 a NIC stored without one gets
/// another at every start; 26 and newer store one of their own.
fn mac(
    request: &Request<Networks>,
    name: &str,
    network: &Short<Network>,
) -> Result<Option<Mac>, Problem> {
    match network.mac.as_deref() {
        Some(BY_SERVER) => Ok(None),
        Some(text) => text.parse().map(Some).map_err(|reason: String| {
            Problem::config(network.pointer(&[name], "mac"), reason)
                .help("Remove `mac` to have one derived that never changes.")
        }),
        None => Ok(Some(Mac::derived(
            &request.vm.group,
            &request.vm.name,
            name,
        ))),
    }
}
