//! What differs in VMs and their devices.

use serde_json::{Value, json};

use super::{Line, Version};
use crate::json::Object;

impl Version {
    /// Members that an entry of `interface.query` has besides those of 25.10, or lacks. Recorded on every
    /// line.
    pub(crate) fn shape_interface(&self, entry: &mut Object) {
        let state = entry.get_mut("state").and_then(Value::as_object_mut);
        if let (true, Some(state)) = (self.line <= Line::V25_04, state) {
            for key in ["ports", "xmit_hash_policy", "lacpdu_rate"] {
                state.shift_remove(key);
            }
        }
        if self.since(Line::V27) {
            for key in ["bridge_members", "lag_ports"] {
                entry.entry(key).or_insert_with(|| json!([]));
            }
        }
    }

    /// Whether there is `vm.*`. Code reading: 25.04.0 and 25.04.1 have `virt.*` in its place.
    pub fn has_vms(&self) -> bool {
        self.line != Line::V25_04_0
    }

    /// Domains are driven by the helper library `truenas_pylibvirt`: checks come in another order, and
    /// what it refuses is said in other words. Recorded on 26.0.0-BETA.3.
    pub fn uses_pylibvirt(&self) -> bool {
        self.since(Line::V26)
    }

    /// A device's type stands beside its attributes and not among them, an update replaces all
    /// attributes, and the type may change. Recorded on 24.10.2.5.
    pub fn has_dtype_beside_attributes(&self) -> bool {
        self.line == Line::V24_10
    }

    /// An update whose outcome does not fit the model complains about bare members. Recorded on 25.04.2.6.
    pub fn names_members_alone(&self) -> bool {
        self.line <= Line::V25_04
    }

    /// Guests may be aarch64. Schema: 27.0.0.
    pub fn has_aarch64(&self) -> bool {
        self.since(Line::V27)
    }

    /// Disks have a serial of the server's. Recorded on 25.04.2.6; 24.10.2.5 knows no such key.
    pub fn gives_serials(&self) -> bool {
        self.since(Line::V25_04)
    }

    /// What asked for a zvol stays among the attributes as false and null. Recorded on 25.04.2.6;
    /// 24.10.2.5 drops those keys.
    pub fn keeps_consumed_keys(&self) -> bool {
        self.since(Line::V25_04)
    }

    /// A RAW device that does not say whether its file exists means one that does. Code reading: 24.10
    /// RAW device; from 25.04.2 on one that does not.
    pub fn assumes_raw_files_exist(&self) -> bool {
        self.line == Line::V24_10
    }

    /// A VM may ask for secure boot. Recorded on 24.10.2.5: an unknown field.
    pub fn has_secure_boot(&self) -> bool {
        self.since(Line::V25_04)
    }

    /// Secure boot wants a firmware that can do it. Recorded on 25.04.2.6: any passes there.
    pub fn secure_boot_needs_its_firmware(&self) -> bool {
        self.since(Line::V25_10)
    }

    /// The firmware of a VM that names none. Recorded on 24.10.2.5 and 25.04.2.6, with secure boot as
    /// without, and on 25.10.7.
    pub fn default_firmware(&self, secure: bool) -> &'static str {
        match (self.since(Line::V25_10), secure) {
            (false, _) => "OVMF_CODE.fd",
            (true, true) => "OVMF_CODE_4M.secboot.fd",
            (true, false) => "OVMF_CODE_4M.fd",
        }
    }

    /// The firmware is looked at before the name. Recorded on 24.10.2.5 and 25.04.2.6, and the other way
    /// round on 26.0.0-BETA.3.
    pub fn checks_firmware_before_name(&self) -> bool {
        self.line <= Line::V25_04
    }

    /// Two texts about CPUs are misspelt. Recorded on 24.10.2.5 and 25.04.2.6, corrected on
    /// 26.0.0-BETA.3.
    pub fn has_typos(&self) -> bool {
        self.line <= Line::V25_04
    }

    /// Secrets are answered as asterisks to whoever may not write them. Code reading: 25.04 and newer.
    pub fn masks_secrets(&self) -> bool {
        self.since(Line::V25_04_0)
    }

    /// A missing ISO is the bare error of the file system. Recorded on 25.04.2.6; code reading: up to
    /// 25.10.0.
    pub fn leaks_missing_iso(&self) -> bool {
        self.line <= Line::V25_04 || self.full == "25.10.0"
    }

    /// A running VM is refused (errno 16) by `vm.delete` without `force`; before, it is powered off.
    /// Code reading: `vm.delete`, 26 after BETA.3 against 25.10.7.
    pub fn refuses_to_delete_active_vm(&self) -> bool {
        self.since(Line::V26) && !self.is_beta_of_26()
    }

    /// `vm.delete` of a running VM destroys its zvols first and stops it then, without a question.
    /// Code reading: `vm.delete`, 26.0.0-BETA.1 to BETA.3.
    pub fn destroys_before_stopping(&self) -> bool {
        self.is_beta_of_26()
    }

    /// `vm.delete` answers null instead of true. Recorded on 26.0.0-BETA.3.
    pub fn delete_answers_null(&self) -> bool {
        self.since(Line::V26)
    }

    /// `vm.device.nic_attach_choices` is two lists instead of a map. Recorded on both lines.
    pub fn nic_choices_are_lists(&self) -> bool {
        self.since(Line::V26)
    }

    /// A NIC without a MAC gets one that is stored. Recorded on both lines.
    pub fn stores_generated_mac(&self) -> bool {
        self.since(Line::V26)
    }

    /// A SPICE display with equal ports, null included, is refused. Code reading: 26 display device.
    pub fn refuses_equal_display_ports(&self) -> bool {
        self.since(Line::V26)
    }

    /// The default of `suspend_on_snapshot`. Code reading: 26.0.0-BETA.3 VM model.
    pub fn suspend_on_snapshot(&self) -> bool {
        self.since(Line::V26)
    }

    /// `domain_state` of a VM that never ran is null. Recorded on 26.0.0-BETA.3.
    pub fn domain_state_is_null_before_first_start(&self) -> bool {
        self.since(Line::V26)
    }

    /// An ISO must not lie in a pool's root dataset. Code reading: 25.10.1 CD-ROM device.
    pub fn refuses_iso_in_root_dataset(&self) -> bool {
        self.since(Line::V25_10) && self.full != "25.10.0"
    }

    /// A USB device has a description in a sentence. Schema: 26.0.0, not 25.10.5.
    pub fn describes_usb_devices(&self) -> bool {
        self.since(Line::V26)
    }

    /// Events carry the whole VM entry. Code reading: 26 VM events.
    pub fn events_carry_full_entry(&self) -> bool {
        self.since(Line::V26)
    }

    /// A created, changed or removed row is told by its id alone; of a VM the domain's own event
    /// follows, with the row. Recorded on 24.10.2.5 and 25.04.2.6; 25.10.7 sends one with the row.
    pub fn announces_rows_by_id(&self) -> bool {
        self.line <= Line::V25_04
    }
}
