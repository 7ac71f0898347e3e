//! TrueNAS 27: disks over iSCSI, PCI addresses of NICs. Source: its development branch.

use super::facts::{Facts, Line};
use super::feature::Feature::{Attribute, Device};
use super::v26;

pub(super) const FACTS: Facts = Facts {
    line: Line::V27,
    name: "27",
    first: (27, 0, 0),
    adds: &[
        Attribute("NIC", "pci_address"),
        Device("ISCSI_DISK"),
        Attribute("ISCSI_DISK", "portal_address"),
        Attribute("ISCSI_DISK", "targets"),
        Attribute("ISCSI_DISK", "initiator_iqn"),
        Attribute("ISCSI_DISK", "controller_slot"),
    ],
    drops: &[],
    defaults: &[],
    previews_forget_user_properties: false,
    ..v26::FACTS
};
