//! `vm.device.*`.

use serde_json::{Map, Value, json};

use super::method::{Context, Method};
use super::query::{self, BY_NUMBER, OLD_BY_NUMBER, OLD_QUERY, QUERY};
use super::shape::Rows;
use super::vm_info::same;
use crate::errors::Failure;
use crate::json::{int, number, object, word};
use crate::rules::{
    DEVICE_ATTRIBUTES, DEVICE_ATTRIBUTES_25_04, DEVICE_ATTRIBUTES_27, DTYPES, USB_CONTROLLERS,
    device, display, nic,
};
use crate::schema::{Default, Field, INT, Model, Type};
use crate::version::Line;
use crate::world::InterfaceKind;

const READ: &[&str] = &["VM_DEVICE_READ"];
const WRITE: &[&str] = &["VM_DEVICE_WRITE"];
const CHOICES: &[&str] = &["READONLY_ADMIN", "VM_DEVICE_READ"];

macro_rules! create {
    ($attributes:expr) => {
        Model::closed(
            "VMDeviceCreateArgs",
            &[
                Field::required("attributes", $attributes),
                Field::required("vm", INT),
                Field::with("order", Type::Nullable(&INT), Default::Null),
            ],
        )
    };
}

static CREATE: Model = create!(DEVICE_ATTRIBUTES);
static CREATE_25_04: Model = create!(DEVICE_ATTRIBUTES_25_04);
static CREATE_27: Model = create!(DEVICE_ATTRIBUTES_27);
static UPDATE: Model = Model::closed(
    "VMDeviceUpdate",
    &[
        Field::absent("attributes", Type::Dict),
        Field::absent("vm", INT),
        Field::absent("order", Type::Nullable(&INT)),
    ],
);
/// Attributes are a complete device: what is left out gets its default, which is then merged over
/// what is stored. Recorded on 25.04.2.6: another bridge for a NIC makes its type E1000 again, and
/// without `dtype` the update is refused.
static UPDATE_25_04: Model = Model::closed(
    "VMDeviceUpdate",
    &[
        Field::absent("attributes", DEVICE_ATTRIBUTES_25_04),
        Field::absent("vm", INT),
        Field::absent("order", Type::Nullable(&INT)),
    ],
);
static DELETE: Model = Model::closed(
    "VMDeviceDeleteOptions",
    &[
        Field::flag("force"),
        Field::flag("raw_file"),
        Field::flag("zvol"),
    ],
);
static CREATE_PARAMS: &[Field] = &[Field::required("vm_device_create", Type::Object(&CREATE))];
static CREATE_PARAMS_25_04: &[Field] = &[Field::required(
    "vm_device_create",
    Type::Object(&CREATE_25_04),
)];
static CREATE_PARAMS_27: &[Field] = &[Field::required(
    "vm_device_create",
    Type::Object(&CREATE_27),
)];
static UPDATE_PARAMS: &[Field] = &[
    Field::required("id", INT),
    Field::required("vm_device_update", Type::Object(&UPDATE)),
];
static UPDATE_PARAMS_25_04: &[Field] = &[
    Field::required("id", INT),
    Field::required("vm_device_update", Type::Object(&UPDATE_25_04)),
];
static DELETE_PARAMS: &[Field] = &[
    Field::required("id", INT),
    Field::with("options", Type::Object(&DELETE), Default::EmptyObject),
];
static OLD_CREATE: Model = Model::closed(
    "",
    &[
        Field::required("dtype", Type::OneOf(&DTYPES)),
        Field::required("vm", INT),
        Field::with("attributes", Type::Dict, Default::EmptyObject),
        Field::with("order", Type::Nullable(&INT), Default::Null),
    ],
);
static OLD_UPDATE: Model = Model::closed(
    "",
    &[
        Field::absent("dtype", Type::OneOf(&DTYPES)),
        Field::absent("vm", INT),
        Field::absent("attributes", Type::Dict),
        Field::absent("order", Type::Nullable(&INT)),
    ],
);
static OLD_CREATE_PARAMS: &[Field] = &[Field::required(
    "vmdevice_create",
    Type::Object(&OLD_CREATE),
)];
static OLD_UPDATE_PARAMS: &[Field] = &[
    Field::required("id", INT),
    Field::with(
        "vm_device_update",
        Type::Object(&OLD_UPDATE),
        Default::EmptyObject,
    ),
];
static OLD_DELETE_PARAMS: &[Field] = &[
    Field::required("id", INT),
    Field::with(
        "vm_device_delete",
        Type::Object(&DELETE),
        Default::EmptyObject,
    ),
];
static DEVICE: &[Field] = &[Field::required(
    "device",
    Type::Text {
        min: 1,
        pattern: None,
    },
)];

