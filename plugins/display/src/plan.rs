//! From the config and the template to the one DISPLAY device of a VM.

use std::net::IpAddr;

use tnvm_plugin::{
    About, Attributes, BootOrder, Device, DevicePlugin, Problem, Problems, Request, json, pointer,
};

use crate::config::{Display, Protocol};
use crate::ports;

/// The host's name for the password of displays, unless the user refers to another.
const PASSWORD: &str = "display-password";

/// The device type `display`.
pub struct DisplayPlugin;

impl DevicePlugin for DisplayPlugin {
    type Config = Display;

    fn about() -> About {
        About::new("display", env!("CARGO_PKG_VERSION"))
            .summary("A screen over SPICE or VNC")
            .applies_by_default()
            .kind("DISPLAY")
    }

    fn plan(request: &Request<Display>, problems: &mut Problems) -> Result<Vec<Device>, Problem> {
        let nothing = Display::default();
        let choice = Choice {
            config: request.config.as_ref().unwrap_or(&nothing),
            template: &request
                .template
                .read("DISPLAY", &Display::KNOWN, &[], problems),
        };
        let protocol = choice.of(|layer| layer.protocol);
        let vnc = protocol.value == Some(Protocol::Vnc);
        if vnc && !request.target.at_least(25, 10) {
            let message = format!("TrueNAS {} has no VNC displays", request.target);
            problems.push(
                protocol
                    .problem("type", message)
                    .help("Use SPICE, or upgrade to 25.10 or newer."),
            );
        }
        let web = choice.of(|layer| layer.web);
        if vnc && web.value == Some(true) {
            problems.push(
                web.problem("web", "a browser cannot show a VNC display")
                    .help("Remove `web`, or use SPICE."),
            );
        }
        check_bind(&choice, problems);
        let port = problems.note(port(request, &choice));
        let web_port = problems.note(match port {
            Some(port) => web_port(request, &choice, port).map(Some),
            None => Ok(None),
        });
        let (Some(port), Some(Some(web_port))) = (port, web_port) else {
            return Ok(Vec::new());
        };
        if port == web_port {
            let message = format!("`port` and `web_port` are both {port}");
            problems.push(Problem::config("/web_port", message).help("Remove `web_port`."));
        }

        let attributes = Attributes::new("DISPLAY")
            .over(json!({
                "type": "SPICE",
                "resolution": "1024x768",
                // The server's own default is loopback, where nobody but the server can look.
                "bind": "0.0.0.0",
                "web": !vnc,
                "wait": false,
            }))
            .over(choice.template)
            .over(choice.config)
            // Both are always sent. What the server picks may be the next VM's, and from 26 it
            // refuses a SPICE display without ports.
            .set("port", port)
            .set("web_port", web_port);
        let order = match request.template.order {
            Some(order) => BootOrder::Fixed(order),
            None => BootOrder::None,
        };
        let password = choice.of(|layer| layer.password.as_ref());
        Ok(vec![
            Device::new("display", attributes)
                .boot_order(order)
                .secret(
                    "/password",
                    password.value.map_or(PASSWORD, |at| at.as_str()),
                )
                .claim("tcp-port", port, given(choice.config.port, "port"))
                .claim(
                    "tcp-port",
                    web_port,
                    given(choice.config.web_port, "web_port"),
                ),
        ])
    }

    fn normalize(attributes: Attributes) -> Result<Attributes, String> {
        Ok(attributes
            // Masked, and the host compares no secrets.
            .without(&["password", "password_configured"])
            // What 24.10 may leave out, with that version's defaults.
            .or_set("type", "SPICE")
            .or_set("resolution", "1024x768")
            .or_set("bind", "127.0.0.1")
            .or_set("web", true)
            .or_set("wait", false))
    }
}

/// What the user wrote, in the config or else in the template.
struct Choice<'a> {
    config: &'a Display,
    template: &'a Display,
}

impl<'a> Choice<'a> {
    fn of<T>(&self, field: impl Fn(&'a Display) -> Option<T>) -> Chosen<T> {
        let configured = field(self.config);
        let in_template = configured.is_none();
        Chosen {
            value: configured.or_else(|| field(self.template)),
            in_template,
        }
    }
}

/// A value and which of the two it stands in.
struct Chosen<T> {
    value: Option<T>,
    in_template: bool,
}

impl<T> Chosen<T> {
    fn problem(&self, key: &str, message: impl Into<String>) -> Problem {
        if self.in_template {
            Problem::template(pointer(&["attributes", key]), message)
        } else {
            Problem::config(pointer(&[key]), message)
        }
    }
}

fn port(request: &Request<Display>, choice: &Choice<'_>) -> Result<u64, Problem> {
    let first = choice.of(|layer| layer.port);
    match first.value {
        Some(port) if is_own(request, "port") => {
            ports::exact(port).map_err(|reason| first.problem("port", reason))
        }
        Some(port) => ports::from_first(port, request.vm.index).map_err(|reason| {
            first
                .problem("port", reason)
                .help("`port` is that of the type's first VM; the others count up from it.")
        }),
        None => ports::by_position(request.vm.type_index, request.vm.index).map_err(|reason| {
            Problem::config("", reason)
                .help("Choose the first port of the type with `display: {port: …}`.")
        }),
    }
}

fn web_port(request: &Request<Display>, choice: &Choice<'_>, port: u64) -> Result<u64, Problem> {
    let first = choice.of(|layer| layer.web_port);
    match first.value {
        Some(web) if is_own(request, "web_port") => {
            ports::exact(web).map_err(|reason| first.problem("web_port", reason))
        }
        Some(web) => ports::from_first(web, request.vm.index)
            .map_err(|reason| first.problem("web_port", reason)),
        None => ports::web(port).map_err(|reason| {
            choice
                .of(|layer| layer.port)
                .problem("port", reason)
                .help("Choose a lower `port`, or `web_port` too.")
        }),
    }
}

/// Whether the user wrote the port for this one VM, and not for all of the type.
fn is_own(request: &Request<Display>, key: &str) -> bool {
    let own = request.own().and_then(|own| own.get(key));
    own.is_some_and(|port| !port.is_null())
}

/// `vm.device.create` takes one of `vm.device.bind_choices`: all of them are addresses.
fn check_bind(choice: &Choice<'_>, problems: &mut Problems) {
    let bind = choice.of(|layer| layer.bind.as_deref());
    if let Some(address) = bind.value
        && address.parse::<IpAddr>().is_err()
    {
        let message = format!("`{address}` is not an address to listen on");
        problems.push(
            bind.problem("bind", message)
                .help("Use one of the server's static addresses, 0.0.0.0 or 127.0.0.1."),
        );
    }
}

/// The place of a claim: the key if the user wrote it, else the whole value.
fn given(value: Option<u32>, key: &str) -> String {
    value.map(|_| pointer(&[key])).unwrap_or_default()
}
