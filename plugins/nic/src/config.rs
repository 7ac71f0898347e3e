//! What stands under `network` in a VM type.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tnvm_plugin::{FromShort, IndexMap, Short};

/// Network interfaces by name: `network: {system: br68, storage: {bridge: br110}}`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Networks(pub IndexMap<String, Short<Network>>);

/// A network interface of the guest.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Network {
    /// The interface of the server to attach to: a bridge (`br68`), or a bond, VLAN or port, over
    /// which the guest then does not reach the server itself.
    #[schemars(length(min = 1))]
    pub bridge: String,
    /// The MAC address; by default one derived from the group, the VM and this interface's name.
    /// All VMs of a type share this value: write it under `vms` for one VM. `server` leaves it to
    /// the server, which up to 25.10 gives the guest another one at every start.
    #[serde(default)]
    pub mac: Option<String>,
    /// What the guest sees: VIRTIO (fast, the default) or E1000 (needs no driver).
    #[serde(rename = "type", default)]
    pub nic_type: Option<NicType>,
    /// Whether the guest may change the filters for what it receives: for guests that route or
    /// bridge. VIRTIO only, and not on a bridge.
    #[serde(default)]
    pub trust_guest_rx_filters: Option<bool>,
}

impl FromShort for Network {
    type Short = String;

    fn from_short(bridge: String) -> Self {
        Self {
            bridge,
            ..Self::default()
        }
    }
}

/// The network card that the guest sees.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema, PartialEq)]
#[serde(rename_all = "UPPERCASE")]
pub enum NicType {
    /// Paravirtual: fast, and every current guest has the driver.
    Virtio,
    /// An emulated Intel card, for guests without the driver.
    E1000,
}

/// What a NIC template may set.
#[derive(Debug, Default, Deserialize, Serialize)]
pub(crate) struct TemplateAttributes {
    #[serde(rename = "type")]
    pub(crate) nic_type: Option<NicType>,
    pub(crate) trust_guest_rx_filters: Option<bool>,
    /// Laid under what the config says, which always says something: a template cannot decide.
    #[serde(skip_serializing)]
    pub(crate) nic_attach: Option<String>,
    /// Refused: all VMs would have the same.
    #[serde(skip_serializing)]
    pub(crate) mac: Option<String>,
}

impl TemplateAttributes {
    /// The keys above, as templates write them.
    pub(crate) const KNOWN: [&'static str; 4] =
        ["type", "trust_guest_rx_filters", "nic_attach", "mac"];
}
