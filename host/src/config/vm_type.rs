//! The host's keys of one VM, read from its merged layers.
//!
//! Knows no device: a key that is not the host's is handed on as it is.

use indexmap::IndexMap;

use super::fields::{FIELDS, FieldKind, MAX_VCPUS};
use super::layers::did_you_mean;
use super::model::DeviceKey;
use super::node::{Entry, Node, NodeValue};
use super::size;
use super::text::MAX_PROBLEMS;
use crate::diagnostic::{Diagnostic, Diagnostics, Location};

/// Keys that belong to a type as a whole, read elsewhere.
pub(super) const TYPE_KEYS: &[&str] = &["count", "names", "extends", "vms"];

/// What a VM's keys say.
#[derive(Clone)]
pub(super) struct VmKeys {
    pub(super) template: String,
    pub(super) template_origin: Option<Location>,
    pub(super) fields: IndexMap<String, Node>,
    pub(super) start: bool,
    pub(super) protect: bool,
    pub(super) boot: Vec<Node>,
    /// Which server it is on, as it was written.
    pub(super) host: Option<Node>,
    pub(super) device_keys: Vec<DeviceKey>,
}

/// Reads the keys of a VM. What is wrong is reported and left out.
pub(super) fn read(node: &Node) -> (VmKeys, Diagnostics) {
    let mut reader = Reader {
        keys: VmKeys {
            template: "vm".to_owned(),
            template_origin: None,
            fields: IndexMap::new(),
            start: true,
            protect: false,
            boot: Vec::new(),
            host: None,
            device_keys: Vec::new(),
        },
        problems: Diagnostics::default(),
    };
    for (key, entry) in node.as_map().into_iter().flatten() {
        reader.key(key, entry);
    }
    reader.check_min_memory();
    (reader.keys, reader.problems)
}

struct Reader {
    keys: VmKeys,
    problems: Diagnostics,
}

impl Reader {
    fn key(&mut self, key: &str, entry: &Entry) {
        let node = &entry.node;
        match key {
            _ if TYPE_KEYS.contains(&key) => {}
            "cpu" => self.cpu(node),
            "topology" => self.topology(node),
            "memory" | "min_memory" => match size::memory(key, node) {
                Ok(mib) => self.field(key, mib, node),
                Err(found) => self.problems.extend(found),
            },
            "template" => {
                if self.fits(FieldKind::Text, key, node) {
                    self.keys.template = node.as_str().unwrap_or_default().to_owned();
                    self.keys.template_origin.clone_from(&node.origin);
                }
            }
            "start" | "protect" => {
                if self.fits(FieldKind::Bool, key, node) {
                    let value = node.as_bool() == Some(true);
                    match key {
                        "start" => self.keys.start = value,
                        _ => self.keys.protect = value,
                    }
                }
            }
            "boot" => self.boot(node),
            "host" => self.keys.host = Some(node.clone()),
            _ => self.other(key, entry),
        }
    }

    fn boot(&mut self, node: &Node) {
        let NodeValue::List(items) = &node.value else {
            let message = format!("`boot` must be a list, not {}", node.describe());
            let problem = Diagnostic::error(message).help("write `boot: [cdrom, disk]`");
            self.problems.push(problem.at(node.origin.clone()));
            return;
        };
        for item in items.iter().take(MAX_PROBLEMS) {
            if self.fits(FieldKind::Text, "boot", item) {
                self.keys.boot.push(item.clone());
            }
        }
    }

    fn other(&mut self, key: &str, entry: &Entry) {
        if let Some(help) = refused(key) {
            let problem = Diagnostic::error(format!("`{key}` cannot be set in a VM type"));
            self.problems
                .push(problem.help(help).at(entry.key_origin.clone()));
            return;
        }
        if let Some(field) = FIELDS.iter().find(|one| one.in_config && one.name == key) {
            if self.fits(field.kind, key, &entry.node) {
                self.keys.fields.insert(key.to_owned(), entry.node.clone());
            }
            return;
        }
        self.keys.device_keys.push(DeviceKey {
            key: key.to_owned(),
            node: entry.node.clone(),
            key_origin: entry.key_origin.clone(),
        });
    }

    fn cpu(&mut self, node: &Node) {
        if !self.fits(FieldKind::Whole(1, MAX_VCPUS), "cpu", node) {
            return;
        }
        self.field("vcpus", 1, node);
        self.field("cores", node.as_u64().unwrap_or(1), node);
        self.field("threads", 1, node);
    }

