//! `vm.*` that only tell: choices, memory, ports, the host's abilities. Answers recorded on 25.10.7
//! where they are fixed.

use serde_json::{Map, Value, json};

use super::method::{Context, Method};
use crate::errors::Failure;
use crate::json::{number, text, word};
use crate::random;
use crate::rules::{display, memory, models, platform, power, vm};
use crate::schema::{Default, Field, TEXT, Type};
use crate::version::Line;

const READ: &[&str] = &["VM_READ"];
const CHOICES: &[&str] = &["READONLY_ADMIN", "VM_READ"];
/// Schema: 27.0.0.
static ARCH: &[Field] = &[Field::with("arch", TEXT, Default::Text("x86_64"))];
static OVERCOMMIT: &[Field] = &[Field::with("overcommit", Type::Bool, Default::Bool(false))];

pub(super) const METHODS: &[Method] = &[
    Method::read("vm.bootloader_options", READ, &[], |_, _| {
        Ok(json!({"UEFI": "UEFI", "UEFI_CSM": "Legacy BIOS"}))
    }),
    Method::read("vm.bootloader_ovmf_choices", CHOICES, &[], |_, _| {
        Ok(same(&platform::FIRMWARE))
    }),
    Method::read("vm.cpu_model_choices", CHOICES, &[], |_, _| {
        Ok(same(&platform::CPU_MODELS))
    })
    .until(Line::V26),
    Method::read("vm.cpu_model_choices", CHOICES, ARCH, |_, params| {
        Ok(match word(params, 0) {
            "aarch64" => same(&platform::ARM_MODELS),
            _ => same(&platform::CPU_MODELS),
        })
    })
    .since(Line::V27),
    Method::read("vm.bootloader_aavmf_choices", CHOICES, &[], |_, _| {
        Ok(same(&platform::ARM_FIRMWARE))
    })
    .since(Line::V27),
    // Code reading: it asks the guest's agent, and guests of this world have none.
    Method::read(
        "vm.get_guest_network_interfaces",
        READ,
        models::ID,
        |context, params| {
            power::check_running(&context.state.world, number(params, 0))?;
            Err(Failure::fault(
                "Guest agent is not responding: QEMU guest agent is not connected",
            ))
        },
    )
    .since(Line::V27),
    Method::read(
        "vm.guest_architecture_and_machine_choices",
        CHOICES,
        &[],
        machines,
    ),
    Method::read("vm.resolution_choices", CHOICES, &[], |_, _| {
        Ok(same(&crate::rules::RESOLUTIONS))
    }),
    Method::read("vm.maximum_supported_vcpus", READ, &[], |_, _| {
        Ok(json!(vm::MAX_VCPUS))
    }),
    Method::read("vm.flags", READ, &[], |_, _| {
        Ok(
            json!({"intel_vmx": true, "unrestricted_guest": true, "amd_rvi": false, "amd_asids": false}),
        )
    }),
    Method::read("vm.virtualization_details", READ, &[], |_, _| {
        Ok(json!({"supported": true, "error": null}))
    }),
    Method::read("vm.supports_virtualization", READ, &[], |_, _| {
        Ok(json!(true))
    }),
    Method::read("vm.random_mac", READ, &[], |_, _| Ok(json!(random::mac()))),
    Method::read("vm.port_wizard", READ, &[], port_wizard),
    Method::read(
        "vm.all_used_display_device_ports",
        READ,
        &[],
        |context, _| Ok(json!(display::used_ports(&context.state.world, None))),
    ),
    Method::read(
        "vm.get_available_memory",
        READ,
        OVERCOMMIT,
        |context, params| {
            let overcommit = params.first().and_then(Value::as_bool).unwrap_or(false);
            Ok(json!(memory::available(&context.state.world, overcommit)))
        },
    ),
    Method::read("vm.get_vmemory_in_use", READ, &[], |context, _| {
        Ok(memory::in_use(&context.state.world))
    }),
    Method::read(
        "vm.get_vm_memory_info",
        READ,
        models::ID,
        |context, params| memory::info(&context.state.world, number(params, 0)),
    ),
    Method::read(
        "vm.get_memory_usage",
        READ,
        models::ID,
        |context, params| memory::usage(&context.state.world, number(params, 0)),
    ),
    Method::read("vm.get_display_devices", READ, models::ID, display_devices),
    Method::read(
        "vm.get_display_web_uri",
        READ,
        models::VM_WEB_URI_PARAMS,
        display_web_uri,
    ),
    Method::read("vm.get_console", READ, models::ID, console),
    Method::read("vm.log_file_path", READ, models::ID, |context, params| {
        vm::find(&context.state.world, number(params, 0)).map(|_| Value::Null)
    }),
];

/// Choices where key and label are the same.
pub(super) fn same<T: AsRef<str>>(words: &[T]) -> Value {
    let map: Map<String, Value> = words
        .iter()
        .map(|word| (word.as_ref().to_owned(), json!(word.as_ref())))
        .collect();
    Value::Object(map)
}

fn machines(context: &mut Context<'_>, _: &[Value]) -> Result<Value, Failure> {
    let map: Map<String, Value> = platform::machines(&context.state.world.version)
        .map(|(arch, machines)| ((*arch).to_owned(), json!(machines)))
        .collect();
    Ok(Value::Object(map))
}

fn port_wizard(context: &mut Context<'_>, _: &[Value]) -> Result<Value, Failure> {
    let (port, web) = display::port_wizard(&context.state.world);
    Ok(json!({"port": port, "web": web}))
}

/// Schema 25.10.5: display devices with `attributes.password_configured`.
fn display_devices(context: &mut Context<'_>, params: &[Value]) -> Result<Value, Failure> {
    let (world, secrets) = (&context.state.world, context.sees_secrets());
    let id = number(params, 0);
    vm::find(world, id)?;
    let found = world
        .devices_of(id)
        .filter(|device| device.dtype() == "DISPLAY")
        .map(|device| {
            let mut entry = crate::rules::device::entry(&world.version, device, secrets);
            if let Some(attributes) = entry.get_mut("attributes").and_then(Value::as_object_mut) {
                let configured = !text(attributes, "password").is_empty();
                attributes.insert("password_configured".into(), json!(configured));
            }
            entry
        });
    Ok(found.collect())
}

fn display_web_uri(context: &mut Context<'_>, params: &[Value]) -> Result<Value, Failure> {
    let world = &context.state.world;
    let id = number(params, 0);
    vm::find(world, id)?;
    let host = match word(params, 1) {
        "" => world.hostname.as_str(),
        given => given,
    };
    let protocol = params
        .get(2)
        .and_then(|options| options.get("protocol"))
        .and_then(Value::as_str)
        .unwrap_or("HTTP");
    let device = world
        .devices_of(id)
        .find(|device| device.dtype() == "DISPLAY" && crate::json::flag(&device.attributes, "web"));
    Ok(match device {
        Some(device) => json!({
            "error": null,
            "uri": format!("{}://{host}/vm/display/{}/vnc.html?autoconnect=1", protocol.to_lowercase(), device.id),
        }),
        None => json!({"error": "Web display is not configured", "uri": null}),
    })
}

/// The libvirt domain's name: `id_name` up to 25.10, the uuid from 26 on (code reading).
fn console(context: &mut Context<'_>, params: &[Value]) -> Result<Value, Failure> {
    let world = &context.state.world;
    let found = vm::find(world, number(params, 0))?;
    Ok(if world.version.uses_pylibvirt() {
        json!(text(&found.config, "uuid"))
    } else {
        json!(format!("{}_{}", found.id, found.name()))
    })
}
