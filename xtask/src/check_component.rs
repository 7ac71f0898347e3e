//! Whether a component is one that the host would load: what it exports, imports and weighs.

use anyhow::{Context, bail};
use wit_parser::decoding::{DecodedWasm, decode};
use wit_parser::{Resolve, WorldItem, WorldKey};

/// The host's limit for a component file, 64 MiB: three times the largest useful one, a Python
/// interpreter.
const MAX_SIZE: usize = 64 << 20;

/// What a plugin may import. `types` holds no functions: every component that uses the
/// contract's records names it.
const IMPORTS: [&str; 2] = ["log", "types"];

/// Checks that `component` exports `tnvm:device/plugin@1.x` and imports nothing but
/// `tnvm:device/log`.
///
/// # Errors
/// One sentence of what is wrong.
pub(crate) fn check(component: &[u8]) -> anyhow::Result<()> {
    if component.len() > MAX_SIZE {
        bail!(
            "{} bytes are more than the {MAX_SIZE} that the host loads",
            component.len()
        );
    }
    let (resolve, world) = match decode(component).context("not a component")? {
        DecodedWasm::Component(resolve, world) => (resolve, world),
        DecodedWasm::WitPackage(..) => bail!("it holds a contract only, no code"),
    };
    let world = resolve
        .worlds
        .get(world)
        .context("the component describes no world")?;
    for (key, item) in &world.imports {
        let name = name(&resolve, key, item);
        let allowed = IMPORTS
            .iter()
            .any(|interface| of_contract(&name, interface));
        if !allowed {
            bail!("it imports `{name}`, which the host does not offer: only tnvm:device/log");
        }
    }
    let exports = world
        .exports
        .iter()
        .any(|(key, item)| of_contract(&name(&resolve, key, item), "plugin"));
    if !exports {
        bail!("it does not export tnvm:device/plugin@1: is `tnvm_plugin::export!(…)` missing?");
    }
    Ok(())
}

/// Whether `name` is `interface` of the contract's first major version, of which all minor
/// versions work together.
fn of_contract(name: &str, interface: &str) -> bool {
    name.strip_prefix("tnvm:device/")
        .and_then(|rest| rest.strip_prefix(interface))
        .is_some_and(|version| version.starts_with("@1."))
}

fn name(resolve: &Resolve, key: &WorldKey, item: &WorldItem) -> String {
    match item {
        WorldItem::Interface { id, .. } => resolve
            .id_of(*id)
            .unwrap_or_else(|| resolve.name_world_key(key)),
        _ => resolve.name_world_key(key),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_first_major_version_is_of_the_contract() {
        assert!(of_contract("tnvm:device/plugin@1.0.0", "plugin"));
        assert!(of_contract("tnvm:device/plugin@1.7.0", "plugin"));
        assert!(!of_contract("tnvm:device/plugin@2.0.0", "plugin"));
        assert!(!of_contract("tnvm:device/plugins@1.0.0", "plugin"));
        assert!(!of_contract("wasi:cli/environment@0.2.0", "log"));
    }

    #[test]
    fn bytes_that_are_no_component_are_refused() {
        assert!(check(b"\0asm\x01\0\0\0").is_err());
        assert!(check(b"").is_err());
    }
}
