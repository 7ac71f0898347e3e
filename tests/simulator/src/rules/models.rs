//! Models of `vm.create`, `vm.update` and the option objects of VM methods. Schema: 25.10.5, 26.0.0.

use crate::schema::{Default, Field, INT, Model, NONEMPTY, TEXT, TEXT_OR_NULL, Type};
use crate::version::Version;

const COUNT: Type = Type::at_least(1);
const MIB: Type = Type::at_least(20);
const CPU_MODES: Type = Type::OneOf(&["CUSTOM", "HOST-MODEL", "HOST-PASSTHROUGH"]);
const BOOTLOADERS: Type = Type::OneOf(&["UEFI_CSM", "UEFI"]);
const CLOCKS: Type = Type::OneOf(&["LOCAL", "UTC"]);
const SECONDS: Type = Type::between(5, 300);

macro_rules! vm_create_fields {
    ($suspend:expr) => {
        &[
            Field::with("command_line_args", TEXT, Default::Text("")),
            Field::with("cpu_mode", CPU_MODES, Default::Text("CUSTOM")),
            Field::with("cpu_model", TEXT_OR_NULL, Default::Null),
            Field::required("name", NONEMPTY),
            Field::with("description", TEXT, Default::Text("")),
            Field::with("vcpus", COUNT, Default::Int(1)),
            Field::with("cores", COUNT, Default::Int(1)),
            Field::with("threads", COUNT, Default::Int(1)),
            Field::with("cpuset", TEXT_OR_NULL, Default::Null),
            Field::with("nodeset", TEXT_OR_NULL, Default::Null),
            Field::flag("enable_cpu_topology_extension"),
            Field::flag("pin_vcpus"),
            Field::with("suspend_on_snapshot", Type::Bool, Default::Bool($suspend)),
            Field::flag("trusted_platform_module"),
            Field::required("memory", MIB),
            Field::with("min_memory", Type::Nullable(&MIB), Default::Null),
            Field::flag("hyperv_enlightenments"),
            Field::with("bootloader", BOOTLOADERS, Default::Text("UEFI")),
            Field::with("bootloader_ovmf", TEXT_OR_NULL, Default::Null),
            Field::with("autostart", Type::Bool, Default::Bool(true)),
            Field::flag("hide_from_msr"),
            Field::with("ensure_display_device", Type::Bool, Default::Bool(true)),
            Field::with("time", CLOCKS, Default::Text("LOCAL")),
            Field::with("shutdown_timeout", SECONDS, Default::Int(90)),
            Field::with("arch_type", TEXT_OR_NULL, Default::Null),
            Field::with("machine_type", TEXT_OR_NULL, Default::Null),
            Field::with("uuid", TEXT_OR_NULL, Default::Null),
            Field::flag("enable_secure_boot"),
        ]
    };
}

static VM_CREATE: Model = Model::closed("VMCreateArgs", vm_create_fields!(false));
static VM_CREATE_26: Model = Model::closed("VMCreateArgs", vm_create_fields!(true));

/// Recorded on 27: the model has another name, and nothing else is different.
static VM_CREATE_27: Model = Model::closed("VMCreate", vm_create_fields!(true));

/// The model of `vm.create` in a version.
pub(crate) fn vm_create(version: &Version) -> &'static Model {
    if version.has_old_schemas() {
        &OLD_VM_CREATE
    } else if version.suspend_on_snapshot() {
        &VM_CREATE_26
    } else {
        &VM_CREATE
    }
}

/// The parameters of `vm.create` with the defaults of 25.10; 26 checks its own model again.
pub(crate) static VM_CREATE_PARAMS: &[Field] =
    &[Field::required("vm_create", Type::Object(&VM_CREATE))];
/// The same for 26.
pub(crate) static VM_CREATE_PARAMS_26: &[Field] =
    &[Field::required("vm_create", Type::Object(&VM_CREATE_26))];

