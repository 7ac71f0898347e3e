//! Models of device attributes in 24.10, where the type stands beside them. Schema: 24.10; texts of the
//! patterns by code reading.

use super::attributes::{
    BUSES, FILE_PATH, HEX, IO_TYPES, PORT, RESOLUTIONS, SECTOR, USB_CONTROLLERS,
};
use crate::schema::{Default, Field, INT, INT_OR_NULL, Model, NONEMPTY, TEXT, TEXT_OR_NULL, Type};

/// Device types, in the server's order.
pub(crate) const DTYPES: [&str; 7] = ["NIC", "DISK", "CDROM", "PCI", "DISPLAY", "RAW", "USB"];

static CDROM: Model = Model::closed("", &[Field::required("path", Type::Checked(mounted))]);

static DISPLAY: Model = Model::closed(
    "",
    &[
        Field::with(
            "resolution",
            Type::OneOf(&RESOLUTIONS),
            Default::Text("1024x768"),
        ),
        Field::with("port", Type::Nullable(&PORT), Default::Null),
        Field::with("web_port", Type::Nullable(&PORT), Default::Null),
        Field::with("bind", TEXT, Default::Text("127.0.0.1")),
        Field::flag("wait"),
        Field::required("password", NONEMPTY),
        Field::with("web", Type::Bool, Default::Bool(true)),
        Field::with("type", Type::OneOf(&["SPICE"]), Default::Text("SPICE")),
    ],
);

static NIC: Model = Model::closed(
    "",
    &[
        Field::flag("trust_guest_rx_filters"),
        Field::with(
            "type",
            Type::OneOf(&["E1000", "VIRTIO"]),
            Default::Text("E1000"),
        ),
        Field::with("nic_attach", TEXT_OR_NULL, Default::Null),
        Field::with("mac", Type::Nullable(&Type::Checked(mac)), Default::Null),
    ],
);

static PCI: Model = Model::closed("", &[Field::required("pptdev", NONEMPTY)]);

static RAW: Model = Model::closed(
    "",
    &[
        Field::required("path", FILE_PATH),
        Field::with("type", BUSES, Default::Text("AHCI")),
        Field::absent("exists", Type::Bool),
        Field::flag("boot"),
        Field::with("size", INT_OR_NULL, Default::Null),
        Field::with("logical_sectorsize", SECTOR, Default::Null),
        Field::with("physical_sectorsize", SECTOR, Default::Null),
        Field::with("iotype", IO_TYPES, Default::Text("THREADS")),
    ],
);

static DISK: Model = Model::closed(
    "",
    &[
        Field::absent("path", TEXT),
        Field::with("type", BUSES, Default::Text("AHCI")),
        Field::absent("create_zvol", Type::Bool),
        Field::absent("zvol_name", TEXT),
        Field::absent("zvol_volsize", INT),
        Field::with("logical_sectorsize", SECTOR, Default::Null),
        Field::with("physical_sectorsize", SECTOR, Default::Null),
        Field::with("iotype", IO_TYPES, Default::Text("THREADS")),
    ],
);

static USB_IDS: Model = Model::closed(
    "",
    &[
        Field::required("vendor_id", HEX),
        Field::required("product_id", HEX),
    ],
);

static USB: Model = Model::closed(
    "",
    &[
        Field::with(
            "usb",
            Type::Nullable(&Type::Object(&USB_IDS)),
            Default::Null,
        ),
        Field::with(
            "controller_type",
            Type::OneOf(&USB_CONTROLLERS),
            Default::Text("nec-xhci"),
        ),
        Field::with("device", TEXT_OR_NULL, Default::Null),
    ],
);

/// The model of a device type.
pub(super) fn old_attributes_model(dtype: &str) -> Option<&'static Model> {
    Some(match dtype {
        "CDROM" => &CDROM,
        "DISK" => &DISK,
        "DISPLAY" => &DISPLAY,
        "NIC" => &NIC,
        "PCI" => &PCI,
        "RAW" => &RAW,
        "USB" => &USB,
        _ => return None,
    })
}

fn mounted(path: &str) -> Option<String> {
    let fits = path.starts_with("/mnt/") && !path.contains(['{', '}']);
    (!fits).then(|| {
        "Path must not contain \"{\", \"}\" characters, and it should start with \"/mnt/\""
            .to_owned()
    })
}

/// Recorded on 24.10.2.5: colons only, as libvirt wants them.
fn mac(text: &str) -> Option<String> {
    let parts: Vec<&str> = text.split(':').collect();
    let fits = parts.len() == 6
        && parts
            .iter()
            .all(|part| part.len() == 2 && part.chars().all(|digit| digit.is_ascii_hexdigit()));
    (!fits).then(|| "Please provide a valid MAC address".to_owned())
}
