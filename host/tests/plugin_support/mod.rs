//! What the tests of plugins share: guests made of a few lines of WebAssembly text, and requests.

#![allow(
    dead_code,
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "each test program uses a part of it, and helpers fail as loudly as tests"
)]

use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};
use tnvm::plugin::{
    Builtin, Limits, LoadProblem, PlanError, PlanRequest, Planned, PluginErrorKind, PluginFile,
    PluginSet, PluginSources, VmIdentity,
};
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

const CONTRACT: &str = include_str!("../../../wit/v1/device.wit");

/// A plugin in WebAssembly text. `describe` gives the texts below, `plan` no device, `normalize`
/// what it got; each does first what is put into its member here.
#[derive(Clone)]
pub(crate) struct Guest {
    pub(crate) name: String,
    pub(crate) key: String,
    pub(crate) version: String,
    pub(crate) schema: String,
    /// The contract's version to be built for.
    pub(crate) contract: &'static str,
    /// Pages of memory at the start.
    pub(crate) pages: u32,
    pub(crate) describe: &'static str,
    pub(crate) plan: &'static str,
    pub(crate) normalize: &'static str,
    pub(crate) realloc: &'static str,
    /// More members of the core module: imports must come first in it.
    pub(crate) imports: &'static str,
    pub(crate) more: &'static str,
    /// More lines of the world, and packages beside it.
    pub(crate) world: &'static str,
    pub(crate) packages: &'static str,
}

impl Default for Guest {
    fn default() -> Self {
        Self {
            name: "tiny".into(),
            key: "tiny".into(),
            version: "0.1.0".into(),
            schema: r#"{"type": "object"}"#.into(),
            contract: "1.0.0",
            pages: 4,
            describe: "",
            plan: "",
            normalize: "",
            realloc: "",
            imports: "",
            more: "",
            world: "",
            packages: "",
        }
    }
}

/// WebAssembly that never ends.
pub(crate) const LOOP: &str = "(loop $l (br $l))";

impl Guest {
    pub(crate) fn named(name: &str, key: &str) -> Self {
        Self {
            name: name.into(),
            key: key.into(),
            ..Self::default()
        }
    }

    /// The component.
    pub(crate) fn build(&self) -> Vec<u8> {
        let mut core = wat::parse_str(self.text()).unwrap();
        let mut contract = CONTRACT.replace("@1.0.0", &format!("@{}", self.contract));
        contract = contract.replace("export plugin;", &format!("export plugin;\n{}", self.world));
        contract.push_str(self.packages);
        let mut resolve = Resolve::default();
        let package = resolve.push_str("device.wit", &contract).unwrap();
        let world = resolve
            .select_world(&[package], Some("device-plugin"))
            .unwrap();
        embed_component_metadata(&mut core, &resolve, world, StringEncoding::UTF8).unwrap();
        let mut encoder = ComponentEncoder::default().module(&core).unwrap();
        encoder.encode().unwrap()
    }

    /// The component as a part of the program.
    pub(crate) fn builtin(&self) -> Builtin {
        Builtin {
            name: self.name.clone().leak(),
            bytes: self.build().leak(),
        }
    }

    fn text(&self) -> String {
        // The descriptor at 16, its texts from 1024 on; the plan at 256, all zero: no devices.
        let mut texts = String::new();
        let mut record: Vec<u8> = Vec::new();
        let mut text = |record: &mut Vec<u8>, text: &str| {
            let at = 1024 + u32::try_from(texts.len()).unwrap();
            texts.push_str(text);
            record.extend(at.to_le_bytes());
            record.extend(u32::try_from(text.len()).unwrap().to_le_bytes());
        };
        for member in [&*self.name, &self.version, "A guest of a test", &self.key] {
            text(&mut record, member);
        }
        record.extend(0_u32.to_le_bytes());
        text(&mut record, &self.schema);
        record.extend(768_u32.to_le_bytes());
        record.extend(1_u32.to_le_bytes());
        record.extend([0; 8]);
        let mut kinds = Vec::new();
        text(&mut kinds, "TINY");
        let Self {
            contract,
            pages,
            describe,
            plan,
            normalize,
            realloc,
            imports,
            more,
            ..
        } = self;
        let (record, kinds, texts) = (data(&record), data(&kinds), data(texts.as_bytes()));
        format!(
            r#"(module
            {imports}
            (memory (export "memory") {pages})
            (global $heap (mut i32) (i32.const 65536))
            (func $realloc (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
                (local $at i32)
                {realloc}
                (local.set $at (i32.and (i32.add (global.get $heap) (i32.const 7)) (i32.const -8)))
                (global.set $heap (i32.add (local.get $at) (local.get 3)))
                (local.get $at))
            (func (export "tnvm:device/plugin@{contract}#describe") (result i32)
                {describe} (i32.const 16))
            (func (export "tnvm:device/plugin@{contract}#plan") (param i32) (result i32)
                {plan} (i32.const 256))
            (func (export "tnvm:device/plugin@{contract}#normalize") (param i32 i32) (result i32)
                {normalize}
                (i32.store (i32.const 516) (local.get 0))
                (i32.store (i32.const 520) (local.get 1))
                (i32.const 512))
            {more}
            (data (i32.const 16) "{record}")
            (data (i32.const 768) "{kinds}")
            (data (i32.const 1024) "{texts}"))"#
        )
    }
}