macro_rules! vm_update_fields {
    ($($more:expr),*) => {
        &[
        Field::absent("command_line_args", TEXT),
        Field::absent("cpu_mode", CPU_MODES),
        Field::absent("cpu_model", TEXT_OR_NULL),
        Field::absent("name", NONEMPTY),
        Field::absent("description", TEXT),
        Field::absent("vcpus", COUNT),
        Field::absent("cores", COUNT),
        Field::absent("threads", COUNT),
        Field::absent("cpuset", TEXT_OR_NULL),
        Field::absent("nodeset", TEXT_OR_NULL),
        Field::absent("enable_cpu_topology_extension", Type::Bool),
        Field::absent("pin_vcpus", Type::Bool),
        Field::absent("suspend_on_snapshot", Type::Bool),
        Field::absent("trusted_platform_module", Type::Bool),
        Field::absent("memory", MIB),
        Field::absent("min_memory", Type::Nullable(&MIB)),
        Field::absent("hyperv_enlightenments", Type::Bool),
        Field::absent("bootloader", BOOTLOADERS),
        Field::absent("autostart", Type::Bool),
        Field::absent("hide_from_msr", Type::Bool),
        Field::absent("ensure_display_device", Type::Bool),
        Field::absent("time", CLOCKS),
        Field::absent("shutdown_timeout", SECONDS),
        Field::absent("arch_type", TEXT_OR_NULL),
        Field::absent("machine_type", TEXT_OR_NULL),
        Field::absent("uuid", TEXT_OR_NULL),
            $($more),*
        ]
    };
}

/// Every field may be left out; firmware and secure boot cannot be changed any more.
static VM_UPDATE: Model = Model::closed("VMUpdate", vm_update_fields!());
/// Schema: 25.04.2, where they can.
static VM_UPDATE_25_04: Model = Model::closed(
    "VMUpdate",
    vm_update_fields!(
        Field::absent("bootloader_ovmf", TEXT),
        Field::absent("enable_secure_boot", Type::Bool)
    ),
);

/// Schema: 24.10. Nothing bounds the CPUs, and there is no secure boot.
macro_rules! old_vm_fields {
    ($required:ident, $defaulted:ident, $($more:expr),*) => {
        &[
            $defaulted("command_line_args", TEXT, Default::Text("")),
            $defaulted("cpu_mode", CPU_MODES, Default::Text("CUSTOM")),
            $defaulted("cpu_model", TEXT_OR_NULL, Default::Null),
            $required("name", TEXT),
            // Its default comes from the database.
            $defaulted("description", TEXT, Default::Text("")),
            $defaulted("vcpus", INT, Default::Int(1)),
            $defaulted("cores", INT, Default::Int(1)),
            $defaulted("threads", INT, Default::Int(1)),
            $defaulted("cpuset", NUMBERS, Default::Null),
            $defaulted("nodeset", NUMBERS, Default::Null),
            $defaulted("enable_cpu_topology_extension", Type::Bool, Default::Bool(false)),
            $defaulted("pin_vcpus", Type::Bool, Default::Bool(false)),
            $defaulted("suspend_on_snapshot", Type::Bool, Default::Bool(false)),
            $defaulted("trusted_platform_module", Type::Bool, Default::Bool(false)),
            $required("memory", MIB),
            $defaulted("min_memory", Type::Nullable(&MIB), Default::Null),
            $defaulted("hyperv_enlightenments", Type::Bool, Default::Bool(false)),
            $defaulted("bootloader", BOOTLOADERS, Default::Text("UEFI")),
            $defaulted("bootloader_ovmf", TEXT, Default::Text("OVMF_CODE.fd")),
            $defaulted("autostart", Type::Bool, Default::Bool(true)),
            $defaulted("hide_from_msr", Type::Bool, Default::Bool(false)),
            $defaulted("ensure_display_device", Type::Bool, Default::Bool(true)),
            $defaulted("time", CLOCKS, Default::Text("LOCAL")),
            $defaulted("shutdown_timeout", SECONDS, Default::Int(90)),
            $defaulted("arch_type", TEXT_OR_NULL, Default::Null),
            $defaulted("machine_type", TEXT_OR_NULL, Default::Null),
            $defaulted("uuid", TEXT_OR_NULL, Default::Null),
            $($more),*
        ]
    };
}

const NUMBERS: Type = Type::Nullable(&Type::Checked(numeric_set));

const fn required(name: &'static str, ty: Type) -> Field {
    Field::required(name, ty)
}

const fn defaulted(name: &'static str, ty: Type, default: Default) -> Field {
    Field::with(name, ty, default)
}

const fn optional(name: &'static str, ty: Type) -> Field {
    Field::absent(name, ty)
}

