//! Models of device attributes, one per type. Schema: 25.10.5, the same in 26.0.0 as far as used; what
//! 25.04.2 and 27.0.0 have differently stands beside it.

use crate::json::{flag, given};
use crate::schema::{Default, Field, INT, INT_OR_NULL, Model, NONEMPTY, TEXT, TEXT_OR_NULL, Type};
use crate::version::{Line, Version};

const NONEMPTY_OR_NULL: Type = Type::Nullable(&NONEMPTY);
pub(super) const FILE_PATH: Type = Type::Text {
    min: 1,
    pattern: Some("^[^{}]*$"),
};
/// Of ISOs. Recorded on 25.04.2.6.
const MOUNTED_PATH: Type = Type::Text {
    min: 1,
    pattern: Some("^/mnt/[^{}]*$"),
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

macro_rules! cdrom {
    ($path:expr) => {
        Model::closed(
            "VMCDROMDevice",
            &[dtype(&["CDROM"]), Field::required("path", $path)],
        )
    };
}

static CDROM: Model = cdrom!(FILE_PATH);
static CDROM_25_04: Model = cdrom!(MOUNTED_PATH);

macro_rules! display {
    ($kinds:expr) => {
        Model::closed(
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
                Field::with("type", Type::OneOf($kinds), Default::Text("SPICE")),
            ],
        )
    };
}

static DISPLAY: Model = display!(&["SPICE", "VNC"]);
static DISPLAY_25_04: Model = display!(&["SPICE"]);

macro_rules! nic {
    ($mac:expr $(, $more:expr)?) => {
        Model::closed(
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
        Field::with("mac", Type::Nullable(&$mac), Default::Null),
        $($more,)?
    ],
        )
    };
}

static NIC: Model = nic!(MAC);
static NIC_27: Model = nic!(
    Type::Asserted(colons),
    Field::with(
        "pci_address",
        Type::Nullable(&Type::Object(&PCI_ADDRESS)),
        Default::Null
    )
);

/// Schema: 27.0.0.
static PCI_ADDRESS: Model = Model::closed(
    "VMNICPciAddress",
    &[
        Field::required("bus", Type::between(1, 255)),
        Field::required("slot", Type::between(0, 31)),
        Field::with("function", Type::between(0, 7), Default::Int(0)),
        Field::with("domain", Type::between(0, 0), Default::Int(0)),
    ],
);

/// Schema: 27.0.0.
static ISCSI_TARGET: Model = Model::closed(
    "VMISCSIDiskTarget",
    &[
        Field::required("iqn", NONEMPTY),
        Field::with("luns", Type::List(&INT), Default::Ints(&[0])),
    ],
);

/// Schema: 27.0.0.
static ISCSI_DISK: Model = Model::closed(
    "VMISCSIDiskDevice",
    &[
        dtype(&["ISCSI_DISK"]),
        Field::required("portal_address", TEXT),
        Field::required("targets", Type::List(&Type::Object(&ISCSI_TARGET))),
        Field::required("initiator_iqn", NONEMPTY),
        Field::with("controller_slot", Type::between(1, 30), Default::Int(21)),
    ],
);

/// Recorded on 27: `vm.device.create`.
fn colons(mac: &str) -> Option<String> {
    let parts: Vec<&str> = mac.split(':').collect();
    let fits = parts.len() == 6
        && parts
            .iter()
            .all(|part| part.len() == 2 && part.chars().all(|digit| digit.is_ascii_hexdigit()));
    (!fits).then(|| {
        "Assertion failed, MAC address must be a colon-separated hexadecimal value (e.g. 00:a0:99:7e:bb:8a)."
            .to_owned()
    })
}

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
pub(crate) const DEVICE_ATTRIBUTES: Type = told_apart(MODELS);
/// The same in 25.04.2.
pub(crate) const DEVICE_ATTRIBUTES_25_04: Type = told_apart(MODELS_25_04);
/// The same in 27.
pub(crate) const DEVICE_ATTRIBUTES_27: Type = told_apart(MODELS_27);

type Models = &'static [(&'static str, &'static Model)];

const MODELS: Models = &[
    ("CDROM", &CDROM),
    ("DISPLAY", &DISPLAY),
    ("NIC", &NIC),
    ("PCI", &PCI),
    ("RAW", &RAW),
    ("DISK", &DISK),
    ("USB", &USB),
];
const MODELS_25_04: Models = &[
    ("CDROM", &CDROM_25_04),
    ("DISPLAY", &DISPLAY_25_04),
    ("NIC", &NIC),
    ("PCI", &PCI),
    ("RAW", &RAW),
    ("DISK", &DISK),
    ("USB", &USB),
];
const MODELS_27: Models = &[
    ("CDROM", &CDROM),
    ("DISPLAY", &DISPLAY),
    ("ISCSI_DISK", &ISCSI_DISK),
    ("NIC", &NIC_27),
    ("PCI", &PCI),
    ("RAW", &RAW),
    ("DISK", &DISK),
    ("USB", &USB),
];

/// The model of a device type in a version; that of 24.10 has its type elsewhere and is another.
pub(crate) fn attributes_model(version: &Version, dtype: &str) -> Option<&'static Model> {
    let models = match version.line() {
        Line::V24_10 | Line::V25_04_0 | Line::V25_04 => MODELS_25_04,
        Line::V25_10 | Line::V26 => MODELS,
        Line::V27 => MODELS_27,
    };
    models
        .iter()
        .find(|(name, _)| *name == dtype)
        .map(|(_, model)| *model)
}

const fn told_apart(models: Models) -> Type {
    Type::Tagged {
        tag: "dtype",
        models,
        enum_class: None,
    }
}

const fn dtype(word: &'static [&'static str]) -> Field {
    Field::required("dtype", Type::OneOf(word))
}
