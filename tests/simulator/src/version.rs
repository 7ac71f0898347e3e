//! Which TrueNAS is simulated, and what differs between the lines; it holds no state.

use std::str::FromStr;

/// A release line of TrueNAS that the simulator knows by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Line {
    /// 25.04.2, as far as tnvm meets it: updates of VMs and devices, snapshots, firmware. Modelled
    /// after 25.04.2.6; what is not told apart behaves as 25.10, which the recordings of both agree on
    /// for lifecycle and devices.
    V25_04,
    /// 25.10, the default. Modelled after 25.10.7.
    V25_10,
    /// 26. Modelled after 26.0.0-BETA.3 and the state of its branch after it.
    V26,
}

/// A simulated TrueNAS: its line and the exact version it claims.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    line: Line,
    full: String,
}

/// A version that the simulator does not model.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("TrueNAS {asked} is not simulated: {why}; use 25.04.2, 25.10, 25.10.0 to 25.10.9, or 26")]
pub struct UnknownVersion {
    asked: String,
    why: &'static str,
}

impl Default for Version {
    fn default() -> Self {
        Self {
            line: Line::V25_10,
            full: "25.10.7".into(),
        }
    }
}

impl FromStr for Version {
    type Err = UnknownVersion;

    fn from_str(asked: &str) -> Result<Self, Self::Err> {
        let refuse = |why| {
            Err(UnknownVersion {
                asked: asked.to_owned(),
                why,
            })
        };
        match asked {
            "25.04.2" | "25.04.2.6" => {
                return Ok(Self {
                    line: Line::V25_04,
                    full: "25.04.2.6".into(),
                });
            }
            "25.10" => return Ok(Self::default()),
            "26" | "26.0" | "26.0.0" => {
                return Ok(Self {
                    line: Line::V26,
                    full: "26.0.0".into(),
                });
            }
            "26.0.0-BETA.3" => {
                return Ok(Self {
                    line: Line::V26,
                    full: asked.to_owned(),
                });
            }
            _ => {}
        }
        if let Some(patch) = asked.strip_prefix("25.10.")
            && patch.len() == 1
            && patch.chars().all(|digit| digit.is_ascii_digit())
        {
            return Ok(Self {
                line: Line::V25_10,
                full: asked.to_owned(),
            });
        }
        match asked.split('.').next() {
            Some("24") => refuse("it speaks the older protocol, which has no JSON-RPC"),
            Some("25") if asked.starts_with("25.04") => refuse("it has no VMs before 25.04.2"),
            Some("27") => refuse("that line is still in development and not modelled yet"),
            _ => refuse("no such release line"),
        }
    }
}

impl Version {
    /// The release line.
    pub fn line(&self) -> Line {
        self.line
    }

    /// The version as `system.version_short` answers it, e.g. `25.10.7`.
    pub fn short(&self) -> &str {
        &self.full
    }

    /// Everything `GET /api/versions` lists. Code reading: `main.py`, 25.10.7 and 26.0.
    pub fn api_versions(&self) -> Vec<String> {
        let patch: u32 = match self.line {
            Line::V25_04 => 0,
            Line::V25_10 => self
                .full
                .rsplit('.')
                .next()
                .and_then(|text| text.parse().ok())
                .unwrap_or(0),
            Line::V26 => u32::MAX,
        };
        let mut all: Vec<String> = ["v25.04.0", "v25.04.1", "v25.04.2", "v25.10.0"]
            .iter()
            .map(|&text| text.to_owned())
            .collect();
        if self.line == Line::V25_04 {
            all.pop();
        }
        // Code reading: the API directories of 25.10.x came with these patch levels.
        for (name, since) in [
            ("v25.10.1", 1),
            ("v25.10.2", 2),
            ("v25.10.3", 4),
            ("v25.10.4", 4),
            ("v25.10.5", 5),
        ] {
            if patch >= since {
                all.push(name.to_owned());
            }
        }
        if self.line == Line::V26 {
            all.push("v26.0.0".to_owned());
        }
        all
    }

    /// Whether the WebSocket may be opened at `/api/<name>`: `current` or a served version whose
    /// shapes are those of the current one. Older shapes are not converted.
    pub fn serves(&self, name: &str) -> bool {
        let own = match self.line {
            Line::V25_04 => "v25.04.2",
            Line::V25_10 => "v25.10.",
            Line::V26 => "v26.",
        };
        name == "current"
            || (name.starts_with(own) && self.api_versions().iter().any(|known| known == name))
    }

    /// Error traces list stack frames up to 25.10. Recorded on 25.10.7 and 26.0.0-BETA.3.
    pub fn traces_have_frames(&self) -> bool {
        self.line != Line::V26
    }

    /// A running VM is refused (errno 16) by `vm.delete` without `force`; before, it is powered off.
    /// Code reading: `vm.delete`, 26 after BETA.3 against 25.10.7.
    pub fn refuses_to_delete_active_vm(&self) -> bool {
        self.line == Line::V26 && self.full != "26.0.0-BETA.3"
    }