    fn topology(&mut self, node: &Node) {
        const PARTS: &[(&str, &str)] = &[
            ("sockets", "vcpus"),
            ("cores", "cores"),
            ("threads", "threads"),
        ];
        let Some(map) = node.as_map() else {
            let message = format!("`topology` must be a map, not {}", node.describe());
            let problem = Diagnostic::error(message)
                .help("write `topology: {sockets: 1, cores: 4, threads: 2}`, or `cpu: 4`");
            self.problems.push(problem.at(node.origin.clone()));
            return;
        };
        for (key, entry) in map.iter().take(MAX_PROBLEMS) {
            if !PARTS.iter().any(|(part, _)| part == key) {
                let parts = PARTS.iter().map(|(part, _)| *part);
                let problem = Diagnostic::error(format!("`topology` has no `{key}`"))
                    .help(did_you_mean(key, parts, "keys"));
                self.problems.push(problem.at(entry.key_origin.clone()));
            }
        }
        let mut product = 1_u64;
        for (part, field) in PARTS {
            let one = Node::from_value(&1.into(), node.origin.as_ref());
            let value = node.get(part).unwrap_or(&one);
            if !self.fits(FieldKind::Whole(1, MAX_VCPUS), part, value) {
                return;
            }
            product = product.saturating_mul(value.as_u64().unwrap_or(1));
            self.keys.fields.insert((*field).to_owned(), value.clone());
        }
        if product > MAX_VCPUS {
            let message = format!(
                "sockets × cores × threads is {product}, and the server takes at most {MAX_VCPUS}"
            );
            let problem = Diagnostic::error(message).help("lower one of the three");
            self.problems.push(problem.at(node.origin.clone()));
        }
    }

    /// The server's rule (`vm.create`, all versions).
    fn check_min_memory(&mut self) {
        let amount = |key: &str| self.keys.fields.get(key).and_then(Node::as_u64);
        if let (Some(least), Some(most)) = (amount("min_memory"), amount("memory"))
            && least > most
        {
            let origin = self
                .keys
                .fields
                .get("min_memory")
                .and_then(|one| one.origin.clone());
            let problem = Diagnostic::error(format!(
                "`min_memory` is {least} MiB and `memory` only {most} MiB"
            ));
            self.problems.push(
                problem
                    .help("lower `min_memory` or raise `memory`")
                    .at(origin),
            );
        }
    }

    fn fits(&mut self, kind: FieldKind, key: &str, node: &Node) -> bool {
        let problem = kind.check(key, node);
        let fits = problem.is_none();
        problem.into_iter().for_each(|one| self.problems.push(one));
        fits
    }

    fn field(&mut self, name: &str, value: u64, from: &Node) {
        let node = Node {
            value: NodeValue::Number(value.into()),
            origin: from.origin.clone(),
        };
        self.keys.fields.insert(name.to_owned(), node);
    }
}

/// Keys that mean something to the server and cannot be set here: what to write instead.
fn refused(key: &str) -> Option<&'static str> {
    Some(match key {
        "name" => "the name is made of the type and a number; `names: [fileserver]` gives another",
        "uuid" => "the server gives each VM an identity of its own; remove it",
        "devices" => "write each kind of device under its own key, such as `disk` or `network`",
        "vcpus" | "cores" | "threads" | "sockets" => {
            "write `cpu: N` for N cores, or `topology: {sockets, cores, threads}`"
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::model::HOST_KEYS;
    use super::*;

    fn device_keys(key: &str) -> usize {
        let node = Node::from_value(&json!({ key: 1 }), None);
        read(&node).0.device_keys.len()
    }

    #[test]
    fn no_key_of_the_host_reaches_a_plugin_and_every_other_does() {
        for key in HOST_KEYS {
            assert_eq!(device_keys(key), 0, "{key}");
        }
        for field in FIELDS {
            assert!(HOST_KEYS.contains(&field.name), "{}", field.name);
        }
        for key in ["disk", "network", "display", "cdrom", "gpu", "id"] {
            assert_eq!(device_keys(key), 1, "{key}");
        }
    }

    #[test]
    fn cpu_is_cores_of_one_thread_on_one_socket() {
        let check = |value: serde_json::Value, expected: [u64; 3]| {
            let (keys, problems) = read(&Node::from_value(&value, None));
            assert!(problems.is_empty(), "{problems:?}");
            let field = |name: &str| keys.fields[name].as_u64().unwrap();
            assert_eq!(["vcpus", "cores", "threads"].map(field), expected);
        };
        check(json!({"cpu": 4}), [1, 4, 1]);
        check(json!({"cpu": 255}), [1, 255, 1]);
        check(json!({"topology": {}}), [1, 1, 1]);
        let all = json!({"sockets": 3, "cores": 17, "threads": 5});
        check(json!({ "topology": all }), [3, 17, 5]);
    }
}