pub(super) const METHODS: &[Method] = &[
    Method::read("vm.device.query", READ, QUERY, query_devices).old(OLD_QUERY),
    Method::read("vm.device.get_instance", READ, BY_NUMBER, get_instance).old(OLD_BY_NUMBER),
    Method::write("vm.device.create", WRITE, CREATE_PARAMS_25_04, create)
        .old(OLD_CREATE_PARAMS)
        .until(Line::V25_04),
    Method::write("vm.device.create", WRITE, CREATE_PARAMS, create)
        .since(Line::V25_10)
        .until(Line::V26),
    Method::write("vm.device.create", WRITE, CREATE_PARAMS_27, create).since(Line::V27),
    Method::write("vm.device.update", WRITE, UPDATE_PARAMS_25_04, update)
        .old(OLD_UPDATE_PARAMS)
        .until(Line::V25_04),
    Method::write("vm.device.update", WRITE, UPDATE_PARAMS, update).since(Line::V25_10),
    Method::write("vm.device.delete", WRITE, DELETE_PARAMS, delete).old(OLD_DELETE_PARAMS),
    Method::read("vm.device.disk_choices", CHOICES, &[], disk_choices),
    Method::read(
        "vm.device.nic_attach_choices",
        CHOICES,
        &[],
        nic_attach_choices,
    ),
    Method::read("vm.device.bind_choices", CHOICES, &[], |context, _| {
        Ok(same(&display::bind_choices(&context.state.world)))
    }),
    Method::read("vm.device.iotype_choices", CHOICES, &[], |_, _| {
        Ok(same(&["NATIVE", "THREADS", "IO_URING"]))
    }),
    Method::read("vm.device.usb_controller_choices", CHOICES, &[], |_, _| {
        Ok(same(&USB_CONTROLLERS))
    }),
    Method::read(
        "vm.device.usb_passthrough_choices",
        CHOICES,
        &[],
        usb_choices,
    ),
    Method::read("vm.device.usb_passthrough_device", READ, DEVICE, usb_device),
    Method::read(
        "vm.device.passthrough_device_choices",
        CHOICES,
        &[],
        pci_choices,
    ),
    Method::read("vm.device.pptdev_choices", CHOICES, &[], pci_choices).until(Line::V25_10),
    Method::read("vm.device.passthrough_device", READ, DEVICE, pci_device),
    Method::read("vm.device.iommu_enabled", READ, &[], |context, _| {
        Ok(json!(!context.state.world.pci.is_empty()))
    }),
];

fn query_devices(context: &mut Context<'_>, params: &[Value]) -> Result<Value, Failure> {
    let secrets = context.sees_secrets();
    let world = &context.state.world;
    let rows = world
        .devices
        .values()
        .map(|found| device::entry(&world.version, found, secrets))
        .collect();
    query::answer_shaped(&world.version, Rows::Devices, rows, params)
}

fn get_instance(context: &mut Context<'_>, params: &[Value]) -> Result<Value, Failure> {
    query::one(entry(context, number(params, 0))?, params)
}

fn entry(context: &Context<'_>, id: i64) -> Result<Value, Failure> {
    let world = &context.state.world;
    let found = device::find(world, id)?;
    Ok(device::entry(&world.version, found, context.sees_secrets()))
}

fn create(context: &mut Context<'_>, params: &[Value]) -> Result<Value, Failure> {
    let data = object(params, 0);
    let mut attributes = data
        .get("attributes")
        .and_then(Value::as_object)
        .cloned()
        .unwrap_or_default();
    if let Some(dtype) = data.get("dtype") {
        // 24.10: the type stands beside the attributes, and only there.
        device::refuse_inner_dtype(&attributes)?;
        attributes.insert("dtype".into(), dtype.clone());
    }
    let vm = int(&data, "vm").unwrap_or_default();
    let id = device::create(
        &mut context.state.world,
        vm,
        int(&data, "order"),
        attributes,
    )?;
    entry(context, id)
}