    /// `vm.delete` of a running VM destroys its zvols first and stops it then, without a question.
    /// Code reading: `vm.delete`, 26.0.0-BETA.1 to BETA.3.
    pub fn destroys_before_stopping(&self) -> bool {
        self.line == Line::V26 && self.full == "26.0.0-BETA.3"
    }

    /// The firmware of a VM that names none. Recorded on 25.04.2.6, with secure boot as without, and
    /// on 25.10.7.
    pub fn default_firmware(&self, secure: bool) -> &'static str {
        match (self.line, secure) {
            (Line::V25_04, _) => "OVMF_CODE.fd",
            (_, true) => "OVMF_CODE_4M.secboot.fd",
            (_, false) => "OVMF_CODE_4M.fd",
        }
    }

    /// `vm.delete` answers null instead of true. Recorded on 26.0.0-BETA.3.
    pub fn delete_answers_null(&self) -> bool {
        self.line == Line::V26
    }

    /// `vm.device.nic_attach_choices` is two lists instead of a map. Recorded on both lines.
    pub fn nic_choices_are_lists(&self) -> bool {
        self.line == Line::V26
    }

    /// A NIC without a MAC gets one that is stored. Recorded on both lines.
    pub fn stores_generated_mac(&self) -> bool {
        self.line == Line::V26
    }

    /// A SPICE display with equal ports, null included, is refused. Code reading: 26 display device.
    pub fn refuses_equal_display_ports(&self) -> bool {
        self.line == Line::V26
    }

    /// The default of `suspend_on_snapshot`. Code reading: 26.0.0-BETA.3 VM model.
    pub fn suspend_on_snapshot(&self) -> bool {
        self.line == Line::V26
    }

    /// `domain_state` of a VM that never ran is null. Recorded on 26.0.0-BETA.3.
    pub fn domain_state_is_null_before_first_start(&self) -> bool {
        self.line == Line::V26
    }

    /// A recursive destroy takes clones along, and failures are swallowed. Code reading: 26
    /// `zfs/destroy_impl.py`.
    pub fn destroys_clones(&self) -> bool {
        self.line == Line::V26
    }

    /// Plain calls of a closed connection are cancelled. Code reading: 26 JSON-RPC handler.
    pub fn cancels_calls_on_close(&self) -> bool {
        self.line == Line::V26
    }

    /// `auth.login_ex` takes SCRAM. Recorded on 26.0.0-BETA.3.
    pub fn has_scram(&self) -> bool {
        !matches!(self.line, Line::V25_04 | Line::V25_10)
    }

    /// A login may ask for a token to come back with. Recorded on 26.0.0-BETA.3.
    pub fn hands_out_reconnect_tokens(&self) -> bool {
        self.has_scram()
    }

    /// Right credentials of an account without API privilege answer `DENIED` instead of `AUTH_ERR`.
    /// Recorded on 25.10.7 and 26.0.0-BETA.3.
    pub fn denies_by_name(&self) -> bool {
        self.has_scram()
    }

    /// `auth.mechanism_choices` works before login. Recorded on 25.10.7 and 26.0.0-BETA.3.
    pub fn lists_mechanisms_before_login(&self) -> bool {
        self.has_scram()
    }

    /// A revoked API key answers `AUTH_ERR` instead of `EXPIRED`. Code reading: 26 API key plugin;
    /// recorded on 25.10.7 too, so every modelled line does.
    pub fn revoked_key_answer(&self) -> &'static str {
        "AUTH_ERR"
    }

    /// An ISO must not lie in a pool's root dataset. Code reading: 25.10.1 CD-ROM device.
    pub fn refuses_iso_in_root_dataset(&self) -> bool {
        self.line != Line::V25_04 && self.full != "25.10.0"
    }

    /// Events carry the whole VM entry. Code reading: 26 VM events.
    pub fn events_carry_full_entry(&self) -> bool {
        self.line == Line::V26
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_is_the_25_10_line() {
        assert_eq!("25.10".parse(), Ok(Version::default()));
        assert_eq!(Version::default().short(), "25.10.7");
    }

    #[test]
    fn a_line_that_is_not_modelled_is_refused_with_the_reason() {
        for asked in ["24.10", "25.04", "25.04.1", "27", "x", "25.10.77"] {
            let error = asked.parse::<Version>().unwrap_err().to_string();
            assert!(
                error.contains(asked) && error.contains("use 25.04.2"),
                "{error}"
            );
        }
    }

    #[test]
    fn api_versions_grow_with_the_patch_level() {
        let names = |text: &str| text.parse::<Version>().unwrap().api_versions();
        assert!(!names("25.10.0").contains(&"v25.10.1".to_owned()));
        assert!(names("25.10.7").contains(&"v25.10.5".to_owned()));
        assert!(names("26").contains(&"v26.0.0".to_owned()));
    }
}