const fn kept(name: &'static str, ty: Type, _: Default) -> Field {
    Field::absent(name, ty)
}

static OLD_VM_CREATE: Model = Model::closed("", old_vm_fields!(required, defaulted,));
static OLD_VM_UPDATE: Model =
    Model::closed("", old_vm_fields!(optional, kept, Field::absent("id", INT)));

/// Sets of numbers such as `0-3,5`. Recorded on 24.10.2.5: letters, and a range that runs backwards.
fn numeric_set(text: &str) -> Option<String> {
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        match (first.trim().parse::<u32>(), last.trim().parse::<u32>()) {
            (Ok(first), Ok(last)) if first > last => {
                return Some(format!("End of range has to greater that start: {part}"));
            }
            (Ok(_), Ok(_)) => {}
            _ => return Some(format!("invalid literal for int() with base 10: '{part}'")),
        }
    }
    None
}

static DELETE: Model = Model::closed(
    "VMDeleteOptions",
    &[Field::flag("zvols"), Field::flag("force")],
);
static START: Model = Model::closed("VMStartOptions", &[Field::flag("overcommit")]);
static STOP: Model = Model::closed(
    "VMStopOptions",
    &[Field::flag("force"), Field::flag("force_after_timeout")],
);
static WEB_URI: Model = Model::closed(
    "DisplayWebURIOptions",
    &[Field::with(
        "protocol",
        Type::OneOf(&["HTTP", "HTTPS"]),
        Default::Text("HTTP"),
    )],
);

/// `vm.update`
pub(crate) static VM_UPDATE_PARAMS: &[Field] = &[
    Field::required("id", INT),
    Field::required("vm_update", Type::Object(&VM_UPDATE)),
];
/// The same for 25.04.2.
pub(crate) static VM_UPDATE_PARAMS_25_04: &[Field] = &[
    Field::required("id", INT),
    Field::required("vm_update", Type::Object(&VM_UPDATE_25_04)),
];
/// The same for 27.
pub(crate) static VM_CREATE_PARAMS_27: &[Field] =
    &[Field::required("vm_create", Type::Object(&VM_CREATE_27))];
/// `vm.create` of 24.10.
pub(crate) static OLD_VM_CREATE_PARAMS: &[Field] =
    &[Field::required("vm_create", Type::Object(&OLD_VM_CREATE))];
/// `vm.update` of 24.10.
pub(crate) static OLD_VM_UPDATE_PARAMS: &[Field] = &[
    Field::required("id", INT),
    Field::with(
        "vm_update",
        Type::Object(&OLD_VM_UPDATE),
        Default::EmptyObject,
    ),
];
/// `vm.delete` of 24.10.
pub(crate) static OLD_VM_DELETE_PARAMS: &[Field] = &[
    Field::required("id", INT),
    Field::with("vm_delete", Type::Object(&DELETE), Default::EmptyObject),
];
/// `vm.clone` of 24.10.
pub(crate) static OLD_VM_CLONE_PARAMS: &[Field] = &[
    Field::required("id", INT),
    Field::with("name", TEXT, Default::Null),
];
/// One id.
pub(crate) static ID: &[Field] = &[Field::required("id", INT)];
/// `vm.delete`
pub(crate) static VM_DELETE_PARAMS: &[Field] = &[
    Field::required("id", INT),
    Field::with("options", Type::Object(&DELETE), Default::EmptyObject),
];
/// `vm.start`
pub(crate) static VM_START_PARAMS: &[Field] = &[
    Field::required("id", INT),
    Field::with("options", Type::Object(&START), Default::EmptyObject),
];
/// `vm.stop`
pub(crate) static VM_STOP_PARAMS: &[Field] = &[
    Field::required("id", INT),
    Field::with("options", Type::Object(&STOP), Default::EmptyObject),
];
/// `vm.clone`
pub(crate) static VM_CLONE_PARAMS: &[Field] = &[
    Field::required("id", INT),
    Field::with("name", Type::Nullable(&NONEMPTY), Default::Null),
];
/// `vm.get_display_web_uri`
pub(crate) static VM_WEB_URI_PARAMS: &[Field] = &[
    Field::required("id", INT),
    Field::with("host", TEXT, Default::Text("")),
    Field::with("options", Type::Object(&WEB_URI), Default::EmptyObject),
];