fn update(context: &mut Context<'_>, params: &[Value]) -> Result<Value, Failure> {
    let id = number(params, 0);
    device::update(&mut context.state.world, id, &object(params, 1))?;
    entry(context, id)
}

fn delete(context: &mut Context<'_>, params: &[Value]) -> Result<Value, Failure> {
    device::delete(
        &mut context.state.world,
        number(params, 0),
        &object(params, 1),
    )?;
    Ok(json!(true))
}

/// Unlocked zvols that are not read-only, those of other VMs included (code reading: disk choices).
fn disk_choices(context: &mut Context<'_>, _: &[Value]) -> Result<Value, Failure> {
    let choices: Map<String, Value> = context
        .state
        .world
        .datasets
        .values()
        .filter(|dataset| dataset.is_volume() && !dataset.locked)
        .filter(|dataset| {
            dataset
                .properties
                .get("readonly")
                .is_none_or(|value| value != "on")
        })
        .map(|dataset| {
            (
                format!("/dev/zvol/{}", dataset.name.replace(' ', "+")),
                json!(dataset.name),
            )
        })
        .collect();
    Ok(Value::Object(choices))
}

/// A map up to 25.10, two lists from 26 on. Recorded on both.
fn nic_attach_choices(context: &mut Context<'_>, _: &[Value]) -> Result<Value, Failure> {
    let world = &context.state.world;
    if world.version.nic_choices_are_lists() {
        let names = |bridge: bool| -> Vec<&str> {
            nic::attachable(world)
                .filter(|interface| (interface.kind == InterfaceKind::Bridge) == bridge)
                .map(|interface| interface.name.as_str())
                .collect()
        };
        return Ok(json!({"BRIDGE": names(true), "MACVLAN": names(false)}));
    }
    Ok(Value::Object(
        nic::attachable(world)
            .map(super::interface::choice)
            .collect(),
    ))
}

fn usb_choices(context: &mut Context<'_>, _: &[Value]) -> Result<Value, Failure> {
    let world = &context.state.world;
    let described = world.version.describes_usb_devices();
    Ok(Value::Object(
        world
            .usb
            .iter()
            .map(|device| (device.name.clone(), device.entry(described)))
            .collect(),
    ))
}

fn usb_device(context: &mut Context<'_>, params: &[Value]) -> Result<Value, Failure> {
    let name = word(params, 0);
    let world = &context.state.world;
    let described = world.version.describes_usb_devices();
    let found = world.usb.iter().find(|device| device.name == name);
    let mut entry = found.map_or_else(
        || json!({"capability": {"product": null, "product_id": null, "vendor": null, "vendor_id": null, "bus": null, "device": null},
                  "available": false, "error": "Device not found", "description": ""}),
        |device| device.entry(described),
    );
    if let (false, Some(entry)) = (described, entry.as_object_mut()) {
        entry.shift_remove("description");
    }
    Ok(entry)
}

fn pci_choices(context: &mut Context<'_>, _: &[Value]) -> Result<Value, Failure> {
    let world = &context.state.world;
    Ok(Value::Object(
        world
            .pci
            .iter()
            .map(|device| (device.name.clone(), device.entry()))
            .collect(),
    ))
}

fn pci_device(context: &mut Context<'_>, params: &[Value]) -> Result<Value, Failure> {
    let name = word(params, 0);
    let found = context
        .state
        .world
        .pci
        .iter()
        .find(|device| device.name == name);
    Ok(found.map_or_else(
        || json!({"capability": {"class": null, "domain": null, "bus": null, "slot": null, "function": null, "product": "Not Available", "vendor": "Not Available"},
                  "controller_type": null, "iommu_group": {}, "available": false, "drivers": [], "error": "Device not found",
                  "device_path": null, "reset_mechanism_defined": false, "description": "", "critical": false}),
        crate::world::PciDevice::entry,
    ))
}