fn data(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("\\{byte:02x}")).collect()
}

/// Sources with nothing in them.
pub(crate) fn sources() -> PluginSources {
    PluginSources::default()
}

/// Sources with these parts of the program.
pub(crate) fn builtins(guests: &[Guest]) -> PluginSources {
    let builtin: Vec<Builtin> = guests.iter().map(Guest::builtin).collect();
    PluginSources {
        builtin: builtin.leak(),
        ..sources()
    }
}

/// Writes the component to a file and names it as the config would.
pub(crate) fn file(folder: &Path, name: &str, bytes: &[u8]) -> PluginFile {
    let path = folder.join(name);
    std::fs::write(&path, bytes).unwrap();
    PluginFile {
        origin: "vms.yaml:3:5".into(),
        path,
        sha256: None,
    }
}

/// Loads, and expects nothing to tell.
#[track_caller]
pub(crate) fn load(sources: PluginSources) -> PluginSet {
    let (set, problems) = PluginSet::load(sources);
    assert!(problems.is_empty(), "{problems:?}");
    set
}

/// Loads one guest, and expects it to be refused.
#[track_caller]
pub(crate) fn refusal(guest: &Guest, limits: Limits) -> tnvm::plugin::PluginError {
    refused_bytes(guest.build(), limits)
}

/// Loads these bytes, and expects them to be refused.
#[track_caller]
pub(crate) fn refused_bytes(bytes: Vec<u8>, limits: Limits) -> tnvm::plugin::PluginError {
    let builtin = Builtin {
        name: "refused",
        bytes: bytes.leak(),
    };
    let (set, mut problems) = PluginSet::load(PluginSources {
        builtin: vec![builtin].leak(),
        limits,
        ..sources()
    });
    assert_eq!(set.iter().count(), 0);
    match problems.pop() {
        Some(LoadProblem::Failed(error)) => error,
        other => panic!("{other:?}"),
    }
}

/// A question about VM `worker01`.
pub(crate) fn request(config: Value) -> PlanRequest {
    PlanRequest {
        vm: VmIdentity {
            name: "worker01".into(),
            vm_type: "worker".into(),
            type_index: 0,
            index: 1,
            count: 1,
            group: "kubernetes".into(),
        },
        config: Some(config),
        template: json!({}),
        storage: json!({"pool_path": "tank/kubernetes"}),
        target_version: "25.10.1".into(),
        facts: vec![],
        context: json!({}),
    }
}

pub(crate) fn object(value: Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

/// The plugin's failure, as text and kind.
#[track_caller]
pub(crate) fn failed(result: Result<Planned, PlanError>) -> (String, PluginErrorKind) {
    match result {
        Err(PlanError::Failed(error)) => {
            let text = format!("{error} [{}]", error.help());
            (text, *error.kind)
        }
        other => panic!("{other:?}"),
    }
}

/// A component that xtask builds for the tests.
#[track_caller]
pub(crate) fn built(name: &str) -> PathBuf {
    let folder = std::env::var_os("TNVM_TEST_PLUGINS").map_or_else(
        || {
            let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
            target.join("plugins").join("test")
        },
        PathBuf::from,
    );
    let path = folder.join(format!("{name}.wasm"));
    assert!(
        path.is_file(),
        "{} does not exist: run `cargo xtask build-plugins` first, or name the folder in \
         TNVM_TEST_PLUGINS",
        path.display()
    );
    path
}

/// What is written to the log meanwhile, one record per line.
pub(crate) fn logged(run: impl FnOnce()) -> String {
    let written = Written::default();
    let subscriber = tracing_subscriber::fmt()
        .with_writer({
            let written = written.clone();
            move || written.clone()
        })
        .with_ansi(false)
        .without_time()
        .finish();
    tracing::subscriber::with_default(subscriber, run);
    let bytes = written.0.lock().unwrap().clone();
    String::from_utf8(bytes).unwrap()
}

#[derive(Clone, Default)]
struct Written(std::sync::Arc<std::sync::Mutex<Vec<u8>>>);

impl std::io::Write for Written {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
