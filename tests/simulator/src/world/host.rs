//! The host's network interfaces and passthrough hardware.

use serde_json::{Value, json};

/// A network interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interface {
    /// Its name.
    pub name: String,
    /// What it is.
    pub kind: InterfaceKind,
    /// Members of a bridge or a bond.
    pub members: Vec<String>,
    /// Configured addresses, `address/prefix`.
    pub addresses: Vec<String>,
    /// Addresses given by DHCP, `address/prefix`.
    pub dhcp_addresses: Vec<String>,
    /// What the administrator wrote.
    pub description: String,
}

/// What an interface is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum InterfaceKind {
    /// A network card.
    Physical,
    /// A bridge.
    Bridge,
    /// A link aggregation.
    Bond,
    /// A VLAN.
    Vlan,
}

/// A USB device.
#[derive(Debug, Clone, PartialEq, Eq, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UsbDevice {
    /// Its name, e.g. `usb_1_2`.
    pub name: String,
    /// `0x…`
    pub vendor_id: String,
    /// `0x…`
    pub product_id: String,
    /// The maker.
    pub vendor: String,
    /// The product.
    pub product: String,
}

/// A PCI device.
#[derive(Debug, Clone, PartialEq, Eq, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PciDevice {
    /// Its name, e.g. `pci_0000_01_00_0`.
    pub name: String,
    /// What it is, e.g. `Ethernet controller`.
    pub controller_type: String,
    /// The maker.
    pub vendor: String,
    /// The product.
    pub product: String,
    /// Whether the host may give it away.
    pub available: bool,
}

impl InterfaceKind {
    /// The server's word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Physical => "PHYSICAL",
            Self::Bridge => "BRIDGE",
            Self::Bond => "LINK_AGGREGATION",
            Self::Vlan => "VLAN",
        }
    }
}

impl Interface {
    /// The entry of `interface.query`. Recorded on 25.10.7.
    pub fn entry(&self, position: usize) -> Value {
        let mac = format!("00:16:3e:00:00:{:02x}", position + 1);
        let actual: Vec<Value> = self
            .addresses
            .iter()
            .chain(&self.dhcp_addresses)
            .filter_map(|text| alias(text, true))
            .collect();
        let configured: Vec<Value> = self
            .addresses
            .iter()
            .filter_map(|text| alias(text, false))
            .collect();
        let mut entry = json!({
            "id": self.name, "name": self.name, "fake": false, "type": self.kind.word(),
            "state": {
                "name": self.name, "orig_name": self.name, "description": self.name, "mtu": 1500,
                "cloned": self.kind != InterfaceKind::Physical,
                "flags": ["UP", "BROADCAST", "RUNNING", "MULTICAST", "LOWER_UP"],
                "nd6_flags": [], "capabilities": [], "link_state": "LINK_STATE_UP",
                "media_type": "", "media_subtype": "", "active_media_type": "", "active_media_subtype": "",
                "supported_media": [], "media_options": null, "link_address": mac,
                "permanent_link_address": null, "hardware_link_address": mac, "rx_queues": 1, "tx_queues": 1,
                "aliases": actual, "vrrp_config": [], "ports": [], "xmit_hash_policy": null, "lacpdu_rate": null,
            },
            "aliases": configured, "ipv4_dhcp": !self.dhcp_addresses.is_empty(), "ipv6_auto": false,
            "description": self.description, "mtu": null,
        });
        let more = match self.kind {
            InterfaceKind::Physical => json!({}),
            InterfaceKind::Bridge => {
                json!({"bridge_members": self.members, "enable_learning": true, "stp": true})
            }
            InterfaceKind::Bond => json!({"lag_protocol": "LACP", "lag_ports": self.members}),
            InterfaceKind::Vlan => {
                json!({"vlan_parent_interface": self.members.first(), "vlan_tag": 1, "vlan_pcp": null})
            }
        };
        if let (Some(entry), Value::Object(more)) = (entry.as_object_mut(), more) {
            entry.extend(more);
        }
        entry
    }
}

impl UsbDevice {
    /// The entry of `vm.device.usb_passthrough_choices`. Schema: 25.10.5; 26 describes the device in a
    /// sentence, too.
    pub fn entry(&self, described: bool) -> Value {
        let (bus, device) = self
            .name
            .trim_start_matches("usb_")
            .split_once('_')
            .unwrap_or(("1", "1"));
        let mut entry = json!({
            "capability": {
                "product": self.product, "product_id": self.product_id, "vendor": self.vendor,
                "vendor_id": self.vendor_id, "bus": bus, "device": device,
            },
            "available": true, "error": null,
        });
        if let (true, Some(entry)) = (described, entry.as_object_mut()) {
            let text = format!("{} by {}", self.product, self.vendor);
            entry.insert("description".into(), json!(text));
        }
        entry
    }
}

impl PciDevice {
    /// The entry of `vm.device.passthrough_device_choices`. Schema: 25.10.5.
    pub fn entry(&self) -> Value {
        let parts: Vec<&str> = self.name.trim_start_matches("pci_").split('_').collect();
        let part = |position: usize| parts.get(position).copied().unwrap_or("0");
        json!({
            "capability": {
                "class": "0x020000", "domain": part(0).trim_start_matches('0'), "bus": part(1), "slot": part(2),
                "function": part(3), "product": self.product, "vendor": self.vendor,
            },
            "controller_type": self.controller_type,
            "iommu_group": {"number": 1, "addresses": [
                {"domain": format!("0x{}", part(0)), "bus": format!("0x{}", part(1)),
                 "slot": format!("0x{}", part(2)), "function": format!("0x{}", part(3))}]},
            "available": self.available, "drivers": if self.available { vec!["vfio-pci"] } else { vec![] },
            "error": null, "device_path": format!("/sys/bus/pci/devices/{}:{}:{}.{}", part(0), part(1), part(2), part(3)),
            "reset_mechanism_defined": true,
            "description": format!("{} {} by {}", self.controller_type, self.product, self.vendor),
            "critical": !self.available,
        })
    }
}

fn alias(text: &str, with_broadcast: bool) -> Option<Value> {
    let (address, prefix) = text.split_once('/')?;
    let prefix: u32 = prefix.parse().ok()?;
    let Ok(v4) = address.parse::<std::net::Ipv4Addr>() else {
        return Some(json!({"type": "INET6", "address": address, "netmask": prefix}));
    };
    let mut entry = json!({"type": "INET", "address": address, "netmask": prefix});
    if let (true, Some(entry)) = (with_broadcast, entry.as_object_mut()) {
        let hosts = u32::MAX.checked_shr(prefix).unwrap_or(0);
        entry.insert(
            "broadcast".into(),
            json!(std::net::Ipv4Addr::from(u32::from(v4) | hosts).to_string()),
        );
    }
    Some(entry)
}
