//! Models of device attributes, one per type. Schema: 25.10.5, the same in 26.0.0 as far as used.

use crate::json::{flag, given};
use crate::schema::{Default, Field, INT_OR_NULL, Model, NONEMPTY, TEXT_OR_NULL, Type};

const NONEMPTY_OR_NULL: Type = Type::Nullable(&NONEMPTY);
const FILE_PATH: Type = Type::Text {
    min: 1,
    pattern: Some("^[^{}]*$"),
};
pub(super) const BUSES: Type = Type::OneOf(&["AHCI", "VIRTIO"]);
pub(super) const SECTOR: Type = Type::Nullable(&Type::OneOfInt(&[512, 4096]));
pub(super) const IO_TYPES: Type = Type::OneOf(&["NATIVE", "THREADS", "IO_URING"]);
const MAC: Type = Type::Text {
    min: 0,
    pattern: Some("^([0-9A-Fa-f]{2}[:-]?){5}([0-9A-Fa-f]{2})$"),
};
pub(super) const PORT: Type = Type::between(5900, 65535);
pub(super) const HEX: Type = Type::Text {
    min: 1,
    pattern: Some("^0x.*"),
};
/// Resolutions a display may have, in the server's order.
pub(crate) const RESOLUTIONS: [&str; 10] = [
    "1920x1200",
    "1920x1080",
    "1600x1200",
    "1600x900",
    "1400x1050",
    "1280x1024",
    "1280x720",
    "1024x768",
    "800x600",
    "640x480",
];
/// USB controllers, in the server's order.
pub(crate) const USB_CONTROLLERS: [&str; 8] = [
    "piix3-uhci",
    "piix4-uhci",
    "ehci",
    "ich9-ehci1",
    "vt82c686b-uhci",
    "pci-ohci",
    "nec-xhci",
    "qemu-xhci",
];

static CDROM: Model = Model::closed(
    "VMCDROMDevice",
    &[dtype(&["CDROM"]), Field::required("path", FILE_PATH)],
);

static DISPLAY: Model = Model::closed(
    "VMDisplayDevice",
    &[
        dtype(&["DISPLAY"]),
        Field::with(
            "resolution",
            Type::OneOf(&RESOLUTIONS),
            Default::Text("1024x768"),
        ),
        Field::with("port", Type::Nullable(&PORT), Default::Null),
        Field::with("web_port", INT_OR_NULL, Default::Null),
        Field::with("bind", NONEMPTY, Default::Text("127.0.0.1")),
        Field::flag("wait"),
        Field::with("password", TEXT_OR_NULL, Default::Null),
        Field::with("web", Type::Bool, Default::Bool(true)),
        Field::with(
            "type",
            Type::OneOf(&["SPICE", "VNC"]),
            Default::Text("SPICE"),
        ),
    ],
);

static NIC: Model = Model::closed(
    "VMNICDevice",
    &[
        dtype(&["NIC"]),
        Field::flag("trust_guest_rx_filters"),
        Field::with(
            "type",
            Type::OneOf(&["E1000", "VIRTIO"]),
            Default::Text("E1000"),
        ),
        Field::with("nic_attach", TEXT_OR_NULL, Default::Null),
        Field::with("mac", Type::Nullable(&MAC), Default::Null),
    ],
);

static PCI: Model = Model::closed(
    "VMPCIDevice",
    &[dtype(&["PCI"]), Field::required("pptdev", NONEMPTY)],
);

static RAW: Model = Model::closed(
    "VMRAWDevice",
    &[
        dtype(&["RAW"]),
        Field::required("path", FILE_PATH),
        Field::with("type", BUSES, Default::Text("AHCI")),
        Field::flag("exists"),
        Field::flag("boot"),
        Field::with("size", INT_OR_NULL, Default::Null),
        Field::with("logical_sectorsize", SECTOR, Default::Null),
        Field::with("physical_sectorsize", SECTOR, Default::Null),
        Field::with("iotype", IO_TYPES, Default::Text("THREADS")),
        Field::with("serial", NONEMPTY_OR_NULL, Default::Null),
    ],
);

static DISK: Model = Model {
    name: "VMDiskDevice",
    fields: &[
        dtype(&["DISK"]),
        Field::with("path", NONEMPTY_OR_NULL, Default::Null),
        Field::with("type", BUSES, Default::Text("AHCI")),
        Field::flag("create_zvol"),
        Field::with("zvol_name", TEXT_OR_NULL, Default::Null),
        Field::with("zvol_volsize", INT_OR_NULL, Default::Null),
        Field::with("logical_sectorsize", SECTOR, Default::Null),
        Field::with("physical_sectorsize", SECTOR, Default::Null),
        Field::with("iotype", IO_TYPES, Default::Text("THREADS")),
        Field::with("serial", NONEMPTY_OR_NULL, Default::Null),
    ],
    closed: true,
    // Recorded on 25.10.7: `vm.device.create`.
    rule: Some(
        |attributes| match (flag(attributes, "create_zvol"), given(attributes, "path")) {
            (true, true) => Some("Path should not be provided if create_zvol is set"),
            (false, false) => Some("Path must be specified if create_zvol is not set"),
            _ => None,
        },
    ),
};

static USB_IDS: Model = Model::closed(
    "USBAttributes",
    &[
        Field::required("vendor_id", HEX),
        Field::required("product_id", HEX),
    ],
);

static USB: Model = Model::closed(
    "VMUSBDevice",
    &[
        dtype(&["USB"]),
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
        Field::with("device", NONEMPTY_OR_NULL, Default::Null),
    ],
);

/// The attributes of a device, told apart by `dtype`.
pub(crate) const DEVICE_ATTRIBUTES: Type = Type::Tagged {
    tag: "dtype",
    models: MODELS,
    enum_class: None,
};

const MODELS: &[(&str, &Model)] = &[
    ("CDROM", &CDROM),
    ("DISPLAY", &DISPLAY),
    ("NIC", &NIC),
    ("PCI", &PCI),
    ("RAW", &RAW),
    ("DISK", &DISK),
    ("USB", &USB),
];

/// The model of a device type.
pub(crate) fn attributes_model(dtype: &str) -> Option<&'static Model> {
    MODELS
        .iter()
        .find(|(name, _)| *name == dtype)
        .map(|(_, model)| *model)
}

const fn dtype(word: &'static [&'static str]) -> Field {
    Field::required("dtype", Type::OneOf(word))
}
