//! What guests are made of: firmware, machines, CPU models, and which of them go together.

use crate::errors::EINVAL;
use crate::json::{Object, flag, text};
use crate::version::Version;

/// Firmware images. Recorded on 25.10.7: `vm.bootloader_ovmf_choices`.
pub(crate) const FIRMWARE: [&str; 6] = [
    "OVMF_CODE.secboot.fd",
    "OVMF_CODE.fd",
    "OVMF_CODE_4M.snakeoil.fd",
    "OVMF_CODE_4M.secboot.fd",
    "OVMF_CODE_4M.ms.fd",
    "OVMF_CODE_4M.fd",
];

/// Guest machines by architecture; a small extract of what QEMU offers.
const MACHINES: [(&str, &[&str]); 2] = [
    (
        "x86_64",
        &["pc-i440fx-6.2", "pc-q35-6.2", "pc-q35-7.2", "q35", "pc"],
    ),
    ("i686", &["pc-i440fx-6.2", "pc"]),
];

/// CPU models; an extract of what QEMU offers.
pub(crate) const CPU_MODELS: [&str; 26] = [
    "486",
    "pentium",
    "pentium3",
    "core2duo",
    "qemu32",
    "qemu64",
    "kvm32",
    "kvm64",
    "Conroe",
    "Penryn",
    "Nehalem",
    "Westmere",
    "SandyBridge",
    "IvyBridge",
    "Haswell",
    "Broadwell",
    "Skylake-Client",
    "Skylake-Server",
    "Cascadelake-Server",
    "Icelake-Server",
    "Cooperlake",
    "Opteron_G3",
    "EPYC",
    "EPYC-IBPB",
    "EPYC-Rome",
    "EPYC-Milan",
];

/// What 27 offers beside them. Schema: 27.0.0; recorded there: `vm.guest_architecture_and_machine_choices`.
const ARM_MACHINES: (&str, &[&str]) = (ARM, &["virt", "virt-9.2"]);
/// The other architecture.
pub(super) const ARM: &str = "aarch64";
/// CPU models of aarch64; an extract of what QEMU offers.
pub(crate) const ARM_MODELS: [&str; 3] = ["cortex-a57", "cortex-a72", "max"];
/// Firmware images of aarch64. Code reading: 27.
pub(crate) const ARM_FIRMWARE: [&str; 2] = ["AAVMF_CODE.fd", "AAVMF_CODE.ms.fd"];

/// Guest machines by architecture in a version.
pub(crate) fn machines(
    version: &Version,
) -> impl Iterator<Item = (&'static str, &'static [&'static str])> {
    MACHINES
        .into_iter()
        .chain(version.has_aarch64().then_some(ARM_MACHINES))
}

pub(super) fn check_machine(
    version: &Version,
    schema: &str,
    config: &Object,
    complain: &mut impl FnMut(&str, String, i32),
) {
    let arch = text(config, "arch_type");
    let machine = text(config, "machine_type");
    if arch.is_empty() {
        if !machine.is_empty() {
            complain(
                "arch_type",
                format!("Must be specified when \"{schema}.machine_type\" is set"),
                EINVAL,
            );
        }
        return;
    }
    let Some((_, known)) = machines(version).find(|(name, _)| *name == arch) else {
        complain(
            "arch_type",
            "Specified architecture type is not supported on this system".into(),
            EINVAL,
        );
        return;
    };
    if !machine.is_empty() && !known.contains(&machine) {
        let listed: Vec<String> = known.iter().map(|name| format!("'{name}'")).collect();
        complain(
            "machine_type",
            format!(
                "Specified machine type is not supported for [{}] architecture type",
                listed.join(", ")
            ),
            EINVAL,
        );
    }
}

/// Code reading: 27; the texts are ours.
pub(super) fn check_arm(config: &Object, complain: &mut impl FnMut(&str, String, i32)) {
    let mut refuse = |attribute: &str| {
        let why = format!("This is not supported for {ARM} guests");
        complain(attribute, why, EINVAL);
    };
    if text(config, "bootloader") == "UEFI_CSM" {
        refuse("bootloader");
    }
    for key in ["hyperv_enlightenments", "hide_from_msr"] {
        if flag(config, key) {
            refuse(key);
        }
    }
    if text(config, "cpu_mode") != "CUSTOM" {
        // The simulated host is an x86_64.
        refuse("cpu_mode");
    }
}

pub(super) fn check_secure_boot(
    version: &Version,
    config: &Object,
    complain: &mut impl FnMut(&str, String, i32),
) {
    let arm = text(config, "arch_type") == ARM;
    if !arm && !text(config, "machine_type").contains("q35") {
        complain(
            "machine_type",
            "Secure boot is only available in q35 machine type".into(),
            EINVAL,
        );
    }
    let has_it = text(config, "bootloader_ovmf").contains("secboot");
    if !arm && !has_it && version.secure_boot_needs_its_firmware() {
        let why = "Select a bootloader_ovmf that supports secure boot i.e OVMF_CODE_4M.secboot.fd";
        complain("bootloader_ovmf", why.into(), EINVAL);
    }
}

pub(super) fn check_firmware(config: &Object, complain: &mut impl FnMut(&str, String, i32)) {
    let firmware = text(config, "bootloader_ovmf");
    let known = match text(config, "arch_type") {
        ARM => ARM_FIRMWARE.contains(&firmware),
        _ => FIRMWARE.contains(&firmware),
    };
    if !firmware.is_empty() && !known {
        complain(
            "bootloader_ovmf",
            "Invalid bootloader ovmf choice specified".into(),
            EINVAL,
        );
    }
}
