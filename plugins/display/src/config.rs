//! What stands under `display` in a VM type, and in a display template.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tnvm_plugin::SecretReference;

/// The VM's screen, keyboard and mouse. Every VM has one unless this is `false`.
#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Display {
    /// SPICE (the default), or VNC (from TrueNAS 25.10).
    #[serde(rename = "type", default)]
    pub protocol: Option<Protocol>,
    /// The port of the type's first VM; the next VMs have the next ports. Under `vms`: that VM's
    /// port. By default each VM type has ten ports, from 5911 on. 5900 to 65535, never 6000.
    #[serde(default, skip_serializing)]
    #[schemars(range(min = 5900, max = 65535))]
    pub port: Option<u32>,
    /// The port of the browser's view, counted like `port`; 1000 more than the VM's port by
    /// default.
    #[serde(default, skip_serializing)]
    #[schemars(range(min = 5900, max = 65535))]
    pub web_port: Option<u32>,
    /// The resolution at start; 1024x768 by default.
    #[serde(default)]
    pub resolution: Option<Resolution>,
    /// The server's address to listen on; 0.0.0.0, every one, by default. The server offers its
    /// static addresses only.
    #[serde(default)]
    pub bind: Option<String>,
    /// Where the password is: `env:NAME` or `file:PATH`; by default the password for displays
    /// (`VNC_PASSWORD`). VNC takes 8 characters at most.
    #[serde(default, skip_serializing)]
    pub password: Option<SecretReference>,
    /// Whether a browser can show the screen too; true by default, impossible with VNC.
    #[serde(default)]
    pub web: Option<bool>,
    /// Whether the VM waits at start until somebody looks at the screen; false by default.
    #[serde(default)]
    pub wait: Option<bool>,
}

impl Display {
    /// The keys above, as templates write them.
    pub(crate) const KNOWN: [&'static str; 8] = [
        "type",
        "port",
        "web_port",
        "resolution",
        "bind",
        "password",
        "web",
        "wait",
    ];
}

/// How the screen is reached.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema, PartialEq)]
#[serde(rename_all = "UPPERCASE")]
pub enum Protocol {
    /// Also shown in a browser by the server.
    Spice,
    /// From TrueNAS 25.10.
    Vnc,
}

/// The resolutions that the server offers (`vm.resolution_choices`, the same in all versions).
#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema, PartialEq)]
pub enum Resolution {
    /// 1920 by 1200.
    #[serde(rename = "1920x1200")]
    R1920x1200,
    /// 1920 by 1080.
    #[serde(rename = "1920x1080")]
    R1920x1080,
    /// 1600 by 1200.
    #[serde(rename = "1600x1200")]
    R1600x1200,
    /// 1600 by 900.
    #[serde(rename = "1600x900")]
    R1600x900,
    /// 1400 by 1050.
    #[serde(rename = "1400x1050")]
    R1400x1050,
    /// 1280 by 1024.
    #[serde(rename = "1280x1024")]
    R1280x1024,
    /// 1280 by 720.
    #[serde(rename = "1280x720")]
    R1280x720,
    /// 1024 by 768.
    #[serde(rename = "1024x768")]
    R1024x768,
    /// 800 by 600.
    #[serde(rename = "800x600")]
    R800x600,
    /// 640 by 480.
    #[serde(rename = "640x480")]
    R640x480,
}
